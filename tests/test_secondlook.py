"""Marks by people and the blind second look: replaced at once, drawn at random, a bound that is the right one."""

from __future__ import annotations

from typing import Any

import pytest

from curate.errors import PermissionDenied, UsageError
from tests import serving
from tests.test_lists import call, edit, open_of, pair_of, workspace  # noqa: F401  the same workspace, the same calls

TASK = serving.TASK


def span(text: str, said: str, field: str = "completion") -> dict[str, Any]:
    at = text.index(said)
    return {"field": field, "start": at, "stop": at + len(said), "entity_type": "PERSON"}


# --- adding -------------------------------------------------------------------------------------------------


def test_what_a_person_marks_is_replaced_wherever_it_stands_in_the_pair(call: Any) -> None:  # noqa: F811
    text = "🙂 Zorblat said it. Later zorblat left, Zorblatian he was."
    edit(call, "r1", text)
    edit(call, "r2", "Zorblat again.")
    pair = pair_of(call, "r1")
    done = call("rita", "findings.add", pair_id=pair["pair_id"], rev=pair["rev"], **span(text, "Zorblat"))
    after = pair_of(call, "r1")
    assert done["replaced"] == 2 and after["rev"] == done["rev"] == pair["rev"] + 1
    assert after["completion"].startswith("🙂 ") and "Zorblat " not in after["completion"]
    assert "zorblat " not in after["completion"] and "Zorblatian he was." in after["completion"]
    assert after["status"] == "ready"
    item = call("rita", "review.item", pair_id=pair["pair_id"])
    assert len(item["surrogates"]) == 2
    assert pair_of(call, "r2")["completion"] == "Zorblat again.", "one pair was meant"
    with pytest.raises(UsageError, match="newer revision"):
        call("rita", "findings.add", pair_id=pair["pair_id"], rev=pair["rev"], **span(text, "left"))


def test_marked_for_everywhere_holds_the_other_rows(call: Any) -> None:  # noqa: F811
    text = "Zorblat said it."
    edit(call, "r1", text)
    edit(call, "r2", "He knows ZORBLAT.")
    pair = pair_of(call, "r1")
    mark = {"pair_id": pair["pair_id"], "rev": pair["rev"], **span(text, "Zorblat")}
    done = call("rita", "findings.add", **mark, everywhere=True)
    assert [change["opened"] for change in done["lists"]] == [1]
    assert [f["text"] for f in open_of(call, "r2")] == ["ZORBLAT"] and pair_of(call, "r2")["status"] == "held"
    assert [t["text"] for t in call("lea", "privacy.lists", task=TASK)["terms"]] == ["Zorblat"]


def test_a_mark_that_is_none_is_refused(call: Any) -> None:  # noqa: F811
    pair = pair_of(call, "r1")
    mark = {"pair_id": pair["pair_id"], "rev": pair["rev"], "entity_type": "PERSON"}
    for field, start, stop in (("completion", 3, 3), ("completion", 0, 100_000), ("nowhere", 0, 4)):
        with pytest.raises(UsageError):
            call("rita", "findings.add", **mark, field=field, start=start, stop=stop)
    with pytest.raises(PermissionDenied):
        call("ann", "findings.add", **mark, field="completion", start=0, stop=4)
    assert pair_of(call, "r1")["rev"] == pair["rev"]


# --- the second look ----------------------------------------------------------------------------------------


def look(call: Any, user: str) -> dict[str, Any]:  # noqa: F811
    return call(user, "secondlook.next", task=TASK)


