"""Long work as detached processes that survive their owner, resume where they stopped, and can be cancelled.

Covers: starting, adopting, ingesting, cancelling and resuming jobs: the owner's side, which holds the store.
Does not cover: the worker, which never opens it (`curate.jobworker`, run as ``python -m curate.jobs run FOLDER``),
what a kind of job does (`curate.jobkinds`), scheduling in time, more than one machine.

A job is a row of the table ``jobs`` and a folder ``jobs/<job_id>`` of the workspace::

    spec.json       kind, its module, what was asked
    in/*.parquet    one file a chunk, written by the kind's ``prepare``; ``prepared`` says that all are there
    out/*.parquet   the same names, written to a temporary name and renamed: a file that is there is complete
    worker.json     pid and start time of the worker; ``lock`` is held by it, so that there is never a second
    progress.json   rewritten every second: done, total, rate, eta_s, message
    exit.json       how the worker ended; missing when it was killed
    result.json     what the kind's ``finish`` returned
    log.txt         what the worker printed

States: ``queued → running → done | failed``, ``cancelling → cancelled``; ``lost`` when the worker was killed
again and again without finishing one more chunk. A killed worker is started again by the next `tick` and
computes only the chunks that are missing; each chunk is ingested once, in one transaction with its note in
``job_chunks``. One heavy job runs at a time, the others wait in line. ``in/`` and ``out/`` hold texts and are
deleted when a job is done or cancelled; a failed or lost one keeps them, for `resume`.
"""

from __future__ import annotations

import contextlib
import errno
import importlib
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl
import psutil

from curate.contract import canonical_json
from curate.errors import GoldpairError, NotFound, UsageError

if TYPE_CHECKING:
    from curate.store import Store, Tx
    from curate.users import Actor
    from curate.workspace import Workspace

FINISHED = ("done", "failed", "cancelled", "lost")
GRACE_S = 10.0  # how long a cancelled worker may go on before it is killed
TRIES = 3  # launches in a row without one more chunk before a job is lost
BUSY = 75  # exit code of a worker that found another one at work

Report = Callable[[dict[str, Any]], None]  # {"done": number, "total": number, "message": str}, all optional


@dataclass(frozen=True)
class JobKind:
    """One kind of long work.

    ``prepare(store, workspace, spec, folder)`` writes ``folder/in/*.parquet``, one file a chunk (none: nothing
    to do). ``work(folder, spec, chunk, report)`` computes one chunk in the worker; its module must register
    the kind when imported. ``ingest(tx, workspace, job, frame)`` takes one chunk's frame into the store.
    ``finish(store, workspace, job)`` runs once all are in (again, if the owner dies in it) and returns the
    job's result. ``job`` is the row of ``jobs`` with ``spec`` as a dict.
    """

    name: str
    prepare: Callable[[Store, Workspace, dict[str, Any], Path], None]
    work: Callable[[Path, dict[str, Any], pl.DataFrame, Report], pl.DataFrame | None]
    ingest: Callable[[Tx, Workspace, dict[str, Any], pl.DataFrame], None] | None = None
    finish: Callable[[Store, Workspace, dict[str, Any]], dict[str, Any] | None] | None = None
    heavy: bool = True  # at most one heavy job runs at a time
    permission: str = "scan"  # of curate.users; asked for by start, cancel and resume


_KINDS: dict[str, JobKind] = {}
_children: dict[str, subprocess.Popen[bytes]] = {}  # job id -> worker started here, so that it is reaped
_ticking = threading.Lock()


def register(kind: JobKind) -> JobKind:
    """Make a kind known under its name."""
    _KINDS[kind.name] = kind
    return kind


def lookup(name: str) -> JobKind:
    """The kind of that name. Raises `NotFound`."""
    if name not in _KINDS:
        importlib.import_module("curate.jobkinds")
    if name not in _KINDS:
        raise NotFound(f"No kind of job {name!r}. Kinds: {', '.join(sorted(_KINDS))}.")
    return _KINDS[name]


# ---------------------------------------------------------------- what people and pages ask for


