"""The command line: every verb with ``--json``, an example in its help, and stable exit codes.

Covers: which modules hold the verbs, errors and exit codes: 0 ok, 1 error, 2 usage, 3 gate refused.
Does not cover: the verbs (`cli_*` beside this file), what they do (`curate.ops`), how the store is reached
(`curate.client`).
"""

from __future__ import annotations

import importlib
import json
import os
import sys

from curate.cli_base import app
from curate.errors import EXIT_ERROR, GoldpairError, RefusedError

#: they register their verbs, in the order of the help
for _verbs in (
    "start",
    "data",
    "privacy",
    "pairs",
    "people",
    "facts",
    "keep",
    "packs",
    "proof",
    "suggest",
    "team",
):
    importlib.import_module(f"curate.cli_{_verbs}")


def main() -> None:
    """Run the command line; errors a user can act on end in one line and their exit code."""
    as_json = "--json" in sys.argv
    try:
        app(standalone_mode=True)
    except GoldpairError as error:
        reasons = error.reasons if isinstance(error, RefusedError) else []
        if as_json:
            print(
                json.dumps(
                    {"error": {"kind": type(error).__name__, "message": str(error), "reasons": reasons}}
                )
            )
        else:
            print(f"goldpair: {error}", file=sys.stderr)
            for reason in reasons:
                print(f"  - {reason}", file=sys.stderr)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(EXIT_ERROR)


if __name__ == "__main__":
    main()
