"""Privacy policy: what counts as personal in a task, and what happens to it. Covers: the ``[privacy]`` table of a
task pack, validated; named profiles; the policy's hash. Does not cover: finding anything.
"""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from curate.groups import GroupPolicy
from curate.privacy.findings import PRIORITY, PolicyError
from curate.privacy.plugins import ModelSlot

Action = Literal["replace", "mask", "keep", "generalise"]

ENTITIES = tuple(sorted(PRIORITY))


class EntityRule(BaseModel):
    """What to do with one entity type. ``threshold`` and ``review_below`` override the policy's own."""

    model_config = ConfigDict(extra="forbid")

    action: Action = "replace"
    threshold: float | None = Field(None, ge=0, le=1)
    review_below: float | None = Field(None, ge=0, le=1)


def _default_rules() -> dict[str, EntityRule]:
    return {"AGE": EntityRule(action="generalise"), "PIN_CODE": EntityRule(action="generalise")}


class Policy(GroupPolicy, BaseModel):
    """The ``[privacy]`` table of a task pack.

    ``profile``: ``thorough`` asks our encoder about the whole text; ``fast`` a smaller language model, and only about
    pieces with a capitalised word on no list; ``rules`` no model. ``entities``: types looked for, all by default.
    ``rules``: per type, the action (replace by a surrogate, mask with asterisks, keep, generalise: an age from 90
    becomes ``90+``, a PIN code its first three digits) and its own thresholds. Findings below ``threshold`` are dropped
    (0.25 with the encoder, 0.5 without, when nothing is said); findings below ``review_below`` stay open until a person
    decides. ``code``: texts are programs, so that names, places, dates and
    the like count only in comments, string literals and the paragraphs that name people (`curate.privacy.code`);
    numbers of cards, accounts and papers count everywhere. ``allow``: strings that are never personal here; ``deny``:
    strings that always are, each with its type. Both match whole words, whatever the case.
    ``encoder``: whether our encoder is asked; when nothing is said, by the profile ``thorough`` alone, which without it
    asks the two smaller models about every piece. What is said of groups of people (`curate.groups`) finds nothing, so
    it is no part of the hash.
    """

    model_config = ConfigDict(extra="forbid")

    profile: Literal["thorough", "fast", "rules"] = "thorough"
    entities: list[str] = list(ENTITIES)
    rules: dict[str, EntityRule] = {}
    threshold: float | None = Field(None, ge=0, le=1)
    review_below: float = Field(0.6, ge=0, le=1)
    code: bool = False
    encoder: bool | None = None
    allow: list[str] = []
    deny: dict[str, str] = {}
    models: list[ModelSlot] = []

    @field_validator("entities")
    @classmethod
    def _known_entities(cls, value: list[str]) -> list[str]:
        unknown = sorted(set(value) - set(ENTITIES))
        if unknown:
            raise ValueError(f"unknown entity types {', '.join(unknown)}; known: {', '.join(ENTITIES)}")
        return sorted(set(value))

    @field_validator("rules")
    @classmethod
    def _known_rules(cls, value: dict[str, EntityRule]) -> dict[str, EntityRule]:
        unknown = sorted(set(value) - set(ENTITIES))
        if unknown:
            raise ValueError(
                f"rules for unknown entity types {', '.join(unknown)}; known: {', '.join(ENTITIES)}"
            )
        return value

    @field_validator("deny")
    @classmethod
    def _known_denied(cls, value: dict[str, str]) -> dict[str, str]:
        unknown = sorted({kind for kind in value.values() if kind not in ENTITIES})
        if unknown:
            raise ValueError(f"deny maps to unknown entity types {', '.join(unknown)}")
        return value

    def rule(self, entity_type: str) -> EntityRule:
        return self.rules.get(entity_type) or _default_rules().get(entity_type) or EntityRule()

    @property
    def asks_encoder(self) -> bool:
        return self.profile == "thorough" if self.encoder is None else self.encoder

    def action(self, entity_type: str) -> Action:
        return self.rule(entity_type).action

    def threshold_for(self, entity_type: str) -> float:
        own = self.rule(entity_type).threshold
        general = self.threshold if self.threshold is not None else 0.25 if self.asks_encoder else 0.5
        return general if own is None else own

    def is_open(self, entity_type: str, score: float) -> bool:
        """True when a person has to decide about a finding of this type and score."""
        own = self.rule(entity_type).review_below
        return score < (self.review_below if own is None else own)

    @property
    def hash(self) -> str:
        """SHA-256 of the policy's content; lists count as sets."""
        body = self.model_dump(exclude=set(GroupPolicy.model_fields))
        body["entities"] = sorted(body["entities"])
        body["allow"] = sorted(set(body["allow"]))
        return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()

    @classmethod
    def load(cls, source: str | Path | Mapping[str, Any] | Policy = "default") -> Policy:
        """A policy from a profile name (``default``, ``thorough``, ``fast``, ``rules``), a TOML file that is a
        policy or has a ``[privacy]`` table, a mapping, or a policy. Raises `PolicyError`."""
        if isinstance(source, Policy):
            return source
        if isinstance(source, Mapping):
            return cls._validated(source, "the privacy policy")
        if source == "default":
            return cls()
        if source in ("thorough", "fast", "rules"):
            return cls(profile=source)
        path = Path(source)
        if not path.is_file():
            raise PolicyError(
                f"No privacy policy {str(source)!r}: name one of default, thorough, fast, rules, or a TOML file."
            )
        try:
            table = tomllib.loads(path.read_text(encoding="utf-8"))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise PolicyError(f"{path} is not readable TOML: {error}") from error
        return cls._validated(table.get("privacy", table), str(path))

    @classmethod
    def _validated(cls, table: Mapping[str, Any], where: str) -> Policy:
        try:
            return cls.model_validate(dict(table))
        except ValidationError as error:
            problems = "; ".join(
                f"{'.'.join(str(part) for part in item['loc'])}: {item['msg']}" for item in error.errors()
            )
            raise PolicyError(f"Cannot use {where}: {problems}") from error
