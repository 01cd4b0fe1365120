"""The dated policy sheet: what a brand promises, for whom and until when, as a contract that code can read.

Covers: reading TOML or JSON (a file or its text), checking it, choosing the version in force on a day. Does not cover:
finding facts in prose policies; who may change a sheet.

A sheet holds ``[[facts]]`` (id, topic, keywords, value and unit, payer, channels, dates), ``[[hand_over]]`` (topics
that a person must answer), ``[voice]`` and ``[[workflow]]`` (the steps of an answer in their order).
"""

import json
import tomllib
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

Unit = Literal[
    "minutes", "hours", "days", "business days", "weeks", "months", "years", "inr", "percent", "count"
]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Fact(_Strict):
    """One promise. ``value_to`` makes a range. ``over``: ids of more general facts that this one takes the place of."""

    id: str
    topic: str
    keywords: list[str] = Field(
        min_length=1
    )  # words of questions and answers that are about it; a word's beginning
    value: float | None = None
    value_to: float | None = None
    unit: Unit | None = None
    payer: Literal["company", "customer", "seller"] | None = None
    channels: list[str] = []
    over: list[str] = []
    valid_from: date | None = None
    valid_to: date | None = None  # last day
    text: str = ""  # for people, and as support in the evidence

    @model_validator(mode="after")
    def _value_has_a_unit(self) -> "Fact":
        if (self.value is None) != (self.unit is None):
            raise ValueError(f"fact {self.id!r}: value and unit go together")
        if self.value_to is not None and (self.value is None or self.value_to < self.value):
            raise ValueError(f"fact {self.id!r}: value_to must not be below value")
        return self


class HandOver(_Strict):
    """Questions that must go to a person: too specific, changing, or unknown to the sheet."""

    topic: str
    cues: list[str] = Field(min_length=1)
    reason: str = ""


class Voice(_Strict):
    """Of each list in ``required`` one marker must be there; none of ``forbidden``. ``reading_ease``: least Flesch."""

    required: list[list[str]] = []
    forbidden: list[str] = []
    reading_ease: float | None = None


class Step(_Strict):
    name: str
    cues: list[str] = Field(min_length=1)


class Workflow(_Strict):
    """Steps of an answer in their order. With ``questions`` it is asked for only where one of these words is asked."""

    name: str
    steps: list[Step] = Field(min_length=1)
    questions: list[str] = []


class Sheet(_Strict):
    """One version of a policy; ``valid_to`` is its last day, open where it is missing."""

    name: str
    version: str
    valid_from: date
    valid_to: date | None = None
    facts: list[Fact]
    hand_over: list[HandOver] = []
    voice: Voice = Voice()
    workflow: list[Workflow] = []

    @model_validator(mode="after")
    def _ids_are_unique_and_known(self) -> "Sheet":
        ids = [fact.id for fact in self.facts]
        doubled = sorted({name for name in ids if ids.count(name) > 1})
        unknown = sorted({name for fact in self.facts for name in fact.over} - set(ids))
        if doubled or unknown:
            raise ValueError(
                f"fact ids used twice: {doubled or 'none'}; unknown ids in over: {unknown or 'none'}"
            )
        return self

    def on(self, day: date) -> bool:
        """Whether the sheet is in force on a day."""
        return self.valid_from <= day and (self.valid_to is None or day <= self.valid_to)


def read_sheet(source: Any, folder: Path | str | None = None) -> Sheet:
    """A sheet from a `Sheet`, a dict, TOML or JSON text, or a path (in ``folder``) ending in .toml or .json.

    Raises `ValueError` that names what is wrong, never quoting more than the first problem.
    """
    if isinstance(source, Sheet):
        return source
    name = "policy sheet"
    try:
        if (
            isinstance(source, str | Path)
            and str(source).endswith((".toml", ".json"))
            and "\n" not in str(source)
        ):
            path = Path(folder or ".") / source
            name = str(source)
            if not path.is_file():
                raise ValueError(
                    f"{name}: no such file. Give a path that ends in .toml or .json, or the sheet's text."
                )
            source = path.read_text("utf-8")
        if isinstance(source, str):
            source = json.loads(source) if source.lstrip().startswith("{") else tomllib.loads(source)
        return Sheet.model_validate(source)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "the sheet"
        raise ValueError(f"{name}: {place}: {first['msg']}") from None
    except (json.JSONDecodeError, tomllib.TOMLDecodeError) as error:
        raise ValueError(f"{name}: neither TOML nor JSON: {error}") from None


def in_force(sheets: Sequence[Sheet], day: date | None) -> Sheet:
    """The sheet in force on a day; without a day the newest. Raises `ValueError` where none is."""
    if not sheets:
        raise ValueError("No policy sheet was given. Give policies=[...] with at least one.")
    newest = sorted(sheets, key=lambda sheet: sheet.valid_from)
    if day is None:
        return newest[-1]
    found = [sheet for sheet in newest if sheet.on(day)]
    if not found:
        known = "; ".join(f"{s.version}: {s.valid_from} to {s.valid_to or 'open'}" for s in newest)
        raise ValueError(f"No policy sheet is in force on {day}. Known: {known}.")
    return found[-1]
