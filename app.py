"""Entry script of the pages, run by Streamlit at every visit. `goldpair serve` starts the server around it.

Covers: nothing but handing over to `curate.views.shell`. The REST routes are in `curate.api`.
"""

from curate.views import shell

shell.main()
