"""New and edited pairs against the index: groups open and close without a run, as a whole run would have them."""

from __future__ import annotations

import random
import time
from datetime import datetime

import pytest

from curate import clusters, incremental, review, rules
from curate.incremental import Watch
from curate.workspace import Workspace
from tests import storekit
from tests.storekit import TASK, actor, add_pairs


def text(seed: int, words: int = 24) -> str:
    return " ".join(f"word{random.Random(f'{seed}-{i}').randrange(10**6)}" for i in range(words))


@pytest.fixture
def here(tmp_path):
    """(store, workspace) with the pack of TASK."""
    (tmp_path / "tasks" / TASK).mkdir(parents=True)
    (tmp_path / "tasks" / TASK / "task.toml").write_text(f'name = "{TASK}"\ntitle = "Demo"\n')
    with storekit.open_store(tmp_path) as store:
        yield store, Workspace(tmp_path)


def edit(store, pair, prompt, completion):
    def write(tx):
        [made] = rules.add_revisions(
            tx, "annotator", [{"pair_id": pair, "prompt": prompt, "completion": completion}], kind="edit"
        )
        storekit.scan_in(tx, pair, made["rev"])
        rules.settle(tx, "annotator", [pair])

    store.write(write)


def status(store, pair):
    return store.one("SELECT status, reason FROM pair_state WHERE pair_id = ?", [pair])


def open_groups(store, kind="duplicate"):
    return {
        frozenset(m["pair_id"] for m in c["members"])
        for c in clusters.list_clusters(store, TASK, limit=1000)
        if c["kind"] == kind
    }


def check(here):
    store, workspace = here
    return Watch.of(store).check(store, workspace, TASK)


def test_a_new_pair_is_held_with_its_twin_and_nobody_else(here):
    store, _ = here
    old = add_pairs(store, [(text(i), text(100 + i)) for i in range(20)])
    assert check(here) == {"checked": 20, "groups": 0}
    [new] = add_pairs(store, [("Hello! " + text(3), text(103) + " thanks")])
    assert status(store, new)["status"] == "ready"
    assert check(here) == {"checked": 1, "groups": 1}
    assert open_groups(store) == {frozenset({new, old[3]})}
    assert {status(store, p)["reason"] for p in (new, old[3])} == {"open_cluster"}
    assert all(status(store, p)["status"] == "ready" for p in old if p != old[3])
    with pytest.raises(Exception, match="unresolved duplicate cluster"):
        review.decide(store, actor(store, "reviewer"), new, 1, "approve", pack=storekit.PACK)


def test_an_edit_opens_a_group_and_another_edit_closes_it(here):
    store, _ = here
    old = add_pairs(store, [(text(i), text(100 + i)) for i in range(6)])
    check(here)
    edit(store, old[0], text(1), text(101))
    assert check(here) == {"checked": 1, "groups": 1}
    assert open_groups(store) == {frozenset(old[:2])}
    edit(store, old[0], text(50), text(51))
    assert check(here) == {"checked": 1, "groups": 0}
    assert open_groups(store) == set()
    assert {status(store, p)["status"] for p in old} == {"ready"}


def test_an_approved_pair_is_held_when_its_twin_comes_and_approved_again_when_they_differ(here):
    store, _ = here
    [old] = add_pairs(store, [(text(1), text(2))])
    check(here)
    review.decide(store, actor(store, "reviewer"), old, 1, "approve", pack=storekit.PACK)
    add_pairs(store, [(text(1), text(2))])
    check(here)
    assert status(store, old)["status"] == "held"
    [group] = clusters.list_clusters(store, TASK)
    clusters.decide_cluster(store, actor(store, "reviewer"), group["cluster_id"], "not_duplicates")
    assert status(store, old)["status"] == "approved"


def test_another_answer_to_a_known_prompt_is_a_conflict(here):
    store, _ = here
    [old] = add_pairs(store, [(text(1), text(2))])
    check(here)
    [new] = add_pairs(store, [(text(1), text(3))])
    check(here)
    assert open_groups(store, "conflict") == {frozenset({old, new})} and not open_groups(store)
    assert status(store, new)["status"] == "ready"  # a conflict stops only the second approval


