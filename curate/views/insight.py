"""Insight: how the work goes and how far people agree; every chart with the same numbers as a table.

Covers: pace, time per decision, reasons of rejection, one's own progress and the team's, agreement (for leads). Does
not cover: the funnel (Overview) nor a ranking of people.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import altair as alt
import polars as pl
import streamlit as st

from curate.views import parts

COLOURS = {
    "light": ["#22633a", "#9a2a22", "#7d5a0c", "#3d5a80", "#6b4c7a", "#545c66"],
    "dark": ["#8fd0a0", "#ffa195", "#e5bd66", "#9dbfe6", "#cdb0dc", "#a9b0b8"],
}


def render() -> None:
    parts.header("Insight", "How the work goes, and how far people agree.")
    found = parts.ask("review.insight", task=parts.task())
    if found is None:
        return
    if not found["team"].get("total"):
        parts.empty("Nothing is decided yet", "Open Review and decide on a first pair.")
        return
    mine, team = found["mine"], found["team"]
    parts.tiles(
        [
            ("decided by you today", mine["today"], True),
            ("by you in all", mine["total"]),
            ("by the team in all", team["total"]),
            ("seconds a decision, you", round(mine["median_s"] or 0, 1) or "–"),
            ("ready and waiting", found["left"]),
            ("hours left at this pace", found["eta_hours"] if found["eta_hours"] is not None else "–"),
        ]
    )
    mode = st.context.theme.type or "light"
    mode = mode if mode in COLOURS else "light"
    left, right = st.columns(2, gap="large")
    with left:
        st.header(f"Decisions by {found['unit']}", anchor=False)
        _figure(
            pace(found["pace"], mode),
            found["pace"],
            {"at": "When (UTC)", "verdict": "Verdict", "decisions": "Decisions"},
        )
    with right:
        st.header("Seconds a decision", anchor=False)
        rows = [
            {**row, "median_s": round(row["median_s"], 1), "p90_s": round(row["p90_s"], 1)}
            for row in found["times"]
        ]
        if rows:
            names = {"verdict": "Verdict", "n": "Decisions", "median_s": "Median", "p90_s": "9 of 10 within"}
            _figure(bars(rows, "verdict", "median_s", "Median seconds", mode), rows, names)
        else:
            parts.empty("Too few decisions", "Two in a row by one person make a time.")
    if found["reasons"]:
        st.header("Why pairs were rejected", anchor=False)
        _figure(
            bars(found["reasons"], "reason", "pairs", "Pairs", mode),
            found["reasons"],
            {"reason": "Reason", "pairs": "Pairs"},
        )
    if parts.allowed("review.agreement"):
        _agreement(mode)


def _figure(chart: alt.Chart | alt.LayerChart, rows: Sequence[dict[str, Any]], names: dict[str, str]) -> None:
    """A chart, and the same as a table."""
    st.altair_chart(chart, width="stretch", theme=None)
    with st.expander("The same as a table"):
        numeric = [key for key in names if rows and isinstance(rows[0].get(key), int | float)]
        parts.table(list(rows)[-200:], names, numeric=numeric)


def _styled(chart: Any, mode: str) -> Any:
    ink = "#1d242d" if mode == "light" else "#e9e4d8"
    return (
        chart.configure(background="transparent", font="Source Sans, sans-serif")
        .configure_view(stroke=None)
        .configure_axis(grid=False, labelColor=ink, titleColor=ink, labelFontSize=13, titleFontSize=13)
        .configure_legend(labelColor=ink, titleColor=ink, labelFontSize=13)
    )


def pace(rows: Sequence[dict[str, Any]], mode: str) -> Any:
    """Stacked bars of decisions over time by verdict."""
    frame = pl.DataFrame(list(rows)).with_columns(pl.col("at").str.to_datetime())
    words = "; ".join(f"{row['at'][:16]} {row['verdict']}: {row['decisions']}" for row in rows[-40:])
    return _styled(
        alt.Chart(frame)
        .mark_bar()
        .encode(
            x=alt.X("at:T", title=None),
            y=alt.Y("decisions:Q", title="Decisions", axis=alt.Axis(tickMinStep=1)),
            color=alt.Color("verdict:N", title=None, scale=alt.Scale(range=COLOURS[mode])),
            tooltip=["at:T", "verdict:N", "decisions:Q"],
        )
        .properties(height=220, description=f"Decisions over time. {words}."),
        mode,
    )


def bars(rows: Sequence[dict[str, Any]], name: str, value: str, title: str, mode: str) -> Any:
    """Horizontal bars with their numbers."""
    ink = "#1d242d" if mode == "light" else "#e9e4d8"
    order = [row[name] for row in rows]
    base = alt.Chart(pl.DataFrame(list(rows))).encode(
        y=alt.Y(f"{name}:N", sort=order, title=None, axis=alt.Axis(ticks=False, domain=False)),
        x=alt.X(f"{value}:Q", title=title, axis=None, scale=alt.Scale(domainMin=0, padding=30)),
    )
    numbers = base.mark_text(align="left", dx=6, color=ink, fontSize=13).encode(text=f"{value}:Q")
    words = "; ".join(f"{row[name]}: {row[value]}" for row in rows)
    return _styled(
        (base.mark_bar(color=COLOURS[mode][2], cornerRadiusEnd=5) + numbers).properties(
            height=max(60, 34 * len(rows)), description=f"{title}. {words}."
        ),
        mode,
    )


def heat(people: Sequence[dict[str, Any]], mode: str) -> Any:
    """Cohen's kappa of each two people as a grid."""
    cells = [
        {"one": a, "other": b, "kappa": row["kappa"]}
        for row in people
        for a, b in ((row["one"], row["other"]), (row["other"], row["one"]))
        if row["kappa"] is not None
    ]
    words = "; ".join(
        f"{row['one']} and {row['other']}: {row['kappa']:.2f}" for row in people if row["kappa"] is not None
    )
    base = alt.Chart(pl.DataFrame(cells)).encode(
        x=alt.X("one:N", title=None, axis=alt.Axis(labelAngle=0)), y=alt.Y("other:N", title=None)
    )
    colour = alt.Color("kappa:Q", title="kappa", scale=alt.Scale(scheme="cividis", domain=[-0.2, 1]))
    number = alt.when("datum.kappa > 0.5").then(alt.value("#10131a")).otherwise(alt.value("#ffffff"))
    return _styled(
        (base.mark_rect().encode(color=colour) + base.mark_text(fontSize=14).encode(
            text=alt.Text("kappa:Q", format=".2f"), color=number
        )).properties(height=260, description=f"Agreement of each two people, Cohen's kappa. {words}."),
        mode,
    )  # fmt: skip


