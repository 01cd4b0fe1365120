# ruff: noqa: E501  (patterns read better in long lines)
"""What a note says that can be wrong, piece by piece, with every place of the talk that says the like.

Covers: numbers, doses, how often, medications, sides, days and months, allergens, and clauses that say that something
is or is not there; for each the mentions in the talk with the same value, and those of its kind with another one.
Does not cover: which of them decides (`alignment`, `verifier`). Generous on purpose: nothing is accused here.
"""

import re
from dataclasses import dataclass

from .allergies import _ALLERGEN
from .claims import Claim, find_claims
from .dates import DATE
from .frequency import frequencies
from .medications import SUBSTANCE
from .sides import _no_side
from .source import Source
from .spoken import ARTICLES, ORDINALS, UNITS, WORDS

KINDS = ("number", "dose", "often", "medication", "side", "date", "allergy", "finding")
_SIDE = re.compile(
    r"\b(?P<left>left|lt|(?<!['’])L(?![\d/])|LLQ|LUQ|LLL|LUL|OS|LE|LHS)\b|\b(?P<right>right|rt|R(?![\d/])|RLQ|RUQ|RLL|RUL|RML|OD|RE|RHS)\b|"
    r"\b(?P<both>both|bilateral(?:ly)?|bilat|b/l)\b|(?<!\w)(?P<wordy>[Ll]eft|[Rr]ight)(?=-)"
)
_CASED = frozenset(("L", "R", "OS", "LE", "OD", "RE"))
_DAYS = "mon tue wed thu fri sat sun".split()
_MONTHS = "jan feb mar apr may jun jul aug sep oct nov dec".split()
_DAY = re.compile(
    r"\b(?P<day>mon|tues?|wed(?:nes)?|thu(?:rs?)?|fri|sat(?:ur)?|sun)(?:days?)?\b|"
    r"\b(?P<month>jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)\b|"
    r"\b(?P<word>tomorrow|yesterday|today|tonight|christmas|easter|weekend|morning|afternoon|evening|night|noon|bedtime|breakfast|lunch|dinner)\b|"
    r"\b(?P<nth>\d{1,2})(?:st|nd|rd|th)\b",
    re.IGNORECASE,
)
_PLAIN = {"sat", "sun", "may", "mar", "wed", "dec", "jan"}  # also other words, where written small
_NONE = re.compile(
    r"\b(?:NKDA|NKA|NKFA|no (?:known )?(?:\w+ ){0,2}allerg\w+|(?:allerg\w+|reactions?)(?: to \w+)?[ :\-–]*(?:none|nil|no\b|denie[sd]|\(-\))|"
    r"(?:nil|denies|without|no \w+) (?:\w+ ){0,2}allerg\w+|not allergic|no reactions? to)",
    re.IGNORECASE,
)
_ALLERGY = re.compile(
    r"allerg|\bALL\b|react|intoleran|hives|rash|anaphyl|wheez|swell|urticar|breaks? out|\bADR|sensitiv|vomit|itch|tolerat|avoid",
    re.IGNORECASE,
)
_CLAUSE = re.compile(r"(?:(?![;\n•]|[.?!](?=\s|$)|,(?=\s)|\s(?:but|and|with|&)\s|→|->|\s[-–]\s|:\s)[\s\S])+")
_SENTENCE = re.compile(r"(?:(?![;\n•]|[.?!](?=\s|$))[\s\S])+")
NEGATIVE = re.compile(
    r"\b(?:no|not|nor|nil|none|never|non|without|denie[sd]|deny|denying|negative|neg|neither|absent|absence|w/o|ruled out|free of|declin\w+|isn't|wasn't|"
    r"doesn't|didn't|hasn't|can't|cannot|zero|lacks?|cleared|resolved|settled|gone|stopped|nowhere|nothing|unaware|unable|ø)\b|n't\b|"
    r"(?<!\w)[-–−]ve\b|\([-–−]\)|-free\b|\b\w{3,}less\b",
    re.IGNORECASE,
)
NORMAL = re.compile(
    r"\b(?:normal|clear|intact|nad|unremarkable|fine|ok|okay|good|dry|clean|soft|stable|well|healthy|unchanged|regular|full|wnl|afebrile|anicteric|"
    r"reassuring|settled|better|improv\w+|non\w{4,}|non-\w+|un\w{5,}|a?symptomatic|nontender|nt|nl|quiet|comfortable|only|unaffected)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Candidate:
    """A piece of a note. ``same`` and ``other``: offsets in the talk; ``value``: what makes two of one kind equal."""

    kind: str
    start: int
    end: int
    clause: tuple[int, int]
    sentence: tuple[int, int]
    value: object
    same: tuple[int, ...]
    other: tuple[int, ...]
    anchor: tuple[int, ...] = ()  # where the medication is named that an amount belongs to
    unit: str | None = None
    measure: str = ""


class Talk:
    """A transcript, read once for every note about it."""

    def __init__(self, source: Source) -> None:
        self.source = source
        text = source.text
        at = [token.start for token in source.tokens]
        self.numbers = [
            (m, at[m.at])
            for m in source.mentions
            if source.words[m.at] not in ARTICLES and not (m.value == 1 and not m.unit)
        ]
        # what a number at an offset is: value, unit, what it is measured of
        self.details = {a: (m.value, m.unit, source.measured(m)) for m, a in self.numbers}
        self.often = frequencies(text)
        self.drugs = {drug: [at[i] for i in places] for drug, places in source.drugs.items() if places}
        self.sides = [
            (word, at[i])
            for i, word in enumerate(source.words)
            if word in ("left", "right") and not _no_side(source.words, i)
        ] + [
            ("both", at[i])
            for i, word in enumerate(source.words)
            if word in ("both", "bilateral", "bilaterally", "each", "either")
        ]
        self.days = [(kind, value, a) for kind, value, a, _ in days_in(text)] + [
            ("nth", int(ORDINALS[w]), at[i]) for i, w in enumerate(source.words) if w in ORDINALS
        ]
        for i, word in enumerate(source.words[:-1]):
            ones = ORDINALS.get(source.words[i + 1], 99)
            if WORDS.get(word, 0) in (20, 30) and ones < 10:
                self.days.append(("nth", int(WORDS[word] + ones), at[i]))
        self.allergens = [(name, a) for name, a, _ in substances(text)]
        self.reacts = [
            m.start()
            for m in re.finditer(
                r"allerg|hives|rash|anaphyl|react|came (?:out|up)|swell|swoll|wheez|itch|bad with|can't (?:take|have)|throw up|threw up|sick",
                text,
                re.IGNORECASE,
            )
        ]


def days_in(text: str) -> list[tuple[str, object, int, int]]:
    """``(kind, value, start, end)`` of weekdays, months, "tomorrow" and "the 11th"."""
    found: list[tuple[str, object, int, int]] = []
    for m in _DAY.finditer(text):
        word = m.group().casefold()
        if word in _PLAIN and not m.group()[0].isupper():
            continue
        if m["day"]:
            found.append(("day", word[:3], *m.span()))
        elif m["month"]:
            found.append(("month", word[:3], *m.span()))
        elif m["nth"]:
            found.append(("nth", int(m["nth"]), *m.span()))
        else:
            found.append(("word", {"tonight": "night"}.get(word, word), *m.span()))
    return found


def substances(text: str) -> list[tuple[str, int, int]]:
    """Allergens and medications, by one name for all their names."""
    found = []
    for m in re.finditer(r"[A-Za-z][A-Za-z-]+", text):
        word = m.group().casefold()
        single = word.removesuffix("s")
        if word in _ALLERGEN:
            found.append((_ALLERGEN[word], *m.span()))
        elif word in SUBSTANCE or single in SUBSTANCE:
            found.append((f"#{SUBSTANCE.get(word, SUBSTANCE.get(single))}", *m.span()))
    return found


def _side(m: re.Match[str]) -> str:
    return next(name for name in ("left", "right", "both", "wordy") if m[name])


def sides_in(note: str) -> list[tuple[str, int, int]]:
    """``(left, right or both; start, end)`` of every side, in words and letters."""
    found = []
    for m in _SIDE_ANY.finditer(note):
        word = m.group()
        if len(word) <= 2 and word.upper() in _CASED and not word.isupper():
            continue
        name = _side(m)
        found.append((word.casefold() if name == "wordy" else name, *m.span()))
    return found


_SIDE_ANY = re.compile(_SIDE.pattern, re.IGNORECASE)


def pieces(note: str) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """``(clauses, sentences)`` of a note, trimmed."""

    def cut(pattern: re.Pattern[str]) -> list[tuple[int, int]]:
        spans = []
        for m in pattern.finditer(note):
            lead = len(m.group()) - len(m.group().lstrip())
            tail = len(m.group().rstrip())
            if tail > lead:
                spans.append((m.start() + lead, m.start() + tail))
        return spans

    return cut(_CLAUSE), cut(_SENTENCE)


def _around(spans: list[tuple[int, int]], start: int, end: int) -> tuple[int, int]:
    return next(((a, b) for a, b in spans if a <= start < b), (start, end))


def find_candidates(note: str, talk: Talk) -> list[Candidate]:
    """Every candidate of a note, in its order."""
    clauses, sentences = pieces(note)
    source = talk.source
    found: list[Candidate] = []

    def add(kind, start, end, value, same, other, anchor=(), unit=None, measure=""):
        found.append(
            Candidate(
                kind,
                start,
                end,
                _around(clauses, start, end),
                _around(sentences, start, end),
                value,
                tuple(same),
                tuple(other),
                tuple(anchor),
                unit,
                measure,
            )
        )

    at = [token.start for token in source.tokens]
    claims = find_claims(note)
    drugs = [c for c in claims if c.kind == "medication"]

    def owner(start: int) -> list[int]:
        """Where the talk names the medication that stands last before an amount, in its sentence."""
        begin, _ = _around(sentences, start, start)
        before = [d for d in drugs if begin <= d.start < start]
        return [at[i] for i in source.drug(before[-1].name)] if before else []

    for claim in claims:
        if claim.kind == "medication":
            same = [at[i] for i in source.drug(claim.name)]
            known = SUBSTANCE.get(claim.name, -1)
            other = [a for drug, places in talk.drugs.items() if drug != known for a in places]
            add("medication", claim.start, claim.end, known if known >= 0 else claim.name, same, other)
            continue
        found_numbers = source.number(claim.value, claim.unit)
        same = [at[m.at] for m in found_numbers]
        other = [
            a
            for m, a in talk.numbers
            if not _equal(claim, m.value) and a not in same and _alike(claim, m.unit)
        ]
        kind = "dose" if claim.kind == "dose" else "number"
        amount = (claim.value, claim.unit)
        measure = claim.name if claim.kind == "number" else ""
        add(kind, claim.start, claim.end, amount, same, other, owner(claim.start), claim.unit, measure)
    for start, end, times in frequencies(note):
        same = [a for a, _, said in talk.often if said & times]
        other = [a for a, _, said in talk.often if not said & times]
        add("often", start, end, times, same, other, owner(start))
    for name, start, end in sides_in(note):
        same = [a for side, a in talk.sides if side == name]
        other = [a for side, a in talk.sides if side != name]
        add("side", start, end, name, same, other)
    dated = [m.span() for m in DATE.finditer(note)]
    for kind, value, start, end in days_in(note):
        if kind == "word" and value in (
            "morning",
            "afternoon",
            "evening",
            "night",
            "bedtime",
            "breakfast",
            "lunch",
            "dinner",
            "noon",
        ):
            continue
        same = [a for k, v, a in talk.days if (k, v) == (kind, value)]
        other = [a for k, v, a in talk.days if k == kind and v != value]
        add("date", start, end, (kind, value), same, other)
    for start, end in dated:
        numbers = {int(n) for n in re.findall(r"\d+", note[start:end])}
        same = [a for k, v, a in talk.days if k == "nth" and v in numbers] + [
            a for m, a in talk.numbers if m.value in numbers
        ]
        other = [a for k, v, a in talk.days if k in ("nth", "month") and a not in same]
        add("date", start, end, tuple(sorted(numbers)), same, other)
    for name, start, end in substances(note):
        begin, stop = _around(sentences, start, end)
        line = note[note.rfind("\n", 0, start) + 1 : stop]
        if not _ALLERGY.search(note[begin:stop]) and not re.match(r"\W*allerg", line, re.IGNORECASE):
            continue
        same = [a for other_name, a in talk.allergens if other_name == name]
        other = [a for other_name, a in talk.allergens if other_name != name]
        add("allergy", start, end, name, same, other, talk.reacts)
    for m in _NONE.finditer(note):
        add("allergy", *m.span(), "none", [], [a for _, a in talk.allergens], talk.reacts)
    for a, b in clauses:
        if len(re.findall(r"[A-Za-z]{3,}", note[a:b])):
            add("finding", a, b, bool(NEGATIVE.search(note[a:b])), [], [])
    return sorted(found, key=lambda c: (c.start, c.end, c.kind))


def _equal(claim: Claim, value: float) -> bool:
    return abs(claim.value - value) < 1e-9


def _alike(claim: Claim, unit: str | None) -> bool:
    """A number that could stand in the claim's place: of its dimension, or without a unit."""
    if claim.unit not in UNITS or unit not in UNITS:
        return True
    mine, its = UNITS[claim.unit][0], UNITS[unit][0]
    return mine == its or {mine, its} <= {"time", "long"}
