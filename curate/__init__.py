"""The curation room: raw record to approved pair to snapshot, and the doors (command line, REST, pages).

Here live importing, privacy, near-duplicates, review, snapshots, jobs, users, and the only code that opens the store.
Not here: training (`train`) and evaluation (`evals`), which know of this room only `curate.contract`, `curate.tasks`
and `curate.errors`. This package exports nothing by itself: name the module you mean.
"""

import os

# Threads of torch that wait for each other spin for milliseconds by default. Where cores are shared (a server beside a
# job, two jobs) the one that spins takes the core of the one it waits for: seven times the CPU seconds, measured. So
# they spin briefly and then sleep, which costs a little on idle cores; most work gives each core rows of its own anyway
# (`train.capabilities.in_threads`). libgomp reads it when torch is first imported.
os.environ.setdefault("GOMP_SPINCOUNT", "1000")