def start(store: Store, actor: Actor, workspace: Workspace, kind: str, spec: dict[str, Any]) -> str:
    """Put a job in line and start it if nothing heavy runs. Returns its id.

    Raises `NotFound` for an unknown kind, `PermissionDenied`. What goes wrong later is the job's state.
    """
    from curate.store import utcnow
    from curate.users import require

    found = lookup(kind)
    require(actor, found.permission)
    job_id = f"j-{secrets.token_hex(6)}"
    folder = workspace.jobs / job_id
    for part in ("in", "out"):
        (folder / part).mkdir(parents=True, mode=0o700)
    folder.chmod(0o700)
    text = canonical_json(spec).decode()
    write_json(
        folder / "spec.json",
        {"job": job_id, "kind": kind, "module": found.work.__module__, "spec": json.loads(text)},
    )
    task = spec.get("task")

    def write(tx: Tx) -> None:
        tx.execute(
            "INSERT INTO jobs (job_id, task, kind, state, actor, spec, folder, created_ts)"
            " VALUES (?, ?, ?, 'queued', ?, ?, ?, ?)",
            [job_id, task, kind, actor.user, text, f"jobs/{job_id}", utcnow()],
        )
        tx.event("job_queued", actor.user, job=job_id, job_kind=kind, task=task)

    store.write(write)
    tick(store, workspace)
    return job_id


def cancel(store: Store, actor: Actor, job_id: str) -> None:
    """Stop a job: at once while it waits, else as soon as its worker lets go (killed after 10 s).

    Chunks that are finished stay. Raises `NotFound`; `UsageError` when it has ended already.
    """
    from curate.users import require

    job = _row(store, job_id)
    require(actor, lookup(job["kind"]).permission)
    if job["state"] in FINISHED:
        raise UsageError(f"Job {job_id} is {job['state']} already.")
    folder = _folder(store, job)
    (folder / "cancel").touch()
    if job["state"] == "queued" and not _alive(folder, job):
        _set(store, job, "cancelled", actor=actor.user)
        _clean(folder)
        return
    _set(store, job, "cancelling", actor=actor.user)
    _signal(folder, job, signal.SIGTERM)


def resume(store: Store, actor: Actor, workspace: Workspace, job_id: str) -> None:
    """Put a failed or lost job back in line; only the chunks it has not finished are computed.

    Raises `NotFound`; `UsageError` when it is neither failed nor lost.
    """
    from curate.users import require

    job = _row(store, job_id)
    require(actor, lookup(job["kind"]).permission)
    if job["state"] not in ("failed", "lost"):
        raise UsageError(f"Job {job_id} is {job['state']}; only a failed or lost job can be resumed.")
    folder = _folder(store, job)
    for name in ("exit.json", "launches.json", "cancel"):
        (folder / name).unlink(missing_ok=True)
    _set(store, job, "queued", actor=actor.user)
    tick(store, workspace)


def status(store: Store, job_id: str) -> dict[str, Any]:
    """A job's row, with ``spec`` and ``result`` as dicts, ``progress``, ``chunks`` (ingested so far) and
    ``heartbeat_s`` (seconds since the worker last gave a sign of life; None when it never did)."""
    job = _row(store, job_id)
    folder = _folder(store, job)
    counted = store.one("SELECT count(*) AS n FROM job_chunks WHERE job_id = ?", [job_id])
    beat = None
    with contextlib.suppress(OSError):
        beat = round(max(0.0, time.time() - (folder / "progress.json").stat().st_mtime), 1)
    return {
        **job,
        "progress": read_json(folder / "progress.json"),
        "result": read_json(folder / "result.json"),
        "chunks": counted["n"] if counted else 0,
        "heartbeat_s": beat,
    }


def list_jobs(store: Store, limit: int = 200) -> list[dict[str, Any]]:
    """Rows of ``jobs``, newest first, ``spec`` as a dict."""
    rows = store.rows("SELECT * FROM jobs ORDER BY created_ts DESC, job_id LIMIT ?", [limit])
    return [{**row, "spec": json.loads(row["spec"])} for row in rows]


