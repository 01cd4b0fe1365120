"""Charts of a report as inline SVG that follows the page's light and dark colours.

Covers: means with intervals, paired differences with intervals, score distributions, for any number of arms; the
learning curve.
Does not cover: tables and text (`evals.report`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

# Altair wants real colours; these stand in for the page's own and are replaced after rendering.
INK, MUTED, LINE, ACCENT, OTHER, BAND = "#010101", "#020202", "#030303", "#040404", "#050505", "#060606"
PAGE = {INK: "--ink", MUTED: "--muted", LINE: "--line", ACCENT: "--accent", OTHER: "--other", BAND: "--band"}
FONT = "system-ui, sans-serif"
WIDTH, WIDE = 400, 640
BINS = 20


def means(arms: Sequence[dict[str, Any]], candidate: str, label: str, threshold: float | None) -> str:
    """Dot and whisker of each arm; the candidate's is in the accent colour, ``threshold`` is a dashed line."""
    rows = [
        _row(a["name"], a["mean"], a["interval"], mine=a["name"] == candidate)
        for a in arms
        if a["mean"] is not None
    ]
    return _whiskers(rows, label, threshold, "means")


def differences(items: Sequence[dict[str, Any]], label: str, margin: float | None) -> str:
    """Paired differences, candidate minus arm; the band is the gate's margin around zero."""
    rows = [
        _row(d["arm"], d["estimate"], d["interval"], mine=d["interval"][0] > 0)
        for d in items
        if d["estimate"] is not None and d["method"] != "none"
    ]
    return _whiskers(rows, label, 0.0, "differences", band=margin)


def distributions(scores: dict[str, list[float]], candidate: str, label: str) -> str:
    """One histogram an arm, same axis; shares, so that arms with gaps compare."""
    import altair as alt

    low = min(0.0, *(min(values) for values in scores.values() if values), 0.0)
    high = max(1.0, *(max(values) for values in scores.values() if values), 1.0)
    step = (high - low) / BINS
    rows = []
    for arm, values in scores.items():
        counts = [0] * BINS
        for value in values:
            counts[min(BINS - 1, int((value - low) / step))] += 1
        rows += [
            {
                "arm": arm,
                "from": low + number * step,
                "to": low + (number + 1) * step,
                "share": count / max(1, len(values)),
                "mine": arm == candidate,
            }
            for number, count in enumerate(counts)
        ]
    order = list(scores)
    chart = (
        alt.Chart(alt.Data(values=rows))
        .mark_bar(binSpacing=1)
        .encode(
            x=alt.X(
                "from:Q",
                bin="binned",
                title=label,
                scale=alt.Scale(domain=[low, high]),
                axis=alt.Axis(grid=False),
            ),
            x2="to:Q",
            y=alt.Y("share:Q", title=None, axis=alt.Axis(format="%", tickCount=2)),
            color=alt.condition("datum.mine", alt.value(ACCENT), alt.value(OTHER)),
        )
        .properties(width=WIDE, height=44)
        .facet(
            row=alt.Row(
                "arm:N",
                sort=order,
                title=None,
                header=alt.Header(
                    labelAngle=0,
                    labelAlign="left",
                    labelColor=INK,
                    labelFontSize=12,
                    labelPadding=14,
                    labelLimit=150,
                ),
            ),
            spacing=6,
        )
    )
    return _svg(chart, "distributions")


def curve(found: dict[str, Any], label: str) -> str:
    """Scores of models trained on parts of the data, the fitted curve, its interval, the gate's threshold."""
    import altair as alt

    band = alt.Chart(alt.Data(values=found["line"]))
    x = alt.X("pairs:Q", title="training pairs", scale=alt.Scale(nice=True))
    layers = [
        band.mark_area(color=BAND).encode(x=x, y=alt.Y("low:Q", title=label), y2="high:Q"),
        band.mark_line(color=OTHER).encode(x=x, y="estimate:Q"),
        alt.Chart(alt.Data(values=found["points"]))
        .mark_point(filled=True, color=ACCENT, size=60, opacity=1)
        .encode(x=x, y="score:Q"),
    ]
    if found["threshold"] is not None:
        line = alt.Data(values=[{"at": found["threshold"]}])
        layers.append(alt.Chart(line).mark_rule(color=MUTED, strokeDash=[4, 3]).encode(y="at:Q"))
    return _svg(alt.layer(*layers).properties(width=WIDE, height=220), "curve")


def _row(arm: str, mean: float, interval: Sequence[float], *, mine: bool) -> dict[str, Any]:
    return {"arm": arm, "mean": mean, "low": interval[0], "high": interval[1], "mine": mine}


def _whiskers(
    rows: Sequence[dict[str, Any]], label: str, rule: float | None, name: str, band: float | None = None
) -> str:
    import altair as alt

    if not rows:
        return ""
    data = alt.Data(values=list(rows))
    y = alt.Y(
        "arm:N",
        sort=[row["arm"] for row in rows],
        title=None,
        axis=alt.Axis(labelLimit=180, labelFontSize=12),
    )
    colour = alt.condition("datum.mine", alt.value(ACCENT), alt.value(OTHER))
    scale = alt.Scale(zero=False, nice=True, padding=8)
    layers: list[Any] = []
    if band:
        shade = alt.Data(values=[{"low": -band, "high": band}])
        layers.append(alt.Chart(shade).mark_rect(color=BAND).encode(x="low:Q", x2="high:Q"))
    if rule is not None:
        line = alt.Data(values=[{"at": rule}])
        layers.append(alt.Chart(line).mark_rule(color=MUTED, strokeDash=[4, 3]).encode(x="at:Q"))
    whisker = alt.Chart(data).mark_rule(strokeWidth=3).encode(
        x=alt.X("low:Q", title=label, scale=scale, axis=alt.Axis(tickCount=6)), x2="high:Q", y=y, color=colour
    )  # fmt: skip
    point = alt.Chart(data).mark_point(filled=True, size=95, opacity=1).encode(x="mean:Q", y=y, color=colour)
    return _svg(alt.layer(*layers, whisker, point).properties(width=WIDTH, height=alt.Step(30)), name)


def _svg(chart: Any, name: str) -> str:
    """SVG text with the page's colours and with ids that no other chart of the page uses."""
    import vl_convert

    spec = (
        chart.configure(background="transparent", font=FONT)
        .configure_axis(
            labelColor=INK, titleColor=MUTED, gridColor=LINE, domainColor=LINE, tickColor=LINE, titleFontWeight="normal"
        )
        .configure_view(stroke=None)
        .to_dict()
    )  # fmt: skip
    svg = vl_convert.vegalite_to_svg(spec)
    for colour, variable in PAGE.items():
        svg = svg.replace(f'"{colour}"', f'"var({variable})"')
    svg = re.sub(r'\bid="', f'id="{name}-', svg).replace("url(#", f"url(#{name}-")
    size = re.search(r'width="([\d.]+)" height="([\d.]+)"', svg)
    if size:  # as wide as the column allows, never wider than drawn
        svg = svg.replace(
            size.group(0),
            f'style="width:100%;max-width:{float(size.group(1)):.0f}px;height:auto;overflow:visible"',
            1,
        )
    return svg
