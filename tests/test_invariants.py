"""The invariants of the design, each by its number, on a real store."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from curate import contract, review, snapshot
from curate.errors import RefusedError
from curate.store import Store
from curate.workspace import Workspace
from tests.storekit import (
    PACK,
    TASK,
    actor,
    add_pairs,
    assert_sound,
    cluster,
    open_store,
    resolve,
    scan,
    status,
)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(Workspace.create(tmp_path).root) as opened:
        yield opened
        assert_sound(opened)


def refused(store: Store, pair: str, rev: int, user: str = "reviewer") -> str:
    before = store.state()
    with pytest.raises(RefusedError) as caught:
        review.decide(store, actor(store, user), pair, rev, "approve")
    assert store.state().equals(before)
    return " ".join(caught.value.reasons)


def clean(rows: Sequence[Mapping[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    return {row["pair_id"]: [] for row in rows}


def test_invariant_1_approval_needs_scan_no_finding_no_cluster_and_another_author(store: Store) -> None:
    pair, twin = add_pairs(store, [("q", "a"), ("q!", "a")])
    [raw] = add_pairs(store, [("raw", "raw")], scanned=False)
    assert "It is raw" in refused(store, raw, 0)

    review.decide(store, actor(store, "reviewer"), pair, 1, "edit", completion="b")
    assert "not scanned since" in refused(store, pair, 2, "reviewer2")
    scan(store, pair, findings=2)
    assert "2 findings" in refused(store, pair, 2, "reviewer2")
    scan(store, pair)
    found = cluster(store, [pair, twin])
    assert "duplicate cluster" in refused(store, pair, 2, "reviewer2")
    resolve(store, found, pair)
    store.write(lambda tx: tx.execute("UPDATE meta SET value = 'newer' WHERE key = ?", [f"detector:{TASK}"]))
    assert "older detector" in refused(store, pair, 2, "reviewer2")
    scan(store, pair, detector="newer")
    assert "You wrote this revision" in refused(store, pair, 2, "reviewer")
    assert review.decide(store, actor(store, "reviewer2"), pair, 2, "approve")["status"] == "approved"


def test_invariant_1_no_role_may_approve_its_own_text(store: Store) -> None:
    for user in ("reviewer", "adjudicator", "lead", "admin"):
        [pair] = add_pairs(store, [("q", "a")])
        review.decide(store, actor(store, user), pair, 1, "edit", completion="b")
        scan(store, pair)
        assert "You wrote this revision" in refused(store, pair, 2, user)


def test_invariant_1_an_approved_pair_leaves_when_a_blocker_turns_up(store: Store) -> None:
    pair, twin = add_pairs(store, [("q", "a"), ("q!", "a")])
    review.decide(store, actor(store, "reviewer"), pair, 1, "approve")
    scan(store, pair, findings=1)
    assert status(store, pair) == "held"
    scan(store, pair)
    assert status(store, pair) == "approved"  # the text never changed, the approval binds to it
    found = cluster(store, [pair, twin])
    assert status(store, pair) == "held"
    resolve(store, found, twin)
    assert status(store, pair) == "duplicate"


@pytest.mark.parametrize("change", ["prompt", "completion"])
def test_invariant_2_any_edit_voids_the_approval(store: Store, change: str) -> None:
    [pair] = add_pairs(store, [("q", "a")])
    review.decide(store, actor(store, "reviewer"), pair, 1, "approve")
    review.decide(store, actor(store, "reviewer2"), pair, 1, "edit", **{change: "new"})
    scan(store, pair)
    assert status(store, pair) == "ready"
    voided = store.one("SELECT a.voided, e.kind FROM approvals a JOIN events e ON e.seq = a.voided")
    assert voided is not None and voided["kind"] == "edit"


def test_invariant_2_an_edit_back_to_the_same_text_is_still_an_edit(store: Store) -> None:
    [pair] = add_pairs(store, [("q", "a")])
    review.decide(store, actor(store, "reviewer"), pair, 1, "approve", guideline_version="1")
    review.decide(store, actor(store, "reviewer2"), pair, 1, "edit", completion="b", guideline_version="1")
    review.decide(store, actor(store, "reviewer2"), pair, 2, "edit", completion="a", guideline_version="1")
    scan(store, pair)
    assert status(store, pair) == "ready"
    assert "You wrote this revision" in refused(store, pair, 3, "reviewer2")


def test_invariant_2_the_hash_covers_text_metadata_and_guidelines(store: Store) -> None:
    [pair] = add_pairs(store, [("q", "a")])
    review.decide(store, actor(store, "reviewer"), pair, 1, "approve", guideline_version="7")
    row = store.one("SELECT sha256 FROM approvals")
    assert row is not None
    same: dict[str, Any] = {"prompt": "q", "completion": "a", "guideline_version": "7"}
    assert contract.pair_sha256(**same) == row["sha256"]
    for change in (
        {"prompt": "q "},
        {"completion": "A"},
        {"guideline_version": "8"},
        {"metadata": {"k": 1}},
        {"system": "x"},
        {"history": [{"role": "user", "content": "x"}]},
    ):
        assert contract.pair_sha256(**(same | change)) != row["sha256"]


def test_invariant_3_a_snapshot_is_one_tasks_approved_pairs_and_lists_the_rest(store: Store) -> None:
    workspace = Workspace(store.path.parent)
    pairs = add_pairs(store, [(f"q{i}", "a") for i in range(4)])
    [other] = add_pairs(store, [("other", "task")])
    review.decide(store, actor(store, "reviewer"), other, 1, "approve")
    for table in ("pairs", "pair_state"):
        store.write(lambda tx, t=table: tx.execute(f"UPDATE {t} SET task = 'x' WHERE pair_id = ?", [other]))  # type: ignore[misc]
    for pair in pairs[:2]:
        review.decide(store, actor(store, "reviewer"), pair, 1, "approve")

    def freeze(rescan: snapshot.Rescan) -> contract.Manifest:
        return snapshot.create(store, actor(store, "lead"), workspace, PACK, workspace.root, rescan=rescan)

    with pytest.raises(RefusedError):
        freeze(lambda rows: clean(rows) | {pairs[0]: [{"entity_type": "EMAIL"}]})
    with pytest.raises(RefusedError, match="Nothing to freeze"):
        freeze(lambda rows: {})
    manifest = freeze(clean)
    folder = workspace.snapshots / f"{TASK}-{manifest.id[:12]}"
    inside = pl.concat([contract.load_rows(folder, s) for s in contract.SPLITS])["pair_id"].to_list()
    outside = pl.read_parquet(folder / "excluded.parquet")["pair_id"].to_list()
    assert sorted(inside) == sorted(pairs[:2])
    assert sorted(inside + outside) == sorted(pairs)  # every pair of the task, once
    store.write(lambda tx: tx.execute("UPDATE pairs SET task = ? WHERE pair_id = ?", [TASK, other]))
    store.write(lambda tx: tx.execute("UPDATE pair_state SET task = ? WHERE pair_id = ?", [TASK, other]))


def test_invariant_6_state_is_the_replay_of_the_log(store: Store) -> None:
    a, b, c = add_pairs(store, [(f"q{i}", "a") for i in range(3)])
    reviewer = actor(store, "reviewer")
    review.decide(store, reviewer, a, 1, "approve")
    review.decide(store, reviewer, b, 1, "reject", reason="wrong")
    review.undo(store, reviewer)
    cluster(store, [a, c])
    store.erase("admin", pair_ids=[b])
    assert store.replay().equals(store.state())
    assert store.verify_chain() == []
