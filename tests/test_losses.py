"""Losses of pairs come back as an order to look in: of the newest version, for the revision that was learned.

Does not cover: computing them (`test_train_run.py`).
"""

from __future__ import annotations

import polars as pl
import pytest
from streamlit.testing.v1 import AppTest

from curate import losses, ops, users
from curate.store import utcnow
from curate.views import parts
from tests.serving import TASK, make_workspace, opened
from tests.train_helpers import row, snapshot


@pytest.fixture(scope="module")
def state(tmp_path_factory):
    with opened(make_workspace(tmp_path_factory.mktemp("losses"))) as found:
        yield found


def listed(state, **fields) -> list[dict]:
    context = ops.Context(state.store, state.workspace, users.actor_for(state.store, "admin"))
    return ops.run(context, "pairs.list", {"task": TASK, "limit": 1000, **fields})["pairs"]


def register(state, name: str, pairs: list[dict], after: list[float]) -> None:
    """A version and its snapshot, as training leaves them, for pairs of the store."""
    folder = state.workspace.snapshots / name
    rows = [row(p["pair_id"], p["prompt"], p["completion"], revision=p["rev"]) for p in pairs]
    snapshot(folder, rows)
    model = state.workspace.models / name
    model.mkdir()
    pl.DataFrame(
        {
            "pair_id": [p["pair_id"] for p in pairs],
            "before": [5.0] * len(pairs),
            "after": after,
            "tokens": [7] * len(pairs),
        }
    ).write_parquet(model / losses.LOSSES)

    def write(tx) -> None:
        tx.execute(
            "INSERT INTO snapshots VALUES (?, ?, ?, 1, 0, 0, ?, 'admin')", [name, TASK, name, utcnow()]
        )
        tx.execute(
            "INSERT INTO models (name, task, hash, snapshot_id, path, created_ts, created_by)"
            " VALUES (?, ?, 'h', ?, ?, ?, 'admin')",
            [name, TASK, name, name, utcnow()],
        )

    state.store.write(write)


def test_without_a_version_the_order_stays_that_of_the_ids(state) -> None:
    rows = listed(state, sort="loss")
    assert [r["pair_id"] for r in rows] == sorted(r["pair_id"] for r in rows)
    assert {r["loss_after"] for r in rows} == {None}


def test_the_most_surprising_come_first_and_pages_do_not_overlap(state) -> None:
    pairs = [p for p in listed(state) if p["completion"]][:12]
    after = [0.1 * ((n * 5) % 12) for n in range(12)]
    register(state, "tiny-v1", pairs, after)
    rows = listed(state, sort="loss")
    assert len(rows) == len(listed(state)), "nothing is filtered out"
    first = [r["loss_after"] for r in rows[:12]]
    assert first == sorted(after, reverse=True) and {r["loss_after"] for r in rows[12:]} == {None}
    assert rows[0]["loss_before"] == 5.0 and rows[0]["loss_model"] == "tiny-v1"
    paged = [r["pair_id"] for o in (0, 5, 10) for r in listed(state, sort="loss", limit=5, offset=o)]
    assert paged == [r["pair_id"] for r in rows[:15]]
    assert "loss_after" not in listed(state)[0]
    # a revision made since was never learned: its pair has no loss
    worst = rows[0]
    stale = losses.newest(state.store, state.workspace, TASK).with_columns(
        rev=pl.when(pl.col("pair_id") == worst["pair_id"]).then(99).otherwise("rev").cast(pl.Int32)
    )
    from curate import listing

    actor = users.actor_for(state.store, "admin")
    again = listing.list_pairs(state.store, actor, TASK, limit=1000, losses=stale, sort="loss")
    assert again[0]["pair_id"] == rows[1]["pair_id"]
    assert next(r for r in again if r["pair_id"] == worst["pair_id"])["loss_after"] is None
    # a newer version speaks for the task
    register(state, "tiny-v2", pairs[:3], [0.5, 3.0, 1.0])
    rows = listed(state, sort="loss")
    assert [r["pair_id"] for r in rows[:3]] == [pairs[n]["pair_id"] for n in (1, 2, 0)]
    assert rows[0]["loss_model"] == "tiny-v2" and rows[3]["loss_after"] is None


def test_the_page_offers_the_order_and_shows_the_losses(state, monkeypatch) -> None:
    cookie = state.sessions.cookie_for(state.store, "admin")
    monkeypatch.setattr(parts, "cookies", lambda: {state.sessions.cookie: cookie})
    script = (
        "import streamlit as st\nfrom curate.views import pairs\n"
        f"st.session_state.setdefault('task', {TASK!r})\npairs.render()"
    )
    app = AppTest.from_string(script, default_timeout=120).run()
    app.selectbox(key="pairs_sort").select("loss").run()
    text = "\n".join(h.proto.body for h in app.get("html"))
    assert not app.exception and "f_sort=loss" in text
    assert "5.00 → 3.00 (tiny-v2)" in text and "not learned in this revision" in text