def wait(
    store: Store,
    workspace: Workspace,
    job_id: str,
    on_progress: Callable[[dict[str, Any]], None] | None = None,
    every_s: float = 0.2,
) -> dict[str, Any]:
    """`tick` until the job has ended; returns its status. ``on_progress`` gets ``progress.json`` as a dict."""
    while True:
        tick(store, workspace)
        found = status(store, job_id)
        if on_progress is not None and found["progress"]:
            on_progress(found["progress"])
        if found["state"] in FINISHED:
            return found
        time.sleep(every_s)


# ---------------------------------------------------------------- the owner: adopt, ingest, finish


def tick(store: Store, workspace: Workspace) -> None:
    """Look after every unfinished job: adopt its worker, ingest its chunks, finish it, start the next.

    Called by the server every second and by whoever waits. When another thread is at it, returns at once.
    """
    if not _ticking.acquire(blocking=False):
        return
    try:
        if "jobs_swept" not in store.services:
            store.services["jobs_swept"] = True
            _sweep(store)
        rows = store.rows(
            "SELECT * FROM jobs WHERE state IN ('queued', 'running', 'cancelling') ORDER BY created_ts, job_id"
        )
        busy = False
        for row in rows:
            job = {**row, "spec": json.loads(row["spec"])}
            try:
                kind = lookup(job["kind"])
            except NotFound as error:
                _set(store, job, "failed", error=str(error))
                continue
            folder = _folder(store, job)
            if job["state"] == "queued":
                if busy and kind.heavy:
                    continue
                going = _launch(store, workspace, job, kind, folder)
            else:
                going = _look_after(store, workspace, job, kind, folder)
            busy = busy or (going and kind.heavy)
    finally:
        _ticking.release()


def _launch(store: Store, workspace: Workspace, job: dict[str, Any], kind: JobKind, folder: Path) -> bool:
    """Export the input and start a worker. Returns whether the job runs now."""
    if not (folder / "prepared").exists():
        for part in ("in", "out"):
            shutil.rmtree(folder / part, ignore_errors=True)
            (folder / part).mkdir(parents=True, mode=0o700)
        try:
            kind.prepare(store, workspace, job["spec"], folder)
        except Exception as error:
            _fail(store, job, folder, error, "preparing")
            return False
        (folder / "prepared").touch()
    if (folder / "cancel").exists():
        _set(store, job, "cancelled")
        _clean(folder)
        return False
    _set(store, job, "running")
    job["state"] = "running"
    return _look_after(store, workspace, job, kind, folder)


def _look_after(store: Store, workspace: Workspace, job: dict[str, Any], kind: JobKind, folder: Path) -> bool:
    """One step for a job that was started. Returns whether it goes on."""
    # Asked before the files are read: what a worker that is dead by now has written is all there is.
    alive = _alive(folder, job)
    ended = read_json(folder / "exit.json")
    try:
        complete = _ingest(store, workspace, job, kind, folder)
    except Exception as error:
        _signal(folder, job, signal.SIGKILL)
        _fail(store, job, folder, error, "taking its output into the store")
        return False
    cancelling = job["state"] == "cancelling" or (folder / "cancel").exists()
    if ended and ended["state"] == "failed":
        _set(store, job, "failed", error=ended["error"])
        return False
    if cancelling and (ended or not alive):
        _set(store, job, "cancelled")
        _clean(folder)
        return False
    if complete and (ended or not alive):
        return _finish(store, workspace, job, kind, folder)
    if alive:
        since = (folder / "cancel").stat().st_mtime if cancelling else time.time()
        if time.time() - since > GRACE_S:
            _signal(folder, job, signal.SIGKILL)
        return True
    (folder / "exit.json").unlink(missing_ok=True)  # it claims an end, but a chunk was unreadable
    return _spawn(store, job, folder)


