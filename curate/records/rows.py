"""What reading yields: rows, refused lines, and the words for every refusal.

Covers: `Row`, `Bad`, the stable reason codes with what to do about each, the check that a text can be
stored.
Does not cover: which columns mean what (`shapes`, `exports`) or how a file is opened (`files`, `folders`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

LIMIT = 32 * 1024 * 1024  # bytes a line, CSV row, array element or text file may have
MAX_DEPTH = 64  # levels of nesting a row may have
EXCERPT = 200  # characters of a refused line that are kept

REASONS: dict[str, str] = {
    "not_json": "Repair the JSON of this line.",
    "truncated": "The file ends too early: copy or export it again.",
    "duplicate_key": "Keep one value for each key of the object.",
    "not_an_object": "Every line must be a JSON object with named values.",
    "too_deep": f"Flatten the row: at most {MAX_DEPTH} levels of nesting.",
    "too_long": f"Split the row or file: at most {LIMIT // 1024 // 1024} MiB.",
    "encoding": "Save the file as UTF-8.",
    "control_characters": "Remove NUL and other control characters (tab, line feed and CR may stay).",
    "unknown_shape": 'Name the columns with a mapping, such as {"prompt": "col1", "completion": "col2"}.',
    "ambiguous_columns": "Say with a mapping which column is meant.",
    "missing_column": "Correct the mapping, or give the row the column.",
    "wrong_type": "Give this value the type it should have.",
    "wrong_columns": "Give every row as many fields as the header has.",
    "malformed_csv": "Quote fields that hold quotes, separators or line breaks.",
    "missing_prompt": "Add the prompt, or map the column that holds it.",
    "missing_completion": "Add the completion, or map the column that holds it.",
    "empty_prompt": "Write the prompt.",
    "empty_completion": "Write the completion.",
    "empty_turn": "Fill or remove the empty turn of the conversation.",
    "unknown_role": "Use the roles system, user and assistant.",
    "no_assistant_turn": "Add the assistant's answer that is to be learned.",
    "turns_out_of_order": "A user turn must stand right before the answer that is to be learned.",
    "tool_calls_unsupported": "Pairs are text only: remove the tool calls or leave these rows out.",
    "not_text": "Pairs are text only: leave images, audio and other parts out.",
    "no_annotation": "Finish or export the annotation of this task first.",
    "no_partner": "Give the file a partner of the same name (see the pairing rule).",
    "ambiguous_pair": "Leave one prompt file and one completion file for each name, or give patterns.",
    "unknown_file_type": "Only text, source and .docx files are paired; move this file away.",
    "unreadable": "Open and save the file again with the program that made it.",
    "tracked_changes": "Accept or reject the tracked changes, then save.",
    "duplicate_id": "Give the row an id of its own, or remove the changed copy.",
}


class Refused(Exception):
    """One row cannot be used. ``reason`` is a key of `REASONS`; ``detail`` says what was seen."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Row:
    """One usable row. ``history`` holds the turns before the prompt, as ``{"role", "content"}``."""

    external_id: str | None  # the file's own id for it
    source: str  # what it came from; rows that share it are not independent; "" when the file does not say
    system: str
    history: list[dict[str, str]]
    prompt: str
    completion: str
    metadata: dict[str, Any]
    line: int  # 1-based line (row number in Parquet) where it starts
    payload: str  # the line as it stood, or the row as JSON where a file has no lines
    file: str


@dataclass(frozen=True, slots=True)
class Bad:
    """One line that cannot be used, and why. ``line`` is 0 when a whole file is meant."""

    file: str
    line: int
    reason: str
    detail: str
    excerpt: str


@dataclass(slots=True)
class Fields:
    """What a shape finds in one row, before it is checked."""

    prompt: str
    completion: str
    system: str = ""
    history: list[dict[str, str]] | None = None
    metadata: dict[str, Any] | None = None
    external_id: str | None = None
    source: str = ""


def printable(text: str) -> str:
    """The text with every character that does not print (also lone surrogates) as a backslash escape."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def excerpt(text: str | bytes) -> str:
    """At most 200 printable characters of a line; everything else as a backslash escape."""
    start = text[: 4 * EXCERPT]
    if isinstance(start, bytes):
        start = start.decode("utf-8", "backslashreplace")
    start = printable(start.strip())
    return start if len(start) <= EXCERPT else start[: EXCERPT - 1] + "…"


_UNSTORABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff]")


def check_text(text: str, where: str) -> None:
    """Raise `Refused` for a text that no UTF-8 column can hold faithfully: control characters, surrogates."""
    found = _UNSTORABLE.search(text)
    if found is None:
        return
    code = ord(found[0])
    if code >= 0xD800:
        what = f"byte 0x{code - 0xDC00:02X} is not UTF-8" if 0xDC80 <= code <= 0xDCFF else "half a character"
        raise Refused("encoding", f"{where}: {what}, at character {found.start() + 1}")
    raise Refused("control_characters", f"{where}: character U+{code:04X} at position {found.start() + 1}")


def check_value(value: Any, where: str, depth: int = 1) -> None:
    """`check_text` for every text and key inside a JSON value, and a bound on its nesting."""
    if isinstance(value, str):
        check_text(value, where)
        return
    if isinstance(value, dict | list):
        if depth > MAX_DEPTH:
            raise Refused("too_deep", f"{where}: nested more than {MAX_DEPTH} levels deep")
        if isinstance(value, dict):
            for key in value:
                check_text(key, f"a key of {where}")
            value = list(value.values())
        for item in value:
            check_value(item, where, depth + 1)
