"""Jobs: real workers, killed at any point together with their owners, lose nothing and compute nothing twice."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from curate import jobs, jobworker
from curate.client import Client
from curate.errors import NotFound, PermissionDenied, UsageError
from curate.store import Store
from curate.users import Actor, create_user
from curate.workspace import Workspace

TESTS = Path(__file__).parent
sys.path.insert(0, str(TESTS))
import _jobkinds  # noqa: E402  (registers the kinds)

BOSS = Actor("boss", "admin")


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workspace]:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(TESTS), os.environ.get("PYTHONPATH", "")]))
    made = Workspace.create(tmp_path / "w")
    yield made
    for path in made.jobs.glob("*/worker.json"):  # no worker outlives its test
        with contextlib.suppress(ProcessLookupError):
            os.killpg(json.loads(path.read_text())["pid"], signal.SIGKILL)


@pytest.fixture
def store(workspace: Workspace) -> Iterator[Store]:
    with Store.open(workspace.store) as opened:
        create_user(opened, None, "boss", "admin")
        yield opened


def until(condition: Callable[[], Any], seconds: float = 60.0) -> Any:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = condition()
        if found:
            return found
        time.sleep(0.02)
    raise AssertionError("it did not happen in time")


def calls(workspace: Workspace, job: str) -> Counter[str]:
    path = workspace.jobs / job / "calls"
    return Counter(path.read_text().splitlines()) if path.exists() else Counter()


def recorded(workspace: Workspace, job: str) -> set[int]:
    return {int(path.stem) for path in (workspace.jobs / job / "out").glob("*.parquet")}


def ingested(store: Store, job: str) -> int:
    found = store.one("SELECT count(*) AS n FROM meta WHERE key LIKE ?", [f"{job}:%"])
    return int(found["n"]) if found else 0


def worker(workspace: Workspace, job: str) -> int:
    path = workspace.jobs / job / "worker.json"
    return int(until(lambda: path.exists() and json.loads(path.read_text())["pid"]))


def start(store: Store, workspace: Workspace, kind: str = "test", **spec: Any) -> str:
    return jobs.start(store, BOSS, workspace, kind, {"task": "t", "chunks": 3, **spec})


def test_a_job_runs_apart_and_its_chunks_come_in_once(store: Store, workspace: Workspace) -> None:
    seen: list[dict[str, Any]] = []
    job = start(store, workspace, seconds=0.3)
    pid = worker(workspace, job)
    assert os.getsid(pid) == pid != os.getsid(0)  # it outlives the owner's terminal
    assert until(lambda: psutil.Process(pid).nice() == jobworker.NICE)
    found = jobs.wait(store, workspace, job, seen.append)
    assert (found["state"], found["error"], found["chunks"]) == ("done", None, 3)
    assert found["result"] == {"rows": 30} == {"rows": ingested(store, job)}
    assert found["started_ts"] >= found["created_ts"] and found["finished_ts"] >= found["started_ts"]
    assert found["progress"]["done"] == found["progress"]["total"] == 30
    assert found["progress"]["chunks_done"] == 3 and found["progress"]["message"] == "step 9"
    assert all(0 <= one["done"] <= 30 and one["rate"] >= 0 for one in seen)
    assert calls(workspace, job) == Counter({f"{w} {n}": 1 for w in ("begin", "end") for n in range(3)})
    folder = workspace.jobs / job
    assert not (folder / "in").exists() and not (folder / "out").exists()  # no texts stay behind
    assert all((folder / n).stat().st_mode & 0o077 == 0 for n in ("log.txt", "exit.json", "progress.json"))
    kinds = [e["kind"] for e in store.rows("SELECT kind FROM events WHERE kind LIKE 'job%' ORDER BY seq")]
    assert kinds == ["job_queued", "job_running", "job_done"] and store.verify_chain() == []
    assert [row["job_id"] for row in jobs.list_jobs(store)] == [job]
    jobs.tick(store, workspace)
    assert ingested(store, job) == 30


def test_waiting_for_a_silent_worker_asks_no_store(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A step of a long training writes no progress for a minute; the store is opened only when the worker is gone."""
    folder = workspace.jobs / "j-silent"
    folder.mkdir(parents=True)
    (folder / "progress.json").write_text("{}", "utf-8")
    os.utime(folder / "progress.json", (0, 0))
    me = psutil.Process()
    jobs.write_json(folder / "worker.json", {"pid": me.pid, "started": me.create_time()})
    client, asked, looked = Client(workspace, "admin"), [], []

    def call(operation: str, **fields: Any) -> dict[str, Any]:
        asked.append(operation)
        return {"state": "done", "kind": "test"}

    def progress(_: dict[str, Any]) -> None:
        looked.append(len(asked))
        if len(looked) == 5:
            jobs.write_json(folder / "worker.json", {"pid": me.pid, "started": me.create_time() - 60})

    monkeypatch.setattr(client, "call", call)
    client.wait("j-silent", progress, every_s=0.01)
    assert looked[:5] == [0] * 5 and asked == ["jobs.status"]


