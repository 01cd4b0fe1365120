"""What the pages share: who is asking, running operations, and blocks that show text as text.

Covers: the session of a page, the chosen task, notices, empty states, marked text, word differences, following a
job. Does not cover: what any single page shows. Everything that may hold record text goes through `escape`.
"""

from __future__ import annotations

import difflib
import html
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import streamlit as st

from curate import login, ops
from curate.errors import GoldpairError, RefusedError
from curate.server import state
from curate.users import may

VERDICTS = {"PASS": "good", "FAIL": "bad", "INCONCLUSIVE": "open"}  # kind of chip by verdict
FINISHED = ("done", "failed", "cancelled", "lost")


# --- who asks, and asking -----------------------------------------------------------------------------------


def cookies() -> Any:
    """The browser's cookies, as sent when the page was opened."""
    return st.context.cookies


def context(progress: Callable[[dict[str, Any]], None] | None = None) -> ops.Context:
    """Who sits at this page. Raises `login.NotSignedIn`. Looked up on every call: roles change while pages are open."""
    here = state()
    session = login.session_of(cookies())
    return ops.Context(
        here.store, here.workspace, session.actor, local=session.local and here.loopback, progress=progress
    )


def allowed(operation: str) -> bool:
    """Whether this user may run the operation. Only for showing or hiding; the operation checks again."""
    return may(context().actor, ops.OPERATIONS[operation].permission)


def ask(operation: str, **fields: Any) -> dict[str, Any] | None:
    """Run an operation for the page; a refusal is shown in its place, and None comes back."""
    try:
        return ops.run(context(), operation, fields)
    except GoldpairError as error:
        problem(error)
        return None


def act(
    operation: str, done: str | Callable[[dict[str, Any]], str] = "", **fields: Any
) -> dict[str, Any] | None:
    """Run an operation from a button's callback; what came of it is shown at the top of the next run."""
    try:
        result = ops.run(context(), operation, fields)
    except GoldpairError as error:
        reasons = error.reasons if isinstance(error, RefusedError) else []
        st.session_state["notice"] = ("bad", str(error), reasons)
        return None
    words = done(result) if callable(done) else done
    if words:
        st.session_state["notice"] = ("good", words, [])
    return result


def press(operation: str, done: str | Callable[[dict[str, Any]], str] = "", **fields: Any) -> None:
    """`act` as a button's callback, which returns nothing."""
    act(operation, done, **fields)


def task() -> str:
    """The task chosen in the sidebar."""
    return str(st.session_state.get("task") or "")


# --- blocks -------------------------------------------------------------------------------------------------


def escape(text: Any) -> str:
    """Text for inside HTML."""
    return html.escape("" if text is None else str(text), quote=True)


def block(inner: str, *, kind: str = "") -> None:
    """HTML of our own making; every text in it went through `escape`."""
    st.html(f'<div class="gp {kind}">{inner}</div>')


def header(title: str, lead: str) -> None:
    """The page's one h1, what the page is for, and what the last button did."""
    st.title(title, anchor=False)
    block(f'<p class="gp-lead">{escape(lead)}</p>')
    found = st.session_state.pop("notice", None)
    if found:
        notice(*found)


def notice(kind: str, text: str, reasons: Sequence[str] = ()) -> None:
    """A message: ``good``, ``bad`` or plain."""
    items = "".join(f"<li>{escape(reason)}</li>" for reason in reasons)
    role = "alert" if kind == "bad" else "status"
    block(
        f'<div class="gp-notice {kind}" role="{role}">{escape(text)}'
        + (f"<ul>{items}</ul>" if items else "")
        + "</div>"
    )


def problem(error: GoldpairError) -> None:
    notice("bad", str(error), error.reasons if isinstance(error, RefusedError) else [])


def empty(title: str, what_to_do: str) -> None:
    """Nothing here yet, and how to change that."""
    block(f'<div class="gp-empty"><b>{escape(title)}</b><p>{escape(what_to_do)}</p></div>')


