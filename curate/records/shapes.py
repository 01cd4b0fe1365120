"""From one row of any of the field's shapes to prompt and completion.

Covers: prompt/completion and its synonyms, chat messages (OpenAI, ChatML, ShareGPT), Alpaca, preference
data, Inspect samples, a column mapping. The shape is found for each row by itself, never for a whole file.
Does not cover: exports of annotation tools (`exports`), files (`files`).

Rules, one place for all shapes:

* The completion is the last assistant turn that is meant to be learned (a ``weight`` of 0 says it is not);
  the prompt is the user turn right before it; earlier turns are the history; turns after it stay in
  ``metadata.turns_after``.
* Alpaca's ``input`` (Dolly's ``context``) follows the instruction after a line feed.
* Of a preference pair the chosen answer is the completion; the other one stays in ``metadata.rejected``.
  Two answers without a marked winner become two rows, competing drafts of one prompt, for people to decide.
* A clinical ``dialogue`` is the prompt of its ``note`` (ACI-Bench) or ``section_text`` (MTS-Dialog).
* A multiple-choice sample gets its lettered choices below the question; its answer stays the letter.
* Columns that no rule uses are kept in ``metadata``.
* Texts are taken as they are: nothing is stripped, unescaped, rendered or joined beyond the rules above.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from curate.errors import UsageError
from curate.records.jsontext import STRICT
from curate.records.rows import Fields, Refused

ROLES = {
    **dict.fromkeys(("user", "human", "prompter"), "user"),
    **dict.fromkeys(("assistant", "gpt", "bot", "model", "chatgpt", "ai"), "assistant"),
    **dict.fromkeys(("system", "developer"), "system"),
    **dict.fromkeys(
        (
            "tool",
            "function",
            "function_call",
            "function_response",
            "observation",
            "tool_call",
            "tool_response",
        ),
        "tool",
    ),
}
PROMPTS = ("prompt", "input", "question", "query", "instruction")
COMPLETIONS = ("completion", "output", "answer", "response", "target")
CHATS = ("messages", "conversations", "conversation")
IDS = ("id", "external_id", "record_id", "uuid", "_id")
DRAFT = re.compile(r"^(answer|response|completion|output)[_ ]?([12ab])$")
_WINNERS = ("winner", "preferred", "preference", "choice", "better")

MAPPED = ("prompt", "completion", "system", "history", "source", "external_id")


class Columns:
    """One row's values by column name, forgiving about case and blanks; remembers which were used."""

    def __init__(self, row: Mapping[str, Any]) -> None:
        self.row = row
        self.names: dict[str, str] = {}
        self.present: set[str] = set()
        for key, value in row.items():
            name = key.strip().lower()
            if name not in self.names:
                self.names[name] = key
                if value is not None:
                    self.present.add(name)
        self.used: set[str] = set()

    def has(self, *names: str) -> bool:
        """Whether every one of these columns is there and not null."""
        return self.present.issuperset(names)

    def take(self, name: str) -> Any:
        key = self.names.get(name, name)
        self.used.add(key)
        return self.row.get(key)

    def found(self, names: Sequence[str]) -> list[str]:
        """Those of these columns that are there and not null, in the order given."""
        return [name for name in names if name in self.present]

    def rest(self) -> dict[str, Any]:
        """Every column that was not used. The inside of a ``metadata`` or ``meta`` object moves up a level."""
        rest = {key: value for key, value in self.row.items() if key not in self.used}
        for name in ("metadata", "meta"):
            inner = rest.get(name)
            if isinstance(inner, dict) and not (set(inner) & set(rest)):
                del rest[name]
                rest.update(inner)
        return rest


def text_of(value: Any, what: str) -> str:
    """A text that must be there. ``what`` is prompt or completion."""
    if value is None:
        raise Refused(f"missing_{what}", f"there is no {what}")
    if not isinstance(value, str):
        raise Refused("wrong_type", f"the {what} is {kind_of(value)}, not text")
    if not value.strip():
        raise Refused(f"empty_{what}", f"the {what} is empty")
    return value


def optional_text(value: Any, what: str) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise Refused("wrong_type", f"{what} is {kind_of(value)}, not text")
    return value


