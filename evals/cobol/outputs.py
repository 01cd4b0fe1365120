"""What references did on the inputs made for them, kept in the cache folder: a translation judged again runs alone.

Covers: one file for the inputs of one judging, read and written whole. Does not cover: what a translation did, which is
never kept; runs that the sandbox ended, which another try may finish.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

from evals.cobol.build import cache_folder, keep
from evals.sandbox import Outcome

FORMAT = 1
Outputs = Mapping[str, Outcome | None]  # a case in words -> what the reference did; None: it failed by itself


def place(digest: str, name: str) -> Path:
    """The file for the executable with this SHA-256 and the inputs of this name."""
    key = hashlib.sha256(f"{FORMAT}\0{digest}\0{name}".encode()).hexdigest()[:40]
    return cache_folder() / f"outputs-{key}.json"


def load(path: Path) -> dict[str, Outcome | None]:
    """What was kept; nothing where there is no file."""
    if not path.is_file():
        return {}
    return {
        case: None
        if row is None
        else Outcome(
            "exited",
            code=row["code"],
            stdout=bytes.fromhex(row["stdout"]),
            files={name: bytes.fromhex(data) for name, data in row["files"].items()},
        )
        for case, row in json.loads(path.read_bytes()).items()
    }


def save(path: Path, outputs: Outputs) -> None:
    rows = {
        case: None
        if outcome is None
        else {
            "code": outcome.code,
            "stdout": outcome.stdout.hex(),
            "files": {name: data.hex() for name, data in outcome.files.items()},
        }
        for case, outcome in outputs.items()
    }
    keep(path, json.dumps(rows).encode())
