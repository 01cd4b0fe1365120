# ruff: noqa: E501  (patterns read better in long lines)
"""Errors planted in clean visit notes, each with the place where a scorer must point.

Covers: invented and swapped medication, wrong dose, wrong number, flipped negation, wrong side, content under the
wrong heading, a section left out; and whether a wrong value stands in the talk. Does not cover: whether a planted error
could be true by chance beyond the checks named at each planter. What is here knows nothing of how the scorer judges: it
takes its lists of headings and medications, and how it reads numbers, days and sides.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from dataclasses import dataclass

from evals.metrics.soap_note.candidates import days_in, sides_in, substances
from evals.metrics.soap_note.medications import NAMES, SUBSTANCE
from evals.metrics.soap_note.sections import find_sections
from evals.metrics.soap_note.source import Source, tokens

_GENERIC = [line.split()[0] for line in NAMES.strip().splitlines() if "-" not in line.split()[0]]
_DOSE = re.compile(
    r"(?P<drug>[A-Za-z]{4,})[ ,]+(?:at )?(?P<value>\d+(?:\.\d+)?)[ -]?(?P<unit>mg|milligrams|mcg|units)\b"
)
_NUMBER = re.compile(
    r"(?<![\d./-])(?P<value>\d+(?:\.\d+)?)(?=[ -]?(?:%|cm|mm|lbs?|pounds|degrees|days?|weeks?|months?|hours?|minutes|years?|beats|"
    r"times|/10|/\d{2}\b))|(?:BP|blood pressure|heart rate|HR|pulse|temperature|A1c|saturation|SpO2|weight|glucose)\D{0,12}"
    r"(?P<vital>\d+(?:\.\d+)?)",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Planted:
    """A note with one error at ``start:end``; ``kinds``: the kinds of evidence that name it rightly."""

    error: str
    text: str
    start: int
    end: int
    kinds: frozenset[str]


def _put(error: str, note: str, start: int, end: int, new: str, *kinds: str) -> Planted:
    return Planted(error, note[:start] + new + note[end:], start, start + len(new), frozenset(kinds))


def _stranger(rng: random.Random, *texts: str) -> str:
    """A medication that is in none of the texts under any of its names."""
    heard = {SUBSTANCE[w] for t in texts for w in re.findall(r"[a-z-]+", t.casefold()) if w in SUBSTANCE}
    while True:
        drug = rng.choice(_GENERIC)
        if SUBSTANCE[drug] not in heard and all(drug not in t.casefold() for t in texts):
            return drug


def invented_medication(note: str, transcript: str, rng: random.Random) -> Planted | None:
    """A sentence with a medication that nobody mentioned, at the end of a section."""
    sections = find_sections(note)
    if not sections:
        return None
    at = len(note[: rng.choice(sections).end].rstrip())
    drug = _stranger(rng, note, transcript)
    new = f" {rng.choice(['Takes', 'Start', 'Continue'])} {drug} {rng.choice([5, 10, 20, 50, 100])} mg daily."
    return _put("invented medication", note, at, at, new, "unsupported_medication")


def swapped_medication(note: str, transcript: str, rng: random.Random) -> Planted | None:
    """A named medication becomes one that nobody mentioned."""
    named = [m for m in re.finditer(r"[A-Za-z]{5,}", note) if m.group().casefold() in SUBSTANCE]
    if not named:
        return None
    m = rng.choice(named)
    return _put(
        "swapped medication", note, *m.span(), _stranger(rng, note, transcript), "unsupported_medication"
    )


def wrong_dose(note: str, transcript: str, rng: random.Random) -> Planted | None:
    """A dose becomes half, double, five or ten times itself, whatever else is said in the visit."""
    doses = [m for m in _DOSE.finditer(note) if m["drug"].casefold() in SUBSTANCE]
    if not doses:
        return None
    m = rng.choice(doses)
    new = f"{float(m['value']) * rng.choice([0.5, 2, 5, 10]):g}"
    return _put("wrong dose", note, *m.span("value"), new, "wrong_dose")


def wrong_number(note: str, transcript: str, rng: random.Random) -> Planted | None:
    """A number with a unit or of a vital sign, not a dose, becomes another near it or its digits change places."""
    found = [m for m in _NUMBER.finditer(note) if not re.match(r"[ -]?(?:mg|mcg|units)", note[m.end() :])]
    if not found:
        return None
    m = rng.choice(found)
    group = "value" if m["value"] else "vital"
    old = m[group]
    turned = old[::-1]
    if "." not in old and len(old) > 1 and turned != old and turned[0] != "0" and rng.random() < 0.5:
        new = turned
    else:
        step = rng.choice([1, 2, 3, 4, 5]) * (1 if float(old) < 20 else 3)
        new = f"{float(old) + (step if float(old) <= step or rng.random() < 0.6 else -step):g}"
    return _put("wrong number", note, *m.span(group), new, "unsupported_number", "wrong_number")


def flipped_negation(note: str, transcript: str, rng: random.Random) -> Planted | None:
    """A sentence that denies reports, or the other way round: "denies" and "reports", "No X" and "X"."""
    found = list(re.finditer(r"\b(?:[Dd]enies|[Dd]enied|[Rr]eports|[Ee]ndorses|No (?=[a-z]{4,}))", note))
    if not found:
        return None
    m = rng.choice(found)
    word = m.group()
    new = "Positive for " if word.startswith("No") else "denies" if word[0].lower() in "re" else "reports"
    if word == "No ":
        new = "Positive for "
    new = new[0].upper() + new[1:] if word[0].isupper() else new
    end = min((i for i in (note.find(".", m.end()), note.find("\n", m.end())) if i >= 0), default=len(note))
    planted = _put("flipped negation", note, *m.span(), new, "flipped_negation")
    return Planted(planted.error, planted.text, m.start(), end + len(new) - len(word), planted.kinds)


def wrong_laterality(note: str, transcript: str, rng: random.Random) -> Planted | None:
    """Left becomes right once, or right left."""
    found = list(re.finditer(r"\b(?:[Ll]eft|[Rr]ight)\b(?=[ -][a-z])", note))
    if not found:
        return None
    m = rng.choice(found)
    new = {"left": "right", "right": "left", "Left": "Right", "Right": "Left"}[m.group()]
    planted = _put("wrong laterality", note, *m.span(), new, "wrong_laterality")
    return Planted(planted.error, planted.text, m.start(), m.start() + len(new) + 30, planted.kinds)


def wrong_section(note: str, transcript: str, rng: random.Random) -> Planted | None:
    """The texts under two headings of different parts change places; each has at least twelve words."""
    group = {"subjective": 0, "objective": 1, "assessment": 2, "plan": 2}
    long = [s for s in find_sections(note) if len(note[s.head_end : s.end].split()) >= 12]
    pairs = [
        (a, b) for a in long for b in long if a.start < b.start and group[a.parts[0]] != group[b.parts[0]]
    ]
    if not pairs:
        return None
    a, b = rng.choice(pairs)
    first, second = note[a.head_end : a.end], note[b.head_end : b.end]
    text = note[: a.head_end] + second + note[a.end : b.head_end] + first + note[b.end :]
    return Planted("wrong section", text, 0, len(text), frozenset({"wrong_section"}))


def dropped_section(note: str, transcript: str, rng: random.Random) -> Planted | None:
    """A heading and its text, at least eight words, are gone."""
    long = [s for s in find_sections(note) if len(note[s.head_end : s.end].split()) >= 8]
    if len(long) < 2:
        return None
    s = rng.choice(long)
    kinds = frozenset({"missing_section", "empty_section", "dropped_section"})
    return Planted("dropped section", note[: s.start] + note[s.end :], 0, len(note), kinds)


PLANTERS: dict[str, Callable[[str, str, random.Random], Planted | None]] = {
    "invented medication": invented_medication,
    "swapped medication": swapped_medication,
    "wrong dose": wrong_dose,
    "wrong number": wrong_number,
    "flipped negation": flipped_negation,
    "wrong laterality": wrong_laterality,
    "wrong section": wrong_section,
    "dropped section": dropped_section,
}


def said(transcript: str, old: str, new: str, what: str) -> bool:
    """Whether every value that ``new`` has and ``old`` has not can be heard somewhere in the talk.

    ``what``: medication, allergen, dose, number, date or side. A medication or allergen that no list knows counts by its
    longer words. Where no value is new, as where two are swapped or put together otherwise, all are said.
    """
    talk = Source(transcript)
    values = _values(new, what) - _values(old, what)
    heard = _values(transcript, what) | ({m.value for m in talk.mentions} if what in _NUMERIC else set())
    if what in ("medication", "allergen") and not values:
        values, heard = _long(new) - _long(old), _long(transcript)
    return values <= heard


_NUMERIC = ("dose", "number", "date")


def _values(text: str, what: str) -> set[object]:
    if what in ("medication", "allergen"):
        return {name for name, _, _ in substances(text)}
    if what == "side":
        return {side for side, _, _ in sides_in(text)}
    numbers: set[object] = {float(t.text) for t in tokens(text) if t.text.replace(".", "", 1).isdecimal()}
    return numbers | ({(kind, value) for kind, value, _, _ in days_in(text)} if what == "date" else set())


def _long(text: str) -> set[object]:
    return {token.text for token in tokens(text) if len(token.text) >= 6}
