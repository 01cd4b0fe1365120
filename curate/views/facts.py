"""Facts: what completions say that will not stay true, and a word of people on each.

Covers: starting and following the scan, facts in their context, deciding and taking back, what a new policy sheet
touches, models that learned what is stale. Does not cover: finding (`curate.facts.radar`), the rules (`curate.facts`).
"""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import streamlit as st

from curate.facts import KINDS
from curate.views import parts

SIZE = 8
STATES = {
    "open": "To decide",
    "expires": "Expires on a day",
    "timeless": "Timeless",
    "slot": "Replaced by a slot",
}


def render() -> None:
    parts.header(
        "Facts",
        "Prices, dates, statutes and the like expire. What has expired is left out of the next snapshot; what changes "
        "often is better a slot.",
    )
    task = parts.task()
    found = parts.ask("overview", task=task)
    if found is None:
        return
    _scan(task, bool(found["records"]))
    left, middle, right, _ = st.columns([2, 2, 1, 2], vertical_alignment="bottom")
    status = left.selectbox("Show", list(STATES), format_func=STATES.__getitem__, key="facts_status")
    kind = middle.selectbox("Kind", ["all", *KINDS], key="facts_kind")
    right.button(
        "Undo",
        key="facts_undo",
        help="Takes back your last decision.",
        disabled=not parts.allowed("facts.classify"),
        on_click=parts.press,
        args=("review.undo", "Your last decision is taken back."),
    )
    page = st.session_state.get("facts_page", 1)
    result = parts.ask(
        "facts.list",
        task=task,
        status=status,
        kind=None if kind == "all" else kind,
        limit=SIZE + 1,
        offset=(page - 1) * SIZE,
    )
    if result is None:
        return
    st.header("In the pairs in play", anchor=False)
    _facts(result, page, bool(found["records"]))
    if result["kinds"]:
        st.header("By kind", anchor=False)
        names = {
            "kind": "Kind",
            "open": "To decide",
            "expires": "Expire",
            "timeless": "Timeless",
            "slot": "Slots",
        }
        parts.table(result["kinds"], names, numeric=["open", "expires", "timeless", "slot"])
    _models(found["models"])
    _changed(task)


def _scan(task: str, records: bool) -> None:
    left, right = st.columns([1, 4], vertical_alignment="center")
    left.button(
        "Look for facts",
        width="stretch",
        disabled=not parts.allowed("facts.scan") or "job:facts.scan" in st.session_state or not records,
        on_click=parts.start_job,
        args=("facts.scan", "The search"),
        kwargs={"task": task},
    )
    with right:
        words = (
            "Reads what was not read yet, earlier revisions too. Changes no pair."
            if records
            else "Import records first."
        )
        parts.block(f'<p class="gp-soft">{parts.escape(words)}</p>')
    parts.follow("facts.scan")


def _facts(result: dict[str, Any], page: int, records: bool) -> None:
    rows = result["facts"]
    if not rows:
        if page > 1:
            st.session_state["facts_page"] = page - 1
            st.rerun()
        if not records:
            parts.empty("No records yet", "Import records first, then scan them for personal data.")
        elif result["unread"]:
            parts.empty(
                "Not read yet", f"Press Look for facts: {result['unread']:,} revisions were not read."
            )
        else:
            parts.empty("Nothing here", "No fact of this class and kind in the pairs in play.")
        return
    decide = parts.allowed("facts.classify")
    for row in rows[:SIZE]:
        _fact(row, decide and row["class"] != "slot")
    parts.pager("facts_page", more=len(rows) > SIZE)