def tiles(numbers: Iterable[tuple[str, Any] | tuple[str, Any, bool]]) -> None:
    """Numbers with their names; a third True marks one."""
    cells = "".join(
        f'<div class="gp-tile{" on" if len(cell) > 2 and cell[2] else ""}"><b>{escape(number(cell[1]))}</b>'
        f"<span>{escape(cell[0])}</span></div>"
        for cell in numbers
    )
    block(f'<div class="gp-tiles">{cells}</div>')


def table(rows: Sequence[dict[str, Any]], columns: dict[str, str], numeric: Sequence[str] = ()) -> None:
    """A small table as real HTML: readable by a screen reader, text as text. ``columns``: key -> heading."""
    head = "".join(
        f'<th scope="col"{" class=n" if key in numeric else ""}>{escape(title)}</th>'
        for key, title in columns.items()
    )
    body = "".join(
        "<tr>"
        + "".join(
            f"<td{' class=n' if key in numeric else ''}>"
            + (row[key].html if isinstance(row.get(key), Raw) else escape(number(row.get(key))))
            + "</td>"
            for key in columns
        )
        + "</tr>"
        for row in rows
    )
    block(f'<table class="gp-table"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>')


class Raw:
    """HTML that was put together from escaped parts, for a cell of `table`."""

    def __init__(self, html: str) -> None:
        self.html = html


def chip(text: str, kind: str = "") -> str:
    """HTML of a small label: ``good``, ``bad``, ``open`` or plain."""
    return f'<span class="gp-chip {kind}">{escape(text)}</span>'