def kind_of(value: Any) -> str:
    names = {bool: "true/false", int: "a number", float: "a number", list: "a list", dict: "an object"}
    return names.get(type(value), type(value).__name__)


# ---------------------------------------------------------------- conversations


def _content(value: Any, where: str) -> str:
    """A message's text: a string, or a list of text parts (their texts in order, nothing between them)."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, dict):
        value = [value]
    if not isinstance(value, list):
        raise Refused("wrong_type", f"{where}: the content is {kind_of(value)}, not text")
    texts = []
    for part in value:
        if isinstance(part, str):
            texts.append(part)
            continue
        if not isinstance(part, dict):
            raise Refused("wrong_type", f"{where}: a content part is {kind_of(part)}")
        kind = part.get("type", "text")
        text = part.get("text", part.get("value"))
        if kind in ("tool_call", "tool_use", "tool_result", "function_call"):
            raise Refused("tool_calls_unsupported", f"{where}: a content part of type {kind}")
        if kind not in ("text", "input_text", "output_text") or not isinstance(text, str):
            raise Refused("not_text", f"{where}: a content part of type {str(kind)[:40]}")
        texts.append(text)
    return "".join(texts)


def turns_of(value: Any, what: str = "messages") -> list[tuple[dict[str, str], bool]]:
    """Turns as ``({"role", "content"}, learned)``; ``learned`` is False where a weight of 0 forbids it."""
    value = unpacked(value)
    if isinstance(value, dict):
        value = [value]
    if not isinstance(value, list):
        raise Refused("wrong_type", f"{what} is {kind_of(value)}, not a list of turns")
    turns = []
    for number, item in enumerate(value, 1):
        where = f"turn {number}"
        if not isinstance(item, dict):
            raise Refused("wrong_type", f"{where} of {what} is {kind_of(item)}, not an object")
        named = item.get("role", item.get("from"))
        role = ROLES.get(named.strip().lower()) if isinstance(named, str) else None
        if role is None:
            raise Refused("unknown_role", f"{where} has the role {str(named)[:40]!r}")
        if role == "tool" or item.get("tool_calls") or item.get("function_call"):
            raise Refused("tool_calls_unsupported", f"{where} ({str(named)[:40]}) calls or answers a tool")
        content = _content(next((item[k] for k in ("content", "value", "text") if k in item), None), where)
        weight = next((item[k] for k in ("weight", "loss_weight") if item.get(k) is not None), 1)
        turns.append(({"role": role, "content": content}, weight != 0))
    return turns


def unpacked(value: Any) -> Any:
    """A list or object that a table cell holds as JSON text."""
    if isinstance(value, str) and value.lstrip()[:1] in ("[", "{"):
        try:
            return STRICT.decode(value)
        except (ValueError, RecursionError):
            return value
    return value


def conversation(turns: Sequence[tuple[dict[str, str], bool]], system: str = "") -> Fields:
    """Prompt, completion, history and system message of a conversation (rules at the top of this module)."""
    start = 0
    systems = []
    while start < len(turns) and turns[start][0]["role"] == "system":
        systems.append(turns[start][0]["content"])
        start += 1
    own = "\n".join(text for text in systems if text.strip())
    if own and system.strip() and own != system:
        raise Refused("ambiguous_columns", "there is a system column and another system turn")
    body = turns[start:]
    answers = [n for n, (turn, learned) in enumerate(body) if learned and turn["role"] == "assistant"]
    if not answers:
        raise Refused("no_assistant_turn", "no assistant turn is there to be learned from")
    last = answers[-1]
    if last == 0:
        raise Refused("missing_prompt", "the conversation starts with the answer")
    if body[last - 1][0]["role"] != "user":
        raise Refused(
            "turns_out_of_order", f"before the answer stands a turn of the {body[last - 1][0]['role']}"
        )
    for number, (turn, _) in enumerate(body, start + 1):
        if number - start - 1 not in (last, last - 1) and not turn["content"].strip():
            raise Refused("empty_turn", f"turn {number} ({turn['role']}) is empty")
    after = [turn for turn, _ in body[last + 1 :]]
    return Fields(
        prompt=text_of(body[last - 1][0]["content"], "prompt"),
        completion=text_of(body[last][0]["content"], "completion"),
        system=own or system,
        history=[turn for turn, _ in body[: last - 1]],
        metadata={"turns_after": after} if after else {},
    )


def _history(value: Any) -> list[tuple[dict[str, str], bool]]:
    """Turns of a ``history`` column: messages, or Alpaca's ``[[question, answer], ...]``."""
    value = unpacked(value)
    if value in (None, "", []):
        return []
    if isinstance(value, list) and all(
        isinstance(pair, list) and len(pair) == 2 and all(isinstance(text, str) for text in pair)
        for pair in value
    ):
        roles = ("user", "assistant")
        return [
            ({"role": role, "content": text}, True)
            for pair in value
            for role, text in zip(roles, pair, strict=True)
        ]
    return turns_of(value, "history")


