"""Pairs: every pair of a task, by status and by a piece of text; one of them in full.

Covers: the list, search, one pair with its history. Does not cover: deciding (the Review page).
"""

from __future__ import annotations

from typing import Any

import streamlit as st

from curate.store import STATUSES
from curate.views import parts

SIZE = 25
ORDERS = {"id": "id", "loss": "loss after training"}


def render() -> None:
    parts.header("Pairs", "Everything this task holds, whatever became of it.")
    one, two, order_by, three = st.columns([2, 3, 2, 2], vertical_alignment="bottom")
    status = one.selectbox("Status", ["all", *STATUSES], key="pairs_status", on_change=_first_page)
    search = two.text_input(
        "Search in prompt and completion", key="pairs_search", on_change=_first_page, autocomplete="off"
    )
    order = order_by.selectbox(
        "Order",
        list(ORDERS),
        format_func=ORDERS.__getitem__,
        key="pairs_order",
        on_change=_first_page,
        help="Loss: what the newest model still finds surprising after learning it. Often a bad label, at times a "
        "rare case.",
    )
    wanted = three.text_input("Open a pair by its id", key="pair", bind="query-params", autocomplete="off")
    if wanted.strip():
        _one(wanted.strip())
        return
    page = st.session_state.get("pairs_page", 1)
    found = parts.ask(
        "pairs.list",
        task=parts.task(),
        status=None if status == "all" else status,
        search=search.strip() or None,
        sort=order,
        limit=SIZE + 1,
        offset=(page - 1) * SIZE,
    )
    if found is None:
        return
    rows = found["pairs"]
    if not rows:
        if search.strip() or status != "all":
            parts.empty("No pair matches", "Take another status, or search for less.")
        else:
            parts.empty("No pairs yet", "Import records first.")
        return
    find = search.strip()
    shown = [
        {
            "pair_id": parts.Raw(_link(row["pair_id"])),
            "status": parts.Raw(
                parts.chip(
                    row["status"],
                    {"approved": "good", "rejected": "bad", "held": "open"}.get(row["status"], ""),
                )
            ),
            "prompt": parts.Raw(_found(row["prompt"], find)),
            "completion": parts.Raw(_found(row["completion"], find)),
            "rev": row["rev"],
            "loss": _loss(row),
        }
        for row in rows[:SIZE]
    ]
    parts.table(
        shown,
        {
            "pair_id": "Pair",
            "status": "Status",
            "prompt": "Prompt",
            "completion": "Completion",
            "rev": "Rev.",
        }
        | ({"loss": "Loss, before → after"} if order == "loss" else {}),
        numeric=["rev"],
    )
    parts.pager("pairs_page", more=len(rows) > SIZE)


def _link(pair_id: str) -> str:
    name = parts.escape(pair_id)
    return f'<a class="gp-mono" href="/pairs?pair={name}" target="_self" title="{name}">{name[:10]}</a>'


def _loss(row: dict[str, Any]) -> str:
    if row.get("loss_after") is None:
        return "not learned in this revision"
    return f"{row['loss_before']:.2f} → {row['loss_after']:.2f} ({row['loss_model']})"


def _first_page() -> None:
    st.session_state["pairs_page"] = 1


def _found(text: str | None, find: str, width: int = 180) -> str:
    """HTML of a text in short, around the first place of what was searched, which is marked."""
    if text is None:
        return '<span class="gp-soft">not scanned yet</span>'
    at = text.lower().find(find.lower()) if find else -1
    if at < 0:
        return parts.escape(text[:width] + ("…" if len(text) > width else ""))
    start, stop = max(0, at - width // 2), min(len(text), at + len(find) + width // 2)
    return (
        ("… " if start else "")
        + parts.escape(text[start:at])
        + f"<mark>{parts.escape(text[at : at + len(find)])}</mark>"
        + parts.escape(text[at + len(find) : stop])
        + (" …" if stop < len(text) else "")
    )


def _close() -> None:
    st.session_state["pair"] = ""


def _one(pair_id: str) -> None:
    st.button("Back to the list", on_click=_close)
    item = parts.ask("review.item", pair_id=pair_id)
    if item is None:
        return
    st.header("One pair", anchor=False)
    chips = [
        parts.chip(item["status"]),
        parts.chip(f"revision {item['rev']}"),
        parts.chip(f"source {item['source']}"),
    ]
    if item["author"]:
        chips.append(parts.chip(f"written by {item['author']}"))
    parts.block(
        f'<div class="gp-row"><span class="gp-mono">{parts.escape(pair_id)}</span>{" ".join(chips)}</div>'
    )
    if item["status"] in ("ready", "held", "returned", "approved", "rejected") and parts.allowed(
        "review.decide"
    ):
        name = parts.escape(pair_id)
        parts.block(f'<a href="/review?pair={name}" target="_self">Open it on the review card</a>')
    if item["blockers"]:
        parts.notice("", "Cannot be approved:", item["blockers"])
    for name, place in zip(("prompt", "completion"), st.columns(2), strict=True):
        with place:
            parts.text_card(name, item[name], _spans(item, name))
    for turn in item["history"]:
        parts.text_card(f"before: {turn['role']}", turn["content"])
    steps = [
        {
            "ts": parts.when(row["ts"]),
            "kind": parts.readable(row["kind"]),
            "actor": row["actor"],
            "rev": row["rev"],
        }
        for row in item["decisions"]
    ]
    if steps:
        st.header("History", anchor=False)
        parts.table(
            steps, {"ts": "When (UTC)", "kind": "What", "actor": "Who", "rev": "Rev."}, numeric=["rev"]
        )


def _spans(item: dict[str, Any], name: str) -> list[dict[str, Any]]:
    open_ = [span for span in item["spans"] if span["field"] == name and span["status"] == "open"]
    return open_ + [{**span, "kind": "sub"} for span in item["surrogates"] if span["field"] == name]
