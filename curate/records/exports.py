"""Exports of annotation tools: Argilla and Label Studio.

Covers: Argilla's nested records (1.x and 2.x) and its flattened ones (2.x ``to_list(flatten=True)`` and its
hub layout), Label Studio's JSON tasks.
Does not cover: Label Studio's JSON_MIN and CSV, which are plain columns (`shapes`, or a mapping).

The completion is, in this order: a person's submitted answer, an answer that stands in the data itself, a
model's suggestion. Several different answers of people become competing drafts. Answers to the other
questions stay in ``metadata.answers``; who gave them is not taken over.
"""

from __future__ import annotations

import json
from typing import Any

from curate.records.rows import Fields, Refused
from curate.records.shapes import (
    COMPLETIONS,
    PROMPTS,
    Columns,
    chat_or_text,
    drafts,
    listed,
    pair,
    unpacked,
)

_ANSWERS = (*COMPLETIONS, "note", "text", "summary", "rewrite", "correction")


def export_rows(columns: Columns) -> list[Fields] | None:
    """Rows of an annotation tool's record; None when the row is no such record. Raises `Refused`."""
    row = columns.row
    if isinstance(row.get("fields"), dict) and ("responses" in row or "suggestions" in row):
        return _argilla(columns)
    if isinstance(row.get("data"), dict) and any(key in row for key in ("annotations", "predictions")):
        return _label_studio(columns)
    if any(key.endswith((".responses", ".suggestion", "-suggestion")) for key in row):
        return _argilla_flat(columns)
    return None


# ---------------------------------------------------------------- Argilla


def _argilla(columns: Columns) -> list[Fields]:
    fields = columns.take("fields")
    answers = _argilla_answers(columns.take("responses"))
    suggested = _argilla_suggestions(columns.take("suggestions"))
    columns.take("vectors")
    return _assembled(columns, dict(fields), answers, suggested)


def _argilla_answers(responses: Any) -> dict[str, list[Any]]:
    """Question -> values that people submitted."""
    found: dict[str, list[Any]] = {}
    if isinstance(responses, dict):  # 2.x: question -> list of answers
        for question, given in responses.items():
            for answer in given if isinstance(given, list) else [given]:
                value = answer.get("value") if isinstance(answer, dict) else answer
                status = answer.get("status") if isinstance(answer, dict) else None
                if value is not None and status not in ("discarded", "draft"):
                    found.setdefault(str(question), []).append(value)
    elif isinstance(responses, list):  # 1.x: list of people's answers, each question -> {"value"}
        for person in responses:
            if not isinstance(person, dict) or person.get("status") in ("discarded", "draft"):
                continue
            values = person.get("values")
            for question, answer in values.items() if isinstance(values, dict) else ():
                value = answer.get("value") if isinstance(answer, dict) else answer
                if value is not None:
                    found.setdefault(str(question), []).append(value)
    elif responses is not None:
        raise Refused("wrong_type", "the responses are neither an object nor a list")
    return found


