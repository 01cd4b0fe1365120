"""Pairs: every pair of a task, filtered, ordered, saved as a view; one of them in full.

Covers: the list, links to it, saved views, decisions in bulk, one pair with its history. Does not cover: deciding on
one (the Review page).
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import streamlit as st

from curate import ops
from curate.listing import SORTS
from curate.store import STATUSES
from curate.views import parts

SIZE = 25
FILTERS = ("status", "search", "sort", "label", "reason", "author", "min_score", "max_score")
_SORTED = {
    "id": "by id",
    "newest": "last changed first",
    "oldest": "last changed last",
    "source": "by source",
    "loss": "loss after training",
    "score": "lowest score first",
    "score_high": "highest score first",
}


def render() -> None:
    parts.header("Pairs", "Everything this task holds, whatever became of it.")
    _deep_link()
    one, two, three = st.columns([2, 3, 2], vertical_alignment="bottom")
    one.selectbox("Status", ["all", *STATUSES], key="pairs_status", on_change=_first_page)
    search = two.text_input(
        "Search in prompt and completion", key="pairs_search", on_change=_first_page, autocomplete="off"
    )
    wanted = three.text_input("Open a pair by its id", key="pair", bind="query-params", autocomplete="off")
    if wanted.strip():
        _one(wanted.strip())
        return
    with st.expander("More filters, order, saved views"):
        one, two, three, four, low, high = st.columns([3, 3, 3, 3, 2, 2])
        one.selectbox(
            "Order",
            list(SORTS),
            key="pairs_sort",
            format_func=lambda name: _SORTED[name],
            on_change=_first_page,
            help="Loss: what the newest model still finds surprising after learning it. Often a bad label, at "
            "times a rare case. Score: by the task's first scorer, once `goldpair review score` has run.",
        )
        two.text_input("Label, as name=value", key="pairs_label", on_change=_first_page, autocomplete="off")
        three.text_input(
            "Why it is held or rejected", key="pairs_reason", on_change=_first_page, autocomplete="off"
        )
        four.text_input("Written by", key="pairs_author", on_change=_first_page, autocomplete="off")
        low.text_input("Score from", key="pairs_min_score", on_change=_first_page, autocomplete="off")
        high.text_input("Score to", key="pairs_max_score", on_change=_first_page, autocomplete="off")
        _views()
    batch = st.session_state.get("bulk_batch")
    if batch:
        st.button("Undo the last batch", on_click=_undo_bulk, args=(batch,))
    filters = _filters()
    page = st.session_state.get("pairs_page", 1)
    found = parts.ask("pairs.list", task=parts.task(), **filters, limit=SIZE + 1, offset=(page - 1) * SIZE)
    if found is None:
        return
    rows = found["pairs"]
    if not rows:
        if {**filters, "sort": None} != dict.fromkeys(filters):
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
            "score": _score(row),
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
        | ({"loss": "Loss, before → after"} if filters["sort"] == "loss" else {})
        | ({"score": parts.readable(rows[0]["scorer"])} if "scorer" in rows[0] else {}),
        numeric=["rev"],
    )
    parts.pager("pairs_page", more=len(rows) > SIZE)
    link = urlencode(
        {"task": parts.task(), **{f"f_{name}": value for name, value in filters.items() if value}}
    )
    parts.block(
        f'<p class="gp-soft"><a href="/pairs?{parts.escape(link)}" target="_self">Link to this list</a></p>'
    )
    if parts.allowed("review.bulk"):
        _bulk({name: value for name, value in filters.items() if name != "sort"})


def _filters() -> dict[str, Any]:
    """What the widgets say, as fields of `pairs.list`; None where nothing is set."""
    held = {name: str(st.session_state.get(f"pairs_{name}") or "").strip() for name in FILTERS}
    held["status"] = "" if held["status"] == "all" else held["status"]
    return {name: value or None for name, value in held.items()} | {"sort": held["sort"] or "id"}


def _set_filters(values: dict[str, Any]) -> None:
    for name in FILTERS:
        nothing = {"status": "all", "sort": "id"}.get(name, "")
        value = values.get(name) or nothing
        known = {"status": ("all", *STATUSES), "sort": tuple(SORTS)}.get(name)
        st.session_state[f"pairs_{name}"] = value if known is None or value in known else nothing
    _first_page()


def _deep_link() -> None:
    """Filters that the address names, once: a link to a list."""
    asked = {name: st.query_params[f"f_{name}"] for name in FILTERS if f"f_{name}" in st.query_params}
    if asked:
        _set_filters(asked)
        for name in asked:
            del st.query_params[f"f_{name}"]


def _views() -> None:
    held = (parts.ask("preferences.list") or {"preferences": {}})["preferences"]
    prefix = f"view:{parts.task()}:"
    names = sorted(name.removeprefix(prefix) for name in held if name.startswith(prefix))
    left, middle, right = st.columns([3, 3, 2], vertical_alignment="bottom")
    chosen = left.selectbox(
        "Saved view", names, index=None, placeholder="None saved" if not names else "Choose one"
    )
    if chosen:
        shown, gone = right.columns(2)
        shown.button("Show", on_click=_set_filters, args=(held[prefix + chosen],), width="stretch")
        gone.button(
            "Delete", on_click=parts.press, args=("preferences.set", "Deleted."), kwargs={"name": prefix + chosen},
            width="stretch",
        )  # fmt: skip
    name = middle.text_input("Save these filters as", key="pairs_view_name", autocomplete="off")
    if name.strip():
        middle.button("Save", on_click=_save_view, args=(prefix + name.strip(), _filters()))


def _save_view(name: str, filters: dict[str, Any]) -> None:
    if parts.act("preferences.set", "Saved.", name=name, value=filters):
        st.session_state["pairs_view_name"] = ""


def _bulk(filters: dict[str, Any]) -> None:
    """Decide on everything that the filter finds: the count first, one undo for all."""
    with st.expander("Decide on everything this filter finds"):
        one, two, three = st.columns(3, vertical_alignment="bottom")
        verdict = one.selectbox("Verdict", ["reject", "return", "flag", "approve"], key="bulk_verdict")
        _, pack = ops.pack_of(parts.context(), parts.task())
        code = two.selectbox("Reason", pack.reject_reasons) if verdict in ("reject", "return") else None
        asked = {"task": parts.task(), "verdict": verdict, "code": code, **filters}
        if three.button("Count them", width="stretch"):
            st.session_state["bulk"] = (asked, parts.ask("review.bulk", **asked))
        held, counted = st.session_state.get("bulk", (None, None))
        if held == asked and counted:
            states = ", ".join(f"{n:,} {status}" for status, n in counted["by_status"].items())
            left_out = f" {counted['blind']:,} of the blind sample are left out." if counted["blind"] else ""
            parts.notice("", f"{counted['count']:,} pairs ({states or 'none'}).{left_out}")
            if counted["count"]:
                st.button(
                    f"{verdict.capitalize()} {counted['count']:,} pairs", type="primary", on_click=_do_bulk,
                    args=({**asked, "confirm": counted["count"]},),
                )  # fmt: skip


def _do_bulk(asked: dict[str, Any]) -> None:
    st.session_state.pop("bulk", None)
    done = parts.act(
        "review.bulk", lambda r: f"{r['done']:,} done, {len(r['refused']):,} refused by a rule.", **asked
    )
    if done:
        st.session_state["bulk_batch"] = done["batch"]


def _undo_bulk(batch: str) -> None:
    said = "{undone:,} taken back, {kept:,} kept since somebody decided on them."
    told = parts.act(
        "review.undo_batch", lambda r: said.format(undone=r["undone"], kept=len(r["kept"])), batch=batch
    )
    if told:
        st.session_state.pop("bulk_batch", None)


def _link(pair_id: str) -> str:
    name = parts.escape(pair_id)
    return f'<a class="gp-mono" href="/pairs?pair={name}" target="_self" title="{name}">{name[:10]}</a>'


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


def _loss(row: dict[str, Any]) -> str:
    if row.get("loss_after") is None:
        return "not learned in this revision"
    return f"{row['loss_before']:.2f} → {row['loss_after']:.2f} ({row['loss_model']})"


def _score(row: dict[str, Any]) -> str:
    if row.get("score") is None:
        return "no score"
    return f"{row['score']:.2f}" + (f", {row['critical']} critical" if row["critical"] else "")


def _spans(item: dict[str, Any], name: str) -> list[dict[str, Any]]:
    open_ = [span for span in item["spans"] if span["field"] == name and span["status"] == "open"]
    return open_ + [{**span, "kind": "sub"} for span in item["surrogates"] if span["field"] == name]
