"""Pages of a team, run without a browser: filters, saved views, links, decisions in bulk, insight, agreement.

Does not cover: the numbers behind them (`test_team`).
"""

from __future__ import annotations

from typing import Any

import pytest

from curate import overlap, review, users
from curate.tasks import Team, find_pack, load_pack
from tests.serving import TASK
from tests.test_pages import page, shown, sign_in, state  # noqa: F401  fixtures


def act(state: Any, who: str, operation: str, **fields: Any) -> dict[str, Any]:  # noqa: F811
    from curate import ops

    context = ops.Context(state.store, state.workspace, users.actor_for(state.store, who), local=True)
    return ops.run(context, operation, fields)


def test_filters_views_links_and_bulk(state: Any, sign_in: Any) -> None:  # noqa: F811
    sign_in("lea")
    app = page("pairs").run()
    app.selectbox(key="pairs_status").set_value("ready").run()
    app.selectbox(key="pairs_sort").set_value("newest").run()
    assert "f_status=ready" in shown(app) and "f_sort=newest" in shown(app)
    app.text_input(key="pairs_view_name").set_value("mine").run()
    next(b for b in app.button if b.label == "Save").click().run()
    kept = act(state, "lea", "preferences.list")["preferences"][f"view:{TASK}:mine"]
    assert (kept["status"], kept["sort"]) == ("ready", "newest")
    # a link sets the filters; a value that no widget has is left out
    app = page("pairs")
    app.query_params["f_status"] = "ready"
    app.query_params["f_sort"] = "drop table"
    app.run()
    assert (
        app.selectbox(key="pairs_status").value == "ready" and app.selectbox(key="pairs_sort").value == "id"
    )
    next(b for b in app.button if b.label == "Count them").click().run()
    count = len(
        review.find_pairs(state.store, users.actor_for(state.store, "lea"), TASK, status="ready", limit=500)
    )
    assert f"{count} pairs ({count} ready)" in shown(app)
    next(b for b in app.button if b.label == f"Reject {count} pairs").click().run()
    assert f"{count} done, 0 refused" in shown(app)
    assert act(state, "vic", "review.insight", task=TASK)["reasons"] == [
        {"reason": "off_task", "pairs": count}
    ]
    next(b for b in app.button if b.label == "Undo the last batch").click().run()
    assert f"{count} taken back" in shown(app)
    sign_in("rita")
    app = page("pairs").run()
    assert not [b for b in app.button if b.label == "Count them"]  # for leads


def test_insight_shows_each_chart_as_a_table_too_and_agreement_to_leads(state: Any, sign_in: Any) -> None:  # noqa: F811
    pack = load_pack(find_pack(TASK, state.workspace.tasks)).model_copy(update={"team": Team(overlap=1.0)})
    users.create_user(state.store, users.actor_for(state.store, "admin"), "second", "reviewer")
    ids = review.find_pairs(state.store, users.actor_for(state.store, "lea"), TASK, status="ready", limit=6)
    for number, pair in enumerate(ids):
        for who in ("rita", "second"):
            verdict = "reject" if number == 0 and who == "second" else "approve"
            reason = "wrong" if verdict == "reject" else None
            review.decide(
                state.store, users.actor_for(state.store, who), pair, 1, verdict, reason=reason, pack=pack
            )
    overlap.set_gold(state.store, users.actor_for(state.store, "lea"), ids[1], "approve")
    sign_in("lea")
    app = page("insight").run()
    text = shown(app)
    assert "Krippendorff" in text and "rita and second" in text and "disputes open" in text
    assert len([e for e in app.expander if e.label == "The same as a table"]) == 2  # pace and times
    told = act(state, "lea", "review.insight", task=TASK)
    assert told["team"]["total"] == 12 and sum(row["decisions"] for row in told["pace"]) == 12
    assert act(state, "rita", "review.insight", task=TASK)["mine"]["total"] == 6
    sign_in("vic")
    assert "Krippendorff" not in shown(page("insight").run())


@pytest.mark.parametrize("rows", [1, 3])
def test_the_heat_map_says_in_words_what_it_shows(rows: int) -> None:
    from curate.views import insight

    people = [{"one": f"a{i}", "other": f"b{i}", "kappa": i / 4} for i in range(rows)]
    chart = insight.heat(people, "light").to_dict()
    assert "a0 and b0: 0.00" in chart["description"] and len(chart["layer"]) == 2