def losses(steps: Sequence[dict[str, Any]], mode: str) -> Any:
    """A training run's loss by step, and that of the validation split where it was looked at."""
    colours = COLOURS.get(mode, COLOURS["light"])
    rows = [{"step": row["step"], "loss": row["loss"], "of": "training"} for row in steps]
    seen = None
    for row in steps:
        if row.get("eval_loss") not in (None, seen):
            seen = row["eval_loss"]
            rows.append({"step": row["step"], "loss": seen, "of": "validation"})
    first, last = steps[0], steps[-1]
    words = f"From {first['loss']:.3f} at step {first['step']} to {last['loss']:.3f} at step {last['step']}"
    scale = alt.Scale(domain=["training", "validation"], range=[colours[3], colours[2]])
    return _styled(
        alt.Chart(alt.Data(values=rows))
        .mark_line(point=True)
        .encode(
            x=alt.X("step:Q", title="Step", axis=alt.Axis(tickMinStep=1)),
            y=alt.Y("loss:Q", title="Loss", scale=alt.Scale(zero=False)),
            color=alt.Color("of:N", title=None, scale=scale),
            tooltip=["step:Q", "loss:Q", "of:N"],
        )
        .properties(height=220, description=f"Loss by step. {words}."),
        mode,
    )


def curve(fitted: dict[str, Any], mode: str) -> Any:
    """A learning curve: scores of the parts, the fit with its interval, the score that is asked for."""
    colours = COLOURS.get(mode, COLOURS["light"])
    x = alt.X("pairs:Q", title="Training pairs")
    band = alt.Chart(alt.Data(values=fitted["line"]))
    points = alt.Chart(alt.Data(values=fitted["points"]))
    layers: list[Any] = [
        band.mark_area(opacity=0.2, color=colours[3]).encode(
            x=x, y=alt.Y("low:Q", title="Mean score", scale=alt.Scale(zero=False)), y2="high:Q"
        ),
        band.mark_line(color=colours[3]).encode(x=x, y="estimate:Q"),
        points.mark_point(filled=True, size=60, opacity=1, color=colours[0]).encode(x=x, y="score:Q"),
    ]
    if fitted["threshold"] is not None:
        wanted = alt.Chart(alt.Data(values=[{"at": fitted["threshold"]}]))
        layers.append(wanted.mark_rule(color=colours[5], strokeDash=[4, 3]).encode(y="at:Q"))
    words = "; ".join(f"{point['pairs']} pairs: {point['score']:.3f}" for point in fitted["points"])
    return _styled(
        alt.layer(*layers).properties(height=240, description=f"Mean score by training pairs. {words}."), mode
    )


