"""Strict JSON: what the standard library accepts beyond the standard is refused.

Covers: a decoder that refuses doubled keys, NaN, Infinity and numbers too large for a float; a fast test
for text that cannot hide an unstorable character.
Does not cover: where rows start and end (`files`).
"""

from __future__ import annotations

import json
import math
from typing import Any


class DuplicateKey(ValueError):
    """An object names a key twice; keeping one of the values would lose the other silently."""


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        names = [name for name, _ in pairs]
        doubled = next(name for name in names if names.count(name) > 1)
        raise DuplicateKey(f"the key {doubled[:40]!r} stands twice")
    return value


def _number(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"the number {text[:40]} is too large")
    return value


def _constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


STRICT = json.JSONDecoder(object_pairs_hook=_object, parse_float=_number, parse_constant=_constant)


def is_clean(raw: bytes | str) -> bool:
    """Whether JSON text is free of the escapes that could stand for an unstorable character, and not deep."""
    if isinstance(raw, str):
        return (
            "\\u" not in raw
            and "\\b" not in raw
            and "\\f" not in raw
            and raw.count("[") + raw.count("{") <= 32
        )
    return (
        b"\\u" not in raw
        and b"\\b" not in raw
        and b"\\f" not in raw
        and raw.count(b"[") + raw.count(b"{") <= 32
    )