# ---------------------------------------------------------------- single rows


def pair(prompt: Any, completion: Any, system: Any = None, history: Any = None) -> Fields:
    """A prompt and a completion, each a text or a list of messages (TRL's two forms)."""
    instructions = optional_text(system, "system")
    if not isinstance(prompt, list | dict) and not isinstance(completion, list | dict):
        before = _history(history)
        asked = ({"role": "user", "content": text_of(prompt, "prompt")}, True)
        answered = ({"role": "assistant", "content": text_of(completion, "completion")}, True)
        return conversation([*before, asked, answered], instructions)
    turns = _history(history)
    if isinstance(prompt, list | dict):
        turns += [(turn, False) for turn, _ in turns_of(prompt, "the prompt")]
    else:
        turns.append(({"role": "user", "content": text_of(prompt, "prompt")}, False))
    if isinstance(completion, list | dict):
        turns += turns_of(completion, "the completion")
    else:
        turns.append(({"role": "assistant", "content": text_of(completion, "completion")}, True))
    return conversation(turns, instructions)


def identity(columns: Columns, fields: Fields) -> Fields:
    """Fill id, source and metadata from the columns that are left."""
    for name in IDS:
        value = columns.row[columns.names[name]] if name in columns.present else None
        if isinstance(value, str | int) and not isinstance(value, bool) and str(value).strip():
            fields.external_id = str(columns.take(name))
            break
    for name in ("source_id", "source"):
        value = columns.row[columns.names[name]] if name in columns.present else None
        if isinstance(value, str | int) and not isinstance(value, bool) and str(value).strip():
            fields.source = str(columns.take(name))
            break
    fields.metadata = {**columns.rest(), **(fields.metadata or {})}
    return fields


def drafts(columns: Columns, found: list[Fields]) -> list[Fields]:
    """Several completions of one prompt: one row each, with ids and ``metadata.draft`` of their own."""
    unique: dict[str, Fields] = {}
    for fields in found:
        unique.setdefault(fields.completion, fields)
    rows = [identity(columns, fields) for fields in unique.values()]
    if len(rows) > 1:
        for number, fields in enumerate(rows, 1):
            fields.metadata = {**(fields.metadata or {}), "draft": number, "drafts": len(rows)}
            if fields.external_id is not None:
                fields.external_id = f"{fields.external_id}#{number}"
    return rows


def alpaca(columns: Columns, answer: Any) -> Fields:
    instruction = text_of(columns.take("instruction"), "prompt")
    extra = ""
    for name in ("input", "context"):
        if columns.has(name):
            extra = optional_text(columns.take(name), name)
            break
    return pair(
        f"{instruction}\n{extra}" if extra.strip() else instruction,
        answer,
        columns.take("system"),
        columns.take("history"),
    )


