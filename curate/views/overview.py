"""Overview: how far a task has come, from raw records to a released model, and what to do next.

Covers: the funnel with its text alternative, what waits for people, versions. Does not cover: doing any of it.
"""

from __future__ import annotations

from typing import Any

import altair as alt
import polars as pl
import streamlit as st

from curate.views import parts, theme


def render() -> None:
    parts.header(
        "Overview", "From raw records to a model that is proven to be better: where this task stands."
    )
    found = parts.ask("overview", task=parts.task())
    if found is None:
        return
    if not found["records"] and not found["quarantined"]:
        parts.empty(
            "No records yet",
            "Open Import and give this task its first file: JSONL, CSV, Parquet, or an export of another tool.",
        )
        return
    words, page = next_step(found)
    left, right = st.columns([5, 1], vertical_alignment="center")
    with left:
        parts.block(f'<div class="gp-notice"><b>Next:</b> {parts.escape(words)}</div>')
    target = st.session_state.get("pages", {}).get(page)
    if target is not None:
        label = f"Open {target.title}"
        right.page_link(target, label=label, icon=":material/arrow_forward:", width="stretch")
    stages = funnel(found)
    left, right = st.columns([3, 2], gap="large")
    with left:
        st.header("The way of a record", anchor=False)
        st.altair_chart(chart(stages, st.context.theme.type or "light"), width="stretch", theme=None)
        with st.expander("The same as a table"):
            parts.table(
                stages,
                {"stage": "Stage", "pairs": "Pairs", "note": "Where the others are"},
                numeric=["pairs"],
            )
    with right:
        st.header("Waiting for people", anchor=False)
        states = found["pairs"]
        parts.tiles(
            [
                ("ready for review", states.get("ready", 0), True),
                ("open findings", found["open_findings"]),
                ("open duplicate groups", found["open_clusters"]),
                ("sent back", states.get("returned", 0)),
                ("in quarantine", found["quarantined"]),
            ]
        )
    st.header("Versions", anchor=False)
    versions(found)


def next_step(found: dict[str, Any]) -> tuple[str, str]:
    """The first thing that keeps records from moving on, in words, and the page that does it."""
    states = found["pairs"]
    if states.get("raw"):
        return f"{states['raw']:,} records have not been scanned for personal data.", "privacy"
    if found["open_findings"]:
        return f"{found['open_findings']:,} findings of personal data wait for a yes or no.", "privacy"
    if found["open_clusters"]:
        return f"{found['open_clusters']:,} groups of near-duplicates wait for a choice.", "duplicates"
    if states.get("ready"):
        return f"{states['ready']:,} pairs are ready for review.", "review"
    if states.get("approved") and not found["snapshots"]:
        return f"{states['approved']:,} pairs are approved. Freeze them into a snapshot.", "snapshots"
    if found["snapshots"] and not found["models"]:
        return "A snapshot stands. Check it and train: goldpair preflight, then goldpair train.", "snapshots"
    if found["models"] and not any(m.get("released") for m in found["models"]):
        return "A model version waits for its verdict and its release.", "runs"
    if not states.get("approved"):
        return "Nothing is approved yet.", "pairs"
    return (
        "Everything that is here has been decided. Bring in more records, or look at the reports.",
        "import",
    )


def funnel(found: dict[str, Any]) -> list[dict[str, Any]]:
    """Pairs that came as far as each stage: {stage, pairs, note}. Each stage holds the next."""
    states = found["pairs"]
    newest = found["snapshots"][0] if found["snapshots"] else {}
    frozen = (newest.get("rows_train") or 0) + (newest.get("rows_validation") or 0)
    by_id = {s["snapshot_id"]: s for s in found["snapshots"]}
    learned = (
        by_id.get((found["models"][0] if found["models"] else {}).get("snapshot_id"), {}).get("rows_train")
        or 0
    )
    outside = ", ".join(
        f"{n:,} {status}" for status, n in sorted(states.items()) if status != "approved" and n
    )
    excluded = newest.get("excluded") or 0
    return [
        {
            "stage": "Raw records",
            "pairs": found["records"],
            "note": f"{found['quarantined']:,} more rows in quarantine",
        },
        {"stage": "Approved", "pairs": states.get("approved", 0), "note": outside or "none"},
        {
            "stage": "Newest snapshot",
            "pairs": frozen,
            "note": f"{excluded:,} excluded by rule" if newest else "no snapshot yet",
        },
        {
            "stage": "Newest model",
            "pairs": learned,
            "note": "the rest is held out" if learned else "no model yet",
        },
    ]


def chart(stages: list[dict[str, Any]], mode: str) -> alt.LayerChart:
    """Horizontal bars, widest on top, with the number at the end of each."""
    mode = mode if mode in theme.FUNNEL else "light"
    ink, soft = ("#1d242d", "#545c66") if mode == "light" else ("#e9e4d8", "#a9b0b8")
    order = [row["stage"] for row in stages]
    base = alt.Chart(pl.DataFrame(stages)).encode(
        y=alt.Y(
            "stage:N",
            sort=order,
            title=None,
            axis=alt.Axis(
                labelFontSize=14, labelColor=ink, ticks=False, domain=False, labelPadding=10, labelLimit=200
            ),
        ),
        x=alt.X("pairs:Q", title=None, axis=None, scale=alt.Scale(domainMin=0, nice=False, padding=30)),
        tooltip=[
            alt.Tooltip("stage:N", title="Stage"),
            alt.Tooltip("pairs:Q", title="Pairs", format=","),
            alt.Tooltip("note:N", title="Others"),
        ],
    )
    bars = base.mark_bar(cornerRadiusEnd=6, height={"band": 0.72}).encode(
        color=alt.Color("stage:N", scale=alt.Scale(domain=order, range=theme.FUNNEL[mode]), legend=None)
    )
    numbers = base.mark_text(align="left", dx=8, fontSize=15, fontWeight=600, color=ink).encode(
        text=alt.Text("pairs:Q", format=",")
    )
    words = "; ".join(f"{row['stage']}: {row['pairs']}" for row in stages)
    return (
        (bars + numbers)
        .properties(height=230, description=f"Funnel. {words}.")
        .configure(background="transparent", font="Source Sans, sans-serif")
        .configure_view(stroke=None)
        .configure_axis(grid=False, labelColor=soft)
    )


def versions(found: dict[str, Any]) -> None:
    if not found["snapshots"] and not found["models"]:
        parts.empty("No versions yet", "Approve pairs in Review, then freeze them on the Snapshots page.")
        return
    rows = [
        {
            "what": "model",
            "name": m["name"],
            "made": parts.when(m["created_ts"]),
            "state": parts.Raw(verdict_chip(m)),
        }
        for m in found["models"]
    ] + [
        {
            "what": "snapshot",
            "name": s["snapshot_id"][:16],
            "made": parts.when(s["created_ts"]),
            "state": f"{parts.number((s['rows_train'] or 0) + (s['rows_validation'] or 0))} pairs",
        }
        for s in found["snapshots"]
    ]
    parts.table(rows[:12], {"what": "Kind", "name": "Version", "made": "Made (UTC)", "state": "State"})


def verdict_chip(model: dict[str, Any]) -> str:
    """HTML: the gate's verdict of a model row, and whether it is released."""
    verdict = model.get("verdict") or "no verdict"
    out = parts.chip(verdict, parts.VERDICTS.get(verdict, ""))
    if model.get("released"):
        by = f" by override of {model['override_by']}" if model.get("override_by") else ""
        out += " " + parts.chip(f"released{by}", "open" if by else "good")
    return out
