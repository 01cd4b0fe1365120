"""Review: the card, one pair in focus, decided by single keys.

Covers: mounting the card with the task's labels, reasons and guidelines; starting a job of suggestions. Does not
cover: what the card does (`card.js`, which talks to the REST routes itself, so that no key waits for a page run).
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import streamlit as st

from curate import ops, preferences
from curate.users import Actor, may
from curate.views import parts

HERE = Path(__file__).parent
ORDERS = {"queue": "as it comes", "score": "lowest score first", "score_high": "highest score first"}
# What a person may mark as personal by a digit; other types by `goldpair findings add`.
MARKED_TYPES = ["PERSON", "PHONE", "EMAIL", "ADDRESS", "CITY", "DATE", "ORG", "ID", "URL"]
SHOWN_STAGES = {"annotate": "annotate", "review": "review", "adjudicate": "adjudicate"}


def render() -> None:
    parts.header(
        "Review", "One pair at a time. Each key on a button decides at once; U takes the last ten back."
    )
    context = parts.context()
    if not parts.allowed("review.next"):
        parts.empty(
            "Your role may look, not decide",
            "Ask an admin for the role annotator or reviewer. Pairs lists everything.",
        )
        return
    folder, pack = ops.pack_of(context, parts.task())
    _suggesting()
    queue = _order() if pack.suites else {}
    _component()(
        key=f"card-{parts.task()}-{context.actor.user}",
        data=card_data(context.actor, parts.task(), folder, pack)
        | {
            "first": st.query_params.get("pair", ""),
            "queue": queue,
            "keys": preferences.all_of(context.store, context.actor, "card_keys").get("card_keys") or {},
        },
    )


def _order() -> dict[str, Any]:
    """Which pairs the card asks for, and in which order: fields of `review.next`."""
    with st.expander("Order of the queue"):
        one, two = st.columns([2, 3], vertical_alignment="bottom")
        order = one.selectbox(
            "Order", list(ORDERS), key="queue_order", format_func=ORDERS.__getitem__,
            help="By the task's first scorer, for pairs that `goldpair review score` has judged; others come last.",
        )  # fmt: skip
        held = two.slider("Only scores from … to …", 0.0, 1.0, (0.0, 1.0), 0.05, key="queue_scores")
        low, high = held
    bounds = {"min_score": low if low > 0 else None, "max_score": high if high < 1 else None}
    return {"order": order, **{name: value for name, value in bounds.items() if value is not None}}


def _suggesting() -> None:
    """For leads: let a version answer what waits. Endpoints are named on the command line."""
    if not parts.allowed("suggest"):
        return
    with st.expander("Let a model suggest answers"):
        versions = [
            row["name"] for row in (parts.ask("models.list", task=parts.task()) or {"models": []})["models"]
        ]
        left, right = st.columns([3, 2], vertical_alignment="bottom")
        voice = left.selectbox("Who answers", ["the base, untrained", *versions])
        who = {"model": voice} if voice in versions else {"base": True}
        right.button(
            "Answer undecided pairs", on_click=parts.start_job, args=("suggest", "The model"),
            kwargs={"task": parts.task(), **who}, width="stretch",
        )  # fmt: skip
        parts.block(
            '<p class="gp-soft">Its answers stand beside the completions, scored by the task; nothing is replaced. '
            "Taking one is an edit, which somebody else approves.</p>"
        )
        parts.follow("suggest")


def card_data(actor: Actor, task: str, folder: Path, pack: Any) -> dict[str, Any]:
    """What the card needs to know besides its items. Texts in it are shown as text."""
    guidelines = folder / "guidelines.md"
    from curate import review

    return {
        "user": actor.user,
        "task": task,
        "may": {"review": may(actor, "review")},
        "reasons": pack.reject_reasons,
        "types": MARKED_TYPES,
        "labels": [
            {
                "name": one.name,
                "title": one.title,
                "kind": one.kind,
                "key": one.key,
                "choices": one.choices,
                "scale": one.scale,
            }
            for one in pack.labels
            if may(actor, SHOWN_STAGES[one.stage]) and one.kind != "span"
        ],
        "guidelines": guidelines.read_text("utf-8") if guidelines.exists() else "",
        "guideline_version": review.guideline_version(folder),
    }


@cache
def _component() -> Any:
    return st.components.v2.component(
        "goldpair_review",
        html='<div class="card"></div>',
        css=(HERE / "card.css").read_text("utf-8"),
        js=(HERE / "card.js").read_text("utf-8"),
    )
