"""Shapes: what one row of each shape that the field uses becomes, why a row is refused, and mappings."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from curate.errors import UsageError
from curate.records import REASONS, read
from curate.records.detect import rows_of
from curate.records.rows import Refused
from tests.reading import BOT, USER


def one(row: dict[str, Any], mapping: dict[str, str] | None = None) -> Any:
    (found,) = rows_of(row, mapping)
    return found


def refused(row: dict[str, Any]) -> str:
    with pytest.raises(Refused) as caught:
        rows_of(row)
    assert caught.value.reason in REASONS
    return caught.value.reason


# ------------------------------------------------------------------------------------------------- shapes


@pytest.mark.parametrize(
    "row",
    [
        {"prompt": "p", "completion": "c"},
        {"input": "p", "output": "c"},
        {"question": "p", "answer": "c"},
        {"instruction": "p", "response": "c"},
        {"instruction": "p", "input": "", "output": "c"},
        {"Prompt": "p", " Completion ": "c"},
        {"query": "p", "response": "c"},
        {"messages": [USER, BOT]},
        {"messages": json.dumps([USER, BOT])},
        {"messages": [{"role": "user", "content": [{"type": "text", "text": "p"}]}, BOT]},
        {"conversations": [{"from": "human", "value": "p"}, {"from": "gpt", "value": "c"}]},
        {"conversations": [USER, BOT]},
        {"prompt": [USER], "completion": [BOT]},
        {"prompt": [USER], "completion": "c"},
        {"input": "p", "target": "c"},
        {"input": [USER], "target": "c"},
        {"fields": {"prompt": "p"}, "responses": {"completion": [{"value": "c"}]}},
        {
            "data": {"text": "p"},
            "annotations": [{"result": [{"type": "textarea", "value": {"text": ["c"]}}]}],
        },
    ],
)
def test_shapes(row: dict[str, Any]) -> None:
    found = one(row)
    assert (found.prompt, found.completion, found.system, found.history) == ("p", "c", "", [])


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"text": "only a text"}, "missing_completion"),
        ({"prompt": "p"}, "missing_completion"),
        ({"prompt": "p", "completion": None}, "missing_completion"),
        ({"completion": "c"}, "missing_prompt"),
        ({"prompt": " \n", "completion": "c"}, "empty_prompt"),
        ({"prompt": "p", "completion": ""}, "empty_completion"),
        ({"prompt": 4, "completion": "c"}, "wrong_type"),
        ({"prompt": "p", "completion": ["c"]}, "wrong_type"),
        ({"foo": "p", "bar": "c"}, "unknown_shape"),
        ({}, "unknown_shape"),
        ({"instruction": "p", "output": "c", "response": "d"}, "ambiguous_columns"),
        ({"question": "p", "query": "q", "answer": "c"}, "ambiguous_columns"),
        ({"messages": []}, "no_assistant_turn"),
        ({"messages": [USER]}, "no_assistant_turn"),
        ({"messages": [BOT]}, "missing_prompt"),
        ({"messages": [USER, BOT, BOT]}, "turns_out_of_order"),
        ({"messages": [USER, {"role": "assistant", "content": " "}]}, "empty_completion"),
        ({"messages": [USER, {"role": "assistant", "content": ""}, USER, BOT]}, "empty_turn"),
        ({"messages": [{"role": "narrator", "content": "x"}, BOT]}, "unknown_role"),
        ({"messages": [{"content": "x"}, BOT]}, "unknown_role"),
        ({"messages": ["x", BOT]}, "wrong_type"),
        ({"messages": "hello"}, "wrong_type"),
        ({"messages": [USER, {"role": "tool", "content": "{}"}, BOT]}, "tool_calls_unsupported"),
        (
            {"messages": [USER, {"role": "assistant", "content": None, "tool_calls": [{}]}, BOT]},
            "tool_calls_unsupported",
        ),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}, BOT]},
            "not_text",
        ),
        ({"data": {"text": "p"}, "annotations": []}, "no_annotation"),
        ({"fields": {"prompt": "p"}, "responses": {}, "suggestions": {}}, "no_annotation"),
        ({"data": {"a": "x", "b": "y"}, "annotations": [{"result": []}]}, "ambiguous_columns"),
        ({"chosen": "a", "rejected": "b"}, "missing_prompt"),
    ],
)
def test_refusals(row: dict[str, Any], reason: str) -> None:
    assert refused(row) == reason


def test_alpaca_in_full() -> None:
    found = one(
        {
            "instruction": "Add",
            "input": "1 2",
            "output": "3",
            "system": "You add.",
            "history": [["hi", "hello"]],
        }
    )
    assert (found.prompt, found.system) == ("Add\n1 2", "You add.")
    assert found.history == [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "hello"}]


def test_weight_zero_is_not_learned() -> None:
    last = {"role": "assistant", "content": "poor", "weight": 0}
    found = one({"messages": [USER, BOT, {"role": "user", "content": "more"}, last]})
    assert found.completion == "c"
    assert [turn["content"] for turn in found.metadata["turns_after"]] == ["more", "poor"]


def test_preference_forms() -> None:
    chat = {"prompt": [USER], "chosen": [BOT], "rejected": [{"role": "assistant", "content": "r"}]}
    flat = {"prompt": "p", "chosen": "c", "rejected": "r"}
    whole = {"prompt": "p", "chosen": [USER, BOT], "rejected": [USER, {"role": "assistant", "content": "r"}]}
    gpt, poor = {"from": "gpt", "value": "c"}, {"from": "gpt", "value": "r"}
    share = {"conversations": [{"from": "human", "value": "p"}], "chosen": gpt, "rejected": poor}
    alpaca = {"instruction": "p", "input": "", "chosen": "c", "rejected": "r"}
    openai = {"input": {"messages": [USER]}, "preferred_output": [BOT], "non_preferred_output": [poor]}
    for row in (chat, flat, whole, share, alpaca, openai):
        found = one(row)
        assert (found.prompt, found.completion, found.metadata) == ("p", "c", {"rejected": "r"}), row


def test_marked_winner_decides_unmarked_answers_compete() -> None:
    row = {"id": 7, "prompt": "p", "answer1": "a", "answer2": "b"}
    first, second = rows_of(row)
    assert (first.external_id, second.external_id) == ("7#1", "7#2")
    found = one({**row, "winner": 2})
    assert (found.completion, found.metadata["rejected"], found.external_id) == ("b", "a", "7")
    assert len(rows_of({**row, "answer2": "a"})) == 1  # equal drafts are one


def test_ids_sources_and_metadata() -> None:
    found = one(
        {
            "id": 12,
            "source": "clinic",
            "source_id": "V1",
            "prompt": "p",
            "completion": "c",
            "meta": {"k": [1]},
            "x": None,
        }
    )
    assert (found.external_id, found.source) == ("12", "V1")
    assert found.metadata == {"source": "clinic", "k": [1], "x": None}
    assert one({"source": "clinic", "prompt": "p", "completion": "c"}).source == "clinic"


def test_text_is_data() -> None:
    text = (
        "=SUM(A1)\t{{ name }} <script>alert(1)</script> %s ${x} '; DROP TABLE records; --\r\n<|im_end|> \\n"
    )
    found = one({"prompt": text, "completion": text + "\n"})
    assert (found.prompt, found.completion) == (text, text + "\n")
    assert one({"prompt": "[1, 2]", "completion": '{"a": 1}'}).completion == '{"a": 1}'


def test_mapping() -> None:
    row = {"q": "p", "answers": {"text": ["c"]}, "who": "x", "note": 3}
    base = {"prompt": "q", "completion": "answers.text.0"}
    assert one(row, base).metadata == {"who": "x", "note": 3}
    found = one(row, {**base, "metadata.n": "note", "source": "who", "external_id": "who"})
    assert (found.completion, found.metadata, found.source, found.external_id) == ("c", {"n": 3}, "x", "x")
    with pytest.raises(Refused) as caught:
        rows_of({"q": "p"}, base)
    assert caught.value.reason == "missing_column"


@pytest.mark.parametrize(
    ("mapping", "words"),
    [
        ({"prompt": "q"}, "no column for the completion"),
        ({"prompt": "q", "completion": "a", "colour": "b"}, "'colour'"),
        ({"prompt": "q", "completion": "nowhere"}, "It has: q, a"),
    ],
)
def test_wrong_mapping_is_said_at_once(tmp_path: Path, mapping: dict[str, str], words: str) -> None:
    path = tmp_path / "x.csv"
    path.write_text("q,a\n1,2\n")
    with pytest.raises(UsageError, match=words):
        list(read(path, mapping=mapping))


# --------------------------------------------------------------------------------- exports of annotation tools


def test_argilla_two() -> None:
    record = {
        "id": "a1",
        "fields": {"prompt": "p", "draft": "first try"},
        "metadata": {"lang": "en"},
        "suggestions": {"completion": {"value": "model", "score": 0.4}},
        "responses": {
            "completion": [{"value": "c", "user_id": "u1"}, {"value": "d", "user_id": "u2"}],
            "tone": [{"value": "dry", "user_id": "u1"}],
        },
        "vectors": {},
        "status": "completed",
    }
    first, second = rows_of(record)
    assert (first.completion, second.completion, first.external_id) == ("c", "d", "a1#1")
    assert first.metadata["answers"] == {"tone": ["dry"]}
    assert first.metadata["lang"] == "en" and first.metadata["draft"] == 1
    assert "u1" not in json.dumps(first.metadata)
    offered = one({**record, "responses": {}})
    assert offered.completion == "model"


def test_argilla_one_and_flat() -> None:
    person = {"user_id": "u", "status": "submitted", "values": {"answer": {"value": "c"}}}
    gone = {"user_id": "v", "status": "discarded", "values": {"answer": {"value": "never"}}}
    found = one({"fields": {"text": "p"}, "responses": [person, gone]})
    assert (found.prompt, found.completion) == ("p", "c")
    flat = one(
        {
            "id": "1",
            "status": "completed",
            "_server_id": "s",
            "prompt": "p",
            "completion.responses": ["c", "x"],
            "completion.responses.users": ["u", "v"],
            "completion.responses.status": ["submitted", "discarded"],
            "completion.suggestion": "model",
        }
    )
    assert (flat.prompt, flat.completion, flat.external_id) == ("p", "c", "1")
    hub = one(
        {
            "prompt": "p",
            "answer": [{"user_id": "u", "value": "c", "status": "submitted"}],
            "answer-suggestion": "model",
            "answer-suggestion-metadata": {"agent": "m"},
            "metadata": '{"k": 1}',
        }
    )
    assert (hub.prompt, hub.completion, hub.metadata["k"]) == ("p", "c", 1)


def test_argilla_rated_answer_stands_in_the_fields() -> None:
    record = {"fields": {"prompt": "p", "response": "c"}, "responses": {"good": [{"value": 4}]}}
    found = one(record)
    assert (found.completion, found.metadata["answers"]) == ("c", {"good": [4]})


def label_studio(*results: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"id": 3, "data": {"text": "p", "k": 1}, "annotations": [{"result": list(results)}], **more}


def test_label_studio() -> None:
    area = {"from_name": "answer", "type": "textarea", "value": {"text": ["c", "d"]}}
    choice = {"from_name": "tone", "type": "choices", "value": {"choices": ["dry"]}}
    found = one(label_studio(area, choice, created_at="2026-01-01"))
    assert (found.completion, found.external_id) == ("c\nd", "3")
    assert found.metadata == {"k": 1, "answers": {"tone": ["dry"]}}
    assert one(label_studio(choice)).completion == "dry"
    cancelled = {"was_cancelled": True, "result": [area]}
    assert refused({"data": {"text": "p"}, "annotations": [cancelled]}) == "no_annotation"
    two = {"data": {"text": "p"}, "annotations": [{"result": [area]}, {"result": [choice]}]}
    assert [found.completion for found in rows_of(two)] == ["c\nd", "dry"]