def preference(columns: Columns, chosen: str, rejected: str) -> Fields:
    """A marked pair of answers: whole conversations, or answers to a prompt given beside them."""
    good, poor = unpacked(columns.take(chosen)), unpacked(columns.take(rejected))
    outer = columns.row.get(columns.names.get("input", "input"))
    chat = next(iter(columns.found(CHATS)), None)
    if isinstance(outer, dict) and "messages" in outer:  # OpenAI's preference file
        columns.take("input")
        before: Any = outer["messages"]
    elif chat is not None:  # LLaMA-Factory's ShareGPT preference
        before = unpacked(columns.take(chat))
    elif columns.has("instruction"):
        fields = alpaca(columns, good)
        fields.metadata = {**(fields.metadata or {}), "rejected": last_text(poor)}
        return fields
    else:
        name = next(iter(columns.found(PROMPTS)), None)
        before = unpacked(columns.take(name)) if name else None
    if before is None or (isinstance(good, list) and len(good) > 1):
        # Anthropic's and TRL's implicit prompt: both lists carry the whole conversation.
        if prompt_column(columns):
            columns.take(prompt_column(columns) or "")
        if not isinstance(good, list):
            raise Refused("missing_prompt", "chosen and rejected have no prompt beside them")
        fields = conversation(turns_of(good, chosen), optional_text(columns.take("system"), "system"))
    else:
        fields = pair(before, good, columns.take("system"), columns.take("history"))
    fields.metadata = {**(fields.metadata or {}), "rejected": last_text(poor)}
    return fields


def prompt_column(columns: Columns) -> str | None:
    return next(iter(columns.found(PROMPTS)), None)


def last_text(value: Any) -> str:
    """The rejected answer's text, of whatever form it has."""
    if isinstance(value, str):
        return value
    turns = turns_of(value, "rejected")
    return turns[-1][0]["content"] if turns else ""


def competing(columns: Columns, keys: list[str]) -> list[Fields]:
    prompt = columns.take(prompt_column(columns) or "prompt")
    system, history = columns.take("system"), columns.take("history")
    answers = [columns.take(key) for key in keys]
    for name in _WINNERS:
        mark = str(columns.row.get(columns.names.get(name, name), "")).strip().lower()
        if mark in ("1", "2", "a", "b", *keys):
            first = mark in ("1", "a", keys[0])
            columns.take(name)
            good, poor = answers if first else answers[::-1]
            fields = pair(prompt, good, system, history)
            fields.metadata = {**(fields.metadata or {}), "rejected": last_text(poor)}
            return [identity(columns, fields)]
    return drafts(columns, [pair(prompt, answer, system, history) for answer in answers])


def sample(columns: Columns) -> Fields:
    """An Inspect sample: ``input``, ``target``, perhaps ``choices``."""
    asked, target = columns.take("input"), columns.take("target")
    also: list[str] = []
    if isinstance(target, list):
        if not target or not all(isinstance(text, str) for text in target):
            raise Refused("wrong_type", "the target is not a text or a list of texts")
        target, also = target[0], target[1:]
    choices = columns.row.get(columns.names.get("choices", "choices"))
    if isinstance(choices, list) and choices and all(isinstance(choice, str) for choice in choices):
        if not isinstance(asked, str):
            raise Refused("wrong_type", "choices go with a question that is one text")
        letters = [chr(ord("A") + n) if n < 26 else str(n + 1) for n in range(len(choices))]
        listed = "\n".join(f"{letter}) {choice}" for letter, choice in zip(letters, choices, strict=True))
        asked = f"{text_of(asked, 'prompt')}\n\n{listed}"
    fields = pair(asked, target)
    if also:
        fields.metadata = {**(fields.metadata or {}), "also_accepted": also}
    return fields


def dialogue(columns: Columns) -> Fields | None:
    """A clinical conversation with what was written of it: ACI-Bench (``dialogue``, ``note``, ``encounter_id``) or
    MTS-Dialog (``dialogue``, ``section_text``, ``section_header``); None for any other row.

    An encounter is its own source. MTS-Dialog counts its ``ID`` from 0 in every split, so it names no row: it stays in
    the metadata.
    """
    if not columns.has("dialogue"):
        return None
    if columns.has("section_text") and "section_header" in columns.names:
        fields = pair(columns.take("dialogue"), columns.take("section_text"))
        fields.metadata = {**columns.rest(), **(fields.metadata or {})}
        return fields
    if columns.has("note", "encounter_id"):
        fields = pair(columns.take("dialogue"), columns.take("note"))
        visit = str(columns.take("encounter_id")).strip()
        fields.external_id, fields.source = visit or None, visit
        fields.metadata = {**columns.rest(), **(fields.metadata or {})}
        return fields
    return None