def _agreement(mode: str) -> None:
    st.header("How far people agree", anchor=False)
    found = parts.ask("review.agreement", task=parts.task())
    if found is None:
        return
    sample = found["sample"]
    if not sample["judged_twice"]:
        parts.empty(
            "No pair was judged twice yet",
            "Set overlap under [team] in the task pack: that share of pairs is judged by two people, blind.",
        )
    else:
        parts.tiles(
            [
                ("judged twice", sample["judged_twice"]),
                ("judged once", sample["judged_once"]),
                ("disputes open", sample["disputes_open"]),
                ("disputes settled", sample["disputes_settled"]),
            ]
        )
        rows = [{"what": "verdict", **found["verdicts"]}] + [
            {"what": row["label"], **row} for row in found["labels"]
        ]
        parts.table(
            [_told(row, "alpha") | {"what": row["what"], "distance": row["distance"]} for row in rows],
            {"what": "What", "n": "Pairs", "value": "Krippendorff's alpha", "interval": "95 % interval",
             "equal": "Equal", "distance": "Distance"},
            numeric=["n"],
        )  # fmt: skip
        people = found["people"]
        if any(row["kappa"] is not None for row in people):
            st.altair_chart(heat(people, mode), width="stretch", theme=None)
        parts.table(
            [_told(row, "kappa") | {"people": f"{row['one']} and {row['other']}"} for row in people],
            {
                "people": "People",
                "n": "Pairs",
                "value": "Cohen's kappa",
                "interval": "95 % interval",
                "equal": "Equal",
            },
            numeric=["n"],
        )
    if found["gold"]:
        st.header("On hidden gold", anchor=False)
        parts.table(
            [
                {**row, "share": f"{row['share']:.0%}", "lately": f"{row['lately']:.0%}",
                 "interval": f"{row['interval'][0]:.0%} to {row['interval'][1]:.0%}"}
                for row in found["gold"]
            ],
            {"user": "Person", "n": "Judged", "right": "As gold", "share": "Share", "interval": "95 % interval",
             "lately": "Last 20"},
            numeric=["n", "right"],
        )  # fmt: skip


def _told(row: dict[str, Any], name: str) -> dict[str, Any]:
    interval = row["interval"]
    return {
        "n": row["n"],
        "value": "not decidable" if row[name] is None else f"{row[name]:.2f}",
        "interval": f"{interval[0]:.2f} to {interval[1]:.2f}" if interval else "–",
        "equal": "–" if row["agreement"] is None else f"{row['agreement']:.0%}",
    }
