"""Comparing what two programs wrote: exactly, without trailing blanks, and loosely; each level apart.

Does not cover: which level decides. `evals.cobol.judge` takes ``whitespace`` unless told otherwise: a field of twenty
characters is displayed with its blanks, and nobody wants them in Python.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

LEVELS = ("exact", "whitespace", "loose")


def same(expected: bytes, got: bytes) -> dict[str, bool]:
    """Per level whether two outputs agree. ``loose`` ignores case, brackets, quotes and how many blanks there are."""
    if expected == got:
        return dict.fromkeys(LEVELS, True)
    trimmed = _trim(expected) == _trim(got)
    return {"exact": False, "whitespace": trimmed, "loose": trimmed or _loosen(expected) == _loosen(got)}


def _trim(text: bytes) -> list[bytes]:
    rows = [row.rstrip(b" \t\r\0") for row in text.split(b"\n")]
    while rows and not rows[-1]:
        rows.pop()
    return rows


def _loosen(text: bytes) -> bytes:
    return b" ".join(re.sub(rb"[\[\](){}'\",]", b" ", text.lower()).split())


def same_field(expected: str, got: Any, kind: str, scale: int) -> dict[str, bool]:
    """One LINKAGE field. ``got`` is the JSON of what Python returned (see the server): numbers are marked as such."""
    if kind in ("numeric", "float"):
        wanted = _decimal(expected)
        if isinstance(got, dict):
            value = _decimal(str(got.get("number", got.get("float", ""))))
            typed = "number" in got or "float" in got
        else:
            value, typed = _decimal(str(got)), False
        if wanted is None or value is None:
            return dict.fromkeys(LEVELS, False)
        if kind == "float":
            close = abs(wanted - value) <= Decimal("1e-9") * max(Decimal(1), abs(wanted))
            return {"exact": close and typed, "whitespace": close and typed, "loose": close}
        exact = wanted == value and typed
        near = abs(wanted - value) < Decimal(1).scaleb(-scale - 4)
        return {"exact": exact, "whitespace": exact, "loose": near}
    if not isinstance(got, str):
        return dict.fromkeys(LEVELS, False)
    # A field is padded to its length and a Python text is not: blanks at its end carry nothing.
    exact = expected.rstrip(" ") == got.rstrip(" ")
    return {"exact": exact, "whitespace": exact, "loose": exact or expected.split() == got.split()}


def _decimal(text: str) -> Decimal | None:
    try:
        return Decimal(text.strip())
    except InvalidOperation:
        return None


def all_of(parts: Sequence[Mapping[str, bool]]) -> dict[str, bool]:
    """Levels that hold for every part."""
    return {level: all(part[level] for part in parts) for level in LEVELS}
