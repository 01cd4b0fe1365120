"""From a pair to tokens: chat template, completion-only labels, and proof that both are right.

Covers: rendering system + history + prompt + completion with the tokenizer's own chat template, the labels
(only the completion and its stop token are learned), and per row the checks that make silent damage
impossible: the generation prompt is a token prefix of the training row, the template kept every text, a
generation stop token is supervised, nothing is longer than allowed.
Does not cover: what to do about a finding (`train.checks`), batching (`train.packed`).

A row is never cut unless a recipe asks for it (`split_row`). A row that fails a check is reported with its pair id.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from curate.contract import canonical_json, sha256_hex
from curate.errors import GoldpairError

IGNORE = -100
PLAIN_TEMPLATE = (
    "{% for message in messages %}{{ message['role'] | capitalize }}: {{ message['content'] }}"
    "{% if message['role'] == 'assistant' %}{{ eos_token }}{% endif %}{{ '\n' }}{% endfor %}"
    "{% if add_generation_prompt %}Assistant:{{ ' ' }}{% endif %}"
)


class TemplateError(GoldpairError):
    """The base model's tokenizer cannot render conversations."""


@dataclass(frozen=True)
class Rendered:
    """One training row. ``labels[i]`` is ``input_ids[i]`` for the completion and -100 for the prompt."""

    pair_id: str
    input_ids: tuple[int, ...]
    prompt_tokens: int

    @property
    def labels(self) -> list[int]:
        return [IGNORE] * self.prompt_tokens + list(self.input_ids[self.prompt_tokens :])

    @property
    def supervised(self) -> int:
        return len(self.input_ids) - self.prompt_tokens


@dataclass(frozen=True)
class Finding:
    """Why one pair cannot be learned from as it is."""

    pair_id: str
    problem: str
    detail: str


def messages_of(row: Mapping[str, Any]) -> list[dict[str, str]]:
    """The turns before the completion: system (if any), history, prompt. ``row`` as in a snapshot."""
    history = row.get("history") or []
    turns = json.loads(history) if isinstance(history, str) else list(history)
    system = [{"role": "system", "content": row["system"]}] if row.get("system") else []
    return [
        *system,
        *({"role": turn["role"], "content": turn["content"]} for turn in turns),
        {"role": "user", "content": row["prompt"]},
    ]


def load_tokenizer(folder: Path | str, template: str = "model") -> Any:
    """Tokenizer of a base or model folder, ready to render.

    Raises `TemplateError` when there is no chat template and none was asked for, and when the template never
    ends a turn with a token at which generation stops.
    """
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
    if template == "plain":
        tokenizer.chat_template = PLAIN_TEMPLATE
    if not tokenizer.chat_template:
        raise TemplateError(
            f"The tokenizer of {Path(folder).name} has no chat template, so training and use could differ. "
            'Set `template = "plain"` in the recipe to use Goldpair\'s plain one ("User: ... Assistant: ..."), '
            "or take an instruction-tuned base."
        )
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def stop_ids(folder: Path | str, tokenizer: Any) -> set[int]:
    """Tokens at which generation ends: the generation config's, else the tokenizer's end of sequence."""
    try:
        found = json.loads((Path(folder) / "generation_config.json").read_text("utf-8")).get("eos_token_id")
    except (OSError, ValueError):
        found = None
    if found is None:
        found = tokenizer.eos_token_id
    return set() if found is None else {found} if isinstance(found, int) else set(found)


def template_text(tokenizer: Any, messages: Sequence[Mapping[str, str]], *, generate: bool) -> str:
    """The rendered conversation; ``generate`` ends it where the model is to speak."""
    return tokenizer.apply_chat_template(
        [dict(m) for m in messages], tokenize=False, add_generation_prompt=generate
    )


def encode_prompts(tokenizer: Any, conversations: Sequence[Sequence[Mapping[str, str]]]) -> list[list[int]]:
    """Token ids of conversations that a model is to continue: the same ids training rows begin with."""
    texts = [template_text(tokenizer, messages, generate=True) for messages in conversations]
    return tokenizer(texts, add_special_tokens=False)["input_ids"] if texts else []


