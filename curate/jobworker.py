"""The worker of a job: computes the missing chunks of one folder and writes them so that none is ever half there.

Covers: the lock against a second worker, the heartbeat and progress, ending by cancel, by the system, by failure.
Does not cover: the owner's side (`curate.jobs`, which describes the folder); it never opens the store.
"""

from __future__ import annotations

import contextlib
import fcntl
import importlib
import json
import os
import signal
import sys
import threading
import time
import traceback
from pathlib import Path
from typing import Any

import polars as pl
import psutil

from curate import jobs

HEARTBEAT_S = 1.0
NICE = 10


class _Cancelled(BaseException):
    """Raised in the worker's main thread by SIGTERM; no work may swallow it."""


class _Progress:
    """What ``progress.json`` says. Shares are weighted by rows; a single chunk counts in its own units."""

    def __init__(self, folder: Path, weights: dict[str, int], finished: set[str]) -> None:
        self._path = folder / "progress.json"
        self._weights = weights
        self._finished = {chunk for chunk in finished if chunk in weights}
        self._begun = time.monotonic()
        self._first: float | None = None
        self._current: tuple[str, float, float] | None = None
        self._message = ""
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="heartbeat", daemon=True)
        self._thread.start()

    def begin(self, chunk: str) -> None:
        with self._lock:
            self._current = (chunk, 0.0, 0.0)

    def report(self, state: dict[str, Any]) -> None:
        with self._lock:
            if self._current is not None and state.get("done") is not None:
                total = state.get("total") or self._current[2]
                self._current = (self._current[0], float(state["done"]), float(total))
            self._message = str(state.get("message") or self._message)

    def end(self, chunk: str) -> None:
        with self._lock:
            self._finished.add(chunk)
            if len(self._weights) > 1:
                self._current = None
        self.write()

    def _counted(self) -> tuple[float, float]:
        chunk, done, total = self._current or ("", 0.0, 0.0)
        if len(self._weights) == 1 and total:
            return (total if self._finished else min(done, total)), total
        reached = float(sum(self._weights[name] for name in self._finished))
        if chunk and chunk not in self._finished and total:
            reached += self._weights[chunk] * min(1.0, done / total)
        return reached, float(sum(self._weights.values()))

    def write(self) -> None:
        with self._lock:
            done, total = self._counted()
            if self._first is None:
                self._first = done  # what earlier workers did is not this one's speed
            seconds = max(time.monotonic() - self._begun, 1e-6)
            rate = max(0.0, done - self._first) / seconds
            state = {
                "done": round(done, 2),
                "total": round(total, 2),
                "rate": round(rate, 3),
                "eta_s": round((total - done) / rate, 1) if rate else None,
                "message": self._message,
                "chunks": len(self._weights),
                "chunks_done": len(self._finished),
                "ts": time.time(),
            }
            with contextlib.suppress(OSError):  # a full disk must not kill the heartbeat
                jobs.write_json(self._path, state)

    def _beat(self) -> None:
        self.write()
        while not self._stop.wait(HEARTBEAT_S):
            self.write()

    def close(self) -> None:
        self._stop.set()
        self._thread.join(timeout=5)
        self.write()


def run(folder: Path) -> int:
    """The worker: compute the chunks that are missing. Returns the exit code of the process."""
    os.umask(0o077)
    with contextlib.suppress(OSError):
        os.nice(NICE)
    with (folder / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return jobs.BUSY
        if (folder / "exit.json").exists():
            return 0
        pid = os.getpid()
        jobs.write_json(folder / "worker.json", {"pid": pid, "started": psutil.Process(pid).create_time()})
        ended = _compute(folder)
        if ended is None:  # ended by the system, not by a person: the next worker goes on
            return 128 + signal.SIGTERM
        jobs.write_json(folder / "exit.json", ended)
        return 0 if ended["state"] == "done" else 1


def _compute(folder: Path) -> dict[str, Any] | None:
    """Every missing chunk; what goes into ``exit.json``."""
    chunk = ""
    progress: _Progress | None = None

    def stop(*_: object) -> None:
        raise _Cancelled

    try:
        signal.signal(signal.SIGTERM, stop)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        for left in (folder / "out").glob("*.part"):
            left.unlink()
        job = json.loads((folder / "spec.json").read_text("utf-8"))
        weights = {name: _rows(folder / "in" / f"{name}.parquet") for name in jobs.chunk_names(folder)}
        finished = {path.stem for path in (folder / "out").glob("*.parquet")}
        progress = _Progress(folder, weights, finished)
        importlib.import_module(job["module"])
        kind = jobs.lookup(job["kind"])
        for chunk in weights:
            if chunk in finished:
                continue
            if (folder / "cancel").exists():
                raise _Cancelled
            progress.begin(chunk)
            frame = pl.read_parquet(folder / "in" / f"{chunk}.parquet")
            result = kind.work(folder, job["spec"], frame, progress.report)
            _write_chunk(folder / "out" / f"{chunk}.parquet", result)
            progress.end(chunk)
        return {"state": "done"}
    except _Cancelled:
        return {"state": "cancelled"} if (folder / "cancel").exists() else None
    except BaseException as error:
        traceback.print_exc()
        sys.stderr.flush()
        when = f"computing chunk {chunk}" if chunk else "starting"
        return {"state": "failed", "error": jobs.in_words(error, when), "chunk": chunk}
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        if progress is not None:
            progress.close()


def _rows(path: Path) -> int:
    return max(1, int(pl.scan_parquet(path).select(pl.len()).collect().item()))


def _write_chunk(path: Path, frame: pl.DataFrame | None) -> None:
    """Write a chunk so that it is either there and complete, or not there. None becomes an empty frame."""
    fresh = path.with_suffix(".part")
    try:
        (frame if frame is not None else pl.DataFrame()).write_parquet(fresh)
        with fresh.open("rb") as handle:
            os.fsync(handle.fileno())
        fresh.replace(path)
    except BaseException:
        fresh.unlink(missing_ok=True)
        raise
