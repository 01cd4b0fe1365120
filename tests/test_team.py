"""Several people on the same pairs: blind judgments, disputes, gold, agreement, decisions in bulk.

Does not cover: the card (`test_pages_browser`).
"""

from __future__ import annotations

import json
import math
import random
from pathlib import Path
from typing import Any

import krippendorff
import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score

from curate import agreement, bulk, overlap, review, users
from curate.errors import NotFound, PermissionDenied, RefusedError, UsageError
from curate.store import Store
from curate.tasks import TaskPack, Team
from curate.undo import undo
from curate.workspace import Workspace
from tests.storekit import PACK, TASK, actor, add_pairs, assert_sound, open_store, scan

BLIND = PACK.model_copy(update={"team": Team(overlap=1.0)})


@pytest.fixture
def store(tmp_path: Path) -> Any:
    with open_store(tmp_path) as found:
        admin = actor(found, "admin")
        users.create_user(found, admin, "adjudicator2", "adjudicator")
        yield found


def decide(store: Store, who: str, pair: str, verdict: str, rev: int = 1, **more: Any) -> dict[str, Any]:
    return review.decide(store, actor(store, who), pair, rev, verdict, **({"pack": BLIND} | more))


def state(store: Store, pair: str) -> dict[str, Any]:
    return store.one("SELECT status, reason, approver FROM pair_state WHERE pair_id = ?", [pair]) or {}


def offered(store: Store, who: str) -> list[str]:
    found = [item.pair_id for item in review.next_items(store, actor(store, who), TASK, 10)]
    for pair in found:
        review.LeaseBook.of(store).release(who, pair)
    return found


def take_back(store: Store, who: str) -> dict[str, Any]:
    done = undo(store, actor(store, who))
    review.LeaseBook.of(store).release(who, done["pair_id"])
    return done


# --- the blind look -----------------------------------------------------------------------------------------


def test_the_sample_is_seeded_and_has_its_share() -> None:
    pairs = [f"p-{i}" for i in range(4000)]
    one = {p for p in pairs if overlap.in_sample(Team(overlap=0.1, seed=1), p)}
    assert 0.08 < len(one) / 4000 < 0.12
    assert one == {p for p in pairs if overlap.in_sample(Team(overlap=0.1, seed=1), p)}
    assert one != {p for p in pairs if overlap.in_sample(Team(overlap=0.1, seed=2), p)}
    assert one < {p for p in pairs if overlap.in_sample(Team(overlap=0.2, seed=1), p)}


def test_two_who_agree_decide_and_neither_saw_the_other(store: Store) -> None:
    [pair] = add_pairs(store, [("q", "a")])
    first = decide(store, "reviewer", pair, "approve", labels={"tone": "dry"}, comment="fine by me")
    assert first["status"] == "ready" and state(store, pair)["status"] == "ready"
    for who in ("reviewer2", "lead"):  # nothing of it shows
        seen = review.item(store, actor(store, who), pair)
        assert (seen.judgments, seen.labels, seen.comments) == ([], {}, [])
        assert "judged" not in [event["kind"] for event in seen.decisions]
    assert pair not in offered(store, "reviewer") and pair in offered(store, "reviewer2")
    with pytest.raises(RefusedError, match="judged"):
        decide(store, "reviewer", pair, "approve")
    second = decide(store, "reviewer2", pair, "approve", labels={"tone": "dry"})
    assert second["status"] == "approved" and state(store, pair)["approver"] == "reviewer2"
    seen = review.item(store, actor(store, "viewer"), pair)
    assert [row["actor"] for row in seen.judgments] == ["reviewer", "reviewer2"]
    assert seen.labels == {"tone": "dry"} and seen.comments[0]["body"] == "fine by me"
    assert_sound(store)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"verdict": "approve"}, {"verdict": "reject", "reason": "wrong"}),
        (
            {"verdict": "approve", "labels": {"tone": "dry"}},
            {"verdict": "approve", "labels": {"tone": "warm"}},
        ),
    ],
)
def test_a_dispute_goes_to_a_third_person(store: Store, one: Any, other: Any) -> None:
    [pair] = add_pairs(store, [("q", "a")])
    decide(store, "adjudicator", pair, **one)
    told = decide(store, "reviewer2", pair, **other)
    assert told["status"] == "held" and state(store, pair)["reason"] == "disputed"
    assert pair in offered(store, "adjudicator2") and pair not in offered(store, "adjudicator")
    with pytest.raises(PermissionDenied, match="adjudicator decides"):
        decide(store, "reviewer", pair, "approve")
    with pytest.raises(RefusedError, match="third person"):
        decide(store, "adjudicator", pair, "approve")
    seen = review.item(store, actor(store, "adjudicator2"), pair)
    assert [row["verdict"] for row in seen.judgments] == [one["verdict"], other["verdict"]]  # side by side
    decide(store, "adjudicator2", pair, "approve", labels={"tone": "dry"})
    assert state(store, pair)["status"] == "approved"
    found = agreement.report(store, actor(store, "lead"), TASK, BLIND)["sample"]
    assert (found["judged_twice"], found["disputes_open"], found["disputes_settled"]) == (1, 0, 1)
    take_back(store, "adjudicator2")
    assert state(store, pair)["reason"] == "disputed"
    assert_sound(store)