def _argilla_suggestions(suggestions: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if isinstance(suggestions, dict):
        for question, given in suggestions.items():
            found[str(question)] = given.get("value") if isinstance(given, dict) else given
    elif isinstance(suggestions, list):
        for given in suggestions:
            if isinstance(given, dict) and (given.get("question_name") or given.get("question_id")):
                found[str(given.get("question_name") or given["question_id"])] = given.get("value")
    return found


def _argilla_flat(columns: Columns) -> list[Fields]:
    answers: dict[str, list[Any]] = {}
    suggested: dict[str, Any] = {}
    fields: dict[str, Any] = {}
    for key in list(columns.row):
        question, dot, part = key.partition(".")
        if key.endswith(".responses"):
            given = unpacked(columns.take(key)) or []
            statuses = unpacked(columns.row.get(f"{question}.responses.status")) or []
            given = given if isinstance(given, list) else [given]
            statuses = statuses if isinstance(statuses, list) and len(statuses) == len(given) else []
            answers[question] = [
                value
                for n, value in enumerate(given)
                if value is not None and (not statuses or statuses[n] not in ("discarded", "draft"))
            ]
        elif key.endswith((".suggestion", "-suggestion")):
            suggested[key.removesuffix(".suggestion").removesuffix("-suggestion")] = columns.take(key)
        elif dot and part.startswith(("responses.", "suggestion.")):
            columns.take(key)
    questions = set(answers) | set(suggested)
    for key, value in columns.row.items():
        if key in columns.used or key in ("metadata", "status", "id", "_server_id", "external_id"):
            continue
        given = unpacked(value)
        if key in questions and isinstance(
            given, list
        ):  # 1.x hub layout: question -> [{user_id, value, status}]
            columns.take(key)
            answers[key] = [
                item["value"]
                for item in given
                if isinstance(item, dict)
                and item.get("value") is not None
                and item.get("status") != "discarded"
            ]
        elif not key.endswith("-suggestion-metadata"):
            fields[key] = value
    inner = unpacked(columns.row.get("metadata"))
    rows = _assembled(columns, fields, answers, suggested, flat=True)
    for found in rows:
        if isinstance(inner, dict) and found.metadata is not None and "metadata" in found.metadata:
            del found.metadata["metadata"]
            found.metadata = {**inner, **found.metadata}
    return rows


def _assembled(
    columns: Columns,
    fields: dict[str, Any],
    answers: dict[str, list[Any]],
    suggested: dict[str, Any],
    flat: bool = False,
) -> list[Fields]:
    """Choose prompt field and completion among an Argilla record's fields, answers and suggestions."""
    asked = next((name for name in PROMPTS if _is_text(fields.get(name))), None)
    texts = [name for name, value in fields.items() if _is_text(value)]
    if asked is None:
        plain = [name for name in texts if name not in COMPLETIONS]
        if len(plain) != 1:
            seen = ", ".join(plain) or "none"
            raise Refused(
                "missing_prompt" if not plain else "ambiguous_columns", f"fields for a prompt: {seen}"
            )
        asked = plain[0]
    written = _named_text({name: values for name, values in answers.items() if any(map(_is_text, values))})
    offered = _named_text({name: [value] for name, value in suggested.items() if _is_text(value)})
    standing = next((name for name in COMPLETIONS if name != asked and _is_text(fields.get(name))), None)
    if written is not None:
        completions = [value for value in answers.pop(written) if _is_text(value)]
    elif standing is not None:
        completions = [fields[standing]]
    elif offered is not None:
        completions = [suggested.pop(offered)]
    else:
        raise Refused("no_annotation", "nobody answered with a text, and nothing was suggested")
    system = fields.get("system")
    history = fields.get("history")
    used = {asked, "system", "history", *([standing] if standing and written is None else [])}
    extra: dict[str, Any] = {name: value for name, value in fields.items() if name not in used}
    if answers:
        extra["answers"] = {name: values for name, values in answers.items() if values}
    if suggested:
        extra["suggestions"] = suggested
    if flat:
        columns.used.update(fields)
    found = [pair(chat_or_text(fields[asked]), chat_or_text(text), system, history) for text in completions]
    for one in found:
        one.metadata = {**extra, **(one.metadata or {})}
    return drafts(columns, found)


def _is_text(value: Any) -> bool:
    return (isinstance(value, str) and bool(value.strip())) or (
        isinstance(value, list)
        and bool(value)
        and all(isinstance(turn, dict) and "role" in turn for turn in value)
    )


def _named_text(questions: dict[str, list[Any]]) -> str | None:
    """Which text question holds the completion: one named like it, else the only one that is not a choice."""
    for name in _ANSWERS:
        if name in questions:
            return name
    return next(iter(questions)) if len(questions) == 1 else None


# ---------------------------------------------------------------- Label Studio


def _label_studio(columns: Columns) -> list[Fields]:
    data = dict(columns.take("data"))
    given = columns.take("annotations")
    if given is not None and not isinstance(given, list):
        raise Refused("wrong_type", "the annotations are not a list")
    predicted = columns.take("predictions")
    done = [one for one in given or [] if isinstance(one, dict) and not one.get("was_cancelled")]
    asked = next((name for name in PROMPTS if _is_text(data.get(name))), None)
    if asked is None:
        texts = [name for name, value in data.items() if _is_text(value) and name not in COMPLETIONS]
        if len(texts) != 1:
            names = listed({name: None for name in texts})
            raise Refused(
                "missing_prompt" if not texts else "ambiguous_columns",
                f"data columns for a prompt: {names}",
            )
        asked = texts[0]
    prompt = chat_or_text(data.pop(asked))
    standing = next((name for name in COMPLETIONS if _is_text(data.get(name))), None)
    found = []
    for one in done:
        written, labels = _results(one.get("result"))
        completion, extra = written, labels
        if completion is None and standing is not None:
            completion = data[standing]
        elif completion is None and labels:
            completion, extra = _as_text(labels), {}
        if completion is None:
            continue
        fields = pair(prompt, completion, data.get("system"), data.get("history"))
        kept = {k: v for k, v in data.items() if k not in ("system", "history") and v is not completion}
        fields.metadata = {
            **kept,
            **({"answers": extra} if extra else {}),
            **(fields.metadata or {}),
        }
        found.append(fields)
    if not found:
        offered = f", {len(predicted)} predictions" if isinstance(predicted, list) and predicted else ""
        raise Refused("no_annotation", f"no finished annotation with an answer ({len(done)} done{offered})")
    rows = drafts(columns, found)
    for fields in rows:  # who annotated and when is the tool's bookkeeping; the payload still has it
        fields.metadata = {k: v for k, v in (fields.metadata or {}).items() if k not in _BOOKKEEPING}
    return rows


_BOOKKEEPING = frozenset(
    (
        *("inner_id", "total_annotations", "cancelled_annotations", "total_predictions", "comment_count"),
        *("comment_authors", "unresolved_comment_count", "last_comment_updated_at", "project", "updated_by"),
        *("created_at", "updated_at", "file_upload", "meta", "allow_skip", "precomputed_agreement"),
    )
)


def _results(results: Any) -> tuple[str | None, dict[str, Any]]:
    """A written answer (text areas, their lines in order) and everything else by the name of its control."""
    areas: dict[str, list[str]] = {}
    labels: dict[str, Any] = {}
    for result in results if isinstance(results, list) else []:
        value = result.get("value") if isinstance(result, dict) else None
        if not isinstance(value, dict):
            continue
        name = str(result.get("from_name") or result.get("type") or "answer")
        if result.get("type") == "textarea" or ("text" in value and result.get("type") in (None, "textarea")):
            text = value.get("text")
            lines = text if isinstance(text, list) else [text]
            areas.setdefault(name, []).extend(line for line in lines if isinstance(line, str))
        else:
            kind = str(result.get("type") or next(iter(value), "value"))
            labels.setdefault(name, []).append(value.get(kind, value))
    labels = {name: values[0] if len(values) == 1 else values for name, values in labels.items()}
    best = _named_text({name: list(lines) for name, lines in areas.items()})
    if best is None and areas:
        raise Refused("ambiguous_columns", f"several text areas: {listed({name: None for name in areas})}")
    written = "\n".join(areas.pop(best)) if best is not None else None
    return written or None, labels


def _as_text(labels: dict[str, Any]) -> str:
    """Chosen labels as the completion of a classification task: ``a, b``; JSON where no plain texts."""
    (value, *others) = labels.values()
    texts = value if isinstance(value, list) else [value]
    if others or not all(isinstance(text, str) for text in texts):
        return json.dumps(labels, ensure_ascii=False, sort_keys=True)
    return ", ".join(texts)