def test_a_document_is_drawn_once_without_marks_and_comes_again_until_it_is_answered(call: Any) -> None:  # noqa: F811
    held = {row["pair_id"] for row in open_of(call)}
    assert held
    first = look(call, "rita")
    assert first == look(call, "rita"), "it waits"
    assert set(first["item"]) == {"pair_id", "rev", "fields"}, "no mark tells where the scan found something"
    seen = {first["item"]["pair_id"]}
    other = look(call, "lea")["item"]
    assert other["pair_id"] not in seen, "each is looked at once"
    with pytest.raises(UsageError, match="not drawn for you"):
        call("lea", "secondlook.answer", pair_id=first["item"]["pair_id"], rev=first["item"]["rev"])
    call("rita", "secondlook.answer", pair_id=first["item"]["pair_id"], rev=first["item"]["rev"])
    second = look(call, "rita")
    assert second["item"]["pair_id"] not in {*seen, other["pair_id"]} and second["left"] < first["left"]
    with pytest.raises(PermissionDenied):
        look(call, "ann")
    while found := look(call, "rita")["item"]:
        assert found["pair_id"] not in seen | held
        seen.add(found["pair_id"])
        call("rita", "secondlook.answer", pair_id=found["pair_id"], rev=found["rev"])
    assert call("vic", "secondlook.summary", task=TASK)["looked"] == len(seen)


def test_the_order_is_the_seeds_and_a_changed_document_goes_back(call: Any) -> None:  # noqa: F811
    drawn = look(call, "rita")["item"]
    seed = call("vic", "secondlook.summary", task=TASK)["seed"]
    pool = call.store.rows(
        "SELECT pair_id FROM pair_state WHERE task = ? AND status IN ('ready', 'held') AND pair_id NOT IN"
        " (SELECT pair_id FROM findings WHERE status = 'open') ORDER BY sha256(? || pair_id)",
        [TASK, seed],
    )
    assert seed and pool[0]["pair_id"] == drawn["pair_id"]
    call(
        "ann", "review.decide", pair_id=drawn["pair_id"], rev=drawn["rev"], verdict="edit",
        completion="Now it is another text.",
    )  # fmt: skip
    with pytest.raises(UsageError, match="edited since"):
        call("rita", "secondlook.answer", pair_id=drawn["pair_id"], rev=drawn["rev"])
    again = look(call, "rita")["item"]
    assert (again["pair_id"], again["rev"]) != (drawn["pair_id"], drawn["rev"])


def test_a_miss_is_replaced_and_counts_in_the_bound(call: Any) -> None:  # noqa: F811
    told = call("vic", "secondlook.summary", task=TASK)
    assert (told["looked"], told["upper"]) == (0, 1.0) and "Nobody has looked" in told["words"]
    for _ in range(19):
        item = look(call, "rita")["item"]
        call("rita", "secondlook.answer", pair_id=item["pair_id"], rev=item["rev"])
    told = call("vic", "secondlook.summary", task=TASK)
    assert (told["looked"], told["leaked"]) == (19, 0)
    assert told["upper"] == pytest.approx(1 - 0.05 ** (1 / 19)), "the exact bound of none in nineteen"
    assert told["words"] == "Of 19 looked at, 0 leaked: at most 14.6% leak, at 95%."
    item = look(call, "rita")["item"]
    field, text = max(item["fields"].items(), key=lambda one: one[0] == "completion")
    word = text.split()[1].strip(".")
    done = call(
        "rita",
        "secondlook.answer",
        pair_id=item["pair_id"],
        rev=item["rev"],
        missed=[span(text, word, field)],
    )
    assert done["missed"] == 1 and done["rev"] == item["rev"] + 1
    after = call("rita", "review.item", pair_id=item["pair_id"])
    assert after["surrogates"] and word not in after[field].split()
    told = call("vic", "secondlook.summary", task=TASK)
    assert (told["looked"], told["leaked"], told["missed"]) == (20, 1, 1)
    assert 0.19 < told["upper"] < 0.25
    # what another detector leaves, these looks say nothing about
    call.store.write(
        lambda tx: tx.execute("UPDATE meta SET value = 'newer' WHERE key = ?", [f"detector:{TASK}"])
    )
    told = call("vic", "secondlook.summary", task=TASK)
    assert (told["looked"], told["earlier"], told["upper"]) == (0, 20, 1.0)
    assert look(call, "rita") == {"item": None, "left": 0}, "nothing is scanned by it yet"