def number(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return "" if value is None else str(value)
    return f"{value:,}" if isinstance(value, int) else f"{value:,.3f}".rstrip("0").rstrip(".")


def text_card(label: str, text: str, spans: Sequence[dict[str, Any]] = (), *, scroll: bool = True) -> None:
    """One text of a record, spans marked. Spans: {start, stop, entity_type, kind: pii|sub}."""
    kind = 'gp-text gp-scroll" tabindex="0' if scroll else "gp-text"  # what scrolls must be reached by keys
    block(f'<p class="gp-label">{escape(label)}</p><div class="gp-card {kind}">{marked(text, spans)}</div>')


def marked(text: str, spans: Sequence[dict[str, Any]]) -> str:
    """HTML of a text with its spans coloured and named; overlapping ones are cut where the earlier one ends."""
    out, at = [], 0
    for span in sorted(spans, key=lambda s: (s["start"], -s["stop"])):
        start, stop = max(span["start"], at), min(span["stop"], len(text))
        if start >= stop:
            continue
        out.append(escape(text[at:start]))
        out.append(
            f'<mark class="gp-{"sub" if span.get("kind") == "sub" else "pii"}">{escape(text[start:stop])}'
            f"<i>{escape(readable(span['entity_type']))}</i></mark>"
        )
        at = stop
    return "".join([*out, escape(text[at:])])


def readable(code: str) -> str:
    """A code such as PHONE_NUMBER as words."""
    return str(code).replace("_", " ").lower()


def excerpt(text: str, start: int, stop: int, around: int = 220) -> tuple[str, int, int]:
    """The part of a text around a span, cut at blanks, and the span's place in it."""
    left, right = max(0, start - around), min(len(text), stop + around)
    while left > 0 and not text[left - 1].isspace() and start - left < around + 40:
        left -= 1
    while right < len(text) and not text[right].isspace() and right - stop < around + 40:
        right += 1
    head, tail = ("… " if left else ""), (" …" if right < len(text) else "")
    shift = len(head) - left
    return head + text[left:right] + tail, start + shift, stop + shift


def differences(a: str, b: str) -> tuple[str, str]:
    """HTML of two texts with the words that differ marked: removed in the first, added in the second."""
    left, right = re.findall(r"\s+|\w+|[^\w\s]", a), re.findall(r"\s+|\w+|[^\w\s]", b)
    if len(left) + len(right) > 8000:  # quadratic; past this a reader looks at the whole text anyway
        return escape(a), escape(b)
    out_a, out_b = [], []
    for op, i1, i2, j1, j2 in difflib.SequenceMatcher(None, left, right, autojunk=False).get_opcodes():
        one, two = escape("".join(left[i1:i2])), escape("".join(right[j1:j2]))
        if op == "equal":
            out_a.append(one)
            out_b.append(two)
        else:
            out_a.append(f'<del class="gp-del">{one}</del>' if one else "")
            out_b.append(f'<ins class="gp-ins">{two}</ins>' if two else "")
    return "".join(out_a), "".join(out_b)


# --- jobs ---------------------------------------------------------------------------------------------------


def start_job(operation: str, what: str, **fields: Any) -> None:
    """Start a job from a button's callback and follow it on this page."""
    result = act(operation, f"{what} has started. It goes on when you leave this page.", **fields)
    if result:
        st.session_state[f"job:{operation}"] = result["job"]


def follow(operation: str) -> None:
    """Live progress of the job that `start_job` started here, until it ends."""
    job_id = st.session_state.get(f"job:{operation}")
    if job_id:
        _follow(operation, job_id)


@st.fragment(run_every=1.0)
def _follow(operation: str, job_id: str) -> None:
    status = ask("jobs.status", job=job_id)
    if status is None:
        return
    if status["state"] in FINISHED:
        del st.session_state[f"job:{operation}"]
        st.session_state["notice"] = outcome(status)
        st.rerun()
    job_bar(status)


def outcome(status: dict[str, Any]) -> tuple[str, str, list[str]]:
    """A finished job as a notice."""
    if status["state"] == "done":
        return "good", f"{status['kind'].capitalize()} is done.", summary_lines(status.get("result") or {})
    return (
        "bad",
        f"{status['kind'].capitalize()} is {status['state']}.",
        [str(status.get("error") or "The Jobs page has its log.")],
    )


def summary_lines(result: dict[str, Any]) -> list[str]:
    """Plain numbers and words of a job's result, one a line."""
    plain = {k: v for k, v in result.items() if isinstance(v, int | float | str) and not isinstance(v, bool)}
    return [f"{readable(key)}: {number(value)}" for key, value in plain.items()][:12]


def job_bar(status: dict[str, Any]) -> None:
    """State, share done, rate and time left of a job."""
    progress = status.get("progress") or {}
    done, total, rate = progress.get("done") or 0, progress.get("total") or 0, progress.get("rate")
    share = min(1.0, done / total) if total else 0.0
    words = [status["state"]]
    if total:
        words.append(f"{number(done)} of {number(total)}")
    if rate:
        words.append(f"{rate:,.1f}/s")
        if total and done < total:
            words.append(f"{clock((total - done) / rate)} left")
    if progress.get("message"):
        words.append(str(progress["message"])[:80])
    st.progress(1.0 if status["state"] == "done" else share)
    block(f'<p class="gp-soft" role="status">{escape(" · ".join(words))}</p>')


def clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return (
        f"{hours} h {minutes:02} min" if hours else f"{minutes} min {rest:02} s" if minutes else f"{rest} s"
    )


def short(name: Any) -> str:
    """HTML of an id in short; the whole of it as a tooltip."""
    return f'<span class="gp-mono" title="{escape(name)}">{escape(str(name or "")[:10])}</span>'


def when(ts: Any) -> str:
    """A UTC time of the store in short."""
    return str(ts or "").replace("T", " ")[:16]


def pager(key: str, *, more: bool) -> None:
    """Previous and next for a list whose page number stands in the session under ``key``."""
    page = st.session_state.get(key, 1)
    if page == 1 and not more:
        return

    def turn(by: int) -> None:
        st.session_state[key] = max(1, page + by)

    left, middle, right, _ = st.columns([1, 1, 1, 5], vertical_alignment="center")
    left.button("Previous", key=f"{key}-back", disabled=page == 1, on_click=turn, args=(-1,), width="stretch")
    with middle:
        block(f'<p class="gp-soft" style="text-align:center">page {page}</p>')
    right.button("Next", key=f"{key}-on", disabled=not more, on_click=turn, args=(1,), width="stretch")
