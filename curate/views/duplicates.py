"""Duplicates: near-identical pairs and rival drafts side by side, with the words that differ marked.

Covers: starting and following the dedupe job, deciding a group. Does not cover: finding groups (`curate.dedupe`).
"""

from __future__ import annotations

from typing import Any

import streamlit as st

from curate.views import parts

SIZE = 5
SHOWN = 12  # members of a group
WORDS = {
    "duplicate": "Near-duplicates: prompt and completion repeat. Keep one, or say that they differ.",
    "paraphrase": "Perhaps the same in other words, as a language model guesses. It blocks nothing.",
    "conflict": "Rival drafts: one prompt, several answers. One of them can be approved.",
}


def render() -> None:
    parts.header(
        "Duplicates",
        "Groups of pairs that say the same. An undecided group keeps its pairs from being approved.",
    )
    task = parts.task()
    found = parts.ask("overview", task=task)
    if found is None:
        return
    left, right = st.columns([1, 4], vertical_alignment="center")
    scanned = sum(n for status, n in found["pairs"].items() if status != "raw")
    left.button(
        "Find duplicates",
        width="stretch",
        disabled=not parts.allowed("dedupe") or "job:dedupe" in st.session_state or not scanned,
        on_click=parts.start_job,
        args=("dedupe", "The search for duplicates"),
        kwargs={"task": task},
    )
    with right:
        parts.block(
            '<p class="gp-soft">New and edited pairs are compared by themselves; this looks at every scanned pair '
            "again. Groups decided before stay decided.</p>"
        )
    parts.follow("dedupe")
    status = st.segmented_control(
        "Show", ["open", "resolved"], default="open", required=True, key="cluster_status"
    )
    page = st.session_state.get("clusters_page", 1)
    result = parts.ask("clusters.list", task=task, status=status, limit=SIZE + 1, offset=(page - 1) * SIZE)
    if result is None:
        return
    rows = result["clusters"]
    if not rows:
        if page > 1:
            st.session_state["clusters_page"] = page - 1
            st.rerun()
        if not scanned:
            parts.empty("Nothing to compare yet", "Import records and scan them on the Privacy page first.")
        else:
            parts.empty("No groups here", "Press Find duplicates after each import and scan.")
        return
    for number, cluster in enumerate(rows[:SIZE], (page - 1) * SIZE + 1):
        _cluster(number, cluster)
    parts.pager("clusters_page", more=len(rows) > SIZE)


def _cluster(number: int, cluster: dict[str, Any]) -> None:
    members = cluster["members"]
    first = members[0]
    open_ = cluster["status"] == "open"
    may = parts.allowed("clusters.decide") and open_
    with st.container(border=True):
        st.header(f"Group {number}: {len(members)} pairs", anchor=False)
        parts.block(f'<p class="gp-soft">{parts.escape(WORDS.get(cluster["kind"], cluster["kind"]))}</p>')
        if open_:
            parts.block(f'<p class="gp-soft">{parts.escape(cluster["suggested"]["reason"])}</p>')
        if may and cluster["kind"] in ("duplicate", "paraphrase"):
            st.checkbox(
                "Give the kept one the labels it lacks",
                value=True,
                key=f"merge-{cluster['cluster_id']}",
            )
        for start in range(0, min(SHOWN, len(members)), 3):
            row = members[start : min(SHOWN, start + 3)]
            for place, member in zip(st.columns(max(2, min(3, len(members)))), row, strict=False):
                with place:
                    _member(cluster, member, first, may)
        if len(members) > SHOWN:
            more = (
                f"{len(members) - SHOWN:,} more like the first are not shown; a choice counts for them too."
            )
            parts.block(f'<p class="gp-soft">{more}</p>')
        if may:
            left, _ = st.columns([2, 3])
            left.button(
                "Not duplicates: keep all, remember it",
                key=f"differ-{cluster['cluster_id']}",
                on_click=parts.press,
                args=("clusters.decide", "Remembered: these pairs are different."),
                kwargs={"cluster_id": cluster["cluster_id"], "decision": "not_duplicates"},
            )


def _member(cluster: dict[str, Any], member: dict[str, Any], first: dict[str, Any], may: bool) -> None:
    texts = []
    for name in ("prompt", "completion"):
        mine, theirs = member[name] or "", first[name] or ""
        if member is not first:
            inner = parts.differences(theirs, mine)[1]
        elif len(cluster["members"]) == 2:
            inner = parts.differences(mine, cluster["members"][1][name] or "")[0]
        else:
            inner = parts.escape(mine)
        texts.append(
            f'<p class="gp-label" style="margin-top:.6rem">{name}</p>'
            f'<div class="gp-card gp-text gp-scroll" tabindex="0">{inner}</div>'
        )
    kept = "kept" if cluster["status"] == "resolved" and member["keep"] else member["status"]
    similar = "the fullest" if member is first else f"{member['similarity'] or 0:.0%} like the first"
    parts.block(
        f'<div class="gp-row">{parts.short(member["pair_id"])}'
        f"{parts.chip(kept)}<span class='gp-soft'>{parts.escape(similar)}</span></div>" + "".join(texts)
    )
    if may:
        st.button(
            "Keep this one",
            key=f"keep-{cluster['cluster_id']}-{member['pair_id']}",
            type="primary" if member["pair_id"] == cluster["suggested"]["keep"] else "secondary",
            width="stretch",
            on_click=_keep,
            args=(cluster["cluster_id"], member["pair_id"]),
        )


def _keep(cluster_id: str, pair_id: str) -> None:
    parts.press(
        "clusters.decide",
        "Kept one; the others are marked as duplicates.",
        cluster_id=cluster_id,
        decision="keep",
        keep=[pair_id],
        merge_labels=bool(st.session_state.get(f"merge-{cluster_id}")),
    )
