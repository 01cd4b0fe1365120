"""Claims of a note that can be looked up: numbers with their unit, medications, doses, sides of the body.

Covers: finding them in a note, spoken numbers in a transcript ("six point seven", "one twenty over eighty",
"twice"), unit spellings and conversions, brand and generic names, small misspellings, the nearest support.
Does not cover: negation, dates as a whole, whether a supported number is said of the right thing, except for the
dose of a medication.
"""

import re
from bisect import bisect_right
from dataclasses import dataclass
from itertools import pairwise

from rapidfuzz import fuzz, process

from .medications import SUBSTANCE

NEAR = 60  # tokens between a medication and its dose in speech: a turn or two
_SMALL = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
    "seventeen eighteen nineteen"
).split()
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()
WORDS = {word: float(n) for n, word in enumerate(_SMALL)} | {
    word: 10.0 * n for n, word in enumerate(_TENS, 2)
}
_ORDER = "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth".split()
ORDINALS = {word: float(number) for number, word in enumerate(_ORDER, 1)}
# "may" is left out: it is a verb far more often
_YEAR = "january february march april - june july august september october november december".split()
MONTHS = {word: float(number) for number, word in enumerate(_YEAR, 1) if word != "-"}
SPOKEN = {"once": 1.0, "twice": 2.0, "thrice": 3.0, "couple": 2.0, "pair": 2.0, "single": 1.0, "double": 2.0,
          "triple": 3.0, "half": 0.5, "dozen": 12.0, "both": 2.0, "quarter": 0.25, "daily": 1.0}  # fmt: skip
ARTICLES = {"a": 1.0, "an": 1.0}  # a number only before a unit: "a week"
# spelling -> (unit, factor into the base of its dimension); units of one dimension convert into each other
UNITS: dict[str, tuple[str, float]] = {}
for _dimension, _table in {
    "mass": {"mcg microgram micrograms ug µg": 1e-6, "mg milligram milligrams mgs": 1e-3, "g gram grams gm": 1.0,
             "kg kilogram kilograms kilos": 1e3},
    "weight": {"lb lbs pound pounds": 1.0, "oz ounce ounces": 1 / 16},
    "volume": {"ml milliliter milliliters millilitres cc ccs": 1.0, "l liter liters litre litres": 1e3},
    "length": {"mm millimeter millimeters": 0.1, "cm centimeter centimeters": 1.0, "inch inches": 2.54,
               "foot feet ft": 30.48},
    "time": {"minute minutes min mins": 1.0, "hour hours hr hrs": 60.0, "day days": 1440.0,
             "week weeks wk wks": 10080.0},
    "long": {"month months mo mos": 1.0, "year years yr yrs yo y/o": 12.0},
    "share": {"% percent": 1.0},
    "doses": {"unit units iu": 1.0},
    "pieces": {"tablet tablets tab tabs pill pills capsule capsules": 1.0},
    "puffs": {"puff puffs": 1.0},
    "degrees": {"degree degrees fahrenheit": 1.0},
}.items():  # fmt: skip
    for _names, _factor in _table.items():
        UNITS |= {name: (_dimension, _factor) for name in _names.split()}
DOSE_DIMENSIONS = {"mass", "doses", "volume"}
SIDES = {"left": "right", "right": "left"}
BODY = set(
    "knee knees hip hips shoulder shoulders elbow elbows wrist wrists hand hands foot feet ankle ankles leg legs "
    "arm arms eye eyes ear ears lung lungs breast breasts kidney thumb finger toe heel calf thigh groin flank buttock "
    "forearm ovary testicle side lobe ventricular atrial extremity".split()
)