def test_an_author_is_no_third_person_and_no_judge(store: Store) -> None:
    [pair] = add_pairs(store, [("q", "a")])
    rev = decide(store, "adjudicator2", pair, "edit", completion="better")["rev"]
    scan(store, pair)
    with pytest.raises(RefusedError, match="wrote"):
        decide(store, "adjudicator2", pair, "reject", rev, reason="wrong")
    decide(store, "reviewer", pair, "approve", rev)
    decide(store, "reviewer2", pair, "reject", rev, reason="wrong")
    with pytest.raises(RefusedError, match="third person"):
        decide(store, "adjudicator2", pair, "approve", rev)
    decide(store, "adjudicator", pair, "reject", rev, reason="wrong")
    assert state(store, pair)["status"] == "rejected"


def test_judgments_are_taken_back_and_start_afresh_with_a_new_text(store: Store) -> None:
    pair, other = add_pairs(store, [("q", "a"), ("q2", "a2")])
    decide(store, "reviewer", pair, "approve")
    assert take_back(store, "reviewer")["verdict"] == "judge"
    decide(store, "reviewer2", pair, "approve")  # still the first one
    assert state(store, pair)["status"] == "ready"
    decide(store, "reviewer", pair, "approve")
    assert state(store, pair)["status"] == "approved"
    take_back(store, "reviewer")
    assert state(store, pair)["status"] == "ready"
    decide(store, "adjudicator", pair, "reject", reason="wrong")  # reviewer2's stands, so they differ
    assert state(store, pair)["reason"] == "disputed"
    with pytest.raises(RefusedError, match="since"):
        take_back(store, "reviewer2")
    take_back(store, "adjudicator")
    assert state(store, pair)["status"] == "ready"
    decide(store, "reviewer", other, "approve")
    rev = decide(store, "annotator", other, "edit", completion="new")["rev"]
    scan(store, other)
    decide(store, "reviewer2", other, "approve", rev)
    assert state(store, other)["status"] == "ready"  # the old judgment was of another text
    assert_sound(store)


# --- gold ---------------------------------------------------------------------------------------------------


def test_gold_looks_like_work_is_measured_and_changes_nothing(store: Store) -> None:
    pairs = add_pairs(store, [(f"q{i}", f"a{i}") for i in range(12)])
    gold = pairs[0]
    decide(store, "lead", gold, "approve", pack=PACK)
    overlap.set_gold(store, actor(store, "lead"), gold, "approve")
    rita = actor(store, "reviewer")
    assert gold not in [
        one.pair_id for one in review.next_items(store, rita, TASK, 5, gold=0.2)
    ]  # not yet due
    for pair in offered(store, "reviewer")[:5]:
        decide(store, "reviewer", pair, "approve", pack=PACK)
    got = {one.pair_id: one for one in review.next_items(store, rita, TASK, 3, gold=0.2)}
    shown = got[gold]
    assert (shown.status, shown.decisions, shown.reason) == ("ready", [], None)
    before = store.one("SELECT * FROM pair_state WHERE pair_id = ?", [gold])
    told = decide(store, "reviewer", gold, "reject", reason="wrong", pack=PACK)
    assert told["status"] == "rejected" and told["blockers"] == []
    assert store.one("SELECT * FROM pair_state WHERE pair_id = ?", [gold]) == before
    assert gold not in [
        one.pair_id for one in review.next_items(store, rita, TASK, 9, gold=0.2)
    ]  # once a person
    [row] = agreement.report(store, actor(store, "lead"), TASK, PACK)["gold"]
    assert (row["user"], row["n"], row["right"]) == ("reviewer", 1, 0)
    undo(store, rita)
    assert agreement.report(store, actor(store, "lead"), TASK, PACK)["gold"] == []
    with pytest.raises(PermissionDenied):
        overlap.set_gold(store, rita, gold, None)
    with pytest.raises(RefusedError, match="decided"):
        overlap.set_gold(store, actor(store, "lead"), pairs[11], "approve")
    assert_sound(store)


