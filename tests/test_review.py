"""Review: queue, decisions, refusals, undo, on a real store."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from curate import review, users
from curate.errors import NotFound, PermissionDenied, RefusedError, UsageError
from curate.leases import LeaseBook
from curate.store import Store, utcnow
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
    writer_held,
)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(tmp_path) as opened:
        yield opened
        assert_sound(opened)


def test_approve_reject_return_and_skip(store: Store) -> None:
    a, b, c, d = add_pairs(store, [(f"q{i}", f"a{i}") for i in range(4)])
    reviewer = actor(store, "reviewer")
    assert review.decide(store, reviewer, a, 1, "approve", guideline_version="7")["status"] == "approved"
    assert review.decide(store, reviewer, b, 1, "reject", reason="wrong", pack=PACK)["status"] == "rejected"
    assert review.decide(store, reviewer, c, 1, "return", comment="Too long.")["status"] == "returned"
    assert review.decide(store, reviewer, d, 1, "skip")["status"] == "ready"
    counts = review.queue_counts(store, reviewer, TASK)
    assert (counts["approved"], counts["rejected"], counts["returned"], counts["ready"]) == (1, 1, 1, 1)
    row = store.one("SELECT * FROM approvals")
    assert row is not None and (row["guideline_version"], row["approver"]) == ("7", "reviewer")
    assert review.item(store, reviewer, c).comments[0]["body"] == "Too long."
    kinds = [event["kind"] for event in review.item(store, reviewer, a).decisions]
    assert kinds == ["imported", "import", "settled", "approve"]


def test_every_role_is_checked_in_the_service(store: Store) -> None:
    [pair] = add_pairs(store, [("q", "a")])
    for name, verdict in (
        ("viewer", "skip"),
        ("viewer", "edit"),
        ("annotator", "approve"),
        ("annotator", "reject"),
    ):
        with pytest.raises(PermissionDenied):
            review.decide(store, actor(store, name), pair, 1, verdict, reason="wrong", completion="x")
    with pytest.raises(PermissionDenied):
        review.next_items(store, actor(store, "viewer"), TASK)
    with pytest.raises(PermissionDenied):
        review.original(store, actor(store, "reviewer"), pair)
    assert review.original(store, actor(store, "adjudicator"), pair)["prompt"] == "q"
    assert store.one("SELECT actor FROM events WHERE kind = 'original_seen'") == {"actor": "adjudicator"}


def test_bad_requests_say_what_to_do(store: Store) -> None:
    [pair] = add_pairs(store, [("q", "a")])
    reviewer = actor(store, "reviewer")
    for kwargs, words in (
        ({"verdict": "burn"}, "Verdicts: approve"),
        ({"verdict": "reject"}, "needs a reason"),
        ({"verdict": "reject", "reason": "because I say so"}, "No reason"),
        ({"verdict": "return"}, "why it goes back"),
        ({"verdict": "approve", "completion": "x"}, "use the verdict edit"),
        ({"verdict": "edit"}, "changes nothing"),
        ({"verdict": "edit", "completion": "a"}, "changes nothing"),
        ({"verdict": "edit", "completion": " "}, "must not be empty"),
        ({"verdict": "approve", "labels": {"nope": 1}}, "No label"),
        ({"verdict": "approve", "labels": {"tone": "loud"}}, "one of dry, warm"),
        ({"verdict": "approve", "labels": {"stars": 6}}, "from 1 to 5"),
        ({"verdict": "approve", "labels": {"stars": True}}, "from 1 to 5"),
    ):
        with pytest.raises(UsageError, match=words):
            review.decide(store, reviewer, pair, 1, pack=PACK, **kwargs)  # type: ignore[arg-type]
    with pytest.raises(PermissionDenied):
        review.decide(store, reviewer, pair, 1, "approve", pack=PACK, labels={"verdict_note": "x"})
    with pytest.raises(NotFound):
        review.decide(store, reviewer, "no-such", 1, "approve")
    assert status(store, pair) == "ready"


def test_a_client_id_is_applied_once(store: Store) -> None:
    [pair] = add_pairs(store, [("q", "a")])
    reviewer = actor(store, "reviewer")
    first = review.decide(store, reviewer, pair, 1, "approve", client_id="c1")
    again = review.decide(store, reviewer, pair, 1, "approve", client_id="c1")
    assert again == first | {"repeated": True}
    assert store.one("SELECT count(*) AS n FROM decisions") == {"n": 1}
    with pytest.raises(RefusedError):  # another user's client id is another decision
        review.decide(store, actor(store, "reviewer2"), pair, 1, "approve", client_id="c1")


def test_a_stale_edit_carries_three_texts(store: Store) -> None:
    [pair] = add_pairs(store, [("q", "a")])
    review.decide(store, actor(store, "annotator"), pair, 1, "edit", completion="b")
    with pytest.raises(review.StaleEdit) as caught:
        review.decide(store, actor(store, "reviewer"), pair, 1, "edit", completion="c")
    stale = caught.value
    assert stale.base is not None and stale.current is not None
    assert (stale.base["completion"], stale.current["completion"], stale.yours["completion"]) == (
        "a",
        "b",
        "c",
    )
    assert stale.current_rev == 2


def test_an_edit_waits_for_its_scan_and_another_reviewer(store: Store) -> None:
    [pair] = add_pairs(store, [("q", "a")])
    reviewer, other = actor(store, "reviewer"), actor(store, "reviewer2")
    result = review.decide(store, reviewer, pair, 1, "edit", completion="b")
    assert (result["rev"], result["status"]) == (2, "held")
    with pytest.raises(RefusedError, match="not scanned since it was written"):
        review.decide(store, other, pair, 2, "approve")
    scan(store, pair)
    assert review.next_items(store, reviewer, TASK) == []
    with pytest.raises(RefusedError, match="You wrote this revision"):
        review.decide(store, reviewer, pair, 2, "approve")
    [offered] = review.next_items(store, other, TASK)
    assert (offered.pair_id, offered.completion, offered.author) == (pair, "b", "reviewer")
    assert review.decide(store, other, pair, 2, "approve")["status"] == "approved"


def test_an_edit_is_scanned_in_the_same_call(store: Store) -> None:
    [pair] = add_pairs(store, [("q", "a")])
    result = review.decide(
        store, actor(store, "annotator"), pair, 1, "edit", prompt="r", rescan=lambda p, rev: scan(store, p)
    )
    assert (result["status"], result["blockers"]) == ("ready", [])

    def broken(pair_id: str, rev: int) -> None:
        raise UsageError("no model")

    result = review.decide(store, actor(store, "annotator"), pair, 2, "edit", prompt="s", rescan=broken)
    assert result["status"] == "held" and "no model" in result["warning"]


def test_labels_stand_with_their_decision(store: Store) -> None:
    [pair] = add_pairs(store, [("q", "a")])
    strict = PACK.model_copy(deep=True)
    strict.labels[0].required = True
    reviewer = actor(store, "reviewer")
    with pytest.raises(RefusedError, match="label tone is missing"):
        review.decide(store, reviewer, pair, 1, "approve", pack=strict)
    review.decide(store, reviewer, pair, 1, "approve", pack=strict, labels={"tone": "dry", "stars": 4})
    assert review.item(store, reviewer, pair).labels == {"tone": "dry", "stars": 4}
    review.undo(store, reviewer)
    assert review.item(store, reviewer, pair).labels == {}


def test_leases_keep_two_people_apart_and_survive_a_reload(store: Store) -> None:
    pairs = add_pairs(store, [(f"q{i}", f"a{i}") for i in range(6)])
    one, two = actor(store, "reviewer"), actor(store, "reviewer2")
    first = [i.pair_id for i in review.next_items(store, one, TASK, 3)]
    second = [i.pair_id for i in review.next_items(store, two, TASK, 4)]
    assert len(first) == 3 and len(second) == 3 and not set(first) & set(second)
    assert [i.pair_id for i in review.next_items(store, one, TASK, 3)] == first  # the same after a reload
    with pytest.raises(RefusedError, match="reviewer is looking"):
        review.decide(store, two, first[0], 1, "approve")
    review.decide(store, one, first[0], 1, "skip")
    assert first[0] in [i.pair_id for i in review.next_items(store, two, TASK, 4)]
    assert set(first) | set(second) == set(pairs)


def test_a_skipped_pair_comes_back_last(store: Store) -> None:
    add_pairs(store, [(f"q{i}", f"a{i}") for i in range(3)])
    reviewer = actor(store, "reviewer")
    seen = []
    for _ in range(3):
        [shown] = review.next_items(store, reviewer, TASK)
        seen.append(shown.pair_id)
        review.decide(store, reviewer, shown.pair_id, 1, "skip")
    assert len(set(seen)) == 3
    assert review.next_items(store, reviewer, TASK)[0].pair_id == seen[0]


def test_a_lease_ends_without_a_sign_of_life(store: Store) -> None:
    add_pairs(store, [("q", "a")])
    now = [0.0]
    store.services["leases"] = LeaseBook(ttl=60, clock=lambda: now[0])
    one, two = actor(store, "reviewer"), actor(store, "reviewer2")
    assert len(review.next_items(store, one, TASK)) == 1
    assert review.next_items(store, two, TASK) == []
    now[0] = 61
    assert len(review.next_items(store, two, TASK)) == 1


def test_thirty_people_at_once_never_share_a_pair(store: Store) -> None:
    add_pairs(store, [(f"q{i}", f"a{i}") for i in range(90)])
    admin = actor(store, "admin")
    people = [users.create_user(store, admin, f"r{i}", "reviewer") for i in range(30)]
    decided: list[str] = []
    failed: list[BaseException] = []

    def work(person: users.Actor) -> None:
        try:
            for _ in range(3):
                for shown in review.next_items(store, person, TASK, 1):
                    review.decide(store, person, shown.pair_id, shown.rev, "approve")
                    decided.append(shown.pair_id)
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=work, args=(p,)) for p in people]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert len(decided) == len(set(decided)) == 90


def in_one_commit(store: Store, calls: Sequence[Callable[[], Any]]) -> list[Any]:
    """Results (or errors) of calls that reach the writer while it is busy, and so share one commit."""
    results = [None] * len(calls)

    def work(number: int) -> None:
        try:
            results[number] = calls[number]()
        except Exception as error:
            results[number] = error

    threads = [threading.Thread(target=work, args=(n,)) for n in range(len(calls))]
    with writer_held(store) as wait_for:
        for n, thread in enumerate(threads):
            thread.start()
            wait_for(n + 1)
    for thread in threads:
        thread.join()
    return results


def test_decisions_of_one_commit_see_each_other(store: Store) -> None:
    a, b, c, d, e = add_pairs(store, [(f"q{i}", f"a{i}") for i in range(5)])
    cluster(store, [a, b], "conflict")
    one, two = actor(store, "reviewer"), actor(store, "reviewer2")
    results = in_one_commit(
        store,
        [
            lambda: review.decide(store, one, a, 1, "approve"),
            lambda: review.decide(store, two, b, 1, "approve"),  # the rival of a
            lambda: review.decide(store, one, c, 1, "approve"),
            lambda: review.decide(store, two, c, 1, "reject", reason="wrong"),  # after the approval: voids it
            lambda: review.decide(store, one, d, 1, "skip", client_id="same"),
            lambda: review.decide(store, one, d, 1, "skip", client_id="same"),
            lambda: review.decide(store, two, e, 1, "edit", completion="new"),
            lambda: review.decide(store, one, e, 1, "approve"),  # of a text that is gone by now
        ],
    )
    assert results[0]["status"] == "approved" and "Another completion" in str(results[1])
    assert (results[2]["status"], results[3]["status"], status(store, c)) == (
        "approved",
        "rejected",
        "rejected",
    )
    assert results[4]["seq"] == results[5]["seq"] and results[5].get("repeated")
    assert isinstance(results[7], review.StaleEdit)
    assert store.one("SELECT count(*) AS n FROM approvals WHERE voided IS NULL") == {"n": 1}


def test_flagged_pairs_wait_for_an_adjudicator(store: Store) -> None:
    [pair] = add_pairs(store, [("q", "a")])
    reviewer, adjudicator = actor(store, "reviewer"), actor(store, "adjudicator")
    assert review.decide(store, actor(store, "annotator"), pair, 1, "flag")["status"] == "held"
    assert review.next_items(store, reviewer, TASK) == []
    with pytest.raises(RefusedError, match="flagged"):
        review.decide(store, reviewer, pair, 1, "approve")
    [shown] = review.next_items(store, adjudicator, TASK)
    assert review.decide(store, adjudicator, shown.pair_id, 1, "approve")["status"] == "approved"
    review.undo(store, adjudicator)
    assert status(store, pair) == "held"
    review.undo(store, actor(store, "annotator"))
    assert status(store, pair) == "ready"


def test_a_returned_pair_goes_to_its_author(store: Store) -> None:
    [pair] = add_pairs(store, [("q", "a")])
    annotator, reviewer = actor(store, "annotator"), actor(store, "reviewer")
    review.decide(store, annotator, pair, 1, "edit", completion="b", rescan=lambda p, _: scan(store, p))
    review.decide(store, reviewer, pair, 2, "return", reason="wrong")
    assert review.next_items(store, reviewer, TASK) == []
    [shown] = review.next_items(store, annotator, TASK)
    assert (shown.status, shown.reason) == ("returned", "wrong")


def test_a_conflict_allows_one_approved_answer(store: Store) -> None:
    a, b = add_pairs(store, [("same", "one"), ("same", "two")])
    found = cluster(store, [a, b], "conflict")
    reviewer = actor(store, "reviewer")
    review.decide(store, reviewer, a, 1, "approve")
    with pytest.raises(RefusedError, match="Another completion for the same prompt is approved"):
        review.decide(store, reviewer, b, 1, "approve")
    resolve(store, found, None)
    assert review.decide(store, reviewer, b, 1, "approve")["status"] == "approved"


def test_a_duplicate_cluster_holds_until_it_is_resolved(store: Store) -> None:
    a, b = add_pairs(store, [("same", "one"), ("same!", "one")])
    reviewer = actor(store, "reviewer")
    review.decide(store, reviewer, a, 1, "approve")
    found = cluster(store, [a, b])
    assert (status(store, a), status(store, b)) == ("held", "held")
    assert review.blockers(store, a) == [
        "It sits in an unresolved duplicate cluster: choose which pair to keep."
    ]
    resolve(store, found, a)
    assert (status(store, a), status(store, b)) == ("approved", "duplicate")


def test_undo_takes_back_the_last_ten_and_no_more(store: Store) -> None:
    pairs = add_pairs(store, [(f"q{i}", f"a{i}") for i in range(12)])
    reviewer = actor(store, "reviewer")
    for pair in pairs:
        review.decide(store, reviewer, pair, 1, "approve")
    undone = [review.undo(store, reviewer)["pair_id"] for _ in range(10)]
    assert undone == pairs[:1:-1]
    with pytest.raises(UsageError, match="Nothing to undo"):
        review.undo(store, reviewer)
    assert [status(store, p) for p in pairs[:3]] == ["approved", "approved", "ready"]


def test_undo_of_an_edit_brings_the_text_its_author_and_its_scan_back(store: Store) -> None:
    [pair] = add_pairs(store, [("q", "a")])
    reviewer, other = actor(store, "reviewer"), actor(store, "reviewer2")
    review.decide(store, other, pair, 1, "approve")
    review.decide(store, reviewer, pair, 1, "edit", completion="b", rescan=lambda p, _: scan(store, p))
    assert status(store, pair) == "ready"
    result = review.undo(store, reviewer)
    shown = review.item(store, reviewer, pair)
    assert (shown.completion, shown.rev, shown.author, result["status"]) == ("a", 3, "intake", "ready")
    assert [r["completion"] for r in shown.revisions] == ["a", "b", "a"]  # nothing was deleted
    assert review.decide(store, reviewer, pair, 3, "approve")["status"] == "approved"


def test_undo_of_a_rejection_gives_the_approval_back(store: Store) -> None:
    [pair] = add_pairs(store, [("q", "a")])
    review.decide(store, actor(store, "reviewer"), pair, 1, "approve")
    review.decide(store, actor(store, "reviewer2"), pair, 1, "reject", reason="wrong")
    assert store.one("SELECT count(*) AS n FROM approvals WHERE voided IS NULL") == {"n": 0}
    with pytest.raises(RefusedError, match="reviewer2 decided"):
        review.undo(store, actor(store, "reviewer"))
    review.undo(store, actor(store, "reviewer2"))
    assert status(store, pair) == "approved"
    assert store.one("SELECT count(*) AS n FROM approvals WHERE voided IS NULL") == {"n": 1}


def test_a_fact_past_its_date_takes_the_pair_out(store: Store) -> None:
    [pair] = add_pairs(store, [("q", "a")])
    reviewer = actor(store, "reviewer")
    review.decide(store, reviewer, pair, 1, "approve")
    review.set_expiry(store, reviewer, pair, utcnow() - timedelta(days=1))
    assert status(store, pair) == "expired"
    review.set_expiry(store, reviewer, pair, None)
    assert status(store, pair) == "approved"


def test_lists_filter_search_and_page(store: Store) -> None:
    add_pairs(store, [("50% off", "a_b"), ("Hello WORLD", "x"), ("other", "y")])
    viewer = actor(store, "viewer")

    def prompts(**kwargs: object) -> list[str]:
        return [row["prompt"] for row in review.list_pairs(store, viewer, TASK, **kwargs)]  # type: ignore[arg-type]

    assert prompts(search="world") == ["Hello WORLD"]
    assert prompts(search="%") == ["50% off"] and prompts(search="_") == ["50% off"]
    assert prompts(search="'; DROP TABLE pairs; --") == []
    assert prompts(status="approved") == [] and len(prompts(status="ready")) == 3
    assert prompts(limit=2) + prompts(limit=2, offset=2) == prompts()
    with pytest.raises(UsageError):
        prompts(status="done")


def test_the_guideline_version_is_read_from_the_pack(tmp_path: Path) -> None:
    assert review.guideline_version(tmp_path) == ""
    for text, version in (
        ("# Guidelines\n\nversion: 3\n", "3"),
        ("---\nversion: 1.2\n---\n", "1.2"),
        ("# G\n**Version: 4**\n", "4"),
        ("no number\n", ""),
    ):
        (tmp_path / "guidelines.md").write_text(text)
        assert review.guideline_version(tmp_path) == version
