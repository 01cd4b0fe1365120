"""What the tests of store, review and snapshot share: a store with users, and pairs brought in by the rules.

Covers: building real rows through the public functions of `curate`. Does not cover: detection; a scan here is
a row that says what a detector would have said.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event, Thread
from typing import Any
from uuid import uuid4

import polars as pl

from curate import rules, users
from curate.store import Store, Tx, utcnow
from curate.tasks import TaskPack

TASK = "demo-task"
DETECTOR = "detector-1"
PACK = TaskPack.model_validate(
    {
        "name": TASK,
        "title": "Demo",
        "system": "Be brief.",
        "labels": [
            {"name": "tone", "kind": "choice", "choices": ["dry", "warm"], "key": "1"},
            {"name": "stars", "kind": "rating", "scale": 5, "stage": "annotate"},
            {"name": "verdict_note", "kind": "text", "stage": "adjudicate"},
        ],
    }
)


@cache
def _template() -> bytes:
    """A store file with the users in it, made once a test process."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "store.duckdb"
        with Store.open(path) as store:
            admin = users.create_user(store, None, "admin", "admin")
            for role in users.ROLES[:-1]:
                users.create_user(store, admin, role, role)
            users.create_user(store, admin, "reviewer2", "reviewer")
        return path.read_bytes()


def open_store(folder: Path) -> Store:
    """A store with one user of each role, named like the role, and a second reviewer."""
    (folder / "store.duckdb").write_bytes(_template())
    return Store.open(folder / "store.duckdb")


@contextmanager
def writer_held(store: Store) -> Iterator[Callable[[int], None]]:
    """The writer is busy inside the block, so that writes queue up and then share one commit.

    Gives a function that waits until n of them are in the queue.
    """
    entered, release = Event(), Event()

    def hold(tx: Tx) -> None:
        entered.set()
        release.wait(60)

    def wait_for(n: int) -> None:
        end = time.monotonic() + 30
        while store._queue.qsize() < n:
            assert time.monotonic() < end, f"{store._queue.qsize()} of {n} writes came"
            time.sleep(0.001)

    busy = Thread(target=lambda: store.write(hold))
    busy.start()
    assert entered.wait(30)  # before that the writer could take a first write into the group of `hold`
    try:
        yield wait_for
    finally:
        release.set()
        busy.join()


def actor(store: Store, name: str) -> users.Actor:
    return users.actor_for(store, name)


def add_pairs(
    store: Store, texts: Sequence[tuple[str, str]], *, source: str | None = None, scanned: bool = True
) -> list[str]:
    """Import records, make pairs of them and (unless told otherwise) scan them clean; returns the pair
    ids.
    """
    ids = [uuid4().hex for _ in texts]
    now = utcnow()

    def write(tx: Tx) -> None:
        if not tx.one("SELECT 1 AS x FROM imports"):
            tx.execute(
                "INSERT INTO imports (import_id, task, file, file_sha256, actor, ts) VALUES (?, ?, ?, ?, ?, ?)",
                ["imp", TASK, "records.jsonl", "0" * 64, "lead", now],
            )
        rows: list[dict[str, Any]] = [
            {
                "record_id": f"r-{pair}",
                "task": TASK,
                "import_id": "imp",
                "source": source or f"s-{pair}",
                "licence": "CC0",
                "imported_ts": now,
            }
            for pair in ids
        ]
        tx.insert("records", pl.DataFrame(rows))
        tx.insert(
            "record_text",
            pl.DataFrame(
                [
                    {"record_id": f"r-{pair}", "system": "", "history": "[]", "prompt": p, "completion": c}
                    | {"metadata": "{}", "payload": "{}"}
                    for pair, (p, c) in zip(ids, texts, strict=True)
                ]
            ),
        )
        tx.insert(
            "pairs",
            pl.DataFrame(
                [
                    {
                        "pair_id": pair,
                        "task": TASK,
                        "record_id": f"r-{pair}",
                        "source": source or f"s-{pair}",
                        "created_ts": now,
                    }
                    for pair in ids
                ]
            ),
        )
        tx.transition("imported", "lead", [{"pair_id": p, "task": TASK, "status": "raw"} for p in ids])
        if scanned:
            rows = [
                {"pair_id": p, "prompt": t[0], "completion": t[1]} for p, t in zip(ids, texts, strict=True)
            ]
            made = rules.add_revisions(tx, "intake", rows, kind="import", guideline_version="1")
            tx.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", [f"detector:{TASK}", DETECTOR])
            scans = {"detector_version": DETECTOR, "policy_hash": "policy", "open_findings": 0, "ts": now}
            tx.insert("scans", pl.DataFrame([row | scans for row in made]))
            rules.settle(tx, "intake", ids)

    store.write(write)
    return ids