def test_nothing_to_do_is_done(store: Store, workspace: Workspace) -> None:
    job = start(store, workspace, chunks=0)
    assert jobs.status(store, job)["state"] == "done"
    assert not (workspace.jobs / job / "worker.json").exists()


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"prepare": "fails"}, "There is nothing to do here. Do something else."),
        ({"finish": "fails"}, "The end is near."),
        ({"trouble": "raises", "at": 1}, "ValueError while computing chunk 00001: the tenth row is odd"),
        ({"trouble": "full", "at": 1}, "The disk is full"),
    ],
)
def test_failures_are_said_in_words(store: Store, workspace: Workspace, spec: Any, words: str) -> None:
    job = start(store, workspace, **spec)
    found = jobs.wait(store, workspace, job)
    assert found["state"] == "failed" and words in found["error"]
    if "at" in spec:
        assert found["chunks"] == 1 and ingested(store, job) == 10  # what was finished is kept
        assert "Traceback" in (workspace.jobs / job / "log.txt").read_text()
    assert jobs.status(store, start(store, workspace, chunks=0))["state"] == "done"  # the line moves on


def test_resume_computes_only_what_is_missing(store: Store, workspace: Workspace) -> None:
    job = start(store, workspace, trouble="raises", at=1)
    assert jobs.wait(store, workspace, job)["state"] == "failed"
    (workspace.jobs / job / "repaired").touch()
    jobs.resume(store, BOSS, workspace, job)
    assert jobs.wait(store, workspace, job)["state"] == "done"
    assert calls(workspace, job) == Counter(
        {"begin 1": 2} | {f"end {n}": 1 for n in range(3)} | {"begin 0": 1, "begin 2": 1}
    )
    assert ingested(store, job) == 30
    with pytest.raises(UsageError, match="is done"):
        jobs.resume(store, BOSS, workspace, job)


def test_a_chunk_that_does_not_fit_leaves_nothing(store: Store, workspace: Workspace) -> None:
    job = start(store, workspace, ingest="fails")
    found = jobs.wait(store, workspace, job)
    assert (found["state"], found["error"], found["chunks"]) == ("failed", "The rows do not fit.", 0)
    assert ingested(store, job) == 0
    (workspace.jobs / job / "repaired").touch()
    jobs.resume(store, BOSS, workspace, job)
    assert jobs.wait(store, workspace, job)["state"] == "done"
    assert ingested(store, job) == 30


def test_a_chunk_without_output_counts(store: Store, workspace: Workspace) -> None:
    job = start(store, workspace, trouble="nothing", at=1)
    found = jobs.wait(store, workspace, job)
    assert (found["state"], found["chunks"], ingested(store, job)) == ("done", 3, 20)


# ------------------------------------------------------------------------------------------------- killing


def kept_now(workspace: Workspace, job: str) -> dict[int, int]:
    """Chunks that are recorded at this moment -> how often each was begun. Ask when no worker lives."""
    done = calls(workspace, job)
    return {chunk: done[f"begin {chunk}"] for chunk in recorded(workspace, job)}


