"""Groups under k people are found at the freeze, and left out, refused or generalised by the declared policy alone.

Does not cover: personal data in texts (`test_privacy*.py`).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from curate import contract, findings, forget, groups, ops, review, rules, snapshot, users
from curate.cli import app
from curate.errors import NotFound, RefusedError, UsageError
from curate.groups import GroupPolicy
from curate.privacy import Detector, Policy
from curate.store import Store
from curate.workspace import Workspace
from tests.storekit import PACK, TASK, actor, add_pairs, open_store, scan

ASKED = {"quasi_identifiers": ["age", "place"], "k": 3}


def row(pair: str, source: str, **metadata: Any) -> dict[str, Any]:
    return {"pair_id": pair, "source": source, "metadata": json.dumps(metadata)}


# --- groups -------------------------------------------------------------------------------------------------


def test_a_source_is_one_person_however_many_pairs_it_has() -> None:
    rows = [row(f"p{n}", "one patient", age="40", place="Roha") for n in range(9)]
    rows += [row(f"q{n}", f"s{n}", age="50", place="Roha") for n in range(3)]
    found = groups.find(rows, GroupPolicy(**ASKED))
    assert (found.groups, found.smallest) == (2, 1)
    [small] = found.small
    assert (
        small["values"] == {"age": "40", "place": "Roha"}
        and small["people"] == 1
        and len(small["pairs"]) == 9
    )


def test_case_blanks_and_missing_values() -> None:
    rows = [
        row("a", "1", age="40", place=" Roha"),
        row("b", "2", age="40", place="ROHA "),
        row("c", "3", age="40"),
    ]
    found = groups.find(rows, GroupPolicy(**ASKED | {"k": 2}))
    assert found.groups == 2 and [g["values"] for g in found.small] == [{"age": "40", "place": None}]


VALUES = st.one_of(
    st.none(), st.integers(-200, 200), st.text(max_size=4), st.sampled_from(["Roha", "41", "3.5"])
)
RULES = st.fixed_dictionaries(
    {},
    optional={
        "age": st.one_of(st.integers(2, 50), st.just("drop")),
        "place": st.dictionaries(st.text(max_size=3), st.sampled_from(["East", "West"]), max_size=3),
    },
)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # a loaded machine draws slowly
@given(
    rows=st.lists(st.tuples(st.integers(0, 6), VALUES, VALUES), max_size=40),
    k=st.integers(2, 5),
    generalise=RULES,
)
def test_what_is_left_in_holds_k_and_nothing_is_lost(rows: list, k: int, generalise: dict) -> None:
    policy = GroupPolicy(quasi_identifiers=["age", "place"], k=k, generalise=generalise)
    made = [
        row(f"p{n}", f"s{source}", **groups.generalised({"age": age, "place": place}, policy))
        for n, (source, age, place) in enumerate(rows)
    ]
    found = groups.find(made, policy)
    assert found.not_generalised == [], "generalising again changes nothing"
    kept, out = groups.without_small(made, found)
    assert sorted([r["pair_id"] for r in kept] + [r["pair_id"] for r in out]) == sorted(
        r["pair_id"] for r in made
    )
    again = groups.find(kept, policy)
    assert again.small == [] and (not kept or again.smallest >= k)
    assert {line["pair_id"] for line in out} == found.small_pairs


def test_generalising_by_bands_tables_and_dropping() -> None:
    policy = GroupPolicy(generalise={"age": 10, "place": {"Alibag": "Konkan"}, "ward": "drop"})
    given_ = {"age": 43, "place": "alibag ", "ward": "7", "note": "kept"}
    assert groups.generalised(given_, policy) == {"age": "40 to 49", "place": "Konkan", "note": "kept"}
    assert groups.generalised({"age": "43"}, policy) == {"age": "40 to 49"}
    assert groups.generalised({"age": "-3"}, policy) == {"age": "-10 to -1"}
    assert groups.generalised({"age": "about 43", "place": "Pune"}, policy) == {"age": "*", "place": "*"}
    assert groups.generalised({"age": "41 to 50"}, policy) == {"age": "*"}, "a band of another width"
    assert groups.generalised({"age": True}, policy) == {"age": "*"}


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"k": 1}, "greater than or equal to 2"),
        ({"generalise": {"age": 1}}, "at least 2 wide"),
        ({"small_groups": "hide"}, "leave_out"),
        ({"quasi_identifiers": ["age", "age"]}, "named twice"),
        ({"generalise": {"age": "blur"}}, "generalise"),
    ],
)
def test_a_wrong_policy_is_refused(wrong: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        groups.declared(wrong)


def test_declaring_groups_makes_no_scan_old() -> None:
    assert Policy.load({**ASKED, "generalise": {"age": 10}}).hash == Policy.load({}).hash
    assert Policy.load({"threshold": 0.9}).hash != Policy.load({}).hash


# --- scanning and freezing ----------------------------------------------------------------------------------


def test_metadata_are_generalised_before_the_first_scan_and_never_later() -> None:
    detector = Detector.from_policy({"profile": "rules", "generalise": {"age": 10}})
    text = {
        "system": "", "history": "[]", "prompt": "p", "completion": "c", "metadata": '{"age":43}', "known": "[]",
        "last_detector": None,
    }  # fmt: skip
    frame = pl.DataFrame([{"pair_id": "new", "rev": 0, **text}, {"pair_id": "old", "rev": 1, **text}])
    out = findings.scan_chunk(frame, detector, b"k" * 32).to_dicts()
    assert [json.loads(row["metadata"]) for row in out] == [{"age": "40 to 49"}, {"age": 43}]


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace.create(tmp_path / "ws")


@pytest.fixture
def store(workspace: Workspace) -> Iterator[Store]:
    with open_store(workspace.root) as opened:
        yield opened


def filled(store: Store) -> dict[str, list[str]]:
    """Approved pairs: four people of 40 in Roha, one of 90 with two pairs, and one without an age."""
    made: dict[str, list[str]] = {"many": [], "alone": [], "unknown": []}
    people = [("many", f"m{n}", {"age": 40, "place": "Roha"}) for n in range(4)]
    people += [("alone", "old", {"age": 90, "place": "Roha"})] * 2 + [("unknown", "x", {"place": "Roha"})]
    for number, (group, source, metadata) in enumerate(people):
        [pair] = add_pairs(store, [(f"q{number}", f"a{number}")], source=source)
        made[group].append(pair)

        def give(tx: Any, pair: str = pair, number: int = number, metadata: dict = metadata) -> None:
            texts = {
                "pair_id": pair,
                "prompt": f"q{number}",
                "completion": f"a{number}",
                "metadata": metadata,
            }
            rules.add_revisions(tx, "intake", [texts], kind="import", guideline_version="2")

        store.write(give)
        scan(store, pair)
        review.decide(store, actor(store, "reviewer"), pair, 2, "approve", guideline_version="2")
    return made


def freeze(store: Store, workspace: Workspace, **privacy: Any) -> tuple[contract.Manifest, Path]:
    pack = PACK.model_copy(update={"privacy": {**ASKED, **privacy}})

    def clean(rows: Sequence[Any]) -> dict[str, list[Any]]:
        return {row["pair_id"]: [] for row in rows}

    made = snapshot.create(store, actor(store, "lead"), workspace, pack, workspace.root, rescan=clean)
    return made, snapshot.folder_of(workspace, made)


def inside(folder: Path) -> set[str]:
    return {pair for split in contract.SPLITS for pair in contract.load_rows(folder, split)["pair_id"]}


def test_by_default_small_groups_are_listed_and_nothing_is_left_out(
    store: Store, workspace: Workspace
) -> None:
    made = filled(store)
    manifest, folder = freeze(store, workspace, generalise={"age": 10})
    assert inside(folder) == {pair for of in made.values() for pair in of}
    found = groups.load(folder)
    assert found is not None and (found["groups"], found["smallest"], found["left_out"]) == (3, 1, 0)
    assert sorted(p for g in found["small"] for p in g["pairs"]) == sorted(made["alone"] + made["unknown"])
    assert sorted(found["not_generalised"]) == sorted(made["many"] + made["alone"])
    assert contract.verify(folder) == [] and groups.FILE in manifest.files
    assert "groups by age, place | 3, 2 under 3 people" in (folder / "README.md").read_text()
    (folder / groups.FILE).write_text("{}")
    assert any(groups.FILE in problem for problem in contract.verify(folder))


def test_leave_out_lists_every_pair_with_its_reason(store: Store, workspace: Workspace) -> None:
    made = filled(store)
    manifest, folder = freeze(store, workspace, small_groups="leave_out")
    assert inside(folder) == set(made["many"]) and manifest.excluded == {"small_group": 3}
    out = {r["pair_id"]: r for r in pl.read_parquet(folder / "excluded.parquet").iter_rows(named=True)}
    assert set(out) == {*made["alone"], *made["unknown"]}
    assert out[made["alone"][0]]["detail"] == "1 of 3 people share its age, place"
    found = groups.load(folder)
    assert found is not None and (found["small"], found["smallest"], found["left_out"]) == ([], 4, 3)
    with pytest.raises(RefusedError, match="every group has fewer than 9"):
        freeze(store, workspace, small_groups="leave_out", k=9)


def test_refuse_stops_the_freeze_and_so_does_a_key_that_no_pair_has(
    store: Store, workspace: Workspace
) -> None:
    filled(store)
    with pytest.raises(RefusedError, match="fewer than 3 people") as refused:
        freeze(store, workspace, small_groups="refuse")
    assert "age: 90, place: Roha (1 of 3 people, 2 pairs)" in refused.value.reasons
    with pytest.raises(RefusedError, match="no approved pair has the metadata agee"):
        freeze(store, workspace, quasi_identifiers=["agee", "place"])
    assert list(workspace.snapshots.iterdir()) == []
    with pytest.raises(RefusedError, match="6 pairs were scanned before"):
        freeze(store, workspace, small_groups="refuse", generalise={"age": 100})


def test_a_pack_that_declares_nothing_gets_no_file(store: Store, workspace: Workspace) -> None:
    filled(store)
    _, folder = freeze(store, workspace, quasi_identifiers=[])
    assert groups.load(folder) is None and not (folder / groups.FILE).exists()
    context = ops.Context(store, workspace, users.actor_for(store, "lead"))
    with pytest.raises(NotFound, match="declared no quasi_identifiers"):
        ops.run(context, "snapshot.groups", {"snapshot": folder.name.removeprefix(f"{TASK}-")})


def test_the_command_shows_the_groups_and_forgetting_takes_them_away(workspace: Workspace) -> None:
    with open_store(workspace.root) as store:
        made = filled(store)
        manifest, folder = freeze(store, workspace)
    shown = CliRunner().invoke(
        app, ["snapshot", "groups", manifest.id[:8], "-w", str(workspace.root), "--user", "lead"]
    )
    assert shown.exit_code == 0, shown.output
    assert "3 groups by age, place, the smallest of 1 people; 2 under k = 3" in shown.output
    with Store.open(workspace.store) as store:
        record = store.one("SELECT record_id FROM pairs WHERE pair_id = ?", [made["alone"][0]])
        admin = users.Actor("admin", "admin")
        forget.forget(store, workspace, admin, [], record_ids=[record["record_id"]], reason="asked for it")
    assert not (folder / groups.FILE).exists()