_TOKEN = re.compile(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?|[a-zµ]+(?:'[a-z]+)?|%|\.", re.IGNORECASE)
_NUMBER = re.compile(
    r"(?<![\w.])(?<![A-Za-z]-)(?<!\d,)\d{1,3}(?:,\d{3})+(?:\.\d+)?(?![\w,]*\d)|"
    r"(?<![\w.])(?<![A-Za-z]-)\d+(?:\.\d+)?(?=st\b|nd\b|rd\b|th\b|mg|mcg|ml|cm|mm|kg|lbs?|%|x\b|\W|$)",
)
_LIST_MARK = re.compile(r"^[ \t#*•\-]*\d{1,2}[.)](?=\s)", re.MULTILINE)
_UNIT = re.compile(r"[ \t\-]*(%|y/o|[a-zµ]+)", re.IGNORECASE)


@dataclass(frozen=True)
class Token:
    """One word or number of a text; ``start`` and ``end`` are its characters."""

    text: str
    start: int
    end: int


@dataclass(frozen=True)
class Mention:
    """A number as somebody said it: value, unit or None, position among the tokens."""

    value: float
    unit: str | None
    at: int


@dataclass(frozen=True)
class Claim:
    """Something a note says that can be looked up. ``value`` and ``unit`` for numbers, ``name`` for the rest."""

    kind: str  # number, medication, dose, side
    start: int
    end: int
    value: float = 0.0
    unit: str | None = None
    name: str = ""


def tokens(text: str) -> list[Token]:
    """Words and numbers in lower case. A full stop between two numbers ("six . eight") is a decimal point."""
    found = [Token(m.group().casefold(), m.start(), m.end()) for m in _TOKEN.finditer(text)]
    kept: list[Token] = []
    for number, token in enumerate(found):
        if token.text == ".":
            around = (
                kept[-1].text if kept else "",
                found[number + 1].text if number + 1 < len(found) else "",
            )
            if not all(word in WORDS or word[:1].isdigit() for word in around):
                continue
            token = Token("point", token.start, token.end)
        kept.append(token)
    return kept


class Source:
    """What a note may rest on: the transcript and declared metadata, read once and looked up often."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens = tokens(text)
        self.words = [token.text for token in self.tokens]
        self.mentions = _mentions(self.words)
        self.by_value: dict[float, list[Mention]] = {}
        for mention in self.mentions:
            self.by_value.setdefault(round(mention.value, 4), []).append(mention)
        self.drugs = _drugs(self.words)
        self.passages = [(m.start(), m.end()) for m in re.finditer(r"[^\n]*[^\s][^\n]*", text)]

    def number(self, value: float, unit: str | None) -> list[Mention]:
        """Mentions of the same quantity: same value and no conflicting unit, or the same amount in another unit."""
        found = [m for m in self.by_value.get(round(value, 4), []) if _compatible(unit, m.unit)]
        if not found and unit in UNITS:
            dimension, factor = UNITS[unit]
            found = [
                m
                for m in self.mentions
                if m.unit in UNITS
                and UNITS[m.unit][0] == dimension
                and abs(m.value * UNITS[m.unit][1] - value * factor) < 1e-9 * max(1.0, value * factor)
            ]
        return found

    def drug(self, name: str) -> list[int]:
        """Token positions where the substance is named, by any of its names or nearly so."""
        substance = SUBSTANCE[name]
        at = self.drugs.get(substance)
        if at is None:
            at = []
            names = [n for n, number in SUBSTANCE.items() if number == substance and len(n) >= 6]
            pairs = [a + b for a, b in pairwise(self.words)]
            for spelling in names:
                for pool in (self.words, pairs):
                    hits = process.extract(spelling, pool, scorer=fuzz.ratio, score_cutoff=84, limit=5)
                    at += [
                        position for word, _, position in hits if SUBSTANCE.get(word, substance) == substance
                    ]
            self.drugs[substance] = at
        return at

    def sides(self, part: str, reach: int) -> set[str]:
        """Sides that are said within ``reach`` tokens of a body part."""
        stem = part.rstrip("s")
        found = set()
        for position, word in enumerate(self.words):
            if word.rstrip("s") == stem:
                window = self.words[max(0, position - reach) : position + reach + 1]
                found |= {side for side in SIDES if side in window}
                if "bilateral" in window or "bilaterally" in window or "both" in window:
                    found |= set(SIDES)
        return found

    def passage(self, position: int) -> str:
        """The turn around a token."""
        start = self.tokens[position].start
        index = bisect_right([begin for begin, _ in self.passages], start) - 1
        begin, end = self.passages[max(0, index)]
        return _short(self.text[begin:end], start - begin)

    def nearest(self, words: set[str]) -> str:
        """The turn that shares most content words with a claim's sentence; empty when none shares any."""
        best, most = "", 0
        for begin, end in self.passages:
            shared = len(words & {t for t in re.findall(r"[a-z]{4,}", self.text[begin:end].casefold())})
            if shared > most:
                best, most = self.text[begin:end], shared
        return _short(best, 0)


def find_claims(note: str) -> list[Claim]:
    """Claims in the order of the note. A number right after a medication and with a dose unit is its dose."""
    marks = {m.end() - 1 for m in _LIST_MARK.finditer(note)}
    claims: list[Claim] = []
    words = tokens(note)
    for number, token in enumerate(words):
        if token.text in SUBSTANCE:
            claims.append(Claim("medication", token.start, token.end, name=token.text))
        if token.text in SIDES:
            part = next((w.text for w in words[number + 1 : number + 4] if w.text in BODY), None)
            if part:
                end = next(w.end for w in words[number + 1 : number + 4] if w.text == part)
                claims.append(Claim("side", token.start, end, name=f"{token.text} {part}"))
    numbers = []
    for match in _NUMBER.finditer(note):
        if match.end() in marks:
            continue
        after = _UNIT.match(note, match.end())
        unit = after.group(1).casefold() if after and after.group(1).casefold() in UNITS else None
        value = float(match.group().replace(",", ""))
        numbers.append(Claim("number", match.start(), match.end(), value=value, unit=unit))
    drugs = [claim for claim in claims if claim.kind == "medication"]
    for claim in numbers:
        before = [d for d in drugs if 0 <= claim.start - d.end <= 25 and "." not in note[d.end : claim.start]]
        if before and claim.unit in UNITS and UNITS[claim.unit][0] in DOSE_DIMENSIONS:
            claim = Claim("dose", claim.start, claim.end, claim.value, claim.unit, before[-1].name)
        claims.append(claim)
    return sorted(claims, key=lambda claim: (claim.start, claim.end))


def judge(claim: Claim, source: Source, note: str) -> tuple[str | None, str]:
    """``(kind of error or None, support)``: the turn that supports the claim, or the nearest one when none does."""
    if claim.kind == "medication":
        at = source.drug(claim.name)
        return (
            (None, source.passage(at[0])) if at else ("unsupported_medication", _nearest(claim, source, note))
        )
    if claim.kind == "side":
        side, part = claim.name.split()
        wrong = SIDES[side] in source.sides(part, 6) and side not in source.sides(part, 25)
        return ("wrong_laterality", _nearest(claim, source, note)) if wrong else (None, "")
    found = source.number(claim.value, claim.unit)
    if claim.kind == "dose":
        drug = source.drug(claim.name)
        if not drug:
            return None, ""  # reported once, with the medication
        near = [m for m in found if any(abs(m.at - at) <= NEAR for at in drug)]
        if near:
            return None, source.passage(near[0].at)
        return "wrong_dose", source.passage(drug[0])
    if found:
        return None, source.passage(found[0].at)
    return "unsupported_number", _nearest(claim, source, note)


def _nearest(claim: Claim, source: Source, note: str) -> str:
    begin = max(note.rfind(".", 0, claim.start), note.rfind("\n", 0, claim.start)) + 1
    end = min(
        (i for i in (note.find(".", claim.end), note.find("\n", claim.end)) if i >= 0), default=len(note)
    )
    return source.nearest(set(re.findall(r"[a-z]{4,}", note[begin:end].casefold())))


def _short(text: str, centre: int, width: int = 160) -> str:
    text = text.strip()
    if len(text) <= width:
        return text
    begin = max(0, min(len(text) - width, centre - width // 2))
    return ("…" if begin else "") + text[begin : begin + width] + ("…" if begin + width < len(text) else "")


def _compatible(first: str | None, second: str | None) -> bool:
    """Units do not contradict each other: one is missing, or both are the same size of the same dimension."""
    if first not in UNITS or second not in UNITS:
        return True
    return UNITS[first] == UNITS[second]


def _drugs(words: list[str]) -> dict[int, list[int]]:
    found: dict[int, list[int]] = {}
    for position, word in enumerate(words):
        name = word if word in SUBSTANCE else word.removesuffix("s")  # "two advils"
        if name in SUBSTANCE:
            found.setdefault(SUBSTANCE[name], []).append(position)
    return found


def _mentions(words: list[str]) -> list[Mention]:
    """Every number that a listener could hear, in digits or words, with the unit that follows it."""
    found: list[Mention] = []
    start = 0
    while start < len(words):
        end = start
        while end < len(words) and end - start < 12 and (
            _digit(words[end]) is not None
            or words[end] in WORDS
            or words[end] in ("hundred", "thousand", "point", "oh")
            or (words[end] == "and" and end > start and words[end - 1] in ("hundred", "point"))
        ):  # fmt: skip
            end += 1
        if end == start:
            word = words[start]
            for table in (SPOKEN, ORDINALS, MONTHS, ARTICLES):
                if word in table:
                    heard = _with_unit(words, start + 1, table[word], start)
                    found += [m for m in heard if table is not ARTICLES or m.unit or m.value > 1]
            start += 1
            continue
        for i, j, value in _readings(words, start, end):
            found += _with_unit(words, j, value, i) if j == end else [Mention(value, None, i)]
        start = end
    return found


def _with_unit(words: list[str], after: int, value: float, at: int) -> list[Mention]:
    """A number with its unit; and half more of it where "and a half" follows ("an hour and a half")."""
    unit = _unit_at(words, after)
    found = [Mention(value, unit, at)]
    for half in (after, after + 1):
        if words[half : half + 3] == ["and", "a", "half"]:
            found.append(Mention(value + 0.5, unit or _unit_at(words, half + 3), at))
    return found


def _unit_at(words: list[str], position: int) -> str | None:
    word = words[position] if position < len(words) else ""
    return word if word in UNITS else None


def _digit(word: str) -> float | None:
    return float(word.replace(",", "")) if word[0].isdigit() else None


def _parse(words: list[str]) -> float | None:
    """Value of a run of number words, or None when nobody would say one number that way."""
    if "point" in words:
        at = words.index("point")
        whole = _parse(words[:at]) if at else 0.0
        digits = []
        for word in words[at + 1 :]:
            value = 0.0 if word == "oh" else WORDS.get(word, _digit(word))
            if value is None or value != int(value):
                return None
            digits.append(str(int(value)))
        return (
            float(f"{int(whole)}.{''.join(digits)}")
            if digits and whole is not None and whole == int(whole)
            else None
        )
    for name, size in (("thousand", 1000.0), ("hundred", 100.0)):
        if name in words:
            at = words.index(name)
            high = _parse(words[:at]) if at else 1.0
            rest = [word for word in words[at + 1 :] if word != "and"]
            low = _parse(rest) if rest else 0.0
            if high is None or low is None or low >= size:
                return None
            return high * size + low
    values = [0.0 if word == "oh" else WORDS.get(word, _digit(word)) for word in words]
    if any(value is None for value in values):
        return None
    known = [value for value in values if value is not None]
    if len(known) == 1:
        return known[0]
    spoken = all(word in WORDS or word == "oh" for word in words)
    if spoken and len(known) == 2 and known[0] >= 20 and known[1] < 10 and words[1] != "oh":
        return known[0] + known[1]  # twenty five
    return None


def _joined(words: list[str]) -> float | None:
    """Value of words that are said side by side for one number: one twenty, nineteen eighty five, one oh five."""
    if not 2 <= len(words) <= 4 or not all(word in WORDS or word == "oh" for word in words):
        return None
    if len(words) == 3 and words[1] == "oh" and WORDS.get(words[2], 99) < 10:
        return WORDS.get(words[0], 0.0) * 100 + WORDS[words[2]]
    for cut in (1, 2):
        high, low = _parse(words[:cut]), _parse(words[cut:])
        if high is not None and low is not None and high >= 1 and 10 <= low < 100:
            return high * 100 + low
    return None


def _readings(words: list[str], start: int, end: int) -> list[tuple[int, int, float]]:
    """``(from, to, value)`` of every number that a run of number words can mean.

    Parts of a longer number are none ("ninety eight" is not also a 90 and an 8). Where words stand side by side the
    parts count, too ("twenty thirty" may be a range), except for a small first one ("one twenty over eighty") that no
    unit follows.
    """
    spans = [(i, j) for i in range(start, end) for j in range(i + 1, min(end, i + 8) + 1)]
    plain = [(i, j, value) for i, j in spans if (value := _parse(words[i:j])) is not None]
    plain = _maximal(plain)
    joined = _maximal([(i, j, value) for i, j in spans if (value := _joined(words[i:j])) is not None])
    hidden = [
        (i, j) for i, j, value in joined if value < 1000 and not (j == end and _unit_at(words, end))
    ]  # fmt: skip
    plain = [(i, j, value) for i, j, value in plain if not any(a <= i and j <= b for a, b in hidden)]
    return plain + joined


def _maximal(readings: list[tuple[int, int, float]]) -> list[tuple[int, int, float]]:
    """Readings that lie in no longer one."""
    return [
        (i, j, value)
        for i, j, value in readings
        if not any(a <= i and j <= b and (a, b) != (i, j) for a, b, _ in readings)
    ]