def check_complete(store: Store, workspace: Workspace, job: str, kept: list[dict[int, int]]) -> None:
    """The job is done, its result complete, and no chunk that was recorded at a kill was begun again."""
    found = jobs.wait(store, workspace, job)
    assert found["state"] == "done", found["error"]
    assert found["result"]["rows"] == ingested(store, job) == found["spec"]["chunks"] * 10
    done = calls(workspace, job)
    for chunks in kept:
        assert {chunk: done[f"begin {chunk}"] for chunk in chunks} == chunks
    assert store.verify_chain() == []


def killing(store: Store, workspace: Workspace, seed: int) -> None:
    """Kill the worker at a random moment, twice; the owner goes on ticking."""
    pick = random.Random(seed)
    job = start(store, workspace, chunks=6, seconds=0.15)
    kept: list[dict[int, int]] = []
    for _ in range(2):
        pid = worker(workspace, job)
        time.sleep(pick.uniform(0, 1.5))
        for _ in range(pick.randrange(3)):
            jobs.tick(store, workspace)
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        until(lambda pid=pid: jobs._started(pid) is None)
        kept.append(kept_now(workspace, job))
        jobs.tick(store, workspace)
        if jobs.status(store, job)["state"] == "done":
            break
        until(lambda pid=pid: worker(workspace, job) != pid)
    check_complete(store, workspace, job, kept)


@pytest.mark.parametrize("seed", range(2))
def test_killed_worker(store: Store, workspace: Workspace, seed: int) -> None:
    killing(store, workspace, seed)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(2, 12))
def test_killed_worker_many_times(store: Store, workspace: Workspace, seed: int) -> None:
    killing(store, workspace, seed)


OWNER = """
import sys, time
import _jobkinds
from curate import jobs, jobworker
from curate.store import Store
from curate.users import Actor
from curate.workspace import Workspace
workspace = Workspace(sys.argv[1])
with Store.open(workspace.store) as store:
    spec = {"task": "t", "chunks": int(sys.argv[2]), "seconds": float(sys.argv[3])}
    print(jobs.start(store, Actor("boss", "admin"), workspace, "test", spec), flush=True)
    while True:
        jobs.tick(store, workspace)
        time.sleep(0.05)
"""


def owned(workspace: Workspace, chunks: int, seconds: float) -> tuple[subprocess.Popen[str], str]:
    """A job whose owner is another process."""
    with Store.open(workspace.store) as store:
        if store.one("SELECT 1 AS x FROM users") is None:
            create_user(store, None, "boss", "admin")
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER, str(workspace.root), str(chunks), str(seconds)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=TESTS.parent,
    )
    assert owner.stdout is not None
    return owner, owner.stdout.readline().strip()


def owner_dies(workspace: Workspace, seed: int, both: bool) -> None:
    pick = random.Random(seed)
    owner, job = owned(workspace, 8, 0.15)
    pid = worker(workspace, job)
    time.sleep(pick.uniform(0, 1.0))
    owner.kill()
    owner.wait()
    kept: list[dict[int, int]] = []
    if both:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        until(lambda: jobs._started(pid) is None)
        kept.append(kept_now(workspace, job))
    with Store.open(workspace.store) as store:
        check_complete(store, workspace, job, kept)
        if not both:  # the new owner adopted the worker instead of starting another one
            assert json.loads((workspace.jobs / job / "launches.json").read_text())["count"] == 1
            assert worker(workspace, job) == pid
            assert sum(n for call, n in calls(workspace, job).items() if "begin" in call) == 8


@pytest.mark.parametrize("both", [False, True])
def test_killed_owner(workspace: Workspace, both: bool) -> None:
    owner_dies(workspace, 1, both)


@pytest.mark.soak
@pytest.mark.parametrize("both", [False, True])
@pytest.mark.parametrize("seed", range(2, 7))
def test_killed_owner_many_times(workspace: Workspace, both: bool, seed: int) -> None:
    owner_dies(workspace, seed, both)


def test_owner_killed_before_it_noted_the_worker(store: Store, workspace: Workspace) -> None:
    """The store knows no pid; the worker's own note is enough to adopt it."""
    job = start(store, workspace, seconds=0.5)
    pid = worker(workspace, job)
    jobs._children.clear()
    store.write(lambda tx: tx.execute("UPDATE jobs SET pid = NULL, pid_started = NULL"))
    check_complete(store, workspace, job, [])
    assert worker(workspace, job) == pid


