"""The texts of a pair as named fields, places of strings in them, and the id of a span.

Covers: fields out of a row and back into it, occurrences of known strings. Does not cover: what a span means, which
`curate.findings` says, nor finding one (`curate.privacy`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from curate.contract import canonical_json, sha256_hex

TEXT_COLUMNS = ("system", "history", "prompt", "completion", "metadata")


def fields_of(row: Mapping[str, Any]) -> dict[str, str]:
    """Every text of a pair by name: ``prompt``, ``completion``, ``system``, ``history.0``, ``metadata.key``.

    Empty texts are left out. Numbers in metadata hold no text; nested values are scanned in their JSON form.
    """
    fields = {name: row[name] for name in ("system", "prompt", "completion") if row[name]}
    for number, turn in enumerate(json.loads(row["history"] or "[]")):
        if turn["content"]:
            fields[f"history.{number}"] = turn["content"]
    for key, value in json.loads(row["metadata"] or "{}").items():
        if isinstance(value, str) and value:
            fields[f"metadata.{key}"] = value
        elif isinstance(value, list | dict) and value:
            fields[f"metadata.{key}"] = json.dumps(value, ensure_ascii=False)
    return fields


def with_fields(row: Mapping[str, Any], fields: Mapping[str, str]) -> dict[str, str]:
    """The row's text columns with the given field texts put in. A changed nested value stays JSON text."""
    history = json.loads(row["history"] or "[]")
    metadata = json.loads(row["metadata"] or "{}")
    for number, turn in enumerate(history):
        turn["content"] = fields.get(f"history.{number}", turn["content"])
    for key, value in metadata.items():
        text = fields.get(f"metadata.{key}")
        if text is not None and (isinstance(value, str) or text != json.dumps(value, ensure_ascii=False)):
            metadata[key] = text
    return {
        "system": fields.get("system", row["system"] or ""),
        "history": canonical_json(history).decode(),
        "prompt": fields.get("prompt", row["prompt"] or ""),
        "completion": fields.get("completion", row["completion"] or ""),
        "metadata": canonical_json(metadata).decode(),
    }


def occurrences(text: str, strings: Sequence[str]) -> list[tuple[int, int]]:
    """Places of the given strings in a text, case ignored; neighbours with only blanks between are joined."""
    folded = text.lower() if len(text.lower()) == len(text) else text
    places: list[tuple[int, int]] = []
    for string in {s for s in strings if s}:
        needle, at = string.lower() if folded is not text else string, 0
        while (at := folded.find(needle, at)) >= 0:
            places.append((at, at + len(needle)))
            at += 1
    joined: list[tuple[int, int]] = []
    for start, stop in sorted(places):
        if joined and (start <= joined[-1][1] or not text[joined[-1][1] : start].strip(" ,.'-")):
            joined[-1] = (joined[-1][0], max(stop, joined[-1][1]))
        else:
            joined.append((start, stop))
    return joined


def finding_id(pair_id: str, rev: int, span: Mapping[str, Any]) -> str:
    """The id of a span {field, start, stop, entity_type} of one revision: the same span has the same id."""
    place = [pair_id, rev, span["field"], span["start"], span["stop"], span["entity_type"]]
    return "f-" + sha256_hex(canonical_json(place))[:16]
