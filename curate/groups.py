"""Who stands alone by the combination of a few harmless facts: k-anonymity over declared metadata.

Covers: the declared quasi-identifiers, generalising their values before a record is scanned, the groups of a snapshot
that fewer than k people share, and leaving those out where the policy says so (Sweeney, k-anonymity, 2002). Does not
cover: personal data in texts (`curate.privacy`), and it is no proof against somebody who knows more than these columns:
k people who share a group may share the secret, too.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, Field, ValidationError, field_validator, model_validator

from curate.contract import canonical_json
from curate.errors import UsageError

FILE = "groups.json"  # in a snapshot, when its pack declares quasi-identifiers
REASON = "small_group"
HIDDEN = "*"
_BAND = re.compile(r"-?\d+ to -?\d+")


class GroupPolicy(BaseModel):
    """The part of a task's ``[privacy]`` table that is about groups of people.

    ``quasi_identifiers``: metadata keys that together might tell who somebody is. ``k``: people that must share each
    combination. ``small_groups``: ``list`` (freeze and say so), ``refuse`` (do not freeze), ``leave_out`` (freeze
    without their pairs, each listed). ``generalise``: by key a width of number bands, a table from value to wider value
    (what is not in it becomes ``*``), or ``drop``; done before a record's scan, so that people approve what is frozen.
    """

    quasi_identifiers: list[str] = []
    k: int = Field(5, ge=2)
    small_groups: Literal["list", "refuse", "leave_out"] = "list"
    generalise: dict[str, int | dict[str, str] | Literal["drop"]] = {}

    @field_validator("generalise")
    @classmethod
    def _bands_have_a_width(cls, value: dict[str, Any]) -> dict[str, Any]:
        for key, rule in value.items():
            if isinstance(rule, int) and rule < 2:
                raise ValueError(f"{key}: a band of numbers is at least 2 wide")
        return value

    @model_validator(mode="after")
    def _each_once(self) -> GroupPolicy:
        if len(set(self.quasi_identifiers)) < len(self.quasi_identifiers):
            raise ValueError("a quasi-identifier is named twice")
        return self


def declared(privacy: Mapping[str, Any]) -> GroupPolicy:
    """The group policy of a pack's ``[privacy]`` table. Raises `UsageError`."""
    known = {name: privacy[name] for name in GroupPolicy.model_fields if name in privacy}
    try:
        return GroupPolicy.model_validate(known)
    except ValidationError as error:
        words = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise UsageError(f"[privacy]: {words}") from error


def generalised(metadata: Mapping[str, Any], policy: GroupPolicy) -> dict[str, Any]:
    """Metadata with the policy's generalisations made; doing it again changes nothing.

    A number in a band of width 10 becomes ``40 to 49``; what is no whole number becomes ``*``.
    """
    made: dict[str, Any] = {}
    for key, value in metadata.items():
        rule = policy.generalise.get(key)
        if rule == "drop":
            continue
        made[key] = value if rule is None or value in (None, "", HIDDEN) else _wider(value, rule)
    return made


def _wider(value: Any, rule: Any) -> str:
    if isinstance(rule, dict):
        text = str(value).strip()
        folded = {name.casefold(): wide for name, wide in rule.items()}
        if text in rule.values():
            return text
        return str(folded.get(text.casefold(), HIDDEN))
    if isinstance(value, str) and _BAND.fullmatch(value):
        low, high = map(int, value.split(" to "))
        if low % rule == 0 and high - low == rule - 1:
            return value
    try:
        number = float(value) if not isinstance(value, bool) else None
    except (TypeError, ValueError):
        number = None
    if number is None or not number.is_integer():
        return HIDDEN
    low = int(number) // rule * rule
    return f"{low} to {low + rule - 1}"


@dataclass
class Groups:
    """The groups of some rows. ``small`` holds those under k, the smallest first."""

    policy: GroupPolicy
    groups: int = 0
    smallest: int = 0  # people in the smallest group
    small: list[dict[str, Any]] = field(default_factory=list)  # values, people, pairs
    not_generalised: list[str] = field(default_factory=list)  # pairs scanned before the policy asked for it

    @property
    def small_pairs(self) -> set[str]:
        return {pair for group in self.small for pair in group["pairs"]}

    def in_words(self) -> list[str]:
        """Each small group as a line."""
        return [
            f"{', '.join(f'{name}: {value}' for name, value in group['values'].items())} "
            f"({group['people']} of {self.policy.k} people, {len(group['pairs'])} pairs)"
            for group in self.small
        ]


def find(rows: Iterable[Mapping[str, Any]], policy: GroupPolicy) -> Groups:
    """Group rows (``pair_id``, ``source``, ``metadata`` as JSON text) by the policy's quasi-identifiers.

    A source counts as one person, however many pairs it has: ten notes of one patient hide nobody. Values are compared
    without case and outer blanks; a missing one is a value of its own.
    """
    found = Groups(policy)
    if not policy.quasi_identifiers:
        return found
    members: dict[bytes, list[Mapping[str, Any]]] = {}
    values: dict[bytes, dict[str, Any]] = {}
    for row in rows:
        metadata = json.loads(row["metadata"] or "{}")
        if generalised(metadata, policy) != metadata:
            found.not_generalised.append(row["pair_id"])
        mine = {name: metadata.get(name) for name in policy.quasi_identifiers}
        key = canonical_json([_folded(value) for value in mine.values()])
        members.setdefault(key, []).append(row)
        values.setdefault(key, mine)
    people = {key: len({row["source"] for row in of}) for key, of in members.items()}
    found.groups, found.smallest = len(people), min(people.values(), default=0)
    found.small = [
        {
            "values": values[key],
            "people": people[key],
            "pairs": sorted(row["pair_id"] for row in members[key]),
        }
        for key in sorted(people, key=lambda key: (people[key], key))
        if people[key] < policy.k
    ]
    return found


def _folded(value: Any) -> Any:
    return value.strip().casefold() if isinstance(value, str) else value


def without_small(
    rows: Sequence[Mapping[str, Any]], found: Groups
) -> tuple[list[Mapping[str, Any]], list[dict[str, str]]]:
    """Rows in groups that are large enough, and the others as lines of ``excluded.parquet``."""
    names = ", ".join(found.policy.quasi_identifiers)
    people = {pair: group["people"] for group in found.small for pair in group["pairs"]}
    out = [
        {
            "pair_id": row["pair_id"],
            "reason": REASON,
            "detail": f"{people[row['pair_id']]} of {found.policy.k} people share its {names}",
        }
        for row in rows
        if row["pair_id"] in people
    ]
    return [row for row in rows if row["pair_id"] not in people], out


def as_json(found: Groups, left_out: int) -> bytes:
    """What a snapshot keeps of its groups."""
    body = {
        **found.policy.model_dump(),
        "groups": found.groups,
        "smallest": found.smallest,
        "small": found.small,
        "not_generalised": found.not_generalised,
        "left_out": left_out,
    }
    return json.dumps(body, ensure_ascii=False, indent=1).encode("utf-8", "surrogatepass") + b"\n"


def load(folder: Path) -> dict[str, Any] | None:
    """What `as_json` wrote into a snapshot; None when its pack declared no quasi-identifiers."""
    path = folder / FILE
    return json.loads(path.read_text("utf-8")) if path.is_file() else None