# --- numbers ------------------------------------------------------------------------------------------------


def test_alpha_and_kappa_are_those_of_the_libraries() -> None:
    dice = random.Random(3)
    for level, distance in (("nominal", agreement.nominal), ("interval", agreement.squared)):
        units = []
        for _ in range(60):
            truth = dice.randint(1, 4)
            said = [truth if dice.random() < 0.7 else dice.randint(1, 4) for _ in range(3)]
            units.append(said[: dice.choice((1, 2, 3, 3))])
        table = np.array([[u[i] if i < len(u) else np.nan for u in units] for i in range(3)])
        found = agreement.alpha(units, distance)
        assert math.isclose(
            found["alpha"], krippendorff.alpha(table, level_of_measurement=level), abs_tol=1e-9
        )
        assert found["interval"][0] < found["alpha"] < found["interval"][1]
    one = [dice.choice("abc") for _ in range(80)]
    other = [v if dice.random() < 0.6 else dice.choice("abc") for v in one]
    found = agreement.kappa(one, other)
    assert math.isclose(found["kappa"], cohen_kappa_score(one, other))
    assert found["interval"][0] < found["kappa"] < found["interval"][1]


def test_no_agreement_is_not_called_agreement() -> None:
    assert agreement.alpha([["a", "b"], ["b", "a"]])["alpha"] < 0  # keys alike, answers not
    assert agreement.alpha([["a", "a"], ["a", "a"]])["alpha"] is None  # nothing varies: not decidable
    assert agreement.kappa(["a", "a"], ["a", "a"])["kappa"] is None
    assert agreement.alpha([])["n"] == 0 and agreement.kappa([], [])["n"] == 0
    near = agreement.alpha([["the cat sat", "the cat sat."], ["nine dogs", "nine dogs!"]], agreement.edits)
    far = agreement.alpha([["the cat sat", "nine dogs"], ["nine dogs!", "the cat sat."]], agreement.edits)
    assert near["alpha"] > 0.8 > 0 > far["alpha"]
    assert agreement.jaccard(frozenset("ab"), frozenset("bc")) == pytest.approx(2 / 3)


def test_the_report_of_a_task(store: Store) -> None:
    pairs = add_pairs(store, [(f"q{i}", f"a{i}") for i in range(8)])
    for i, pair in enumerate(pairs):
        decide(store, "reviewer", pair, "approve", labels={"tone": "dry", "stars": 1 + i % 5})
        second = {"verdict": "approve"} if i < 6 else {"verdict": "reject", "reason": "wrong"}
        decide(
            store, "reviewer2", pair, labels={"tone": "dry" if i else "warm", "stars": 1 + i % 5}, **second
        )
    found = agreement.report(store, actor(store, "lead"), TASK, BLIND)
    assert found["sample"] == {
        "share": 1.0,
        "judged_once": 0,
        "judged_twice": 8,
        "disputes_open": 3,
        "disputes_settled": 0,
    }
    [couple] = found["people"]
    assert (couple["one"], couple["other"], couple["n"]) == ("reviewer", "reviewer2", 8)
    assert couple["agreement"] == 0.75 and couple["kappa"] == 0  # one of them always approves
    by = {row["label"]: row for row in found["labels"]}
    assert by["stars"]["alpha"] == 1 and by["tone"]["agreement"] == 7 / 8 and by["verdict_note"]["n"] == 0
    with pytest.raises(PermissionDenied):
        agreement.report(store, actor(store, "adjudicator"), TASK, BLIND)


# --- in bulk ------------------------------------------------------------------------------------------------


