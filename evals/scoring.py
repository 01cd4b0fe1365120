"""Any scorer over any JSON lines: ``goldpair score METRIC --file pairs.jsonl``.

Covers: reading the file, matching its fields with the scorer's columns, options, results per item as JSON lines.
Does not cover: arms, caches, gates and reports, which belong to a task pack's suites (`evals.run`).
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import evals
from curate.errors import GoldpairError, UsageError
from evals.run import _declared, _plain

PER_ITEM = ("scores", "subscores", "evidence", "classes", "counter_examples")


class ScoringError(GoldpairError):
    """A scorer could not judge the file; the message says what to change."""


def columns_of(name: str) -> dict[str, list[str]]:
    """What a scorer takes: ``required`` and ``optional`` columns, one value an item, and ``options``."""
    scorer = evals.metric(name)
    optional = _declared(scorer, "OPTIONAL")
    parameters = [
        p for p in inspect.signature(scorer._compute).parameters.values() if p.kind is not p.VAR_KEYWORD
    ]
    return {
        "required": [column for column in scorer.features if column not in optional],
        "optional": [column for column in scorer.features if column in optional],
        "options": [p.name for p in parameters if p.name not in scorer.features],
        "needed_options": [
            p.name for p in parameters if p.name not in scorer.features and p.default is p.empty
        ],
    }


def score_file(
    name: str,
    path: Path | str,
    *,
    mapping: Mapping[str, str] | None = None,
    options: Mapping[str, Any] | None = None,
    out: Path | str | None = None,
) -> dict[str, Any]:
    """Score every line of a JSONL file.

    A field of the file is an argument of the scorer: ``predictions``, or ``prediction``; ``mapping`` gives a column
    another field (``{"predictions": "output"}``). A field that is named like an option is handed over as a list, one
    value an item. ``options`` go to the scorer as keywords. ``out`` gets one JSON line an item: ``id`` where the file
    has one, else the line number; the score, sub-scores and evidence.

    Returns ``metric``, ``version``, ``items``, ``ignored`` (fields that nothing asked for), the scorer's numbers,
    ``scores``, ``subscores``, ``evidence``. Raises `UsageError` that names what is missing, with the line.
    """
    known = columns_of(name)
    chosen = dict(options or {})
    _refuse_unknown(name, known, mapping or {}, chosen)
    rows = _read(Path(path))
    columns, ignored = _match(name, known, rows, dict(mapping or {}), chosen, Path(path))
    absent = [option for option in known["needed_options"] if option not in chosen and option not in columns]
    if absent:
        raise UsageError(f"Scorer {name!r} needs --option {absent[0]}=VALUE.")
    try:
        result = _plain(evals.metric(name).compute(**columns, **chosen))
    except GoldpairError:
        raise
    except Exception as error:  # `evaluate` quotes the texts in its messages; they stay out of ours
        why = str(error).split("\n", 1)[0][:200]
        raise ScoringError(
            f"Scorer {name!r} failed on {path}: {type(error).__name__}: {why} "
            f"Check the fields with a file of one line."
        ) from None
    numbers = {
        key: value for key, value in result.items() if not (key in PER_ITEM and isinstance(value, list))
    }
    lists = {key: value for key, value in result.items() if key not in numbers}
    if out is not None:
        _write(Path(out), rows, lists)
    return {
        "metric": name,
        "version": evals.scorer_version(name),
        "items": len(rows),
        "ignored": ignored,
        **numbers,
        **lists,
    }


def _refuse_unknown(
    name: str, known: Mapping[str, list[str]], mapping: Mapping[str, str], options: Mapping[str, Any]
) -> None:
    columns = [*known["required"], *known["optional"]]
    for given, allowed, what in (
        (mapping, [*columns, *known["options"]], "column"),
        (options, known["options"], "option"),
    ):
        for key in given:
            if key not in allowed:
                raise UsageError(
                    f"Scorer {name!r} has no {what} {key!r}. It has: {', '.join(allowed) or 'none'}."
                )


def _read(path: Path) -> list[dict[str, Any]]:
    if not path.is_file():
        raise UsageError(f"No file {path}. Give a JSON lines file, one object a line.")
    rows = []
    try:
        lines = path.read_text("utf-8-sig").split("\n")
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is not UTF-8 text (byte {error.start}). Save it as UTF-8.") from error
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise UsageError(f"{path}, line {number}: no JSON ({error.msg}). One object a line.") from error
        if not isinstance(row, dict):
            raise UsageError(f"{path}, line {number}: {type(row).__name__} instead of an object.")
        rows.append({"_line": number, **row})
    if not rows:
        raise UsageError(f"{path} holds no rows; there is nothing to score.")
    return rows


def _match(
    name: str,
    known: Mapping[str, list[str]],
    rows: Sequence[Mapping[str, Any]],
    mapping: dict[str, str],
    options: Mapping[str, Any],
    path: Path,
) -> tuple[dict[str, list[Any]], list[str]]:
    """The scorer's columns out of the file's fields, and the fields that nothing asked for."""
    fields = sorted({key for row in rows for key in row} - {"_line"})
    features = evals.metric(name).features
    columns: dict[str, list[Any]] = {}
    used, missing = {"id"}, []
    for column in (*known["required"], *known["optional"], *known["options"]):
        spellings = [column, column.removesuffix("ies") + "y" if column.endswith("ies") else column[:-1]]
        if column in known["options"]:
            spellings = spellings[:1]
        field = mapping.get(column) or next((s for s in spellings if s in fields), None)
        if field is None or field not in fields:
            if column in known["required"] or column in mapping:
                missing.append(column if field is None else f"{column} (from {field})")
            continue
        if column in options:
            raise UsageError(f"{column!r} is a field of {path} and an --option as well; give it once.")
        used.add(field)
        values = [row.get(field) for row in rows]
        if column in known["required"] and None in values:
            line = rows[values.index(None)]["_line"]
            raise UsageError(
                f"{path}, line {line}: {field!r} is absent or null; scorer {name!r} needs {column}."
            )
        if column in known["options"]:
            columns[column] = values
            continue
        text = getattr(features.get(column), "dtype", None) == "string"
        columns[column] = [_text(value) if text else value for value in values]
    if missing:
        raise UsageError(
            f"{path} lacks {', '.join(missing)}, which scorer {name!r} needs. Its fields: {', '.join(fields)}. "
            f"Name a field with --map {missing[0].split(' ')[0]}=FIELD."
        )
    return columns, [field for field in fields if field not in used]


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, sort_keys=True)


def _write(out: Path, rows: Sequence[Mapping[str, Any]], lists: Mapping[str, list[Any]]) -> None:
    singular = {"scores": "score", "classes": "class", "counter_examples": "counter_example"}
    with out.open("w", encoding="utf-8") as file:
        for number, row in enumerate(rows):
            item = {"id": row.get("id", row["_line"])}
            item |= {singular.get(key, key): values[number] for key, values in lists.items()}
            file.write(json.dumps(item, ensure_ascii=False) + "\n")
