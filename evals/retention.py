"""Does a tuned model still know and follow what its base did? 170 plain questions, without the persona's prompt.

Covers: the items that ship with the product (facts, everyday sense, language, arithmetic, following instructions),
judging a model by the probability that it gives the right choice, the paired comparison with its base.
Does not cover: the task itself (`evals.run`), what follows from a loss (`evals.gate`).

No text is generated: each choice is read once after its question, and the share of probability that the right one
gets among the choices is the item's score, between 0 and 1 (guessing: 1/3). That is about 17 000 tokens a model.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from curate.contract import canonical_json, file_sha256, sha256_hex
from curate.errors import UsageError

ITEMS = Path(__file__).with_name("retention.jsonl")


class Item(BaseModel):
    model_config = ConfigDict(extra="forbid")
    id: str
    kind: str
    prompt: str
    choices: list[str]
    answer: int  # index of the right choice

    @model_validator(mode="after")
    def _right_choice_is_there(self) -> Item:
        if len(set(self.choices)) != len(self.choices) or not 0 <= self.answer < len(self.choices):
            raise ValueError("choices must differ, and answer must be the index of one")
        return self


class Scorer(Protocol):
    """A model that gives log-probabilities of completions (`evals.generate.LocalModel`)."""

    def identity(self) -> dict[str, Any]:
        """What decides the numbers."""

    def score_logprob(
        self, conversations: Sequence[Sequence[dict[str, str]]], completions: Sequence[str]
    ) -> list[tuple[float, int]]:
        """(mean log-probability per token, tokens) of each completion after its conversation."""


def load_items(path: Path = ITEMS) -> list[Item]:
    """The items, ids checked. Raises `UsageError` naming the line."""
    items: list[Item] = []
    for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
        try:
            items.append(Item.model_validate_json(line))
        except ValidationError as error:
            raise UsageError(f"{path.name}:{number}: {error}") from error
    if len({item.id for item in items}) != len(items):
        raise UsageError(f"{path.name}: an id stands there twice.")
    return items


def scores(model: Scorer, items: Sequence[Item], cache: Path | None = None) -> list[float]:
    """The right choice's share of probability, an item; remembered in ``cache`` by model and items."""
    key = sha256_hex(
        canonical_json({"model": model.identity(), "items": [item.model_dump(mode="json") for item in items]})
    )
    path = cache / "retention" / f"{key}.json" if cache is not None else None
    if path is not None:
        try:
            kept: list[float] = json.loads(path.read_text("utf-8"))
            return kept
        except (OSError, ValueError):  # absent or damaged: measured again
            pass
    asked = [
        ([{"role": "user", "content": item.prompt}], choice) for item in items for choice in item.choices
    ]
    rated = model.score_logprob([turns for turns, _ in asked], [choice for _, choice in asked])
    found, at = [], 0
    for item in items:
        # The whole choice's log-probability: a mean over tokens would reward long words that are easy to finish.
        logs = [mean * count for mean, count in rated[at : at + len(item.choices)]]
        at += len(item.choices)
        top = max(logs)
        weights = [math.exp(value - top) for value in logs]
        found.append(weights[item.answer] / sum(weights))
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        scratch = path.with_name(f".{key}.{os.getpid()}")
        scratch.write_text(json.dumps(found), "utf-8")
        scratch.replace(path)
    return found


def measure(base: Scorer, tuned: Scorer, cache: Path | None = None) -> dict[str, Any]:
    """What ``retention.json`` of a run holds: the items' hash, ids, kinds, both models' scores in the same order."""
    items = load_items()
    return {
        "sha256": file_sha256(ITEMS),
        "ids": [item.id for item in items],
        "kinds": [item.kind for item in items],
        "chance": [1 / len(item.choices) for item in items],
        "base": scores(base, items, cache),
        "tuned": scores(tuned, items, cache),
    }


def by_kind(measured: dict[str, Any]) -> list[dict[str, Any]]:
    """Means of both models a kind of item, in the order of the file; what the report shows."""
    found = []
    for kind in dict.fromkeys(measured["kinds"]):
        at = [i for i, other in enumerate(measured["kinds"]) if other == kind]
        row: dict[str, Any] = {"kind": kind, "n": len(at)}
        for who in ("base", "tuned"):
            row[who] = sum(measured[who][i] for i in at) / len(at)
        found.append(row)
    return found
