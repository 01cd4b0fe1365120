"""Recipes: every number that decides a training run, checked before anything starts.

Covers: the schema, reading TOML or a mapping, ``--set``-style overrides.
Does not cover: what the values do (`train.run`, `train.trainer`), nor the base model (the task pack names it).
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from curate.errors import NotFound, UsageError

FULL_LEARNING_RATE = 5e-5


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Lora(Strict):
    """Low-rank adapters (Hu et al. 2021). Attention-only targets learn less at equal size, so: all linear."""

    r: int = Field(16, ge=1, le=512)
    alpha: float = Field(32, gt=0)
    dropout: float = Field(0.0, ge=0, lt=1)
    targets: Literal["all-linear"] | list[str] = "all-linear"


class Recipe(Strict):
    """A training recipe. The defaults are those measured on small chat models and a few hundred pairs."""

    method: Literal["lora", "full"] = "lora"  # full: every weight learns, in fp32; the version holds them all
    quantize: Literal["none", "nf4"] = "none"  # QLoRA: the frozen base in four bits (needs bitsandbytes)
    lora: Lora = Lora()
    epochs: float = Field(4, gt=0)
    max_steps: int | None = Field(None, ge=1)  # ends earlier than ``epochs`` would
    max_minutes: float | None = Field(None, gt=0)  # ends cleanly when this much time was spent
    batch: int = Field(16, ge=1)  # pairs per optimizer step, over all processes' shares
    learning_rate: float = Field(
        1e-3, gt=0, le=1
    )  # LoRA wants about ten times a full fine-tune's (5e-5 there)
    schedule: Literal["cosine", "linear", "constant"] = "cosine"
    warmup: float = Field(0.05, ge=0, lt=1)  # share of all steps
    weight_decay: float = Field(0.0, ge=0)
    max_grad_norm: float = Field(1.0, gt=0)
    early_stop: int | None = Field(
        None, ge=1
    )  # looks (one an epoch) without a better one; the best one's weights are kept. Needs a validation split
    early_stop_on: str = Field(
        "loss", min_length=1
    )  # of the validation split; or the name of a suite, whose scorer judges answers to validation prompts
    early_stop_pairs: int = Field(
        16, ge=1, le=500
    )  # so many of them are asked at each look, drawn by the seed
    max_length: int = Field(1024, ge=8)  # tokens of a whole pair, template included
    # what preflight findings mean; the record names what was dropped, or split because it was too long
    bad_rows: Literal["refuse", "drop", "split"] = "refuse"
    template: Literal["model", "plain"] = "model"  # plain: for a base without a chat template, never guessed
    precision: Literal["auto", "fp32", "bf16"] = "auto"  # of the frozen base; adapters are always fp32
    micro_tokens: int = Field(
        2048, ge=16
    )  # tokens in memory at once; changes speed and memory, not the result
    checkpointing: Literal["auto", "on", "off"] = (
        "auto"  # of activations; auto: only where memory would not do
    )
    threads: int = Field(0, ge=0)  # CPU threads; 0 takes every core this process may use
    seed: int = 0
    checkpoint_steps: int = Field(10, ge=1)
    pair_losses: bool = True  # loss of every pair before and after, for the review room
    price_per_hour: float | None = Field(None, ge=0)  # of the machine; gives the run record a cost
    sample_steps: int | None = Field(None, ge=1)  # answer a few prompts every so many steps, into the record
    sample_pairs: int = Field(3, ge=1, le=50)  # so many of the validation split, else of the training pairs
    report_to: list[str] = []  # trackers known to transformers; none by default, nothing phones home

    @model_validator(mode="before")
    @classmethod
    def _rate_of_a_full_fine_tune(cls, values: Any) -> Any:
        if isinstance(values, dict) and values.get("method") == "full":
            return {"learning_rate": FULL_LEARNING_RATE, **values}
        return values

    @model_validator(mode="after")
    def _what_belongs_together(self) -> Recipe:
        if self.method == "full" and self.quantize != "none":
            raise ValueError("quantize is for a frozen base; a full fine-tune has none")
        if self.method == "full" and self.precision == "bf16":
            raise ValueError("a full fine-tune keeps its weights in fp32: bf16 rounds small updates away")
        if self.early_stop_on != "loss" and self.early_stop is None:
            raise ValueError("early_stop_on needs early_stop: how many looks may pass without a better one")
        return self


def load_recipe(
    source: str | Path | Mapping[str, Any] | Recipe | None = None, overrides: Sequence[str] = ()
) -> Recipe:
    """Recipe from a TOML file, a mapping or nothing (the defaults), then ``key.sub=value`` overrides.

    A value is read as TOML, so ``lora.r=32`` is a number and ``report_to=["mlflow"]`` a list; what is not TOML
    is text. Raises `UsageError` naming every unknown key and wrong value, `NotFound` for a missing file.
    """
    where = "recipe"
    if isinstance(source, Recipe):
        values: dict[str, Any] = source.model_dump()
    elif source is None or isinstance(source, Mapping):
        values = _copy(source or {})
    else:
        where = str(source)
        try:
            values = tomllib.loads(Path(source).read_text("utf-8"))
        except OSError as error:
            raise NotFound(f"Recipe {source}: {error.strerror}.") from error
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise UsageError(f"Recipe {source}: {error}") from error
    for override in overrides:
        _apply(values, override)
    try:
        return Recipe.model_validate(values)
    except ValidationError as error:
        found = []
        for problem in error.errors():
            key = ".".join(str(part) for part in problem["loc"])
            known = ", ".join(_known(problem["loc"]))
            found.append(
                f"{key}: unknown key (known: {known})"
                if problem["type"] == "extra_forbidden"
                else f"{key}: {problem['msg']}"
            )
        raise UsageError(f"{where}: " + "; ".join(found)) from error


def _copy(values: Mapping[str, Any]) -> dict[str, Any]:
    return {k: _copy(v) if isinstance(v, Mapping) else v for k, v in values.items()}


def _known(loc: tuple[Any, ...]) -> list[str]:
    return sorted(Lora.model_fields if loc and loc[0] == "lora" and len(loc) > 1 else Recipe.model_fields)


def _apply(values: dict[str, Any], override: str) -> None:
    key, sep, text = override.partition("=")
    if not sep or not key.strip():
        raise UsageError(f"--set {override}: write it as key=value, for example lora.r=32.")
    *path, last = key.strip().split(".")
    try:
        value = tomllib.loads(f"v = {text.strip()}")["v"]
    except tomllib.TOMLDecodeError:
        value = text.strip()
    table = values
    for part in path:
        table = table.setdefault(part, {})
        if not isinstance(table, dict):
            raise UsageError(f"--set {override}: {part} is a value, not a table.")
    table[last] = value
