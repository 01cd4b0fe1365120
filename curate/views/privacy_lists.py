"""Parts of the Privacy page: the second look, the lists of strings, proposed recognizers.

Covers: drawing a document and answering, terms with their version, adding and taking off, switching a proposal on. Does
not cover: findings (`curate.views.privacy`), what any of it does (`curate.secondlook`, `lists`, `proposals`).
"""

from __future__ import annotations

from typing import Any

import streamlit as st

from curate.views import parts
from curate.views.review import MARKED_TYPES

SHOWN = 50  # terms on the page
KINDS = {"allow": "never personal", "deny": "always personal", "pattern": "always personal, by its shape"}


# --- the second look ----------------------------------------------------------------------------------------


def second_look(task: str) -> None:
    """What the looks say so far, and the next document for who may look."""
    told = parts.ask("secondlook.summary", task=task)
    if told is None:
        return
    st.header("Second look", anchor=False)
    words = [told["words"]]
    if told["earlier"]:
        words.append(f"{told['earlier']:,} earlier looks were at what an older detector left.")
    if told["seed"]:
        words.append(f"Drawn by the seed {told['seed']}.")
    parts.block(f'<p class="gp-soft">{parts.escape(" ".join(words))}</p>')
    if not parts.allowed("secondlook.next"):
        return
    if not st.session_state.get("looking"):
        st.button("Look at a document", on_click=_look, args=(True,))
        return
    drawn = parts.ask("secondlook.next", task=task)
    if drawn is None:
        return
    if drawn["item"] is None:
        parts.empty("No document is left to draw", "Everything that is scanned and decided was looked at.")
        st.button("Stop", on_click=_look, args=(False,))
        return
    _document(drawn)


def _look(on: bool) -> None:
    st.session_state["looking"] = on


def _document(drawn: dict[str, Any]) -> None:
    item = drawn["item"]
    with st.container(border=True):
        for name, text in item["fields"].items():
            parts.text_card(name, text)
        left = f"{drawn['left']:,} more could be drawn. Nothing is marked: read it as a stranger would."
        parts.block(f'<p class="gp-soft">{left}</p>')
        clean, stop = st.columns([3, 1], vertical_alignment="bottom")
        clean.button(
            "Nothing personal is left", type="primary", on_click=_answer, args=(item, []), width="stretch"
        )
        stop.button("Stop", on_click=_look, args=(False,), width="stretch")
        key = f"missed-{item['pair_id']}-{item['rev']}"
        one, two, three = st.columns([3, 1, 2], vertical_alignment="bottom")
        said = one.text_area("Still personal, one string a line, as it stands above", key=key, height=70)
        kind = two.selectbox("Type", MARKED_TYPES, format_func=parts.readable, key=f"{key}-type")
        strings = [line.strip() for line in said.splitlines() if line.strip()]
        three.button(
            "It leaked: replace them", on_click=_missed, args=(item, strings, kind), width="stretch",
            disabled=not strings,
        )  # fmt: skip


def _answer(item: dict[str, Any], missed: list[dict[str, Any]]) -> None:
    words = "Replaced; the document counts as one that leaked." if missed else "Noted as clean."
    parts.act("secondlook.answer", words, pair_id=item["pair_id"], rev=item["rev"], missed=missed)


def _missed(item: dict[str, Any], strings: list[str], kind: str) -> None:
    missed, lost = [], []
    for string in strings:
        place = next(
            ((name, text.find(string)) for name, text in item["fields"].items() if string in text), None
        )
        if place is None:
            lost.append(string)
        else:
            name, at = place
            missed.append({"field": name, "start": at, "stop": at + len(string), "entity_type": kind})
    if lost:
        words = "Nothing was sent. These do not stand in the document letter by letter:"
        st.session_state["notice"] = ("bad", words, lost)
        return
    _answer(item, missed)


# --- lists --------------------------------------------------------------------------------------------------


def lists(task: str) -> None:
    """The terms that count, each with a button that takes it off, and a line for another."""
    told = parts.ask("privacy.lists", task=task)
    if told is None:
        return
    st.header("Lists of strings", anchor=False)
    terms = told["terms"]
    words = (
        f"Version {told['version']}. A string counts in every row that holds it, at once and in later scans."
    )
    parts.block(f'<p class="gp-soft">{parts.escape(words)}</p>')
    change = parts.allowed("privacy.unlist")
    for term in terms[:SHOWN]:
        left, right = st.columns([5, 1], vertical_alignment="center")
        of = parts.readable(term["entity_type"]) if term["entity_type"] else "any type"
        with left:
            parts.block(
                f'<div class="gp-row"><span class="gp-mono">{parts.escape(term["text"])}</span>'
                f"{parts.chip(KINDS[term['kind']], 'good' if term['kind'] == 'allow' else 'open')}"
                f'<span class="gp-soft">{parts.escape(of)}, by {parts.escape(term["actor"])}, '
                f"{parts.when(term['ts'])}</span></div>"
            )
        right.button(
            "Remove", key=f"unlist-{term['term_id']}", disabled=not change, width="stretch", on_click=parts.press,
            args=("privacy.unlist", lambda r: f"Removed; {r['rows']:,} rows that hold it were scanned again."),
            kwargs={"task": task, "term_id": term["term_id"]},
        )  # fmt: skip
    if len(terms) > SHOWN:
        more = f"{len(terms) - SHOWN:,} more: goldpair privacy lists {task}"
        parts.block(f'<p class="gp-soft">{parts.escape(more)}</p>')
    if not change:
        return
    with st.expander("Put a string on a list"):
        one, two, three, four = st.columns([3, 2, 2, 1], vertical_alignment="bottom")
        text = one.text_input("String", key="term-text", autocomplete="off")
        way = two.selectbox("It is", ["deny", "allow"], format_func=KINDS.__getitem__, key="term-way")
        kind = three.selectbox("Type", MARKED_TYPES, format_func=parts.readable, key="term-type")
        four.button(
            "Add", on_click=_add, args=(task, way, text, kind), disabled=not text.strip(), width="stretch"
        )


def _add(task: str, way: str, text: str, kind: str) -> None:
    def words(done: dict[str, Any]) -> str:
        return f"Version {done['version']}: {done['opened']:,} findings opened, {done['closed']:,} closed."

    if parts.act(f"privacy.{way}", words, task=task, text=text, entity_type=kind):
        st.session_state["term-text"] = ""


# --- proposals ----------------------------------------------------------------------------------------------


def proposals(task: str) -> None:
    """Shapes that come again, and a button that tries one on the written corpus and switches it on."""
    told = parts.ask("privacy.proposals", task=task)
    if not told or not told["proposals"]:
        return
    st.header("Proposed recognizers", anchor=False)
    for row in told["proposals"]:
        left, right = st.columns([5, 1], vertical_alignment="center")
        words = f"{row['strings']} different strings, type {parts.readable(row['entity_type'])}"
        with left:
            parts.block(
                f'<div class="gp-row"><span class="gp-mono">{parts.escape(row["expression"])}</span>'
                f'<span class="gp-soft">{parts.escape(words)}</span></div>'
            )
        right.button(
            "Switch on", key=f"switch-{row['shape']}-{row['entity_type']}", width="stretch",
            disabled=not parts.allowed("privacy.switch_on"), on_click=parts.press,
            args=("privacy.switch_on", lambda r: f"On: {r['opened']:,} findings opened."),
            kwargs={"task": task, "shape": row["shape"], "entity_type": row["entity_type"]},
        )  # fmt: skip