def scan_in(tx: Tx, pair_id: str, rev: int, *, findings: int = 0, detector: str = DETECTOR) -> None:
    """Write what a scan of one revision would write, `settle` left to the caller."""
    now = utcnow()
    tx.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", [f"detector:{TASK}", detector])
    row = tx.one("SELECT sha256 FROM revisions WHERE pair_id = ? AND rev = ?", [pair_id, rev])
    assert row is not None
    tx.execute(
        "INSERT INTO scans VALUES (?, ?, ?, ?, ?, ?, ?)",
        [pair_id, rev, row["sha256"], detector, "policy", findings, now],
    )
    tx.execute("DELETE FROM findings WHERE pair_id = ? AND rev = ? AND status = 'open'", [pair_id, rev])
    for number in range(findings):
        tx.execute(
            "INSERT INTO findings VALUES (?, ?, ?, 'prompt', ?, ?, 'PERSON', 0.9, 'test', ?, 'open', NULL, ?)",
            [uuid4().hex, pair_id, rev, number, number + 1, detector, now],
        )


def scan(store: Store, pair_id: str, *, findings: int = 0, detector: str = DETECTOR) -> None:
    """Scan the current revision of a pair and settle it."""

    def write(tx: Tx) -> None:
        row = tx.one("SELECT rev FROM pair_state WHERE pair_id = ?", [pair_id])
        assert row is not None
        scan_in(tx, pair_id, row["rev"], findings=findings, detector=detector)
        rules.settle(tx, "intake", [pair_id])

    store.write(write)


def cluster(store: Store, pair_ids: Sequence[str], kind: str = "duplicate") -> str:
    """An open cluster of these pairs."""
    cluster_id = uuid4().hex

    def write(tx: Tx) -> None:
        tx.execute(
            "INSERT INTO clusters VALUES (?, ?, 'run', ?, 'open', NULL, ?)",
            [cluster_id, TASK, kind, utcnow()],
        )
        for pair in pair_ids:
            tx.execute("INSERT INTO cluster_members VALUES (?, ?, 0.9, NULL)", [cluster_id, pair])
        rules.settle(tx, "dedupe", pair_ids)

    store.write(write)
    return cluster_id


def resolve(store: Store, cluster_id: str, keep: str | None) -> None:
    """Resolve a cluster: keep one pair, or all of them (None)."""

    def write(tx: Tx) -> None:
        tx.execute(
            "UPDATE clusters SET status = 'resolved', keep_pair = ? WHERE cluster_id = ?", [keep, cluster_id]
        )
        tx.execute(
            "UPDATE cluster_members SET keep = (? IS NULL OR pair_id = ?) WHERE cluster_id = ?",
            [keep, keep, cluster_id],
        )
        rows = tx.rows("SELECT pair_id FROM cluster_members WHERE cluster_id = ?", [cluster_id])
        rules.settle(tx, "dedupe", [row["pair_id"] for row in rows])

    store.write(write)


def status(store: Store, pair_id: str) -> str:
    row = store.one("SELECT status FROM pair_state WHERE pair_id = ?", [pair_id])
    assert row is not None
    return str(row["status"])


def assert_sound(store: Store) -> None:
    """The log verifies and gives the state; invariants 1 and 2 hold for every pair."""
    assert store.verify_chain() == []
    assert store.verify_replay() == []
    assert store.replay().equals(store.state())
    bad = store.rows(
        "SELECT s.pair_id FROM pair_state s JOIN revisions r ON r.pair_id = s.pair_id AND r.rev = s.rev"
        " WHERE s.status = 'approved' AND (s.approver = r.author OR s.approved_digest IS DISTINCT FROM s.digest"
        " OR EXISTS (SELECT 1 FROM findings f WHERE f.pair_id = s.pair_id AND f.rev = s.rev AND f.status = 'open')"
        " OR NOT EXISTS (SELECT 1 FROM scans c WHERE c.pair_id = s.pair_id AND c.rev = s.rev"
        "                AND c.sha256 = r.sha256)"
        " OR EXISTS (SELECT 1 FROM cluster_members m JOIN clusters c ON c.cluster_id = m.cluster_id"
        "            WHERE m.pair_id = s.pair_id AND c.kind = 'duplicate' AND c.status = 'open')"
        " OR NOT EXISTS (SELECT 1 FROM approvals a WHERE a.pair_id = s.pair_id AND a.rev = s.rev"
        "                AND a.voided IS NULL AND a.approver = s.approver))"
    )
    assert bad == []
    standing = store.rows(
        "SELECT a.pair_id FROM approvals a JOIN pair_state s ON s.pair_id = a.pair_id"
        " WHERE a.voided IS NULL AND a.rev <> s.rev"
    )
    assert standing == []
