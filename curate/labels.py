"""Labels of a pair against the task's schema.

Covers: checking values by kind, who may set which label, which required ones are missing. Does not cover:
storing them (`curate.review`), agreement between people.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from curate.errors import UsageError
from curate.store import Tx
from curate.tasks import Label, TaskPack
from curate.users import Actor, require

STANDING_LABELS = (  # labels whose decision was not undone; the last one by name counts
    "SELECT l.* FROM labels l LEFT JOIN decisions d ON d.seq = l.seq"
    " WHERE l.value IS NOT NULL AND d.undone IS NULL"
)
STAGE_PERMISSION = {"annotate": "annotate", "review": "review", "adjudicate": "adjudicate"}


def check_labels(pack: TaskPack | None, actor: Actor, values: Mapping[str, Any]) -> dict[str, Any]:
    """The values, checked. Raises `UsageError` for an unknown label or a wrong value, `PermissionDenied` by
    stage.

    Values by kind: choice a string, multi-choice a list of strings, rating an integer from 1, text a string,
    span a list of ``{"field", "start", "stop", "label"}``.
    """
    if not values:
        return {}
    if pack is None:
        raise UsageError("Labels need the task pack they are defined in.")
    schema = {label.name: label for label in pack.labels}
    for name, value in values.items():
        if name not in schema:
            raise UsageError(f"No label {name!r} in task {pack.name}. Labels: {', '.join(schema) or 'none'}.")
        require(actor, STAGE_PERMISSION[schema[name].stage])
        problem = _problem(schema[name], value)
        if problem:
            raise UsageError(f"Label {name}: {problem}.")
    return dict(values)


def missing_labels(tx: Tx, pack: TaskPack | None, pair_id: str, values: Mapping[str, Any]) -> list[str]:
    """One sentence for each required label that neither ``values`` nor the pair has."""
    wanted = (
        [label.name for label in pack.labels if label.required and label.stage != "adjudicate"]
        if pack
        else []
    )
    if not wanted:
        return []
    rows = tx.rows(f"SELECT DISTINCT name FROM ({STANDING_LABELS}) WHERE pair_id = ?", [pair_id])
    have = {row["name"] for row in rows} | set(values)
    return [f"The label {name} is missing." for name in wanted if name not in have]


def _problem(label: Label, value: Any) -> str | None:
    choices = f"one of {', '.join(label.choices)}"
    if label.kind == "choice":
        return None if value in label.choices else choices
    if label.kind == "multi-choice":
        good = (
            isinstance(value, list)
            and all(v in label.choices for v in value)
            and len(set(value)) == len(value)
        )
        return None if good else f"a list, each {choices}, none twice"
    if label.kind == "rating":
        good = isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= label.scale
        return None if good else f"a whole number from 1 to {label.scale}"
    if label.kind == "text":
        return None if isinstance(value, str) else "a text"
    good = isinstance(value, list) and all(_is_span(v, label.choices) for v in value)
    return None if good else f"a list of {{field, start, stop, label}}, label {choices}"


def _is_span(value: Any, choices: list[str]) -> bool:
    return (
        isinstance(value, dict)
        and set(value) == {"field", "start", "stop", "label"}
        and value["field"] in ("prompt", "completion")
        and all(isinstance(value[k], int) and not isinstance(value[k], bool) for k in ("start", "stop"))
        and 0 <= value["start"] < value["stop"]
        and value["label"] in choices
    )