def test_bulk_counts_first_decides_what_may_be_and_is_undone_as_a_whole(store: Store) -> None:
    pairs = add_pairs(store, [(f"lorem {i}", "a") for i in range(30)] + [("other", "a")])
    lead, filters = actor(store, "lead"), {"search": "LOREM", "status": "ready"}
    assert bulk.preview(store, lead, TASK, PACK, filters) == {
        "count": 30,
        "blind": 0,
        "by_status": {"ready": 30},
    }
    rev = decide(store, "annotator", pairs[0], "edit", completion="x", pack=PACK)["rev"]
    assert rev == 2
    with pytest.raises(RefusedError, match="29 pairs now"):
        bulk.decide_all(store, lead, TASK, PACK, filters, "reject", confirm=30, reason="wrong")
    book = review.LeaseBook.of(store)
    book.claim("reviewer", [pairs[1]], 1)  # somebody looks at it just now
    done = bulk.decide_all(store, lead, TASK, PACK, filters, "reject", confirm=29, reason="wrong")
    assert done["done"] == 28 and [row["pair_id"] for row in done["refused"]] == [pairs[1]]
    assert "reviewer is looking" in done["refused"][0]["why"]
    assert [state(store, p)["status"] for p in (pairs[2], pairs[30])] == ["rejected", "ready"]
    book.release("reviewer", pairs[1])
    decide(store, "reviewer", pairs[5], "edit", completion="saved", pack=PACK)  # somebody goes on with one
    back = bulk.undo_batch(store, lead, done["batch"])
    assert back["undone"] == 27 and [row["pair_id"] for row in back["kept"]] == [pairs[5]]
    assert {state(store, p)["status"] for p in pairs[6:30]} == {"ready"}
    with pytest.raises(NotFound):
        bulk.undo_batch(store, actor(store, "admin"), done["batch"])
    with pytest.raises(UsageError):
        bulk.decide_all(store, lead, TASK, PACK, filters, "edit", confirm=1)
    with pytest.raises(PermissionDenied):
        bulk.preview(store, actor(store, "adjudicator"), TASK, PACK, filters)
    half = TaskPack.model_validate(PACK.model_dump() | {"team": {"overlap": 0.5}})
    seen = bulk.preview(store, lead, TASK, half, {"status": "ready"})
    assert seen["blind"] > 0 and seen["count"] + seen["blind"] == 29
    assert_sound(store)


def test_filters_and_orders_of_the_list(store: Store) -> None:
    pairs = add_pairs(store, [(f"question {i}", "100% _sure" if i == 1 else "a") for i in range(4)])
    decide(store, "reviewer", pairs[0], "approve", labels={"tone": "dry", "stars": 4}, pack=PACK)
    decide(store, "reviewer", pairs[2], "reject", reason="wrong", pack=PACK)

    def ids(**filters: Any) -> list[str]:
        return review.find_pairs(store, actor(store, "viewer"), TASK, **filters)

    assert ids(label="tone=dry") == ids(label="stars=4") == ids(label="tone") == [pairs[0]]
    assert ids(label="tone=warm") == [] == ids(label="stars=5")
    assert ids(search="100% _S") == [pairs[1]] and ids(search="%") == [pairs[1]]
    assert ids(status="rejected", reason="wrong") == [pairs[2]] == ids(sort="newest")[:1]
    assert ids(sort="oldest") == list(reversed(ids(sort="newest"))) and len(ids(author="intake")) == 4
    assert (
        ids(source=f"s-{pairs[3]}") == [pairs[3]] and ids(sort="id", limit=2, offset=2) == sorted(pairs)[2:]
    )
    with pytest.raises(UsageError, match="Orders"):
        ids(sort="random()")


def test_a_stale_edit_is_refused_with_three_texts_over_rest(tmp_path: Path) -> None:
    from curate.api import error_response

    with open_store(tmp_path) as store:
        [pair] = add_pairs(store, [("q", "first text")])
        decide(store, "annotator", pair, "edit", completion="their text", pack=PACK)
        with pytest.raises(review.StaleEdit) as stale:
            decide(store, "reviewer", pair, "edit", completion="my text", pack=PACK)
    answer = error_response(stale.value)
    told = json.loads(bytes(answer.body))["error"]
    assert answer.status_code == 409 and told["rev"] == 2
    assert [told[name]["completion"] for name in ("base", "current", "yours")] == [
        "first text",
        "their text",
        "my text",
    ]


def test_the_verbs_of_a_team(tmp_path: Path, monkeypatch: Any, capsys: Any) -> None:
    from curate.client import Client
    from tests.serving import TASK as SERVED
    from tests.serving import make_workspace
    from tests.test_cli import inside

    root = make_workspace(tmp_path).root

    def said(*arguments: str) -> dict[str, Any]:
        assert inside(monkeypatch, *arguments, "-w", root, "--json") == 0
        return json.loads(capsys.readouterr().out)

    ask = ("review", "bulk", SERVED, "reject", "--status", "ready", "--reason", "wrong")
    count = said(*ask)["count"]
    assert count > 10
    done = said(*ask, "--confirm", str(count))
    assert done["done"] == count
    assert said("review", "undo-batch", done["batch"])["undone"] == count
    found = said("review", "agreement", SERVED)
    assert found["verdicts"]["alpha"] is None and found["sample"]["judged_twice"] == 0
    pair = Client(Workspace(root)).call("pairs.list", task=SERVED, status="ready")["pairs"][0]["pair_id"]
    assert inside(monkeypatch, "review", "gold", pair, "approve", "-w", root) == 3  # not decided yet
