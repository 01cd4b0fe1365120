"""Lists, the review queue and bulk decisions go by what the task's scorers say of the current revision.

Does not cover: the scorers themselves (`test_metrics_*.py`) nor the card (`test_suggestions_browser.py`).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from streamlit.testing.v1 import AppTest

from curate import jobs, scores
from curate.errors import PermissionDenied, UsageError
from curate.leases import LeaseBook
from curate.tasks import load_pack
from curate.views import parts
from tests.serving import TASK, make_workspace, opened
from tests.test_suggestions import NOTE, SUITE, Desk

HALF = "Subjective: Not stated.\nPlan: Not stated."


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    workspace = make_workspace(tmp_path_factory.mktemp("scores"))
    pack = workspace.tasks / TASK / "task.toml"
    pack.write_text(pack.read_text("utf-8") + SUITE, "utf-8")
    with opened(workspace) as state:
        found = Desk(state)
        whole, half = (row["pair_id"] for row in found.pairs("ready")[20:22])
        for pair, text in ((whole, NOTE), (half, HALF)):
            found.call("ann", "review.decide", pair_id=pair, rev=1, verdict="edit", completion=text)
        yield found


@pytest.fixture(scope="module")
def told(desk: Desk) -> dict[str, Any]:
    job = desk.call("lea", "review.score", task=TASK)["job"]
    done = jobs.wait(desk.store, desk.workspace, job)
    assert done["state"] == "done", done
    return done["result"]


def listed(desk: Desk, **fields: Any) -> list[dict[str, Any]]:
    return desk.call("admin", "pairs.list", task=TASK, limit=1000, **fields)["pairs"]


def test_scores_are_the_scorers_own_for_current_revisions(desk: Desk, told: dict[str, Any]) -> None:
    with_text = [row for row in listed(desk) if row["completion"]]
    assert told["scored"] + told["not_scored"] == len(with_text) and told["not_scored"] == 0
    [scorer] = told["scorers"]
    assert scorer["scorer"] == "soap_note" and scorer["pairs"] == len(with_text)
    best = listed(desk, sort="score_high")
    assert [best[0]["completion"], best[1]["completion"]] == [NOTE, HALF]
    assert best[0]["score"] > best[1]["score"] > best[2]["score"] and best[0]["rev"] == 2
    pack_folder = desk.workspace.tasks / TASK
    row = {
        "pair_id": "x",
        "source": "s",
        "prompt": best[0]["prompt"],
        "history": "[]",
        "metadata": "{}",
    }
    [[alone]] = scores.judge(pack_folder, load_pack(pack_folder), [row], [NOTE])
    assert alone["score"] == best[0]["score"] and alone["metric"] == best[0]["scorer"] == "soap_note"


def test_order_and_bounds_of_lists_hold_over_pages(desk: Desk, told: dict[str, Any]) -> None:
    low = listed(desk, sort="score")
    numbers = [row["score"] for row in low if row["score"] is not None]
    assert numbers == sorted(numbers) and low[len(numbers) - 1]["completion"] == NOTE
    assert {row["score"] for row in low[len(numbers) :]} <= {None} and len(low) == len(listed(desk))
    paged = [
        row["pair_id"]
        for offset in (0, 7, 14)
        for row in desk.call("admin", "pairs.list", task=TASK, sort="score", limit=7, offset=offset)["pairs"]
    ]
    assert paged == [row["pair_id"] for row in low[:21]]
    half = next(row["score"] for row in low if row["completion"] == HALF)
    assert [r["completion"] for r in listed(desk, min_score=half)] == [
        r["completion"] for r in listed(desk) if r["completion"] in (HALF, NOTE)
    ]
    assert all(r["score"] < half for r in listed(desk, max_score=half - 0.01))
    assert listed(desk, status="rejected", min_score=0.0) == []


def test_an_edit_has_no_score_until_the_next_run_which_judges_nothing_else(
    desk: Desk, told: dict[str, Any], tmp_path: Path
) -> None:
    pair = listed(desk, sort="score", status="ready")[0]
    desk.call(
        "ann", "review.decide", pair_id=pair["pair_id"], rev=pair["rev"], verdict="edit", completion="Anew it is."
    )  # fmt: skip
    row = next(r for r in listed(desk, sort="score") if r["pair_id"] == pair["pair_id"])
    assert row["rev"] == pair["rev"] + 1 and row["score"] is None
    (tmp_path / "in").mkdir()
    spec = {"task": TASK, "pack": str(desk.workspace.tasks / TASK)}
    scores.prepare(desk.store, desk.workspace, spec, tmp_path)
    frames = [
        scores.work(tmp_path, spec, pl.read_parquet(path), lambda state: None)
        for path in sorted((tmp_path / "in").iterdir())
    ]
    made = pl.concat(frames)
    assert made["pair_id"].to_list() == [pair["pair_id"]]
    for _ in range(2):  # a chunk that comes twice changes nothing
        desk.store.write(lambda tx: scores.ingest(tx, desk.workspace, {}, made))
    row = next(r for r in listed(desk, sort="score") if r["pair_id"] == pair["pair_id"])
    assert row["score"] == made["score"][0]


def test_the_queue_goes_by_score_and_gives_back_what_it_does_not_show(
    desk: Desk, told: dict[str, Any]
) -> None:
    def following(user: str, n: int, **asked: Any) -> list[str]:
        return [one["pair_id"] for one in desk.call(user, "review.next", task=TASK, n=n, **asked)["items"]]

    score = {r["pair_id"]: r["score"] for r in listed(desk, sort="score_high", status="ready")}
    best = list(score)[:2]
    assert best != following("rita", 5)[:2]
    first = following("rita", 4, order="score_high")
    assert first[:2] == best and [score[p] for p in first] == list(score.values())[:4]
    assert sorted(LeaseBook.of(desk.store).held_by("rita")) == sorted(first), "no lease outlives its queue"
    assert following("rita", 4, order="score_high") == first, "the same as long as nothing was decided"
    others = following("lea", 2, order="score_high")
    assert not set(others) & set(first), "nobody gets what another one holds"
    assert [score[p] for p in others] == list(score.values())[4:6]
    desk.call("rita", "review.decide", pair_id=best[0], rev=2, verdict="skip")
    assert following("rita", 3, order="score_high") == first[1:]
    lowest = following("rita", 1, order="score", max_score=0.9)
    assert score[lowest[0]] == min(value for value in score.values() if value is not None)
    asked = {"min_score": score[best[0]]}
    counts = desk.call("rita", "review.counts", task=TASK, **asked)
    assert counts["for_me"] == 1, "the count is of the queue that was asked for"
    assert following("rita", 9, **asked) == [best[0]], "skipped ones come last, but come"


def test_bulk_decisions_take_the_same_bounds(desk: Desk, told: dict[str, Any]) -> None:
    half = next(r["score"] for r in listed(desk, sort="score_high") if r["completion"] == HALF)
    asked = {"task": TASK, "verdict": "flag", "status": "ready", "min_score": half}
    assert desk.call("lea", "review.bulk", **asked)["count"] == len(
        listed(desk, status="ready", min_score=half)
    )


def test_what_cannot_be_asked_is_said(desk: Desk) -> None:
    with pytest.raises(UsageError, match="no scorer 'tone'"):
        listed(desk, sort="score", scorer="tone")
    with pytest.raises(UsageError, match="Swap the bounds"):
        listed(desk, min_score=0.9, max_score=0.1)
    with pytest.raises(PermissionDenied):
        desk.call("rita", "review.score", task=TASK)
    pack = load_pack(desk.workspace.tasks / TASK).model_copy(update={"suites": []})
    with pytest.raises(UsageError, match="no suite"):
        scores.ranking(pack, None, "score", None, None)


def test_a_scorer_that_cannot_judge_says_why_and_gives_no_score(desk: Desk) -> None:
    folder = desk.workspace.tasks / TASK
    pack = load_pack(folder)
    suite = pack.suites[0].model_copy(update={"name": "r", "metric": "rouge"})  # it needs a reference
    row = {"pair_id": "x", "source": "s", "prompt": "p", "history": "[]", "metadata": "{}"}
    [[note, rouge]] = scores.judge(
        folder, pack.model_copy(update={"suites": [*pack.suites, suite]}), [row], [NOTE]
    )
    assert note["score"] is not None and note["note"] == ""
    assert rouge["score"] is None and "references" in rouge["note"]


def test_the_pages_offer_order_and_bounds(
    desk: Desk, told: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    state = desk.state
    cookie = state.sessions.cookie_for(state.store, "admin")
    monkeypatch.setattr(parts, "cookies", lambda: {state.sessions.cookie: cookie})
    script = (
        "import streamlit as st\nfrom curate.views import pairs\n"
        f"st.session_state.setdefault('task', {TASK!r})\npairs.render()"
    )
    app = AppTest.from_string(script, default_timeout=120).run()
    app.selectbox(key="pairs_sort").select("score_high").run()
    app.text_input(key="pairs_min_score").set_value("0.2").run()
    text = "\n".join(h.proto.body for h in app.get("html"))
    assert not app.exception and "soap note" in text and "f_min_score=0.2" in text
    app.text_input(key="pairs_min_score").set_value("much").run()
    text = "\n".join(h.proto.body for h in app.get("html"))
    assert not app.exception and "min_score" in text
