"""Lists of strings: what a change does at once, what the next scans make of it, what is forgotten with a person."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from curate import findings, forget, jobs, lists, ops, users
from curate.errors import PermissionDenied, UsageError
from curate.privacy import Finding
from curate.store import Store, utcnow
from tests import serving

TASK = serving.TASK


@pytest.fixture
def workspace(tmp_path: Path) -> Any:
    return serving.make_workspace(tmp_path)


@pytest.fixture
def call(workspace: Any) -> Any:
    """``call(user, operation, **fields)`` on the open store; ``call.store`` is the store."""
    store = Store.open(workspace.store)

    def run(user: str, operation: str, **fields: Any) -> dict[str, Any]:
        context = ops.Context(store, workspace, users.actor_for(store, user), local=True)
        return ops.run(context, operation, fields)

    run.store = store  # type: ignore[attr-defined]
    yield run
    assert ops.run(
        ops.Context(store, workspace, users.actor_for(store, "admin"), local=True), "audit.verify", {}
    )["intact"]
    store.close()


def pair_of(call: Any, external_id: str) -> dict[str, Any]:
    rows = call("lea", "pairs.list", task=TASK, limit=1000)["pairs"]
    return next(row for row in rows if row["external_id"] == external_id)


def edit(call: Any, external_id: str, completion: str) -> dict[str, Any]:
    pair = pair_of(call, external_id)
    return call(
        "ann",
        "review.decide",
        pair_id=pair["pair_id"],
        rev=pair["rev"],
        verdict="edit",
        completion=completion,
    )


def open_of(call: Any, external_id: str | None = None) -> list[dict[str, Any]]:
    found = call("rita", "findings.list", task=TASK, limit=1000)["findings"]
    pair = external_id and pair_of(call, external_id)["pair_id"]
    return [row for row in found if pair is None or row["pair_id"] == pair]


def state(call: Any) -> dict[str, tuple[Any, ...]]:
    rows = call.store.rows("SELECT pair_id, status, rev, updated_seq FROM pair_state")
    return {row["pair_id"]: (row["status"], row["rev"], row["updated_seq"]) for row in rows}


def scans(call: Any) -> int:
    return int(call.store.one("SELECT count(*) AS n FROM scans")["n"])


def test_a_list_change_re_opens_only_the_rows_that_contain_the_string(call: Any) -> None:
    for name, text in (
        ("r1", "Ask Zorblat Quince."),
        ("r2", "ask  zorblat\nQUINCE now"),
        ("r3", "Zorblatian Quince"),
    ):
        edit(call, name, text)
    good = pair_of(call, "r1")
    call("rita", "review.decide", pair_id=good["pair_id"], rev=good["rev"], verdict="approve")
    holding = {pair_of(call, name)["pair_id"] for name in ("r1", "r2")}
    before, scanned, was_open = state(call), scans(call), len(open_of(call))
    version = call("vic", "privacy.lists", task=TASK)["version"]

    done = call("lea", "privacy.deny", task=TASK, text="Zorblat Quince", entity_type="PERSON")
    assert (done["rows"], done["opened"], done["version"]) == (2, 2, version + 1)
    after = state(call)
    assert {pair for pair in after if after[pair] != before[pair]} == holding
    assert all(after[pair][0] == "held" for pair in holding), "an approval does not outlive the finding"
    assert scans(call) == scanned, "no row is scanned again"
    assert len(open_of(call)) == was_open + 2
    assert [f["recognizer"] for f in open_of(call, "r2")] == ["list.deny"]
    assert open_of(call, "r2")[0]["text"] == "zorblat\nQUINCE"

    assert call("vic", "privacy.lists", task=TASK)["terms"][0]["text"] == "******* ******", "an original"
    assert call("lea", "privacy.lists", task=TASK)["terms"][0]["text"] == "Zorblat Quince"

    # the other list: the newest word counts, and again nobody else is looked at
    before = state(call)
    done = call("lea", "privacy.allow", task=TASK, text="zorblat quince")
    assert (done["closed"], done["opened"]) == (2, 0)
    after = state(call)
    assert {pair for pair in after if after[pair] != before[pair]} == holding
    assert pair_of(call, "r1")["status"] == "approved", "its text is the one that was approved"
    assert [t["kind"] for t in call("vic", "privacy.lists", task=TASK)["terms"]] == ["allow"]

    # taken off: the rows that contain it are scanned again, and only they
    before, scanned = state(call), scans(call)
    term = call("vic", "privacy.lists", task=TASK)["terms"][0]["term_id"]
    done = call("lea", "privacy.unlist", task=TASK, term_id=term)
    assert done["rows"] == 2 and scans(call) == scanned + 2
    assert {pair for pair in before if state(call)[pair][1] != before[pair][1]} == set()
    assert call("vic", "privacy.lists", task=TASK)["terms"] == []


def test_rejecting_a_string_closes_every_other_one_and_the_next_scans_leave_it_alone(
    call: Any, workspace: Any
) -> None:
    for name in ("r1", "r2"):
        edit(call, name, f"Write to Help@firm.example.com, {name}.")
    edit(call, "r3", "Write to other@firm.example.com.")
    one, two, three = (open_of(call, name)[0] for name in ("r1", "r2", "r3"))
    done = call("rita", "findings.decide", finding_id=one["finding_id"], decision="reject", same=True)
    assert (done["decided"], done["list"]["closed"], done["status"]) == (2, 2, "rejected")
    assert open_of(call, "r1") == open_of(call, "r2") == []
    assert [f["finding_id"] for f in open_of(call, "r3")] == [three["finding_id"]]
    with pytest.raises(UsageError):
        call("rita", "findings.decide", finding_id=two["finding_id"], decision="reject")
    edit(call, "r4", "HELP@firm.example.com it is.")
    assert open_of(call, "r4") == [] and pair_of(call, "r4")["status"] == "ready"
    # freezing scans once more and agrees
    pair = pair_of(call, "r4")
    call("rita", "review.decide", pair_id=pair["pair_id"], rev=pair["rev"], verdict="approve")
    frame = findings.export_approved(call.store, TASK)
    result = findings.scan_chunk(frame, findings.detector_for(workspace, TASK), workspace.key, again=True)
    assert result["findings"].to_list() == ["[]"] * len(frame)


def test_confirming_a_string_replaces_every_other_one_and_new_records_lose_it(
    call: Any, workspace: Any, tmp_path: Path
) -> None:
    for name in ("r1", "r2"):
        edit(call, name, f"Number 98765 43210 of {name}.")
    first = open_of(call, "r1")[0]
    alike = [f for f in open_of(call) if f["text"] == first["text"]]
    revisions = {name: pair_of(call, name)["rev"] for name in ("r1", "r2", "r3")}
    done = call("rita", "findings.decide", finding_id=first["finding_id"], decision="confirm", same=True)
    assert done["decided"] == len(alike) >= 2 and len(done["pairs"]) == len(alike)
    for name in ("r1", "r2"):
        pair = pair_of(call, name)
        assert pair["rev"] == revisions[name] + 1 and "98765 43210" not in pair["completion"]
        assert pair["status"] == "ready"
    assert pair_of(call, "r3")["rev"] == revisions["r3"]
    # a string that no recognizer of this pack knows: on the list it goes out of new records before anybody reads them
    call("lea", "privacy.deny", task=TASK, text="Bramblewick", entity_type="PERSON")
    path = tmp_path / "more.jsonl"
    rows = [
        {"id": "new", "source": "n", "prompt": "Is BRAMBLEWICK in?", "completion": "Bramblewicks are not."}
    ]
    path.write_text("\n".join(json.dumps(row) for row in rows) + "\n", "utf-8")
    call("admin", "import", task=TASK, path=str(path))
    assert jobs.wait(call.store, workspace, call("admin", "scan", task=TASK)["job"])["state"] == "done"
    new = pair_of(call, "new")
    assert "bramblewick " not in new["prompt"].lower() and new["completion"] == "Bramblewicks are not."
    assert new["status"] == "ready"


def test_a_string_of_the_list_that_was_kept_in_one_pair_is_no_finding_there_again(
    call: Any, workspace: Any
) -> None:
    edit(call, "r1", "Grimble came.")
    call("lea", "privacy.deny", task=TASK, text="Grimble", entity_type="PERSON")
    call("rita", "findings.decide", finding_id=open_of(call, "r1")[0]["finding_id"], decision="reject")
    pair = pair_of(call, "r1")
    assert pair["status"] == "ready"
    assert findings.rescan(call.store, workspace, pair["pair_id"], pair["rev"]) == 0
    edit(call, "r2", "Grimble went.")
    assert [f["text"] for f in open_of(call, "r2")] == ["Grimble"]
    call("lea", "privacy.deny", task=TASK, text="Grimble", entity_type="PERSON")  # said again: it is meant
    assert [f["text"] for f in open_of(call, "r1")] == ["Grimble"]


@pytest.mark.parametrize("gone", [False, True])
def test_a_change_while_a_scan_runs_is_not_lost(call: Any, workspace: Any, gone: bool) -> None:
    edit(call, "r1", "Fumbleton wrote from fum@firm.example.com.")
    if gone:
        call("lea", "privacy.allow", task=TASK, text="fum@firm.example.com")
    frame = findings.export_for_scan(call.store, TASK)
    result = findings.scan_chunk(frame, findings.detector_for(workspace, TASK), workspace.key, again=True)
    if gone:
        term = call("vic", "privacy.lists", task=TASK)["terms"][0]["term_id"]
        call("lea", "privacy.unlist", task=TASK, term_id=term)
    else:
        call("lea", "privacy.deny", task=TASK, text="Fumbleton", entity_type="PERSON")
    call.store.write(lambda tx: findings.ingest_scan(tx, TASK, result, ""))
    found = {f["text"] for f in open_of(call, "r1")}
    assert found == ({"fum@firm.example.com"} if gone else {"Fumbleton", "fum@firm.example.com"})


def test_our_own_surrogate_is_never_on_a_list(call: Any) -> None:
    pair = pair_of(call, "mail")
    said = call.store.one("SELECT surrogate FROM surrogates WHERE pair_id = ?", [pair["pair_id"]])
    done = call("lea", "privacy.deny", task=TASK, text=said["surrogate"], entity_type="EMAIL")
    assert done["opened"] == 0 and open_of(call, "mail") == []


def test_who_may_and_what_is_refused(call: Any) -> None:
    for user in ("vic", "ann", "rita"):
        with pytest.raises(PermissionDenied):
            call(user, "privacy.deny", task=TASK, text="Zorblat", entity_type="PERSON")
    for text, kind in (("Zorblat", "HERO"), ("z", "PERSON"), ("..", "PERSON"), ("x" * 300, "PERSON")):
        with pytest.raises(UsageError):
            call("lea", "privacy.deny", task=TASK, text=text, entity_type=kind)
    assert call("vic", "privacy.lists", task=TASK) == {"version": 0, "terms": [], "removed": 0}


def test_events_hold_no_string_and_forgetting_a_person_takes_them_off_the_lists(
    call: Any, workspace: Any
) -> None:
    edit(call, "r1", "Ask Zorblat Quince.")
    call("lea", "privacy.deny", task=TASK, text="Zorblat Quince", entity_type="PERSON")
    call("lea", "privacy.allow", task=TASK, text="Amberly Zorblat Quince")
    call("lea", "privacy.allow", task=TASK, text="Quincewood")
    bodies = call.store.rows("SELECT body FROM events")
    assert not any("orblat" in row["body"] for row in bodies)
    version = lists.version(call.store, TASK)
    assert forget.find(call.store, workspace, ["zorblat quince"]).terms == 2
    done = forget.forget(
        call.store, workspace, users.actor_for(call.store, "admin"), ["zorblat quince"], reason="ticket 118"
    )
    assert done["erased"]["terms"] == 2 and done["left"]["terms"] == 0
    assert [t["text"] for t in call("vic", "privacy.lists", task=TASK)["terms"]] == ["Quincewood"]
    assert lists.version(call.store, TASK) == version + 2, "a change like any other"
    assert call.store.rows("SELECT 1 FROM privacy_terms WHERE term LIKE '%orblat%'") == []


def test_erasing_a_pair_erases_the_strings_that_were_read_in_it(call: Any) -> None:
    edit(call, "r1", "Write to ravi@firm.example.com.")
    call(
        "rita",
        "findings.decide",
        finding_id=open_of(call, "r1")[0]["finding_id"],
        decision="reject",
        same=True,
    )
    call.store.erase("admin", pair_ids=[pair_of(call, "r1")["pair_id"]], record_ids=[], reason="asked")
    assert call("vic", "privacy.lists", task=TASK)["terms"] == []
    assert call.store.rows("SELECT 1 FROM privacy_terms WHERE term IS NOT NULL") == []


# --- places and scans, without a store ----------------------------------------------------------------------


def term(kind: str, text: str, of: str | None = "PERSON") -> lists.Term:
    return lists.Term("", kind, text, of, utcnow())


words = st.text("ab Ab.-'é", max_size=12)


@given(words, words)
def test_places_of_a_term_are_whole_words_and_say_the_string(text: str, said: str) -> None:
    said = " ".join(said.split())
    if not said:
        return
    for start, stop in term("deny", said).places(text):
        assert lists.fold(text[start:stop]) == lists.fold(said)
        assert not (start and text[start - 1].isalnum() and text[start].isalnum() and said[0].isalnum())


@given(words, words)
def test_the_short_cut_past_most_terms_hides_no_place(text: str, said: str) -> None:
    if any(ch.isalnum() for ch in said):
        one = term("deny", " ".join(said.split()))
        assert bool(lists._occurring([one], [text])) == bool(one.places(text))


def test_two_allowed_strings_do_not_make_a_third() -> None:
    text = "Grace Mark came, and Grace."
    found = {"p": [Finding(0, 10, "PERSON", 0.9, "x"), Finding(21, 26, "PERSON", 0.9, "x")]}
    both = lists.Listed([term("allow", "Grace"), term("allow", "Mark", None)])
    assert both.apply(found, {"p": text})["p"] == [found["p"][0]]
    other = lists.Listed([term("allow", "Grace", "CITY")])
    assert other.apply(found, {"p": text})["p"] == found["p"]


@given(st.lists(st.sampled_from(["ab", "b", "a b", "ab a"]), max_size=3), st.text("ab ", max_size=20))
def test_what_a_scan_finds_with_a_list_stays_disjoint(denied: list[str], text: str) -> None:
    found = {"p": [Finding(0, min(3, len(text)), "CITY", 0.9, "x")] if text else []}
    out = lists.Listed([term("deny", said) for said in denied]).apply(found, {"p": text})["p"]
    assert all(left.end <= right.start for left, right in itertools.pairwise(out))