def _ingest(store: Store, workspace: Workspace, job: dict[str, Any], kind: JobKind, folder: Path) -> bool:
    """Take every finished chunk into the store, each once. Returns whether all chunks are in."""
    from curate.store import utcnow

    known = {
        row["chunk"] for row in store.rows("SELECT chunk FROM job_chunks WHERE job_id = ?", [job["job_id"]])
    }
    wanted = chunk_names(folder)
    for chunk in wanted:
        if chunk in known:
            continue
        path = folder / "out" / f"{chunk}.parquet"
        if not path.exists():
            continue
        try:
            frame = pl.read_parquet(path)
        except (pl.exceptions.PolarsError, OSError) as error:
            # Only a disk that lost power can do this to a renamed file; the chunk is computed again.
            _log(folder, f"chunk {chunk} is unreadable and will be computed again: {error}")
            path.unlink(missing_ok=True)
            continue

        def write(tx: Tx, chunk: str = chunk, frame: pl.DataFrame = frame) -> None:
            done = tx.one(
                "SELECT 1 AS x FROM job_chunks WHERE job_id = ? AND chunk = ?", [job["job_id"], chunk]
            )
            if done is None:
                if kind.ingest is not None and frame.width:
                    kind.ingest(tx, workspace, job, frame)
                tx.execute("INSERT INTO job_chunks VALUES (?, ?, ?)", [job["job_id"], chunk, utcnow()])

        store.write(write)
        known.add(chunk)
    return known >= set(wanted)


def _finish(store: Store, workspace: Workspace, job: dict[str, Any], kind: JobKind, folder: Path) -> bool:
    try:
        result = kind.finish(store, workspace, job) if kind.finish is not None else None
    except Exception as error:
        _fail(store, job, folder, error, "finishing")
        return False
    if result is not None:
        write_json(folder / "result.json", result)
    _set(store, job, "done")
    _clean(folder)
    return False


