"""Kinds of jobs for tests/test_jobs.py: real work in real workers, with knobs turned by files in the folder.

Every call of ``work`` leaves a line in ``calls`` before and after it, so that a test can count what was computed.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import polars as pl

from curate.errors import UsageError
from curate.jobs import JobKind, register


def prepare(store: Any, workspace: Any, spec: dict[str, Any], folder: Path) -> None:
    if spec.get("prepare") == "fails":
        raise UsageError("There is nothing to do here. Do something else.")
    for number in range(spec["chunks"]):
        rows = pl.DataFrame({"x": range(number * 10, number * 10 + 10)})
        rows.write_parquet(folder / "in" / f"{number:05d}.parquet")


def work(folder: Path, spec: dict[str, Any], chunk: pl.DataFrame, report: Any) -> pl.DataFrame | None:
    first = chunk["x"][0] // 10
    _note(folder, f"begin {first}")
    for step in range(10):
        report({"done": step, "total": 10, "message": f"step {step}"})
        time.sleep(spec.get("seconds", 0.0) / 10)
    trouble = spec.get("trouble") if spec.get("at") == first and not (folder / "repaired").exists() else None
    if trouble == "raises":
        raise ValueError("the tenth row is odd")
    if trouble == "dies":
        os.kill(os.getpid(), signal.SIGKILL)
    if trouble == "full":
        raise OSError(28, "No space left on device")
    if trouble == "stubborn":
        try:
            time.sleep(600)
        finally:
            time.sleep(600)
    if trouble == "leaves a child":
        subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], close_fds=False)
        os.set_inheritable(0, True)
        os.kill(os.getpid(), signal.SIGKILL)
    _note(folder, f"end {first}")
    return None if trouble == "nothing" else chunk.with_columns(y=pl.col("x") * 2)


def _note(folder: Path, text: str) -> None:
    with (folder / "calls").open("a") as handle:
        handle.write(text + "\n")


def ingest(tx: Any, workspace: Any, job: dict[str, Any], frame: pl.DataFrame) -> None:
    for x, y in frame.select("x", "y").iter_rows():
        tx.execute("INSERT INTO meta VALUES (?, ?)", [f"{job['job_id']}:{x}", str(y)])
    if job["spec"].get("ingest") == "fails" and not (workspace.jobs / job["job_id"] / "repaired").exists():
        raise UsageError("The rows do not fit.")


def finish(store: Any, workspace: Any, job: dict[str, Any]) -> dict[str, Any]:
    if job["spec"].get("finish") == "fails":
        raise UsageError("The end is near.")
    found = store.one("SELECT count(*) AS n FROM meta WHERE key LIKE ?", [job["job_id"] + ":%"])
    return {"rows": found["n"]}


register(JobKind("test", prepare, work, ingest=ingest, finish=finish))
register(JobKind("test-light", prepare, work, ingest=ingest, heavy=False))