def test_owner_killed_while_exporting(
    store: Store, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Input without its mark of completeness is thrown away and exported again."""

    class Killed(BaseException):
        pass

    def half(_store: Any, _workspace: Any, _spec: Any, folder: Path) -> None:
        (folder / "in" / "99999.parquet").write_bytes(b"half")
        raise Killed

    kind = jobs.lookup("test")
    monkeypatch.setitem(jobs._KINDS, "test", jobs.JobKind("test", half, kind.work, kind.ingest, kind.finish))
    with pytest.raises(Killed):
        start(store, workspace)
    monkeypatch.setitem(jobs._KINDS, "test", kind)
    (job,) = jobs.list_jobs(store)
    assert job["state"] == "queued"
    check_complete(store, workspace, job["job_id"], [])


def test_a_second_worker_gives_way(store: Store, workspace: Workspace) -> None:
    job = start(store, workspace, chunks=0)
    with (workspace.jobs / job / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        second = [sys.executable, "-m", "curate.jobs", "run", str(workspace.jobs / job)]
        assert subprocess.run(second, cwd=TESTS.parent, check=False).returncode == jobs.BUSY
    assert not (workspace.jobs / job / "worker.json").exists()


def test_another_process_with_the_same_pid_is_no_worker(store: Store, workspace: Workspace) -> None:
    job = start(store, workspace, seconds=0.2)
    os.kill(worker(workspace, job), signal.SIGKILL)
    mine = {"pid": os.getpid(), "started": psutil.Process().create_time() - 3600}
    (workspace.jobs / job / "worker.json").write_text(json.dumps(mine))
    check_complete(store, workspace, job, [])


def test_children_of_a_killed_worker_do_not_block_the_next(store: Store, workspace: Workspace) -> None:
    job = start(store, workspace, trouble="leaves a child", at=1, seconds=0.1)
    until(lambda: jobs.tick(store, workspace) or jobs.status(store, job)["state"] == "lost")
    group = worker(workspace, job)
    (workspace.jobs / job / "repaired").touch()
    jobs.resume(store, BOSS, workspace, job)
    check_complete(store, workspace, job, [])
    until(lambda: not running_in(group))


def running_in(group: int) -> list[int]:
    """Processes of a group that still run; a dead one that nobody has collected yet does not count."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, ProcessLookupError):
            if os.getpgid(process.pid) == group and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process.pid)
    return found


def test_a_worker_that_always_dies_is_lost_not_restarted_for_ever(store: Store, workspace: Workspace) -> None:
    job = start(store, workspace, trouble="dies", at=1)
    found = jobs.wait(store, workspace, job)
    assert found["state"] == "lost" and "1 of 3" in found["error"] and "log" in found["error"]
    # the first launch got as far as chunk 0; only the ones after it count as without progress
    assert calls(workspace, job)["begin 1"] == jobs.TRIES + 1 and calls(workspace, job)["begin 0"] == 1
    (workspace.jobs / job / "repaired").touch()
    jobs.resume(store, BOSS, workspace, job)
    check_complete(store, workspace, job, [{0: 1}])


def test_an_unreadable_chunk_is_computed_again(store: Store, workspace: Workspace) -> None:
    job = start(store, workspace)
    until(lambda: (workspace.jobs / job / "exit.json").exists())
    (workspace.jobs / job / "out" / "00001.parquet").write_bytes(b"PAR1 torn")
    found = jobs.wait(store, workspace, job)
    assert found["state"] == "done" and ingested(store, job) == 30
    assert calls(workspace, job)["end 1"] == 2 and calls(workspace, job)["end 0"] == 1


# ------------------------------------------------------------------------------------------------- cancelling


def test_cancel_keeps_finished_chunks(store: Store, workspace: Workspace) -> None:
    job = start(store, workspace, chunks=50, seconds=0.2)
    pid = worker(workspace, job)
    until(lambda: len(recorded(workspace, job)) >= 2)
    jobs.cancel(store, BOSS, job)
    assert jobs.status(store, job)["state"] == "cancelling"
    found = jobs.wait(store, workspace, job)
    assert found["state"] == "cancelled" and found["result"] is None
    assert ingested(store, job) == found["chunks"] * 10 >= 20
    until(lambda: jobs._started(pid) is None)
    assert not (workspace.jobs / job / "out").exists()
    with pytest.raises(UsageError, match="cancelled already"):
        jobs.cancel(store, BOSS, job)