def render_rows(
    tokenizer: Any, rows: Iterable[Mapping[str, Any]], *, stops: set[int], max_length: int
) -> tuple[list[Rendered], list[Finding]]:
    """Render snapshot rows. Every row is in the first list, or has at least one finding in the second."""
    findings: list[Finding] = []
    ready: list[tuple[str, str, str]] = []
    control = sorted(
        {str(token) for token in tokenizer.get_added_vocab()} | set(tokenizer.all_special_tokens)
    )
    for row in rows:
        pair_id = row["pair_id"]
        try:
            messages = messages_of(row)
        except (ValueError, KeyError, TypeError) as error:
            findings.append(Finding(pair_id, "history", f"history is not a list of turns: {error}"))
            continue
        turns = [*messages, {"role": "assistant", "content": row["completion"]}]
        problem = _text_problem(turns, control)
        if problem is not None:
            findings.append(Finding(pair_id, *problem))
            continue
        try:
            prompt = template_text(tokenizer, messages, generate=True)
            whole = template_text(tokenizer, turns, generate=False)
        except Exception as error:  # templates are programs; they raise whatever they like
            findings.append(Finding(pair_id, "template", f"the chat template refuses it: {error}"))
            continue
        lost = [turn["role"] for turn in turns if turn["content"].strip() not in whole]
        if lost or not whole.startswith(prompt):
            what = (
                f"drops text of {', '.join(lost)}" if lost else "renders the prompt differently in training"
            )
            findings.append(Finding(pair_id, "template", f"the chat template {what}"))
            continue
        ready.append((pair_id, prompt, whole))
    if not ready:
        return [], findings
    prompts = tokenizer([p for _, p, _ in ready], add_special_tokens=False)["input_ids"]
    wholes = tokenizer([w for _, _, w in ready], add_special_tokens=False)["input_ids"]
    rendered: list[Rendered] = []
    for (pair_id, _, _), prompt_ids, ids in zip(ready, prompts, wholes, strict=True):
        problem = _token_problem(prompt_ids, ids, stops, max_length)
        if problem is not None:
            findings.append(Finding(pair_id, *problem))
        else:
            rendered.append(Rendered(pair_id, tuple(ids), len(prompt_ids)))
    return rendered, findings


def split_row(row: Rendered, max_length: int) -> list[Rendered]:
    """An over-long row as several of at most ``max_length`` tokens, all under its pair id.

    Each is the prompt, then the end of what was answered before (masked, at most a quarter of the room), then the next
    piece of the completion: every completion token is learned exactly once, and only the last piece holds the stop
    token. Empty when the prompt alone leaves less than a quarter of ``max_length``.
    """
    prompt, rest = row.input_ids[: row.prompt_tokens], row.input_ids[row.prompt_tokens :]
    room = max_length - len(prompt)
    if room < max(2, max_length // 4):
        return []
    parts, at = [], 0
    while at < len(rest):
        before = min(at, room // 4)
        piece = rest[at : at + room - before]
        parts.append(Rendered(row.pair_id, (*prompt, *rest[at - before : at], *piece), len(prompt) + before))
        at += len(piece)
    return parts


def _text_problem(turns: Sequence[Mapping[str, str]], control: Sequence[str]) -> tuple[str, str] | None:
    if not turns[-1]["content"].strip():
        return "empty", "the completion is empty"
    if not turns[-2]["content"].strip():
        return "empty", "the prompt is empty"
    for turn in turns:
        hit = next((token for token in control if token.strip() and token in turn["content"]), None)
        if hit is not None:
            return (
                "template",
                f"its {turn['role']} text holds the control token {hit!r}, which would end a turn",
            )
    return None


def _token_problem(
    prompt: Sequence[int], ids: Sequence[int], stops: set[int], max_length: int
) -> tuple[str, str] | None:
    if len(ids) > max_length:
        return "over_long", f"{len(ids)} tokens, at most {max_length} allowed"
    if list(ids[: len(prompt)]) != list(prompt):
        return "prefix", "the tokens a model sees before answering are not a prefix of the training tokens"
    if len(ids) <= len(prompt):
        return "all_masked", "no token of the completion would be learned"
    if stops.isdisjoint(ids[len(prompt) :]):
        return "no_stop", "the completion does not end with a token at which generation stops"
    return None


def tokens_sha256(rendered: Sequence[Rendered]) -> str:
    """Hash of every input id and label of the set, in order: what a run really learned from."""
    return sha256_hex(canonical_json([[r.pair_id, list(r.input_ids), r.labels] for r in rendered]))