def synonyms(columns: Columns) -> Fields:
    asked, answered = columns.found(PROMPTS), columns.found(COMPLETIONS)
    if asked and answered:
        for names, what in ((asked, "prompt"), (answered, "completion")):
            if len(names) > 1 and what not in names:
                raise Refused("ambiguous_columns", f"the {what} could be {' or '.join(names)}")
        return pair(
            chat_or_text(columns.take(asked[0])),
            chat_or_text(columns.take(answered[0])),
            columns.take("system"),
            columns.take("history"),
        )
    known = [name for name in COMPLETIONS if name in columns.names]
    if asked or "text" in columns.names:
        seen = f"column {known[0]} is null" if known else f"columns: {listed(columns.row)}"
        raise Refused("missing_completion", f"there is no completion ({seen})")
    if answered:
        raise Refused("missing_prompt", f"there is no prompt (columns: {listed(columns.row)})")
    raise Refused("unknown_shape", f"no known shape has the columns {listed(columns.row)}")


def chat_or_text(value: Any) -> Any:
    """Message lists in a table cell; a prompt that merely starts with a bracket stays the text it is."""
    found = unpacked(value)
    is_chat = (
        isinstance(found, list)
        and bool(found)
        and all(
            isinstance(turn, dict) and ("role" in turn or "from" in turn) and len(turn) <= 4 for turn in found
        )
    )
    return found if is_chat or not isinstance(value, str) else value


def listed(row: Mapping[str, Any]) -> str:
    names = [str(key)[:40] for key in list(row)[:12]]
    return ", ".join(names) + (", …" if len(row) > 12 else "") if names else "none"


# ---------------------------------------------------------------- a mapping given by the user


def check_mapping(mapping: Mapping[str, str], columns: Sequence[str] | None = None) -> None:
    """Raise `UsageError` for a mapping that cannot work; ``columns`` are the file's header, if it has one."""
    for target, column in mapping.items():
        if target not in MAPPED and not (target.startswith("metadata.") and len(target) > 9):
            raise UsageError(
                f"The mapping sets {target!r}; it may set {', '.join(MAPPED)} and metadata.NAME."
            )
        if not isinstance(column, str) or not column:
            raise UsageError(f"The mapping of {target!r} must name a column.")
        if columns is not None and column not in columns and column.split(".")[0] not in columns:
            raise UsageError(f"No column {column!r} in the file. It has: {', '.join(columns)}.")
    for target in ("prompt", "completion"):
        if target not in mapping:
            raise UsageError(f"The mapping names no column for the {target}.")


def _lookup(row: Any, column: str) -> Any:
    """A column's value; ``a.b.0`` walks into objects and lists where no column has that very name."""
    if column in row:
        return row[column]
    value: Any = row
    for part in column.split("."):
        if isinstance(value, dict) and part in value:
            value = value[part]
        elif isinstance(value, list) and part.isdigit() and int(part) < len(value):
            value = value[int(part)]
        else:
            raise Refused("missing_column", f"there is no {column!r} (columns: {listed(row)})")
    return value


def mapped(row: Mapping[str, Any], mapping: Mapping[str, str]) -> Fields:
    """The row as a mapping says. Without any ``metadata.*`` in it, all other columns are the metadata."""
    fields = pair(
        chat_or_text(_lookup(row, mapping["prompt"])),
        chat_or_text(_lookup(row, mapping["completion"])),
        _lookup(row, mapping["system"]) if "system" in mapping else None,
        _lookup(row, mapping["history"]) if "history" in mapping else None,
    )
    named = {key[9:]: column for key, column in mapping.items() if key.startswith("metadata.")}
    used = {column.split(".")[0] if column not in row else column for column in mapping.values()}
    extra = (
        {key: _lookup(row, column) for key, column in named.items()}
        if named
        else {key: value for key, value in row.items() if key not in used}
    )
    fields.metadata = {**extra, **(fields.metadata or {})}
    for target in ("external_id", "source"):
        if target in mapping:
            value = _lookup(row, mapping[target])
            if isinstance(value, bool) or not isinstance(value, str | int | None):
                raise Refused("wrong_type", f"the {target} is {kind_of(value)}, not text")
            setattr(fields, target, str(value) if value is not None else ("" if target == "source" else None))
    return fields