def _fact(row: dict[str, Any], decide: bool) -> None:
    text, start, stop = parts.excerpt(row["context"], row["start"], row["stop"])
    key = row["fact_id"]  # every widget is bound to its fact: a stale one decides nothing else
    said = {
        "open": f"suggested: {row['suggestion']}" + (f" on {row['suggested']}" if row["suggested"] else ""),
        "expires": f"expires on {row['expires']}, says {row['decided_by']}",
        "timeless": f"timeless, says {row['decided_by']}",
        "slot": f"now {{{row['slot']}}}, says {row['decided_by']}",
    }[row["class"]]
    span = {"start": start, "stop": stop, "entity_type": row["kind"]}
    with st.container(border=True):
        parts.block(
            f'<div class="gp-text">{parts.marked(text, [span])}</div>'
            f'<div class="gp-row gp-soft" style="margin-top:.4rem"><span>{parts.escape(said)}</span>'
            f"<span>{parts.escape(row['status'])}</span>{parts.short(row['pair_id'])}</div>"
        )
        if row["class"] == "slot":
            return
        one, two, three, four, five = st.columns([2, 3, 2, 3, 2], vertical_alignment="bottom")
        one.button(
            "Timeless",
            key=f"timeless-{key}",
            width="stretch",
            disabled=not decide,
            on_click=parts.press,
            args=("facts.classify", "It stays as it is."),
            kwargs={"fact_id": key, "as": "timeless"},
        )
        known = row["expires"] or row["suggested"]
        day = two.date_input(
            "No longer holds from",
            date.fromisoformat(known) if known else date.today() + timedelta(days=180),
            key=f"day-{key}",
            format="YYYY-MM-DD",
            disabled=not decide,
        )
        three.button(
            "Expires",
            key=f"expires-{key}",
            width="stretch",
            disabled=not decide or not isinstance(day, date),
            on_click=parts.press,
            args=("facts.classify", f"It expires on {day}."),
            kwargs={"fact_id": key, "as": "expires", "expires": str(day)},
        )
        name = four.text_input(
            "Slot", row["kind"], key=f"name-{key}", disabled=not decide, autocomplete="off"
        )
        five.button(
            "Replace",
            key=f"slot-{key}",
            width="stretch",
            disabled=not decide,
            on_click=parts.press,
            args=("facts.classify", "A new revision with the slot waits for another reviewer."),
            kwargs={"fact_id": key, "as": "slot", "slot": name},
        )


def _models(models: list[dict[str, Any]]) -> None:
    warned = [row for row in models if row.get("stale")]
    if not warned:
        return
    st.header("Models that learned from them", anchor=False)
    shown = [
        {
            "name": row["name"],
            "released": "released" if row["released"] else "not released",
            "stale": row["stale"],
        }
        for row in warned
    ]
    parts.table(shown, {"name": "Version", "released": "State", "stale": "Warning"})


def _changed(task: str) -> None:
    st.header("A new policy sheet", anchor=False)
    left, right = st.columns(2)
    new = left.file_uploader("New sheet (TOML or JSON)", type=["toml", "json"], key="policy_new")
    old = right.file_uploader(
        "Sheet before it; the pack's own when left out", type=["toml", "json"], key="policy_old"
    )
    if new is None:
        held = f"Sheet before: {parts.escape(old.name)}." if old else "The sheet before is the pack's own."
        told = f"Shows which pairs, snapshots and models state what changed. {held}"
        parts.block(f'<p class="gp-soft">{told}</p>')
        return
    before = old.getvalue().decode("utf-8", "replace") if old else None
    found = parts.ask(
        "facts.changed", policy=new.getvalue().decode("utf-8", "replace"), before=before, task=task
    )
    for one in found["tasks"] if found else ():
        parts.table(one["changes"], {"fact": "Entry", "what": "", "old": "Before", "new": "Now"})
        claims = [
            {"pair": parts.Raw(parts.short(pair["pair_id"])), "status": pair["status"]}
            | {name: claim[name] for name in ("what", "span", "fact")}
            for pair in one["pairs"]
            for claim in pair["claims"]
        ]
        if not claims:
            parts.empty(
                "No pair states what changed", "Snapshots and models of earlier texts are listed below."
            )
        else:
            parts.table(
                claims[:200],
                {"pair": "Pair", "status": "State", "what": "", "span": "It says", "fact": "Entry"},
            )
        if one["snapshots"]:
            names = {"folder": "Snapshot", "rows": "Rows", "affected": "Affected"}
            parts.table(one["snapshots"], names, numeric=["rows", "affected"])
        if one["models"]:
            parts.table(
                one["models"],
                {"model": "Version", "released": "Released", "pairs": "Pairs"},
                numeric=["pairs"],
            )
