"""Versions: every model version of a task over time, and any two side by side.

Covers: a sparkline a suite with its text alternative, verdict, release and retention of each version, the comparison of
two. Does not cover: the verdict's checks and releasing (`curate.views.runs`), nor the numbers (`curate.lineage`).
"""

from __future__ import annotations

from typing import Any

import altair as alt
import polars as pl
import streamlit as st

from curate.views import overview, parts

LISTED = 50  # ids of rows that are shown


def render() -> None:
    parts.header(
        "Versions", "What each model version reached on the frozen eval sets, and what lies between two."
    )
    task = parts.task()
    found = parts.ask("models.versions", task=task)
    if found is None:
        return
    rows = found["versions"]
    if not rows:
        parts.empty("No model yet", "From a snapshot that passed its preflight: goldpair train SNAPSHOT.")
        return
    _sparklines(rows)
    st.header("All versions", anchor=False)
    _table(rows)
    st.header("Compare two", anchor=False)
    _compare(task, [row["name"] for row in rows])


def points(rows: list[dict[str, Any]], suite: str) -> list[dict[str, Any]]:
    """One point a version that the suite was run on, oldest first: {version, mean, low, high, set}.

    ``set`` says whether it can be compared with the newest: the same eval rows under the same scorer.
    """
    measured = [(row["name"], row["suites"][suite]) for row in rows if suite in row["suites"]]
    newest = measured[-1][1] if measured else {}
    return [
        {
            "version": name,
            "mean": found["mean"],
            "low": found["interval"][0],
            "high": found["interval"][1],
            "set": "as the newest"
            if (found["eval"], found["scorer"]) == (newest["eval"], newest["scorer"])
            else "other rows or scorer",
        }
        for name, found in measured
    ]


def sparkline(marks: list[dict[str, Any]], suite: str, mode: str) -> alt.LayerChart:
    """Means over versions with their 95 % intervals; hollow where the eval rows or the scorer were others."""
    ink = "#7d5a0c" if mode == "light" else "#e5bd66"
    order = [mark["version"] for mark in marks]
    base = alt.Chart(pl.DataFrame(marks)).encode(
        x=alt.X("version:N", sort=order, title=None, axis=None),
        tooltip=[
            alt.Tooltip("version:N", title="Version"),
            alt.Tooltip("mean:Q", title="Mean", format=".3f"),
            alt.Tooltip("low:Q", title="from", format=".3f"),
            alt.Tooltip("high:Q", title="to", format=".3f"),
            alt.Tooltip("set:N", title="Rows"),
        ],
    )
    # The scale holds every interval; it does not start at zero, because the differences are what is looked for.
    y = alt.Y("mean:Q", title=None, axis=None, scale=alt.Scale(zero=False, padding=6))
    band = base.mark_rule(color=ink, opacity=0.4, strokeWidth=3).encode(
        y=alt.Y("low:Q", title=None, axis=None, scale=alt.Scale(zero=False, padding=6)), y2="high:Q"
    )
    line = base.mark_line(color=ink, strokeWidth=1.5).encode(y=y)
    dots = base.mark_point(color=ink, size=60, opacity=1, filled=True).encode(
        y=y,
        fill=alt.Fill(
            "set:N",
            scale=alt.Scale(domain=["as the newest", "other rows or scorer"], range=[ink, "transparent"]),
            legend=None,
        ),
    )
    return (
        (band + line + dots)
        .properties(height=70, description=f"Suite {suite}. {words(marks)}.")
        .configure(background="transparent")
        .configure_view(stroke=None)
    )


def words(marks: list[dict[str, Any]]) -> str:
    """A sparkline in words."""
    return "; ".join(f"{m['version']}: {m['mean']:.3f} [{m['low']:.3f}, {m['high']:.3f}]" for m in marks)


def _sparklines(rows: list[dict[str, Any]]) -> None:
    suites = sorted({suite for row in rows for suite in row["suites"]})
    if not suites:
        parts.empty("Nothing measured yet", f"goldpair eval {rows[-1]['task']} --model {rows[-1]['name']}")
        return
    places = st.columns(max(2, len(suites)), gap="large")
    for place, suite in zip(places, suites, strict=False):
        marks = points(rows, suite)
        last = f"{marks[-1]['mean']:.3f} at {marks[-1]['version']}"
        with place:
            parts.block(
                f'<p class="gp-label">{parts.escape(suite)}</p><p class="gp-soft">{parts.escape(last)}</p>'
            )
            st.altair_chart(
                sparkline(marks, suite, st.context.theme.type or "light"), width="stretch", theme=None
            )


