"""Privacy and near-duplicates in the store: what is held, what frees it, what is remembered."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from curate import findings, jobs, ops, users
from curate.errors import RefusedError, UsageError
from curate.store import Store
from tests import serving

TASK = serving.TASK


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    return serving.make_workspace(tmp_path_factory.mktemp("findings"))


@pytest.fixture
def call(workspace):
    """``call(user, operation, **fields)`` on the open store; ``call.store`` is the store."""
    store = Store.open(workspace.store)

    def run(user, operation, **fields):
        return ops.run(
            ops.Context(store, workspace, users.actor_for(store, user), local=True), operation, fields
        )

    run.store = store
    yield run
    store.close()


def pair_of(call, external_id):
    return next(
        row
        for row in call("lea", "pairs.list", task=TASK, limit=1000)["pairs"]
        if row["external_id"] == external_id
    )


def job(call, workspace, operation):
    done = jobs.wait(call.store, workspace, call("admin", operation, task=TASK)["job"])
    assert done["state"] == "done", done


def test_the_original_is_in_the_record_alone_and_the_revision_has_a_surrogate(call):
    pair = pair_of(call, "mail")
    assert "asha.rao@corp.example.org" not in pair["completion"]
    record = call.store.one(
        "SELECT t.completion FROM records r JOIN record_text t USING (record_id) WHERE r.external_id = 'mail'"
    )
    assert "asha.rao@corp.example.org" in record["completion"]
    assert call.store.rows("SELECT * FROM revision_text WHERE contains(completion, 'asha.rao@corp')") == []
    surrogate = call.store.one("SELECT surrogate FROM surrogates WHERE pair_id = ?", [pair["pair_id"]])[
        "surrogate"
    ]
    assert surrogate in pair["completion"]
    assert pair["status"] == "ready"  # our own surrogate is no finding


def test_an_edit_that_brings_personal_data_in_is_held_until_a_person_confirms(call):
    pair = pair_of(call, "r1")
    done = call(
        "ann",
        "review.decide",
        pair_id=pair["pair_id"],
        rev=pair["rev"],
        verdict="edit",
        completion="Ask ravi@firm.example.com about it.",
    )
    assert done["status"] == "held"
    with pytest.raises(RefusedError):
        call("rita", "review.decide", pair_id=pair["pair_id"], rev=done["rev"], verdict="approve")
    found = [
        f for f in call("rita", "findings.list", task=TASK)["findings"] if f["pair_id"] == pair["pair_id"]
    ]
    assert [f["text"] for f in found] == ["ravi@firm.example.com"]
    call("rita", "findings.decide", finding_id=found[0]["finding_id"], decision="confirm")
    after = pair_of(call, "r1")
    assert after["status"] == "ready" and after["rev"] == done["rev"] + 1
    assert "ravi@firm" not in after["completion"] and "@" in after["completion"]
    with pytest.raises(UsageError):
        call("rita", "findings.decide", finding_id=found[0]["finding_id"], decision="confirm")


def test_a_rejected_finding_is_remembered_by_the_next_scan(call, workspace):
    pair = pair_of(call, "r2")
    done = call(
        "ann",
        "review.decide",
        pair_id=pair["pair_id"],
        rev=pair["rev"],
        verdict="edit",
        completion="The sample address is someone@firm.example.com here.",
    )
    finding = next(
        f for f in call("rita", "findings.list", task=TASK)["findings"] if f["pair_id"] == pair["pair_id"]
    )
    call("rita", "findings.decide", finding_id=finding["finding_id"], decision="reject")
    assert pair_of(call, "r2")["status"] == "ready"
    assert findings.rescan(call.store, workspace, pair["pair_id"], done["rev"]) == 0
    assert pair_of(call, "r2")["status"] == "ready"


def test_a_second_scan_by_the_same_detector_scans_nothing_again(call, workspace):
    before = call.store.one("SELECT count(*) AS n FROM scans")["n"]
    job(call, workspace, "scan")
    assert call.store.one("SELECT count(*) AS n FROM scans")["n"] == before


def test_a_near_duplicate_is_held_until_somebody_keeps_one(call, workspace):
    group = next(
        g
        for g in call("rita", "clusters.list", task=TASK)["clusters"]
        if {"r0", "twin"} == {pair_name(call, m["pair_id"]) for m in g["members"]}
    )
    keep, other = pair_of(call, "r0"), pair_of(call, "twin")
    assert {keep["status"], other["status"]} == {"held"}
    call("rita", "clusters.decide", cluster_id=group["cluster_id"], decision="keep", keep=[keep["pair_id"]])
    assert (pair_of(call, "r0")["status"], pair_of(call, "twin")["status"]) == ("ready", "duplicate")
    job(call, workspace, "dedupe")
    assert not open_groups_with(call, keep["pair_id"])


def open_groups_with(call, pair_id):
    groups = call("rita", "clusters.list", task=TASK)["clusters"]
    return [g for g in groups if g["kind"] == "duplicate" and pair_id in {m["pair_id"] for m in g["members"]}]


def pair_name(call, pair_id):
    return call.store.one(
        "SELECT r.external_id FROM pairs p JOIN records r USING (record_id) WHERE p.pair_id = ?", [pair_id]
    )["external_id"]


def test_not_a_duplicate_is_remembered_for_ever(call, workspace):
    first, second = pair_of(call, "r5"), pair_of(call, "r6")
    for pair, user in ((first, "ann"), (second, "ann")):
        call(
            user,
            "review.decide",
            pair_id=pair["pair_id"],
            rev=pair["rev"],
            verdict="edit",
            prompt="amber lantern meadow nutmeg orchard pebble?",
            completion="copper drizzle fiddle granite harbour island.",
        )
    assert pair_of(call, "r6")["status"] == "held"  # the save was checked, without a run
    before = open_groups_with(call, first["pair_id"])
    job(call, workspace, "dedupe")
    assert [g["cluster_id"] for g in open_groups_with(call, first["pair_id"])] == [
        g["cluster_id"] for g in before
    ]
    [group] = open_groups_with(call, first["pair_id"])
    assert {m["pair_id"] for m in group["members"]} == {first["pair_id"], second["pair_id"]}
    call("rita", "clusters.decide", cluster_id=group["cluster_id"], decision="not_duplicates")
    job(call, workspace, "dedupe")
    assert not open_groups_with(call, first["pair_id"])
    assert {pair_of(call, "r5")["status"], pair_of(call, "r6")["status"]} == {"ready"}


def test_the_state_after_all_this_equals_the_replay_of_the_log(call):
    assert call("admin", "audit.verify")["intact"]


text = st.text(max_size=30)
rows = st.fixed_dictionaries(
    {
        "system": text,
        "prompt": text,
        "completion": text,
        "history": st.lists(
            st.fixed_dictionaries({"role": st.sampled_from(["user", "assistant"]), "content": text}),
            max_size=3,
        ).map(json.dumps),
        "metadata": st.dictionaries(text, text | st.integers() | st.lists(text, max_size=2), max_size=3).map(
            json.dumps
        ),
    }
)


@given(rows)
def test_fields_taken_out_and_put_back_change_nothing(row):
    back = findings.with_fields(row, findings.fields_of(row))
    assert {k: back[k] for k in ("system", "prompt", "completion")} == {
        k: row[k] for k in ("system", "prompt", "completion")
    }
    assert json.loads(back["history"]) == json.loads(row["history"])
    assert json.loads(back["metadata"]) == json.loads(row["metadata"])


@given(st.text(max_size=60), st.lists(st.text(min_size=1, max_size=6), max_size=4))
def test_occurrences_lie_in_the_text_and_cover_every_known_string(text, known):
    places = findings.occurrences(text, known)
    assert all(0 <= start < stop <= len(text) for start, stop in places)
    assert places == sorted(places)
    for string in known:
        at = text.find(string)
        if at >= 0:
            assert any(start <= at and at + len(string) <= stop for start, stop in places)


@pytest.mark.parametrize(
    ("action", "said"),
    [
        ("mask", "Write to ****@****.*******.*** now."),
        ("generalise", "Write to [email] now."),
        ("keep", None),
    ],
)
def test_a_confirmed_finding_is_replaced_as_the_policy_of_its_task_says(tmp_path, action, said):
    own = serving.make_workspace(tmp_path)
    store = Store.open(own.store)

    def call(user, operation, **fields):
        return ops.run(ops.Context(store, own, users.actor_for(store, user), local=True), operation, fields)

    try:
        pair = pair_of(call, "r1")
        call(
            "ann",
            "review.decide",
            pair_id=pair["pair_id"],
            rev=pair["rev"],
            verdict="edit",
            completion="Write to ravi@firm.example.com now.",
        )
        [found] = [
            f for f in call("rita", "findings.list", task=TASK)["findings"] if f["pair_id"] == pair["pair_id"]
        ]
        pack = own.tasks / TASK / "task.toml"
        pack.write_text(pack.read_text("utf-8") + f'\n[privacy.rules.EMAIL]\naction = "{action}"\n', "utf-8")
        if said is None:
            with pytest.raises(UsageError, match="keeps EMAIL"):
                call("rita", "findings.decide", finding_id=found["finding_id"], decision="confirm")
        else:
            call("rita", "findings.decide", finding_id=found["finding_id"], decision="confirm")
            assert pair_of(call, "r1")["completion"] == said
    finally:
        store.close()
