"""Which shape a row has: the order in which shapes are tried.

Covers: `rows_of`, from one decoded row to prompt and completion.
Does not cover: what each shape means (`shapes`, `exports`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from curate.records.exports import export_rows
from curate.records.rows import Fields, Refused
from curate.records.shapes import (
    CHATS,
    DRAFT,
    Columns,
    alpaca,
    competing,
    conversation,
    dialogue,
    identity,
    mapped,
    optional_text,
    preference,
    prompt_column,
    sample,
    synonyms,
    turns_of,
)


def rows_of(row: Mapping[str, Any], mapping: Mapping[str, str] | None = None) -> list[Fields]:
    """Prompt, completion and the rest of one row: one result, or several for competing drafts.

    Raises `Refused`.
    """
    if mapping:
        return [mapped(row, mapping)]
    columns = Columns(row)
    found = export_rows(columns)
    if found is not None:
        return found
    for chosen, rejected in (
        ("chosen", "rejected"),
        ("chosen_messages", "rejected_messages"),
        ("preferred_output", "non_preferred_output"),
    ):
        if columns.has(chosen, rejected):
            return [identity(columns, preference(columns, chosen, rejected))]
    if not columns.has("prompt", "completion"):
        visit = dialogue(columns)
        if visit is not None:
            return [visit]
        numbered = sorted(name for name in columns.present if DRAFT.match(name))
        if len(numbered) == 2 and prompt_column(columns):
            return competing(columns, numbered)
        chat = next(iter(columns.found(CHATS)), None)
        if chat is not None:
            turns = turns_of(columns.take(chat), chat)
            system = optional_text(columns.take("system"), "system")
            return [identity(columns, conversation(turns, system))]
        if columns.has("instruction"):
            answers = columns.found(("output", "response", "answer", "completion"))
            if len(answers) > 1:
                raise Refused("ambiguous_columns", f"the completion could be {' or '.join(answers)}")
            return [identity(columns, alpaca(columns, columns.take(answers[0]) if answers else None))]
        if columns.has("input", "target") and not columns.has("output"):
            return [identity(columns, sample(columns))]
    return [identity(columns, synonyms(columns))]
