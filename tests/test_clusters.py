"""Reviewing groups: what is suggested and why, forms filled in twice, labels that move to the pair that is kept."""

from __future__ import annotations

import pytest

from curate import clusters, review
from curate.dedupe import find_duplicates, short_fields
from tests import storekit
from tests.storekit import PACK, TASK, actor, add_pairs, cluster

FORM = (
    "This agreement is made on {date} between the company and {name}, who joins as a senior engineer in the office of "
    "{city} for a salary of {pay} a month, payable on the last working day, with a notice of two months on either side "
    "and confidentiality for all that becomes known in the course of the work."
)
ONE = {"date": "3 March 2026", "name": "Asha Rao", "city": "Pune", "pay": "₹90,000"}
TWO = {"date": "9 June 2026", "name": "Vikram Sen", "city": "Kochi", "pay": "₹1,20,000"}


@pytest.fixture
def store(tmp_path):
    with storekit.open_store(tmp_path) as store:
        yield store


def only(store):
    [group] = clusters.list_clusters(store, TASK)
    return group


# --- forms --------------------------------------------------------------------------------------------------


def test_a_form_filled_in_twice_is_told_by_its_fields():
    fields = short_fields(FORM.format(**ONE), FORM.format(**TWO))
    assert fields == [
        ("3 March", "9 June"),
        ("Asha Rao", "Vikram Sen"),
        ("Pune", "Kochi"),
        ("₹90,000", "₹1,20,000"),
    ]


@pytest.mark.parametrize(
    "other",
    [
        FORM.format(**ONE),
        FORM.format(**ONE).replace("senior engineer", "junior clerk"),  # words, no values
        FORM.format(**ONE) + " Signed in the presence of two witnesses.",  # a passage more
        FORM.format(**ONE).replace("Asha Rao", "Asha Rao of the Southern Division of The Company In Pune"),
    ],
)
def test_anything_else_that_differs_is_no_form(other):
    assert short_fields(FORM.format(**ONE), other) is None
    assert short_fields(other, FORM.format(**ONE)) is None


def test_the_result_lists_forms_for_people():
    texts = [FORM.format(**ONE), FORM.format(**TWO), FORM.format(**ONE).replace("senior", "older")]
    found = find_duplicates(texts).for_people
    assert found.select("left", "right").rows() == [(0, 1)]
    assert found["fields"][0][1] == {"ours": "Asha Rao", "theirs": "Vikram Sen"}


def test_other_surrogates_alone_make_no_form():
    texts = [FORM.format(**ONE), FORM.format(**(ONE | {"name": TWO["name"]}))]
    at = [
        [(text.index(name), text.index(name) + len(name))]
        for text, name in zip(texts, ("Asha Rao", "Vikram Sen"), strict=True)
    ]
    assert find_duplicates(texts, mask=at).for_people.is_empty()
    assert len(find_duplicates(texts).for_people) == 1


def test_a_group_that_may_be_one_form_gets_no_suggestion(store):
    a, b = add_pairs(store, [("Draft it.", FORM.format(**ONE)), ("Draft it.", FORM.format(**TWO))])
    cluster(store, [a, b])
    group = only(store)
    assert group["suggested"]["keep"] is None and "form filled in twice" in group["suggested"]["reason"]
    assert {frozenset(f) for f in group["fields"]} >= {frozenset(("Asha Rao", "Vikram Sen"))}


# --- suggestions --------------------------------------------------------------------------------------------


def rate(store, pair, stars):
    review.decide(
        store, actor(store, "annotator"), pair, 1, "skip", labels={"stars": stars}, pack=PACK, client_id=pair
    )


def test_the_approved_one_is_suggested_before_a_longer_one(store):
    a, b = add_pairs(
        store, [("What is it?", "A short one."), ("What is it?", "A very much longer one it is.")]
    )
    review.decide(store, actor(store, "reviewer"), a, 1, "approve", pack=PACK)
    cluster(store, [a, b])  # it is held now, and no longer counts as approved
    assert only(store)["suggested"]["keep"] == b
    [group] = clusters.list_clusters(store, TASK)
    group["members"][0]["status"] = group["members"][1]["status"] = "ready"
    approved = next(m for m in group["members"] if m["pair_id"] == a)
    approved["status"] = "approved"
    assert clusters.suggest(group["members"]) == {"keep": a, "reason": "Suggested: approved."}


def test_the_better_rated_one_then_the_longest_then_the_newest(store):
    a, b = add_pairs(store, [("What is it?", "A short one."), ("What is it?", "A longer one it is.")])
    cluster(store, [a, b])
    assert only(store)["suggested"] == {"keep": b, "reason": "Suggested: longest."}
    storekit.resolve(store, only(store)["cluster_id"], None)
    rate(store, a, 5)
    rate(store, b, 2)
    cluster(store, [a, b])
    assert only(store)["suggested"] == {"keep": a, "reason": "Suggested: best rated."}


def test_of_equals_the_newest(store):
    [a] = add_pairs(store, [("What is it?", "This one.")])
    [b] = add_pairs(store, [("What is it?", "That one.")])
    cluster(store, [a, b])
    assert only(store)["suggested"] == {"keep": b, "reason": "Suggested: newest."}


# --- labels -------------------------------------------------------------------------------------------------


def label(store, pair, **labels):
    review.decide(store, actor(store, "reviewer"), pair, 1, "skip", labels=labels, pack=PACK)


def labels_of(store, pair):
    return review.item(store, actor(store, "lead"), pair).labels


@pytest.mark.parametrize("merge", [True, False])
def test_the_kept_pair_gets_the_labels_it_lacks_and_only_those_that_are_agreed_on(store, merge):
    a, b, c = add_pairs(store, [("What is it?", f"It is a thing of kind {n}.") for n in "xyz"])
    label(store, a, tone="dry")
    label(store, b, tone="warm", stars=4)
    label(store, c, stars=4)
    group = cluster(store, [a, b, c])
    done = clusters.decide_cluster(store, actor(store, "reviewer"), group, "keep", [a], merge_labels=merge)
    assert labels_of(store, a) == ({"tone": "dry", "stars": 4} if merge else {"tone": "dry"})
    assert done.get("labels_merged") == (["stars"] if merge else None)


def test_labels_on_which_the_dropped_disagree_are_named_and_left_out(store):
    a, b, c = add_pairs(store, [("What is it?", f"It is a thing of kind {n}.") for n in "xyz"])
    label(store, b, stars=4)
    label(store, c, stars=2)
    group = cluster(store, [a, b, c])
    done = clusters.decide_cluster(store, actor(store, "reviewer"), group, "keep", [a], merge_labels=True)
    assert (done["labels_merged"], done["labels_disputed"]) == ([], ["stars"])
    assert labels_of(store, a) == {} and store.verify_chain() == []
