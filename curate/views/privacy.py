"""Privacy: scanning for personal data, and a yes or no for what the machine was not sure of.

Covers: starting and following the scan, open findings in their context, one answer for all that are alike, originals
for those who may, counts by type. Does not cover: finding (`curate.privacy`) nor replacing (`curate.findings`); lists,
proposals and the second look (`curate.views.privacy_lists`).
"""

from __future__ import annotations

from typing import Any

import streamlit as st

from curate.views import parts, privacy_lists

SIZE = 10


def render() -> None:
    parts.header(
        "Privacy",
        "Personal data is replaced by surrogates before anybody reviews. What the machine was unsure of waits here.",
    )
    task = parts.task()
    found = parts.ask("overview", task=task)
    if found is None:
        return
    _scan(task, found)
    counts = by_type(task)
    st.header("Open findings", anchor=False)
    if counts:
        chips = " ".join(
            parts.chip(f"{parts.readable(row['entity_type'])} {row['open']:,}", "open")
            for row in counts
            if row["open"]
        )
        parts.block(f'<div class="gp-row">{chips}</div>')
    _findings(task, found)
    if found["records"]:
        privacy_lists.second_look(task)
        privacy_lists.lists(task)
        privacy_lists.proposals(task)
    if counts:
        st.header("By type", anchor=False)
        shown = [{**row, "entity_type": parts.readable(row["entity_type"])} for row in counts]
        parts.table(
            shown,
            {"entity_type": "Type", "replaced": "Replaced", "open": "Open", "rejected": "Not personal"},
            numeric=["replaced", "open", "rejected"],
        )


def _scan(task: str, found: dict[str, Any]) -> None:
    raw = found["pairs"].get("raw", 0)
    left, right = st.columns([1, 4], vertical_alignment="center")
    left.button(
        "Scan",
        type="primary" if raw else "secondary",
        width="stretch",
        disabled=not parts.allowed("scan") or "job:scan" in st.session_state or not found["records"],
        on_click=parts.start_job,
        args=("scan", "The scan"),
        kwargs={"task": task},
    )
    with right:
        words = (
            f"{raw:,} records have not been scanned yet."
            if raw
            else "Everything imported has been scanned; a new detector would look again."
        )
        if not found["records"]:
            words = "Nothing to scan: import records first."
        parts.block(f'<p class="gp-soft">{parts.escape(words)}</p>')
    parts.follow("scan")


def by_type(task: str) -> list[dict[str, Any]]:
    """Counts by entity type in current revisions: {entity_type, replaced, open, rejected}."""
    return parts.context().store.rows(
        "SELECT entity_type, sum(replaced)::BIGINT AS replaced, sum(open)::BIGINT AS open,"
        " sum(rejected)::BIGINT AS rejected FROM ("
        " SELECT g.entity_type, 1 AS replaced, 0 AS open, 0 AS rejected FROM surrogates g"
        " JOIN pair_state s ON s.pair_id = g.pair_id AND s.rev = g.rev WHERE s.task = $task"
        " UNION ALL SELECT f.entity_type, 0, (f.status = 'open')::INTEGER, (f.status = 'rejected')::INTEGER"
        " FROM findings f JOIN pair_state s ON s.pair_id = f.pair_id AND s.rev = f.rev WHERE s.task = $task)"
        " GROUP BY entity_type ORDER BY open DESC, replaced DESC, entity_type",
        {"task": task},
    )


def _findings(task: str, found: dict[str, Any]) -> None:
    page = st.session_state.get("findings_page", 1)
    result = parts.ask("findings.list", task=task, limit=SIZE + 1, offset=(page - 1) * SIZE)
    if result is None:
        return
    rows = result["findings"]
    if not rows:
        if page > 1:
            st.session_state["findings_page"] = page - 1
            st.rerun()
        if not found["records"]:
            parts.empty("No records yet", "Import records first, then scan them here.")
        elif found["pairs"].get("raw"):
            parts.empty(
                "Not scanned yet", "Press Scan. Certain findings are replaced; unclear ones come here."
            )
        else:
            parts.empty(
                "Nothing is open",
                "Every finding was replaced or decided. Pairs without other blockers are in Review.",
            )
        return
    decide = parts.allowed("findings.decide")
    for row in rows[:SIZE]:
        _finding(row, decide)
    parts.pager("findings_page", more=len(rows) > SIZE)


def _finding(row: dict[str, Any], decide: bool) -> None:
    text, start, stop = parts.excerpt(row["context"], row["start"], row["stop"])
    with st.container(border=True):
        left, right = st.columns([5, 2], vertical_alignment="center")
        with left:
            span = {"start": start, "stop": stop, "entity_type": row["entity_type"]}
            parts.block(
                f'<div class="gp-text">{parts.marked(text, [span])}</div>'
                f'<div class="gp-row gp-soft" style="margin-top:.4rem"><span>{parts.escape(row["field"])}</span>'
                f"<span>sure to {row['score'] or 0:.0%}</span><span>{parts.escape(row['recognizer'])}</span>"
                f"{parts.short(row['pair_id'])}</div>"
            )
        with right:
            one, two = st.columns(2)
            for place, words, decision in ((one, "Replace", "confirm"), (two, "Keep", "reject")):
                place.button(
                    words,
                    key=f"{decision}-{row['finding_id']}",  # bound to this finding: a stale button decides nothing else
                    type="primary" if decision == "confirm" else "secondary",
                    width="stretch",
                    disabled=not decide,
                    on_click=parts.press,
                    args=("findings.decide",),
                    kwargs={"finding_id": row["finding_id"], "decision": decision},
                )
            if row["alike"]:
                _alike(row, decide)
        if parts.allowed("findings.original"):
            _original(row)


def _alike(row: dict[str, Any], decide: bool) -> None:
    """One answer for every open finding with this string."""
    every = row["alike"] + 1
    others = f"{row['alike']:,} other{'s' if row['alike'] > 1 else ''}"
    parts.block(f'<p class="gp-soft">This and {others} alike:</p>')
    one, two = st.columns(2)
    for place, words, decision, said in (
        (one, f"Replace all {every:,}", "confirm", "replaced; the string is on the deny list"),
        (two, f"Keep all {every:,}", "reject", "kept; the string is on the allow list"),
    ):
        place.button(
            words,
            key=f"same-{decision}-{row['finding_id']}",
            width="stretch",
            disabled=not decide,
            on_click=parts.press,
            args=("findings.decide", lambda r, said=said: f"{r['decided']:,} {said}."),
            kwargs={"finding_id": row["finding_id"], "decision": decision, "same": True},
        )


def _original(row: dict[str, Any]) -> None:
    """What stood behind the surrogates of the finding's pair; asked for by a button, since each look is logged."""
    if not st.button("Show the originals of this pair", key=f"original-{row['finding_id']}"):
        return
    told = parts.ask("findings.original", pair_id=row["pair_id"])
    if told is None:
        return
    if not told["originals"]:
        parts.block('<p class="gp-soft">Nothing was replaced in this pair yet.</p>')
        return
    shown = [{**one, "entity_type": parts.readable(one["entity_type"])} for one in told["originals"]]
    columns = {"field": "Field", "entity_type": "Type", "surrogate": "Surrogate", "original": "Original"}
    parts.table(shown, columns)
