"""Gallery: the shipped task packs, and a task of one's own from any of them. The first page of an empty workspace.

Covers: description, guidelines, sample pairs and last results of each pack, the form that copies one. Does not cover:
running a pack (``goldpair demo``). Guidelines and samples are shown as text; nothing in them is interpreted.
"""

from __future__ import annotations

from typing import Any

import streamlit as st

from curate.results import arms_of, score_words
from curate.views import parts


def render() -> None:
    parts.header(
        "Gallery",
        "Task packs to start from: what each teaches, how its pairs are judged, what came of it last.",
    )
    found = parts.ask("tasks.gallery")
    if found is None:
        return
    may = parts.allowed("tasks.new")
    for pack in found["packs"]:
        _pack(pack, may)
    if may:
        st.header("Something else", anchor=False)
        _own(None, "A commented scaffold with guidelines and examples.")


def _pack(pack: dict[str, Any], may: bool) -> None:
    st.header(pack["title"], anchor=False)
    result = pack["result"]
    verdict = result["verdict"] if result else None
    chips = [
        parts.chip(f"{pack['rows']:,} records"),
        *(parts.chip(f"suite {s['name']}: {s['rows']:,} eval rows") for s in pack["suites"]),
        parts.chip(f"base {pack['base']}"),
        parts.chip(
            verdict or ("not decided" if result else "not run"), parts.VERDICTS.get(verdict or "", "")
        ),
        *([parts.chip("short demo declared", "open")] if pack["demo"] else []),
    ]
    parts.block(
        f'<p class="gp-soft">{parts.escape(pack["description"])}</p><div class="gp-row">{"".join(chips)}</div>'
    )
    samples, guidelines, last, *own = st.tabs(
        ["Sample pairs", "Guidelines", "Last results", *(["Start my own from this"] if may else [])]
    )
    with samples:
        for pair in pack["samples"]:
            for turn in pair["history"]:
                parts.text_card(f"earlier, {turn.get('role', '')}", turn.get("content", ""))
            left, right = st.columns(2)
            with left:
                parts.text_card("prompt", pair["prompt"])
            with right:
                parts.text_card("completion", pair["completion"])
    with guidelines:
        parts.text_card("guidelines.md", pack["guidelines"])
    with last:
        _result(pack, result)
    for tab in own:
        with tab:
            _own(pack["task"], "Copies the pack under a new name. What was signed for it is left out.")


def _result(pack: dict[str, Any], result: dict[str, Any] | None) -> None:
    if result is None:
        parts.empty("Not run yet", f"goldpair demo --task {pack['task']} runs the whole loop on this pack.")
        return
    parts.block(
        f'<p class="gp-soft">From {parts.escape(result["where"])}: {parts.escape(result["words"])}</p>'
    )
    arms = arms_of([result])
    parts.table(
        [
            {
                "suite": suite["suite"],
                "rows": f"{suite['asked']} of {suite['of']}",
                **{arm: score_words(suite["arms"].get(arm)) for arm in arms},
                "verdict": parts.Raw(
                    parts.chip(
                        suite["verdict"] or "not decided", parts.VERDICTS.get(suite["verdict"] or "", "")
                    )
                ),
            }
            for suite in result["suites"]
        ],
        {
            "suite": "Suite",
            "rows": "Rows",
            **{arm: parts.readable(arm) for arm in arms},
            "verdict": "Verdict",
        },
    )
    for suite in result["suites"]:
        if suite["worth_it"]:
            parts.notice("", f"{suite['suite']}: {suite['worth_it']}")


def _own(like: str | None, what: str) -> None:
    with st.form(f"new-{like}", border=False):
        parts.block(f'<p class="gp-soft">{parts.escape(what)}</p>')
        left, right = st.columns([3, 1], vertical_alignment="bottom")
        name = left.text_input(
            "Name of the new task",
            key=f"name-{like}",
            placeholder="small letters, digits and hyphens",
            autocomplete="off",
        )
        label = "Start my own from this" if like else "Start from a scaffold"
        if right.form_submit_button(label, width="stretch"):
            made = parts.act("tasks.new", _done, name=name.strip(), like=like)
            if made:
                st.session_state["wanted"] = made["task"]  # the sidebar chooses it before it draws itself
            st.rerun()


def _done(made: dict[str, Any]) -> str:
    return f"Task {made['task']} is ready in {made['folder']}. Next: {made['next'][0]}."