def _spawn(store: Store, job: dict[str, Any], folder: Path) -> bool:
    """Start a worker, unless the last ones died without finishing a chunk."""
    finished = len(list((folder / "out").glob("*.parquet")))
    before = read_json(folder / "launches.json") or {"count": 0, "finished": -1}
    count = before["count"] + 1 if finished == before["finished"] else 1
    if count > TRIES:
        error = (
            f"The worker was killed {TRIES} times in a row without finishing another chunk ({finished} of "
            f"{len(chunk_names(folder))} are kept). Memory may be short; see its log. It can be resumed."
        )
        _set(store, job, "lost", error=error)
        return False
    write_json(folder / "launches.json", {"count": count, "finished": finished})
    _kill_orphans(folder, job)
    descriptor = os.open(folder / "log.txt", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    here = str(Path(__file__).resolve().parents[1])
    paths = [here, *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    try:
        child = subprocess.Popen(
            [sys.executable, "-P", "-m", "curate.jobs", "run", str(folder)],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
            stdin=subprocess.DEVNULL,
            stdout=descriptor,
            stderr=descriptor,
            start_new_session=True,
        )
    finally:
        os.close(descriptor)
    _children[job["job_id"]] = child
    job["pid"], job["pid_started"] = child.pid, _started(child.pid)
    store.write(
        lambda tx: tx.execute(
            "UPDATE jobs SET pid = ?, pid_started = ? WHERE job_id = ?",
            [job["pid"], job["pid_started"], job["job_id"]],
        )
    )
    return True


def working(folder: Path) -> bool:
    """Whether the worker that wrote itself down in this job's folder lives. Asks no store."""
    worker = read_json(folder / "worker.json")
    return worker is not None and _runs(worker["pid"], worker["started"])


def _alive(folder: Path, job: dict[str, Any]) -> bool:
    """Whether a worker of this job runs: the one started here or, after a restart, by pid and start time."""
    child = _children.get(job["job_id"])
    if child is not None and child.poll() is not None:
        del _children[job["job_id"]]
    return any(_runs(pid, started) for pid, started in _workers(folder, job))


def _workers(folder: Path, job: dict[str, Any]) -> Iterator[tuple[int, float]]:
    """Pid and start time as the worker wrote them, and as the store has them."""
    worker = read_json(folder / "worker.json")
    if worker:
        yield worker["pid"], worker["started"]
    if job.get("pid") and job.get("pid_started") is not None:
        yield job["pid"], job["pid_started"]


def _runs(pid: int, started: float) -> bool:
    """Whether that very process lives. The start time tells it from a later one with the same pid."""
    now = _started(pid)
    # Two seconds: start times come from the boot time, which moves when the clock is set.
    return now is not None and abs(now - started) < 2.0


def _started(pid: int) -> float | None:
    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else process.create_time()
    except psutil.Error:
        return None


def _signal(folder: Path, job: dict[str, Any], number: int) -> None:
    """Signal the worker and its children; it leads a process group of its own."""
    for pid, started in _workers(folder, job):
        if _runs(pid, started):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(pid, number)


def _kill_orphans(folder: Path, job: dict[str, Any]) -> None:
    """Kill what a dead worker left running: its children may still hold the lock.

    A pid is not given away while a process group has its number, so a group without its leader is ours.
    """
    for pid, _ in _workers(folder, job):
        if not psutil.pid_exists(pid):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(pid, signal.SIGKILL)


def _sweep(store: Store) -> None:
    """Delete texts that an owner, killed between two lines, left behind in folders of ended jobs."""
    for row in store.rows("SELECT folder FROM jobs WHERE state IN ('done', 'cancelled')"):
        _clean(_folder(store, row))


def _set(
    store: Store, job: dict[str, Any], state: str, *, error: str | None = None, actor: str | None = None
) -> None:
    from curate.store import utcnow

    def write(tx: Tx) -> None:
        tx.execute(
            "UPDATE jobs SET state = $state, error = $error,"
            " started_ts = CASE WHEN $state = 'running' THEN coalesce(started_ts, $now) ELSE started_ts END,"
            " finished_ts = CASE WHEN list_contains($ends::VARCHAR[], $state) THEN $now END"
            " WHERE job_id = $job",
            {
                "state": state,
                "error": error,
                "now": utcnow(),
                "ends": list(FINISHED),
                "job": job["job_id"],
            },
        )
        tx.event(f"job_{state}", actor or job["actor"], job=job["job_id"], job_kind=job["kind"])

    store.write(write)


def _fail(store: Store, job: dict[str, Any], folder: Path, error: Exception, when: str) -> None:
    _log(folder, "".join(traceback.format_exception(error)))
    _set(store, job, "failed", error=in_words(error, when))


def in_words(error: BaseException, when: str) -> str:
    """An exception as a message for people: ours as it is, any other with its type and where it happened."""
    if isinstance(error, GoldpairError):
        return str(error)[:2000]
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"The disk is full ({when}). Free some space and resume; finished chunks are kept."
    return f"{type(error).__name__} while {when}: {error}"[:2000]


def _row(store: Store, job_id: str) -> dict[str, Any]:
    row = store.one("SELECT * FROM jobs WHERE job_id = ?", [job_id])
    if row is None:
        raise NotFound(f"No job {job_id!r}. `goldpair jobs list` shows the jobs.")
    return {**row, "spec": json.loads(row["spec"])}


def _folder(store: Store, job: dict[str, Any]) -> Path:
    return Path(store.path).parent / str(job["folder"])  # relative, so that a workspace can be moved


def _clean(folder: Path) -> None:
    """Delete the exported texts of a job that needs them no more."""
    for part in ("in", "out"):
        shutil.rmtree(folder / part, ignore_errors=True)


def chunk_names(folder: Path) -> list[str]:
    """Names of a job's input chunks, in order."""
    return sorted(path.stem for path in (folder / "in").glob("*.parquet"))


def _log(folder: Path, text: str) -> None:
    with contextlib.suppress(OSError), (folder / "log.txt").open("a", encoding="utf-8") as handle:
        handle.write(text.rstrip("\n") + "\n")


def read_json(path: Path) -> dict[str, Any] | None:
    """A JSON object from a file; None while it is missing or half there."""
    try:
        return json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return None


def write_json(path: Path, value: dict[str, Any]) -> None:
    """Write a JSON file so that it is seen whole or not at all."""
    fresh = path.with_name(f".{path.name}.{threading.get_ident()}")
    fresh.write_text(json.dumps(value, ensure_ascii=False, default=str), "utf-8")
    fresh.replace(path)


def _command(arguments: list[str]) -> int:
    if len(arguments) != 2 or arguments[0] != "run":
        print("usage: python -m curate.jobs run FOLDER", file=sys.stderr)
        return 2
    from curate import jobworker

    return jobworker.run(Path(arguments[1]))


if __name__ == "__main__":
    from curate import jobs  # the module that the kinds register with, not this second copy of it

    sys.exit(jobs._command(sys.argv[1:]))
