"""Numbers that nobody said as they stand: differences, totals of a day, dates without a year.

Covers: "a drop of 30" of two values that were said, "2 g/day" of a dose and how often it is taken, "5/12" of a month
and a day. Does not cover: ages from a date of birth, clinical formulas.
"""

import re
from itertools import combinations, permutations
from typing import Any

from .spoken import NAMED, UNITS, WORDS, Mention

_LESS = re.compile(
    r"(?:drop|fall|gain|gained|loss|lost|rise|risen|rose|increase|increased|decrease|decreased|down|up|difference|"
    r"reduction|change|\([+-]|[+−])(?: (?:of|by))?(?: (?:about|approximately|~))? ?$",
    re.IGNORECASE,
)
_TOTAL = re.compile(
    r"^\s*(?:\w+|%)?\s*(?:/ ?(?:day|d|24 ?h)|per day|a day|in total|total|daily dose|pack[- ]?years?|py)\b",
    re.IGNORECASE,
)
_AGE = re.compile(r"\b(\w+) years?,? (?:and )?(\w+) months?\b", re.IGNORECASE)
_MONTHS = "jan feb mar apr may jun jul aug sep oct nov dec".split()


def worked_out(note: str, claim: Any, mentions: list[Mention]) -> Mention | None:
    """A mention from which a clinician worked out the claim (its ``start``, ``end``, ``value``, ``unit``), or None.

    The difference of two values said within forty words, the product of a dose and a count within fourteen, or an age
    in months for one in years and months.
    """
    spoken = [m for m in mentions if m.unit != NAMED]
    if _LESS.search(note[max(0, claim.start - 30) : claim.start]):
        for m, other in combinations(spoken, 2):
            if 0 < abs(other.at - m.at) <= 40 and abs(abs(m.value - other.value) - claim.value) < 1e-6:
                return m
    for age in _AGE.finditer(note, max(0, claim.start - 30), claim.end + 30):
        years, months = (
            float(age[n]) if age[n].isdigit() else WORDS.get(age[n].casefold(), 0.0) for n in (1, 2)
        )
        for m in spoken if age.start() <= claim.start < age.end() else ():
            if m.value == 12 * years + months and UNITS.get(m.unit or "") == ("long", 1.0):
                return m
    if _TOTAL.match(note[claim.end : claim.end + 25]):
        mass = claim.unit in UNITS and UNITS[claim.unit][0] == "mass"
        amounts = [claim.value * scale for scale in ((1.0, 1e3) if mass else (1.0,))]
        for m, other in permutations(spoken, 2):
            near = 0 < abs(other.at - m.at) <= 14 and other.value >= 2
            if near and any(abs(m.value * other.value - amount) < 1e-6 for amount in amounts):
                return m
    return None


def in_tablets(claim: Any, mentions: list[Mention], drug: list[int]) -> Mention | None:
    """A strength near its medication (token positions ``drug``) times the tablets taken of it: half of a fifty."""
    strengths = [m for m in mentions if any(abs(m.at - at) <= 20 for at in drug)]
    tablets = [
        m
        for m in mentions
        if m.value != 1 and (m.value == 0.5 or (m.unit in UNITS and UNITS[m.unit][0] == "pieces"))
    ]
    if claim.name in ("acetaminophen", "paracetamol", "tylenol"):  # two tablets are a gram
        for m in mentions:
            if (
                m.value in (1, 2)
                and any(0 < m.at - at <= 6 for at in drug)
                and m.value * 500 == (claim.value * (1000 if claim.unit in ("g", "gram", "grams") else 1))
            ):
                return m
    for strength, count in ((m, other) for m in strengths for other in tablets if m is not other):
        if abs(strength.at - count.at) <= 6 and abs(strength.value * count.value - claim.value) < 1e-6:
            return strength
    return None


def in_date(note: str, claim: Any, mentions: list[Mention], words: list[str]) -> Mention | None:
    """The day that is said beside the month, for a number of a date without a year: "5/12"."""
    around = note[max(0, claim.start - 3) : claim.end + 3]
    for match in re.finditer(r"(?<![\d/])(\d{1,2})/(\d{1,2})(?![\d/])", around):
        first, second = int(match[1]), int(match[2])
        for month, day in ((first, second), (second, first)):
            for m in mentions:
                near = words[max(0, m.at - 3) : m.at + 4]
                if 1 <= month <= 12 and m.value == day and _MONTHS[month - 1] in {word[:3] for word in near}:
                    return m
    return None
