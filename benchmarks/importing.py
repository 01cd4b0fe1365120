"""Importing: how fast, and in how much memory, a large JSONL file becomes rows.

Figures: reading and checking every row (`curate.records.read`); the whole import into a fresh store; both beside
polars and Hugging Face `datasets` reading the same file in the same run. The peers load the file and check nothing
(no shapes, no refusals, no ids); memory is the goal here, speed is context. Every measurement is a process of its
own, so that its peak memory is its own; runs alternate and the median is shown.
Does not measure: other formats, a server with other work.
"""

from __future__ import annotations

import json
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

ROW_MEMORY_GOAL = 300  # MB: reading, whatever the file's size
IMPORT_MEMORY_GOAL = 1500  # MB: with the store's engine and its indexes of a million rows

WORDS = (
    "the patient reports no pain since the last visit and takes ten milligrams of it every evening".split()
)


def write_file(path: Path, size: int, seed: int = 0) -> int:
    """A JSONL file of about ``size`` bytes with rows of mixed length (median ~1 KB); returns the rows.

    Texts repeat every 5,000 rows, but each row has an id and a prompt of its own.
    """
    pick = random.Random(seed)
    text = " ".join(pick.choices(WORDS, k=20_000))
    ends = []
    for number in range(5_000):
        length = int(pick.lognormvariate(6.2, 0.7))
        start = pick.randrange(60_000)
        row = {
            "prompt": text[start:][:length],
            "completion": text[start + length :][: length // 2 + 20],
            "metadata": {"site": number % 7, "note": "größer als ½"},
        }
        ends.append(json.dumps(row, ensure_ascii=False).removeprefix('{"prompt": "').encode() + b"\n")
    written = number = 0
    with path.open("wb") as handle:
        while written < size:
            start_of_row = b'{"id": "r%d", "source": "visit-%d", "prompt": "%d ' % (
                number,
                number // 3,
                number,
            )
            written += handle.write(start_of_row + ends[number % len(ends)])
            number += 1
    return number


def child(what: str, path: str) -> None:
    """One measurement; prints rows, seconds and peak memory (MB) of this process."""
    before = _peak()
    begun = time.perf_counter()
    if what == "read":
        from curate.records import Row, read

        begun, before = time.perf_counter(), _peak()
        rows = sum(isinstance(item, Row) for item in read(path))
    elif what == "import":
        from curate.records import import_file
        from curate.store import Store
        from curate.users import create_user

        begun, before = time.perf_counter(), _peak()
        with (
            tempfile.TemporaryDirectory(dir=Path(path).parent) as folder,
            Store.open(Path(folder) / "store.duckdb") as store,
        ):
            actor = create_user(store, None, "bench", "admin")
            rows = import_file(store, actor, "bench", path).imported
    elif what == "polars":
        import polars as pl

        begun, before = time.perf_counter(), _peak()
        rows = len(pl.read_ndjson(path))
    else:
        import datasets

        datasets.disable_progress_bars()
        begun, before = time.perf_counter(), _peak()
        with tempfile.TemporaryDirectory(dir=Path(path).parent) as folder:
            rows = len(datasets.load_dataset("json", data_files=path, split="train", cache_dir=folder))
    seconds = time.perf_counter() - begun
    print(json.dumps({"rows": rows, "seconds": seconds, "peak": _peak(), "imports": before}))


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measure(what: str, path: Path) -> dict[str, Any]:
    root = Path(__file__).resolve().parents[1]
    done = subprocess.run(
        [sys.executable, "-c", f"from benchmarks import importing; importing.child({what!r}, {str(path)!r})"],
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{what}: {done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def run(quick: bool) -> list[dict[str, Any]]:
    size, rounds = (50_000_000, 1) if quick else (1_000_000_000, 3)
    found: dict[str, list[dict[str, Any]]] = {"read": [], "polars": [], "datasets": [], "import": []}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.jsonl"
        rows = write_file(path, size)
        for turn in range(rounds):
            for what in found:
                if what == "import" and turn:
                    continue  # minutes of fsync; its figure is memory
                found[what].append(measure(what, path))
                if found[what][-1]["rows"] != rows:
                    raise RuntimeError(f"{what} read {found[what][-1]['rows']} of {rows} rows")
    return report(found, rows, size)


def report(found: dict[str, list[dict[str, Any]]], rows: int, size: int) -> list[dict[str, Any]]:
    def middle(what: str, key: str) -> float:
        return statistics.median(one[key] for one in found[what])

    def spread(what: str, value: Any) -> str:
        values = sorted(value(one) for one in found[what])
        return f"{values[0]:,.0f}–{values[-1]:,.0f}"

    versions = {name: version(name) for name in ("polars", "datasets", "duckdb")}
    made: list[dict[str, Any]] = []
    what = f"{size // 1_000_000:,} MB JSONL ({rows:,} rows)"

    def figure(
        name: str, goal: str, ours: str, peer: str, ratio: float, spread: str, met: bool | None
    ) -> None:
        made.append(
            {
                "figure": f"{name}, {what}",
                "goal": goal,
                "ours": ours,
                "peer": peer,
                "ratio": round(ratio, 2),
                "spread": spread,
                "met": met,
                "versions": versions,
            }
        )

    ours = middle("read", "peak")
    for peer in ("polars", "datasets"):
        theirs = middle(peer, "peak")
        figure(
            f"read: peak memory beside {peer}",
            f"<= {ROW_MEMORY_GOAL} MB",
            f"{ours:,.0f} MB",
            f"{theirs:,.0f} MB",
            theirs / ours,
            spread("read", lambda one: one["peak"]),
            ours <= ROW_MEMORY_GOAL,
        )
    for peer in ("polars", "datasets"):
        speed, theirs = rows / middle("read", "seconds"), rows / middle(peer, "seconds")
        figure(
            f"read and check: rows/s beside {peer} (which checks nothing)",
            "none",
            f"{speed:,.0f}",
            f"{theirs:,.0f}",
            speed / theirs,
            spread("read", lambda one: rows / one["seconds"]),
            None,
        )
    peak, seconds = middle("import", "peak"), middle("import", "seconds")
    figure(
        "import into a store: peak memory",
        f"<= {IMPORT_MEMORY_GOAL:,} MB",
        f"{peak:,.0f} MB",
        f"{middle('datasets', 'peak'):,.0f} MB (datasets)",
        middle("datasets", "peak") / peak,
        spread("import", lambda one: one["peak"]),
        peak <= IMPORT_MEMORY_GOAL,
    )
    theirs = rows / middle("datasets", "seconds")
    figure(
        "import into a store (ids, events, fsync): rows/s",
        "none",
        f"{rows / seconds:,.0f}",
        f"{theirs:,.0f} (datasets, Arrow cache)",
        rows / seconds / theirs,
        spread("import", lambda one: rows / one["seconds"]),
        None,
    )
    return made
