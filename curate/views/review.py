"""Review: the card, one pair in focus, decided by single keys.

Covers: mounting the card with the task's labels, reasons and guidelines. Does not cover: what the card does
(`card.js`, which talks to the REST routes itself, so that no key waits for a page run).
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
    _component()(
        key=f"card-{parts.task()}-{context.actor.user}",
        data=card_data(context.actor, parts.task(), folder, pack)
        | {
            "first": st.query_params.get("pair", ""),
            "keys": preferences.all_of(context.store, context.actor, "card_keys").get("card_keys") or {},
        },
    )


def card_data(actor: Actor, task: str, folder: Path, pack: Any) -> dict[str, Any]:
    """What the card needs to know besides its items. Texts in it are shown as text."""
    guidelines = folder / "guidelines.md"
    from curate import review

    return {
        "user": actor.user,
        "task": task,
        "may": {"review": may(actor, "review")},
        "reasons": pack.reject_reasons,
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
