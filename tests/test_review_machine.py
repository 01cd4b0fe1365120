"""Every interleaving of what people and machines do to pairs keeps the invariants (hypothesis state machine)."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from curate import review
from curate.errors import PermissionDenied, RefusedError, UsageError
from curate.leases import LeaseBook
from curate.store import Store
from tests.storekit import TASK, actor, add_pairs, assert_sound, cluster, open_store, resolve, scan

PEOPLE = ("annotator", "reviewer", "reviewer2", "adjudicator", "lead")
person = st.sampled_from(PEOPLE)
which = st.integers(0, 3)


@cache
def the_store() -> Store:
    """One store for all examples: each works on pairs of its own, so opening a file 1000 times is saved."""
    folder = tempfile.TemporaryDirectory()
    store = open_store(Path(folder.name))
    store.services["folder"] = folder  # kept until the process ends
    return store


@contextmanager
def may_refuse(store: Store) -> Iterator[None]:
    """A refusal changes nothing at all: not one event is written."""
    before = store.one("SELECT max(seq) AS seq FROM events")
    try:
        yield
    except (RefusedError, PermissionDenied, UsageError, review.StaleEdit):
        assert store.one("SELECT max(seq) AS seq FROM events") == before


class Review(RuleBasedStateMachine):
    """Model: what the last approval of each pair was bound to, kept beside the store in plain Python."""

    @initialize()
    def pairs_arrive(self) -> None:
        self.store = the_store()
        self.store.services["leases"] = LeaseBook()
        self.pairs = add_pairs(self.store, [(f"q{i}", f"a{i}") for i in range(4)])
        self.clusters: list[str] = []
        self.shown = dict.fromkeys(self.pairs, 1)  # the revision somebody last looked at
        self.texts = 0

    def now(self, pair: str) -> dict[str, Any]:
        row = self.store.one(
            "SELECT s.*, r.author, t.completion FROM pair_state s JOIN revisions r USING (pair_id, rev)"
            " JOIN revision_text t USING (pair_id, rev) WHERE s.pair_id = ?",
            [pair],
        )
        assert row is not None
        return row

    @rule(n=which)
    def look(self, n: int) -> None:
        self.shown[self.pairs[n]] = self.now(self.pairs[n])["rev"]

    @rule(
        who=person,
        n=which,
        verdict=st.sampled_from(["approve", "approve", "reject", "return", "flag", "skip"]),
    )
    def decide(self, who: str, n: int, verdict: str) -> None:
        pair = self.pairs[n]
        before, looked = self.now(pair), self.shown[pair]
        me = actor(self.store, who)
        stops = [
            words
            for words in review.blockers(self.store, pair, me)
            if not ("flagged" in words and who in ("adjudicator", "lead"))
        ]
        reason = "wrong" if verdict in ("reject", "return") else None
        with may_refuse(self.store):
            done = review.decide(self.store, me, pair, looked, verdict, reason=reason)
            assert looked == before["rev"], "a stale decision was taken"
            after = self.now(pair)
            assert after["status"] == done["status"]
            if verdict == "approve":
                assert after["status"] == "approved" and stops == [] and who != "annotator"

    @rule(who=person, n=which, scanned=st.booleans())
    def edit(self, who: str, n: int, scanned: bool) -> None:
        pair = self.pairs[n]
        self.texts += 1
        before = self.now(pair)
        with may_refuse(self.store):
            review.decide(
                self.store,
                actor(self.store, who),
                pair,
                self.shown[pair],
                "edit",
                completion=f"text {self.texts}",
                rescan=(lambda p, _: scan(self.store, p)) if scanned else None,
            )
            after = self.now(pair)
            assert after["author"] == who and after["rev"] == before["rev"] + 1
            assert after["status"] != "approved" and after["approved_digest"] is None

    @rule(who=person)
    def undo(self, who: str) -> None:
        with may_refuse(self.store):
            done = review.undo(self.store, actor(self.store, who))
            if done["pair_id"] in self.pairs and done["verdict"] == "approve":
                assert self.now(done["pair_id"])["status"] != "approved"

    @rule(n=which, findings=st.sampled_from([0, 0, 0, 1]))
    def scan(self, n: int, findings: int) -> None:
        scan(self.store, self.pairs[n], findings=findings)

    @rule(n=which, m=which, kind=st.sampled_from(["duplicate", "conflict"]))
    def cluster(self, n: int, m: int, kind: str) -> None:
        if n != m:
            self.clusters.append(cluster(self.store, [self.pairs[n], self.pairs[m]], kind))

    @rule(keep_first=st.sampled_from([True, False, None]))
    def resolve(self, keep_first: bool | None) -> None:
        if self.clusters:
            found = self.clusters.pop()
            members = self.store.rows(
                "SELECT pair_id FROM cluster_members WHERE cluster_id = ? ORDER BY pair_id", [found]
            )
            keep = None if keep_first is None else members[0 if keep_first else 1]["pair_id"]
            resolve(self.store, found, keep)

    @rule(who=person)
    def queue(self, who: str) -> None:
        me = actor(self.store, who)
        for shown in review.next_items(self.store, me, TASK, 3):
            if who != "annotator" and shown.status == "ready":
                assert shown.author != who, "one's own text was offered for approval"
            LeaseBook.of(self.store).release(who, shown.pair_id)

    @invariant()
    def invariants_hold(self) -> None:
        if not hasattr(self, "pairs"):
            return
        for pair in self.pairs:
            state = self.now(pair)
            if state["status"] != "approved":
                continue
            assert state["approver"] != state["author"]
            assert state["digest"] == state["approved_digest"]
            # Two answers approved before anybody saw the conflict stay so; freezing leaves both out.
            words = [w for w in review.blockers(self.store, pair) if "Another completion" not in w]
            assert words == ["It is approved."]

    def teardown(self) -> None:
        if hasattr(self, "store"):
            assert_sound(self.store)


def run(examples: int) -> None:
    run_state_machine_as_test(
        Review,
        settings=settings(
            max_examples=examples,
            stateful_step_count=25,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_interleavings_keep_the_invariants() -> None:
    run(12)


@pytest.mark.soak
@pytest.mark.timeout(7200)
def test_ten_thousand_steps_keep_the_invariants() -> None:
    run(400)