def test_what_people_called_different_stays_so_when_a_third_copy_comes(here):
    store, _ = here
    a, b = add_pairs(store, [(text(1), text(2)), (text(1) + " please", text(2))])
    check(here)
    [group] = clusters.list_clusters(store, TASK)
    clusters.decide_cluster(store, actor(store, "reviewer"), group["cluster_id"], "not_duplicates")
    edit(store, a, text(1), text(2) + " thanks")
    check(here)
    assert open_groups(store) == set()
    [c] = add_pairs(store, [(text(1), text(2))])
    check(here)
    assert open_groups(store) == {frozenset({a, b, c})}


def test_any_order_of_saves_ends_with_the_groups_of_a_whole_run(here):
    store, _ = here
    dice = random.Random(1)
    pairs: list[str] = []
    for _ in range(20):
        prompt, completion = text(dice.randrange(8)), text(100 + dice.randrange(3))
        prompt = dice.choice(["", "Hi! "]) + prompt
        if pairs and dice.random() < 0.4:
            edit(store, dice.choice(pairs), prompt, completion)
        else:
            pairs += add_pairs(store, [(prompt, completion)])
        check(here)
    whole = clusters.group(clusters.export_for_dedupe(store, TASK), {})
    for kind in ("duplicate", "conflict"):
        rows = whole.filter(kind=kind).group_by("cluster_id").agg("pair_id")
        assert open_groups(store, kind) == {frozenset(ids) for ids in rows["pair_id"]}
    assert store.verify_chain() == []


def test_a_check_lost_with_its_process_is_made_up_for(here):
    store, workspace = here
    add_pairs(store, [(text(1), text(2))])
    check(here)
    add_pairs(store, [(text(1), text(2))])  # the process ends before the check
    again = Watch()  # another process: nothing in memory
    assert again.check(store, workspace, TASK) == {"checked": 1, "groups": 1}
    assert again.check(store, workspace, TASK) == {"checked": 0, "groups": 0}
    assert incremental.unchecked(store, TASK) == ([], None)


def test_a_whole_run_leaves_nothing_to_check_and_a_mark_never_goes_back(here):
    store, _ = here
    add_pairs(store, [(text(1), text(2))])
    now = store.one("SELECT max(ts) AS ts FROM revisions")["ts"]
    store.write(lambda tx: incremental.mark_checked(tx, TASK, now))
    store.write(lambda tx: incremental.mark_checked(tx, TASK, datetime(2001, 1, 1)))
    assert incremental.unchecked(store, TASK) == ([], None)


def test_only_neighbours_are_looked_at_and_a_changed_setting_builds_the_index_anew(here):
    store, workspace = here
    old = add_pairs(store, [(text(i), text(100 + i)) for i in range(30)])
    watch = Watch.of(store)
    check(here)
    [new] = add_pairs(store, [(text(3), text(103))])
    assert watch._near(store, TASK, [new], {}) == sorted([new, old[3]])
    first = watch._indices[TASK]
    assert watch._near(store, TASK, [new], {}) and watch._indices[TASK] is first
    assert watch._near(store, TASK, [new], {"short_tolerance": 0.5}) and watch._indices[TASK] is not first
    assert workspace.root


def test_many_new_pairs_are_grouped_in_one_run(here, monkeypatch):
    store, _ = here
    monkeypatch.setattr(incremental, "AT_ONCE", 5)
    pairs = add_pairs(store, [(text(i % 10), text(100 + i % 10)) for i in range(20)])
    assert check(here) == {"checked": 20, "groups": 10}
    assert open_groups(store) == {frozenset({pairs[i], pairs[i + 10]}) for i in range(10)}


def test_behind_a_server_the_caller_does_not_wait(here):
    store, workspace = here
    a, b = add_pairs(store, [(text(1), text(2)), (text(5), text(6))])
    watch = Watch.of(store)
    watch.start(store, workspace)
    try:
        assert watch.soon(TASK)
        wait_until(lambda: incremental.unchecked(store, TASK) == ([], None))
        edit(store, b, text(1), text(2))
        incremental.saved(store, workspace, b)
        wait_until(lambda: open_groups(store) == {frozenset({a, b})})
    finally:
        watch.stop()
    assert not watch.soon(TASK)


def wait_until(true, seconds=60.0):
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it never came true"
        time.sleep(0.02)