def _table(rows: list[dict[str, Any]]) -> None:
    suites = sorted({suite for row in rows for suite in row["suites"]})
    parts.table(
        [
            {
                "name": row["name"],
                "verdict": parts.Raw(
                    overview.verdict_chip(row)
                    + (" " + parts.chip("short demo", "open") if row["demo"] else "")
                ),
                "released": "released" if row["released"] else "no",
                "retention": _retention(row["retention"]),
                "made": parts.when(row["created_ts"]),
                **{suite: _score(row["suites"].get(suite)) for suite in suites},
            }
            for row in reversed(rows)
        ],
        {
            "name": "Version",
            "verdict": "Verdict",
            "released": "Released",
            **{suite: f"Suite {suite}" for suite in suites},
            "retention": "General ability, tuned − base",
            "made": "Made (UTC)",
        },
    )


def _score(found: dict[str, Any] | None) -> str:
    if found is None:
        return "not run"
    part = "" if found["rows"] == found["of"] else f", {found['rows']} of {found['of']} rows"
    return f"{found['mean']:.3f} [{found['interval'][0]:.3f}, {found['interval'][1]:.3f}]{part}"


def _retention(found: dict[str, Any] | None) -> str:
    if found is None:
        return "not measured"
    return f"{found['tuned'] - found['base']:+.3f} ({found['items']} items)".replace("-", "−")


def _compare(task: str, names: list[str]) -> None:
    if len(names) < 2:
        parts.empty(
            "Nothing to compare with", "A second version of this task will show what it fixed and broke."
        )
        return
    one, two = st.columns(2)
    left = one.selectbox("Older version", names, index=len(names) - 2, key=f"older-{task}")
    right = two.selectbox("Newer version", names, index=len(names) - 1, key=f"newer-{task}")
    if left == right:
        parts.empty("The same version twice", "Choose two different ones.")
        return
    found = parts.ask("models.compare", left=left, right=right)
    if found is None:
        return
    for line in found["skipped"]:
        parts.notice("", line)
    if found["suites"]:
        parts.table(
            [
                {
                    "suite": s["suite"],
                    "left": s["means"][0] if s["means"] else None,
                    "right": s["means"][1] if s["means"] else None,
                    "difference": f"{s['estimate']:+.3f} [{s['interval'][0]:+.3f}, {s['interval'][1]:+.3f}]"
                    if s["estimate"] is not None
                    else "no rows in common",
                    "verdict": parts.Raw(parts.chip(s["verdict"], parts.VERDICTS.get(s["verdict"], ""))),
                    **s["table"],
                }
                for s in found["suites"]
            ],
            {
                "suite": "Suite",
                "left": left,
                "right": right,
                "difference": "Newer − older",
                "verdict": "Not worse",
                "fixed": "Fixed",
                "broken": "Broken",
                "both": "Good in both",
                "neither": "In neither",
            },
            numeric=["left", "right", "fixed", "broken", "both", "neither"],
        )
    for s in found["suites"]:
        for kind in ("broken", "fixed"):
            ids = s["rows"][kind]
            if ids:
                with st.expander(f"{s['suite']}: {len(ids):,} rows {kind}"):
                    more = f" and {len(ids) - LISTED:,} more" if len(ids) > LISTED else ""
                    parts.block(f'<p class="gp-mono">{parts.escape(", ".join(ids[:LISTED]) + more)}</p>')
    _what_changed(found)


def _what_changed(found: dict[str, Any]) -> None:
    recipe = [
        {"key": key, "left": str(values[0]), "right": str(values[1])}
        for key, values in found["recipe"].items()
    ]
    if recipe:
        parts.table(recipe, {"key": "Recipe", "left": found["left"], "right": found["right"]})
    else:
        parts.block('<p class="gp-soft">The recipes are the same.</p>')
    data = found["data"]
    if data is None:
        parts.block('<p class="gp-soft">Both learned from the same snapshot.</p>')
    elif data["counts"] is None:
        parts.notice("", f"The snapshots could not be compared: {data['why']}.")
    else:
        parts.tiles([(f"pairs {part}", count) for part, count in data["counts"].items()])
        if data["changed"]:
            with st.expander(f"Pairs that changed (first {len(data['changed'])})"):
                for row in data["changed"]:
                    before, after = row["before"].get("completion", ""), row["after"].get("completion", "")
                    one, two = st.columns(2)
                    with one:
                        parts.text_card(f"{row['pair_id']}, before", before or "unchanged text")
                    with two:
                        parts.text_card("after", after or "unchanged text")
