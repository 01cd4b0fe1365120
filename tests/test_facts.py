"""Facts that expire, in a real store: found, decided, undone, dropped from snapshots, warned of, and policy sheets."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from curate import contract, ops, review, snapshot, users
from curate.errors import NotFound, PermissionDenied, RefusedError, UsageError
from curate.facts import classes, policy, stale
from curate.store import Store, utcnow
from curate.workspace import Workspace
from tests.storekit import PACK, TASK, actor, add_pairs, assert_sound, open_store, scan_in, status

TODAY = utcnow().date()
LONG_AGO, LATER = date(2020, 1, 1), TODAY + timedelta(days=400)
PAIRS = [
    ("What does express delivery cost?", "Thanks for asking! Express delivery costs Rs 129. Anything else?"),
    ("How long can I return shoes?", "Glad you asked! Shoes can be returned within 10 days of delivery."),
    ("Is the sky blue?", "Yes, on most days."),
]
SHEETS = Path(__file__).parent.parent / "benchmarks" / "documents_data"


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace.create(tmp_path / "ws")


@pytest.fixture
def store(workspace: Workspace) -> Iterator[Store]:
    with open_store(workspace.root) as opened:
        yield opened
        assert_sound(opened)


def look(store: Store) -> int:
    frame = classes.scan_chunk(classes.export_for_scan(store, TASK), TODAY)
    return store.write(lambda tx: classes.ingest(tx, frame))


def listed(store: Store, state: str | None = "open") -> list[dict[str, Any]]:
    return classes.list_facts(store, actor(store, "viewer"), TASK, status=state)


def fact_of(store: Store, pair: str, state: str | None = "open") -> dict[str, Any]:
    [found] = [row for row in listed(store, state) if row["pair_id"] == pair]
    return found


def rescan(store: Store) -> Any:
    def run(pair: str, rev: int) -> None:
        from curate.rules import settle

        def write(tx: Any) -> None:
            scan_in(tx, pair, rev)
            settle(tx, "intake", [pair])

        store.write(write)
        classes.scan_revision(store, pair)

    return run


def approve(store: Store, pair: str, who: str = "reviewer") -> None:
    rev = review.item(store, actor(store, who), pair).rev
    review.decide(store, actor(store, who), pair, rev, "approve", guideline_version="2")


def freeze(store: Store, workspace: Workspace) -> contract.Manifest:
    def clean(rows: Sequence[Mapping[str, Any]]) -> dict[str, list[dict[str, Any]]]:
        return {row["pair_id"]: [] for row in rows}

    return snapshot.create(store, actor(store, "lead"), workspace, PACK, workspace.root, rescan=clean)


def decide(store: Store, fact: str, cls: str, who: str = "reviewer", **more: Any) -> dict[str, Any]:
    return classes.classify(store, actor(store, who), fact, cls, rescan=rescan(store), **more)


def test_the_scan_finds_places_and_keeps_no_words(store: Store) -> None:
    fee, window, _ = add_pairs(store, PAIRS)
    assert look(store) == 2 and look(store) == 0  # a text is read once by the same rules
    assert {(f["pair_id"], f["words"], f["class"]) for f in listed(store)} == {
        (fee, "Rs 129", "open"),
        (window, "10 days", "open"),
    }
    assert classes.counts(store, TASK)["unread"] == 0
    columns = json.dumps(store.rows("SELECT * FROM facts"), default=str)
    assert "Rs 129" not in columns and "10 days" not in columns


def test_an_expired_pair_drops_out_of_the_next_snapshot_and_is_named_there(
    store: Store, workspace: Workspace
) -> None:
    fee, window, plain = add_pairs(store, PAIRS)
    look(store)
    for pair in (fee, window, plain):
        approve(store, pair)
    first = freeze(store, workspace)
    assert sum(first.rows.values()) == 3
    decide(store, fact_of(store, fee)["fact_id"], "expires", expires=LONG_AGO)
    decide(store, fact_of(store, window)["fact_id"], "expires", expires=LATER)
    assert (status(store, fee), status(store, window)) == ("expired", "approved")
    second = freeze(store, workspace)
    assert second.excluded == {"expired": 1} and sum(second.rows.values()) == 2
    out = pl.read_parquet(workspace.snapshots / f"{TASK}-{second.id[:12]}" / "excluded.parquet").to_dicts()
    assert out == [
        {"pair_id": fee, "reason": "expired", "detail": "carries a fact that expired on 2020-01-01"}
    ]
    review.undo(store, actor(store, "reviewer"))
    review.undo(store, actor(store, "reviewer"))
    assert status(store, fee) == "approved" and fact_of(store, fee)["class"] == "open"
    assert freeze(store, workspace).id == first.id  # as if nobody had said anything


def test_a_slot_is_a_revision_that_somebody_else_approves(store: Store) -> None:
    [fee] = add_pairs(store, PAIRS[:1])
    look(store)
    approve(store, fee)
    fact = fact_of(store, fee)["fact_id"]
    done = decide(store, fact, "slot", slot="express_fee")
    item = review.item(store, actor(store, "viewer"), fee)
    assert item.completion == "Thanks for asking! Express delivery costs {express_fee}. Anything else?"
    assert (item.rev, item.author, item.status, done["rev"]) == (2, "reviewer", "ready", 2)
    with pytest.raises(RefusedError, match="another reviewer"):
        approve(store, fee, "reviewer")
    approve(store, fee, "reviewer2")
    assert listed(store) == [] and fact_of(store, fee, "slot")["words"] == "Rs 129"
    with pytest.raises(RefusedError, match="another text by now"):
        decide(store, fact, "timeless")


def test_an_undone_slot_brings_the_words_back_open(store: Store) -> None:
    [fee] = add_pairs(store, PAIRS[:1])
    look(store)
    decide(store, fact_of(store, fee)["fact_id"], "slot", slot="fee")
    review.undo(store, actor(store, "reviewer"))
    classes.scan_revision(store, fee)
    assert review.item(store, actor(store, "viewer"), fee).rev == 3
    assert fact_of(store, fee)["words"] == "Rs 129"


def test_an_edit_elsewhere_asks_nobody_twice(store: Store) -> None:
    [fee] = add_pairs(store, PAIRS[:1])
    look(store)
    decide(store, fact_of(store, fee)["fact_id"], "expires", expires=LATER)
    review.decide(
        store,
        actor(store, "annotator"),
        fee,
        1,
        "edit",
        completion="Sure! Express delivery costs Rs 129, cash on delivery Rs 35.",
        rescan=rescan(store),
    )
    found = {f["words"]: (f["class"], f["expires"]) for f in listed(store, None)}
    assert found == {"Rs 129": ("expires", LATER), "Rs 35": ("open", None)}
    row = store.one("SELECT expires FROM pairs WHERE pair_id = ?", [fee])
    assert row is not None and row["expires"].date() == LATER
    review.decide(
        store, actor(store, "annotator"), fee, 2, "edit", completion="Ask in the app.", rescan=rescan(store)
    )
    assert store.one("SELECT expires FROM pairs WHERE pair_id = ?", [fee]) == {"expires": None}


def test_what_was_said_of_the_pair_stays_beside_what_was_said_of_its_facts(store: Store) -> None:
    [fee] = add_pairs(store, PAIRS[:1])
    look(store)
    review.set_expiry(store, actor(store, "reviewer"), fee, utcnow() + timedelta(days=9))
    decide(store, fact_of(store, fee)["fact_id"], "expires", expires=LONG_AGO)
    assert status(store, fee) == "expired"
    review.undo(store, actor(store, "reviewer"))
    row = store.one("SELECT expires FROM pairs WHERE pair_id = ?", [fee])
    assert row is not None and row["expires"] is not None and status(store, fee) == "ready"


def test_undo_keeps_a_later_decision_of_somebody_else(store: Store) -> None:
    [fee] = add_pairs(store, PAIRS[:1])
    look(store)
    fact = fact_of(store, fee)["fact_id"]
    decide(store, fact, "timeless")
    decide(store, fact, "expires", "reviewer2", expires=LATER)
    with pytest.raises(RefusedError, match="reviewer2 decided on this fact since"):
        review.undo(store, actor(store, "reviewer"))
    review.undo(store, actor(store, "reviewer2"))
    assert fact_of(store, fee, None)["class"] == "timeless"
    review.undo(store, actor(store, "reviewer"))
    assert fact_of(store, fee, None)["class"] == "open"


def test_an_approval_can_be_undone_after_a_classification(store: Store) -> None:
    [fee] = add_pairs(store, PAIRS[:1])
    look(store)
    approve(store, fee)
    decide(store, fact_of(store, fee)["fact_id"], "timeless", "reviewer2")
    review.undo(store, actor(store, "reviewer"))
    assert status(store, fee) == "ready"


@pytest.mark.parametrize(
    ("cls", "more", "kind"),
    [
        ("expires", {}, UsageError),
        ("timeless", {"expires": LATER}, UsageError),
        ("slot", {}, UsageError),
        ("slot", {"slot": "Bad Name"}, UsageError),
        ("slot", {"slot": "x}{y"}, UsageError),
        ("perhaps", {}, UsageError),
    ],
)
def test_a_request_that_says_too_little_or_too_much_changes_nothing(
    store: Store, cls: str, more: dict[str, Any], kind: type[Exception]
) -> None:
    [fee] = add_pairs(store, PAIRS[:1])
    look(store)
    before = store.one("SELECT max(seq) AS seq FROM events")
    with pytest.raises(kind):
        decide(store, fact_of(store, fee)["fact_id"], cls, **more)
    assert store.one("SELECT max(seq) AS seq FROM events") == before


def test_who_may_decide(store: Store) -> None:
    [fee] = add_pairs(store, PAIRS[:1])
    look(store)
    for who in ("viewer", "annotator"):
        with pytest.raises(PermissionDenied):
            decide(store, fact_of(store, fee)["fact_id"], "timeless", who)
    with pytest.raises(NotFound):
        decide(store, "nothing", "timeless")


def test_words_that_the_radar_passed_over_can_be_added(store: Store) -> None:
    [plain] = add_pairs(store, [("Where does the red line end?", "The red line ends at the harbour.")])
    assert look(store) == 0
    reviewer = actor(store, "reviewer")
    [fact] = classes.add(store, reviewer, plain, "ends at the harbour", "now")["facts"]
    decide(store, fact, "expires", expires=LONG_AGO)
    assert status(store, plain) == "expired"
    store.write(lambda tx: tx.execute("UPDATE fact_scans SET rules = 'older rules'"))
    look(store)  # other rules do not find it either, and the decision stays
    assert status(store, plain) == "expired" and fact_of(store, plain, "expires")["fact_id"] == fact
    with pytest.raises(UsageError, match="marked already"):
        classes.add(store, reviewer, plain, "the harbour", "now")
    with pytest.raises(NotFound, match="does not say"):
        classes.add(store, reviewer, plain, "the blue line", "now")


def test_an_erased_pair_leaves_no_place_behind(store: Store) -> None:
    [fee] = add_pairs(store, PAIRS[:1])
    look(store)
    store.erase("admin", pair_ids=[fee], reason="asked for")
    assert store.rows("SELECT * FROM facts") == [] and listed(store, None) == []
    assert look(store) == 0


# --- models -------------------------------------------------------------------------------------------------


def register(store: Store, workspace: Workspace, name: str, snapshot_id: str, released: bool) -> None:
    (workspace.models / name).mkdir()
    (workspace.models / name / "run.json").write_text(
        json.dumps({"snapshot": {"id": snapshot_id}, "task": TASK}), "utf-8"
    )
    store.write(
        lambda tx: tx.execute(
            "INSERT INTO models (name, task, hash, snapshot_id, path, released, created_ts)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            [name, TASK, "0" * 64, snapshot_id, name, released, utcnow()],
        )
    )


def test_a_released_model_is_warned_of_what_it_learned(store: Store, workspace: Workspace) -> None:
    fee, window, plain = add_pairs(store, PAIRS)
    for pair in (fee, window, plain):
        approve(store, pair)
    manifest = freeze(store, workspace)
    register(store, workspace, "demo-task-v1", manifest.id, released=True)
    context = ops.Context(store, workspace, users.actor_for(store, "admin"), local=True)

    def shown() -> dict[str, Any]:
        [row] = ops.run(context, "models.list", {"task": TASK})["models"]
        found: dict[str, Any] = ops.run(context, "models.show", {"model": "demo-task-v1"})["stale"]
        assert row["stale"] == found["warning"]
        return found

    assert shown()["unread"] == 3 and "never read" in shown()["warning"]
    look(store)
    assert (shown()["open"], shown()["unread"]) == (2, 0)
    decide(store, fact_of(store, fee)["fact_id"], "expires", expires=LONG_AGO)
    decide(store, fact_of(store, window)["fact_id"], "expires", expires=LATER)
    found = shown()
    assert (found["expired"], found["expiring"], found["first"]) == (1, 1, "2020-01-01")
    assert (
        found["next"] == LATER.isoformat()
        and "1 of its 3 pairs teach a fact that no longer holds" in found["warning"]
    )
    assert stale.write_notes(store, workspace, TASK) == ["demo-task-v1"]
    note = (workspace.models / "demo-task-v1" / stale.NOTE).read_text("utf-8")
    assert "no longer holds" in note and "129" not in note  # counts and days, no text of a record
    for _ in range(2):
        review.undo(store, actor(store, "reviewer"))
    for pair in (fee, window):
        decide(store, fact_of(store, pair)["fact_id"], "timeless")
    assert shown()["warning"] is None and stale.write_notes(store, workspace, TASK) == []
    assert not (workspace.models / "demo-task-v1" / stale.NOTE).exists()


def test_a_slot_made_after_training_is_stale_knowledge_of_the_model(
    store: Store, workspace: Workspace
) -> None:
    [fee] = add_pairs(store, PAIRS[:1])
    approve(store, fee)
    manifest = freeze(store, workspace)
    look(store)
    decide(store, fact_of(store, fee)["fact_id"], "slot", slot="fee")
    found = stale.knowledge(store, workspace, manifest.id)
    assert (found["slots"], found["open"]) == (1, 0) and "replaced by a slot" in found["warning"]


def test_without_the_snapshot_the_warning_says_so(store: Store, workspace: Workspace) -> None:
    assert stale.knowledge(store, workspace, "f" * 64)["warning"] == stale.NOT_HERE


# --- policy sheets ------------------------------------------------------------------------------------------


def sheet(name: str) -> str:
    return (SHEETS / name).read_text("utf-8")


def test_a_changed_sheet_names_pairs_snapshots_and_models(store: Store, workspace: Workspace) -> None:
    fee, window, plain, wallet = add_pairs(
        store,
        [
            *PAIRS,
            (
                "When is my refund in the wallet?",
                "Happy to help! Refunds to your wallet arrive within 24 hours.",
            ),
        ],
    )
    for pair in (fee, window, plain, wallet):
        approve(store, pair)
    manifest = freeze(store, workspace)
    register(store, workspace, "demo-task-v1", manifest.id, released=True)
    look(store)
    decide(store, fact_of(store, fee)["fact_id"], "slot", slot="fee")  # the snapshot still states it
    context = ops.Context(store, workspace, users.actor_for(store, "viewer"))
    asked = {"policy": sheet("policy_2026_10.toml"), "before": sheet("policy_2026_04.toml"), "task": TASK}
    result = ops.run(context, "facts.changed", asked)
    [found] = result["tasks"]
    assert {row["fact"] for row in found["changes"]} >= {"returns.window", "delivery.express", "cod.fee"}
    assert "refund.wallet" not in {row["fact"] for row in found["changes"]}
    [pair] = found["pairs"]
    assert pair["pair_id"] == window
    [claim] = pair["claims"]
    assert (claim["fact"], claim["what"], claim["span"]) == ("returns.window", "stale", "within 10 days") or (
        claim["span"] == "10 days" and claim["fact"] == "returns.window"
    )
    assert found["snapshots"][0]["pairs"] == sorted([fee, window])
    assert found["models"] == [
        {"model": "demo-task-v1", "snapshot": manifest.id, "released": True, "pairs": 2}
    ]
    assert (result["pairs"], result["snapshots"], result["models"], result["released"]) == (1, 1, 1, 1)


def test_the_same_sheet_twice_touches_nothing() -> None:
    old = policy.read(sheet("policy_2026_04.toml"))
    assert policy.differences(old, old) == []
    assert policy.touched(*PAIRS[0], old, old) == [] == policy.touched(*PAIRS[1], old, old)


def test_an_answer_that_says_the_new_value_already_is_left_alone() -> None:
    old, new = policy.read(sheet("policy_2026_04.toml")), policy.read(sheet("policy_2026_10.toml"))
    assert policy.touched(PAIRS[0][0], "Express delivery costs Rs 149.", old, new) == []
    [claim] = policy.touched(PAIRS[0][0], "Express delivery costs Rs 129.", old, new)
    assert (claim["fact"], claim["what"], claim["new"]) == (
        "delivery.express",
        "stale",
        "Express delivery costs Rs 149.",
    )


def test_sheets_that_cannot_be_compared_are_refused(store: Store, workspace: Workspace) -> None:
    context = ops.Context(store, workspace, users.actor_for(store, "viewer"))
    new, old = sheet("policy_2026_10.toml"), sheet("policy_2026_04.toml")
    with pytest.raises(UsageError, match="Swap them"):
        ops.run(context, "facts.changed", {"policy": old, "before": new, "task": TASK})
    with pytest.raises(UsageError, match="policy sheet"):
        ops.run(context, "facts.changed", {"policy": "name = 1", "before": old, "task": TASK})
    with pytest.raises(UsageError, match="--before"):
        ops.run(context, "facts.changed", {"policy": new})


# --- every interleaving -------------------------------------------------------------------------------------

TEXTS = (
    "Express delivery costs Rs 129.",
    "Express costs Rs 129 and arrives within 2 business days.",
    "Ask in the app.",
    "The sale ends on 31 December 2031 and GST is 18%.",
)


class Facts(RuleBasedStateMachine):
    """Classify, edit, undo and rescan in any order: the expiry of a pair is the earliest of its standing facts."""

    store: Store

    @initialize()
    def arrive(self) -> None:
        [self.pair] = add_pairs(self.store, [("q?", TEXTS[0])])
        look(self.store)

    def facts(self) -> list[dict[str, Any]]:
        return [f for f in listed(self.store, None) if f["pair_id"] == self.pair and f["class"] != "slot"]

    @rule(which=st.integers(0, 3), how=st.integers(0, 3), who=st.sampled_from(["reviewer", "reviewer2"]))
    def classify(self, which: int, how: int, who: str) -> None:
        facts = self.facts()
        if not facts:
            return
        more: list[tuple[str, dict[str, Any]]] = [
            ("timeless", {}),
            ("expires", {"expires": LONG_AGO}),
            ("expires", {"expires": LATER + timedelta(days=which)}),
            ("slot", {"slot": "s"}),
        ]
        cls, fields = more[how]
        with contextlib.suppress(RefusedError):  # an expired pair takes no edit
            decide(self.store, facts[which % len(facts)]["fact_id"], cls, who, **fields)

    @rule(text=st.sampled_from(TEXTS))
    def edit(self, text: str) -> None:
        item = review.item(self.store, actor(self.store, "annotator"), self.pair)
        with contextlib.suppress(RefusedError, UsageError):
            review.decide(
                self.store,
                actor(self.store, "annotator"),
                self.pair,
                item.rev,
                "edit",
                completion=text,
                rescan=rescan(self.store),
            )

    @rule(who=st.sampled_from(["reviewer", "reviewer2", "annotator"]))
    def undo(self, who: str) -> None:
        try:
            done = review.undo(self.store, actor(self.store, who))
        except (RefusedError, UsageError):
            return
        classes.scan_revision(self.store, done["pair_id"])

    @rule()
    def rescan_all(self) -> None:
        self.store.write(lambda tx: tx.execute("UPDATE fact_scans SET rules = 'older'"))
        before = [(f["fact_id"], f["class"]) for f in self.facts()]
        look(self.store)
        assert [(f["fact_id"], f["class"]) for f in self.facts()] == before

    @invariant()
    def the_earliest_day_counts(self) -> None:
        if not hasattr(self, "pair"):
            return
        days = [f["expires"] for f in self.facts() if f["class"] == "expires"]
        row = self.store.one("SELECT expires FROM pairs WHERE pair_id = ?", [self.pair])
        assert row is not None
        assert (row["expires"].date() if row["expires"] else None) == min(days, default=None)
        gone = bool(days) and min(days) <= TODAY
        assert (status(self.store, self.pair) == "expired") == gone

    def teardown(self) -> None:
        assert self.store.verify_chain() == [] and self.store.verify_replay() == []


def test_every_interleaving_keeps_the_earliest_day(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        Facts.store = store
        run_state_machine_as_test(
            Facts,
            settings=settings(
                max_examples=5,
                stateful_step_count=10,
                deadline=None,
                suppress_health_check=list(HealthCheck),
            ),
        )


def test_the_support_pack_shows_what_its_second_sheet_changes() -> None:
    """Every eighth record: claims that the first sheet bears out and the second does not, and nothing that it keeps."""
    folder = Path(__file__).parent.parent / "data" / "tasks" / "support-bot"
    new = policy.read((folder / "policy-2026-10.toml").read_text("utf-8"))
    old = policy.sheet_before(folder, new)
    assert (old.version, new.version) == ("2026-04", "2026-10")
    changed = {row["fact"] for row in policy.differences(old, new)}
    assert {"returns.fashion", "delivery.fee", "refund.card"} <= changed
    found = []
    for line in (folder / "records.jsonl").read_text("utf-8").splitlines()[::8]:
        try:
            row = json.loads(line)
        except ValueError:  # planted
            continue
        if (
            isinstance(row, dict)
            and isinstance(row.get("prompt"), str)
            and isinstance(row.get("completion"), str)
        ):
            found += policy.touched(row["prompt"], row["completion"], old, new)
    assert len(found) >= 10 and {claim["fact"] for claim in found} <= {*changed, ""}