def test_cancel_kills_what_does_not_let_go(
    store: Store, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "GRACE_S", 0.5)
    job = start(store, workspace, trouble="stubborn", at=0)
    until(lambda: calls(workspace, job)["begin 0"])
    pid = worker(workspace, job)
    jobs.cancel(store, BOSS, job)
    assert jobs.wait(store, workspace, job)["state"] == "cancelled"
    until(lambda: jobs._started(pid) is None)


def test_cancel_while_waiting_in_line(store: Store, workspace: Workspace) -> None:
    first = start(store, workspace, seconds=0.4)
    second = start(store, workspace)
    assert jobs.status(store, second)["state"] == "queued"
    jobs.cancel(store, BOSS, second)
    assert jobs.status(store, second)["state"] == "cancelled"
    assert jobs.wait(store, workspace, first)["state"] == "done"
    assert not calls(workspace, second)


def test_a_terminated_machine_is_no_cancel(store: Store, workspace: Workspace) -> None:
    """SIGTERM at shutdown: the worker goes, and the next owner starts another one."""
    job = start(store, workspace, chunks=5, seconds=0.2)
    until(lambda: recorded(workspace, job))
    os.kill(worker(workspace, job), signal.SIGTERM)
    check_complete(store, workspace, job, [])


# ------------------------------------------------------------------------------------------------- in line


def test_one_heavy_job_at_a_time(store: Store, workspace: Workspace) -> None:
    first = start(store, workspace, seconds=0.5)
    second = start(store, workspace, seconds=0.1)
    light = start(store, workspace, "test-light")
    states: list[tuple[str, str]] = []

    def step() -> bool:
        jobs.tick(store, workspace)
        states.append((jobs.status(store, first)["state"], jobs.status(store, second)["state"]))
        return states[-1] == ("done", "done")

    until(step)
    assert ("running", "queued") in states and ("running", "running") not in states
    assert jobs.wait(store, workspace, light)["state"] == "done"
    light_done = jobs.status(store, light)["finished_ts"]
    assert light_done < jobs.status(store, second)["finished_ts"]


def test_who_may_and_what_is_unknown(store: Store, workspace: Workspace) -> None:
    with pytest.raises(PermissionDenied):
        jobs.start(store, Actor("x", "reviewer"), workspace, "test", {"chunks": 1})
    with pytest.raises(NotFound, match=r"Kinds: .*test"):
        jobs.start(store, BOSS, workspace, "nonsense", {})
    for call in (jobs.status, lambda s, j: jobs.cancel(s, BOSS, j)):
        with pytest.raises(NotFound, match="goldpair jobs list"):
            call(store, "j-0")
    job = start(store, workspace, seconds=0.3)
    with pytest.raises(PermissionDenied):
        jobs.cancel(store, Actor("x", "annotator"), job)
    assert jobs.wait(store, workspace, job)["state"] == "done"


def test_a_kind_that_went_away_fails_its_jobs(
    store: Store, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "TRIES", 0)
    job = start(store, workspace, chunks=1)
    assert jobs.status(store, job)["state"] == "lost"
    store.write(lambda tx: tx.execute("UPDATE jobs SET kind = 'gone', state = 'queued'"))
    jobs.tick(store, workspace)
    assert "No kind of job 'gone'" in jobs.status(store, job)["error"]


def test_texts_left_by_a_killed_owner_are_swept(store: Store, workspace: Workspace) -> None:
    job = start(store, workspace, chunks=0)
    (workspace.jobs / job / "in").mkdir()
    (workspace.jobs / job / "in" / "0.parquet").write_bytes(b"text")
    store.services.clear()
    jobs.tick(store, workspace)
    assert not (workspace.jobs / job / "in").exists()


def test_registered_kinds_of_the_product() -> None:
    assert {"scan", "dedupe", "train"} <= set(jobs._KINDS) or jobs.lookup("scan").name == "scan"
    assert _jobkinds.register is jobs.register
