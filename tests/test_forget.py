"""Forgetting a person: everywhere, and provably."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from curate import contract, forget, review, snapshot
from curate.contract import SnapshotError
from curate.errors import NotFound, PermissionDenied, UsageError
from curate.store import Store, utcnow
from curate.workspace import Workspace
from tests.storekit import PACK, TASK, actor, add_pairs, assert_sound, open_store

REASON = "erasure request, ticket 118"


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace.create(tmp_path / "ws")


@pytest.fixture
def store(workspace: Workspace) -> Iterator[Store]:
    with open_store(workspace.root) as opened:
        yield opened
        assert_sound(opened)


def freeze(store: Store, workspace: Workspace, pairs: Sequence[str]) -> contract.Manifest:
    def clean(rows: Sequence[Mapping[str, Any]]) -> dict[str, list[dict[str, Any]]]:
        return {row["pair_id"]: [] for row in rows}

    for pair in pairs:
        review.decide(store, actor(store, "reviewer"), pair, 1, "approve", guideline_version="2")
    return snapshot.create(store, actor(store, "lead"), workspace, PACK, workspace.root, rescan=clean)


def everything(root: Path) -> str:
    """All bytes of a workspace but the detector's and engine's, as text."""
    return "\n".join(
        path.read_bytes().decode("utf-8", "replace")
        for path in root.rglob("*")
        if path.is_file() and path.name not in ("secret.key", "store.duckdb", "store.duckdb.wal")
    )


def test_a_person_is_gone_everywhere_and_the_chain_holds(store: Store, workspace: Workspace) -> None:
    hers, other = add_pairs(
        store, [("Asha  Rao called about her leg", "note"), ("Ashanti Raonic asks the time", "noon")]
    )
    manifest = freeze(store, workspace, [hers, other])
    folder = workspace.snapshots / f"{TASK}-{manifest.id[:12]}"
    store.write(
        lambda tx: tx.execute(
            "INSERT INTO quarantine VALUES ('imp', ?, 'f', 3, 'empty', 'x', 'ASHA RAO: ', ?)",
            [TASK, utcnow()],
        )
    )
    store.write(
        lambda tx: tx.event(
            "snapshot_exported", "lead", snapshot=manifest.id, folder=str(workspace.root / "out")
        )
    )
    for name, snapshot_id in (("m-v1", manifest.id), ("m-v2", "another")):
        (workspace.models / name).mkdir()
        (workspace.models / name / "run.json").write_text(json.dumps({"snapshot": {"id": snapshot_id}}))
    run = workspace.evals / TASK / "m-v1--s"
    run.mkdir(parents=True)
    (run / "run.json").write_text(json.dumps({"snapshot": {"id": manifest.id}}))

    found = forget.find(store, workspace, ["asha rao"])
    assert (found.pairs, found.quarantined, found.models) == ([hers], 1, ["m-v1"])
    assert found.snapshots == [folder.name] and found.evals == [f"{TASK}/m-v1--s"]
    done = forget.forget(store, workspace, actor(store, "admin"), ["asha rao"], reason=REASON)

    assert done["retrain"] == ["m-v1"] and done["ask_back"] == [str(workspace.root / "out")]
    assert done["left"]["pairs"] == [] and done["left"]["quarantined"] == 0
    assert done["audit"]["problems"] == [] and store.verify_chain() == []
    assert not run.exists() and not (folder / "data").exists()
    with pytest.raises(SnapshotError, match="withdrawn"):
        contract.load_verified(folder)
    states = {row["pair_id"]: row["status"] for row in store.rows("SELECT * FROM pair_state")}
    assert states == {hers: "erased", other: "approved"}
    kept = json.loads(Path(done["path"]).read_text("utf-8"))
    assert kept["certificate"] == done["certificate"]
    assert (
        contract.sha256_hex(contract.canonical_json({k: v for k, v in kept.items() if k != "seal"}))
        == (kept["seal"])
    )
    assert "rao" not in everything(workspace.root).lower().replace("ashanti raonic", "")
    again = freeze(store, workspace, [])  # the next snapshot holds the others
    assert again.rows["train"] + again.rows["validation"] == 1 and again.id != manifest.id


def test_records_may_be_named_by_id(store: Store, workspace: Workspace) -> None:
    one, two = add_pairs(store, [("q1", "a1"), ("q2", "a2")])
    admin = actor(store, "admin")
    assert forget.find(store, workspace, record_ids=[f"r-{one}"]).pairs == [one]
    with pytest.raises(NotFound, match="No record"):
        forget.find(store, workspace, record_ids=["nobody"])
    forget.forget(store, workspace, admin, [], record_ids=[f"r-{one}"], reason=REASON)
    assert [r["pair_id"] for r in store.rows("SELECT pair_id FROM revision_text")] == [two]


@pytest.mark.parametrize("text", ["prompt of  Zoë\tÅkesson", "ZOË ÅKESSON", "(Zoë Åkesson)"])
def test_a_name_is_found_in_any_case_and_with_any_spaces(
    store: Store, workspace: Workspace, text: str
) -> None:
    [pair] = add_pairs(store, [(text, "a")])
    assert forget.find(store, workspace, ["zoë åkesson"]).pairs == [pair]


def test_words_are_text_and_never_a_pattern(store: Store, workspace: Workspace) -> None:
    [pair, _] = add_pairs(store, [("her mail is a.rao+x@ex.in", "a"), ("axrao x@ex.in", "b")])
    assert forget.find(store, workspace, ["a.rao+x@ex.in"]).pairs == [pair]
    assert forget.find(store, workspace, [".* OR 1=1 --"]).nothing


def test_what_is_refused(store: Store, workspace: Workspace) -> None:
    [pair] = add_pairs(store, [("Asha Rao", "a")])
    admin = actor(store, "admin")
    with pytest.raises(PermissionDenied):
        forget.forget(store, workspace, actor(store, "lead"), ["Asha Rao"], reason=REASON)
    with pytest.raises(UsageError, match="too short"):
        forget.find(store, workspace, ["a"])
    with pytest.raises(UsageError, match="Give the person"):
        forget.find(store, workspace)
    with pytest.raises(UsageError, match="reason"):
        forget.forget(store, workspace, admin, ["Asha Rao"], reason="")
    with pytest.raises(NotFound, match="Nothing was changed"):
        forget.forget(store, workspace, admin, ["Nobody Here"], reason=REASON)
    assert forget.find(store, workspace, ["Asha Rao"]).pairs == [pair]
