# ruff: noqa: E501  (word lists and patterns read better in long lines)
"""Claims of a note that can be looked up: numbers with unit and what they measure, medications, doses.

Covers: finding them in a note, spoken numbers in a transcript ("six point seven", "one twenty over eighty",
"twice"), what a speaker takes back ("twenty, no wait, forty"), unit spellings and conversions, brand and generic
names, small misspellings, what a number is said of (vital sign, laboratory value, medication, or the words around
it), the nearest support.
Does not cover: negation (`findings`); sides, allergies and dates (`facts`).
"""

import re
from bisect import bisect_right
from dataclasses import dataclass
from itertools import pairwise

from rapidfuzz import fuzz, process

from .derived import in_date, worked_out
from .medications import SAID_FOR, SUBSTANCE
from .spoken import ARTICLES, NAMED, UNITS, WORDS, Mention, is_numeric, mentions_in

NEAR = 60  # tokens between a medication and its dose in speech: a turn or two
DOSE_DIMENSIONS = {"mass", "doses", "volume"}
MEASURES = {  # what a number is said of -> its names in notes and speech
    "blood pressure": "blood pressure|blood pressures|bp",
    "pulse": "heart rate|pulse|hr",
    "temperature": "temperature|temp",
    "respiration": "respiratory rate|respirations|rr",
    "saturation": "oxygen saturation|o2 saturation|o2 sat|o2 sats|spo2|pulse ox|saturation|satting|sats|sat",
    "weight": "weight|weigh|weighs|weighed|weighing|wt",
    "a1c": "a1c|hba1c|hemoglobin a1c|haemoglobin a1c",
    "glucose": "glucose|blood sugar|blood sugars|sugars|sugar|fsbs",
    "ejection fraction": "ejection fraction|ef|lvef",
    "creatinine": "creatinine", "hemoglobin": "hemoglobin|haemoglobin|hgb|hb", "ldl": "ldl", "hdl": "hdl",
    "triglycerides": "triglycerides|triglyceride", "potassium": "potassium", "sodium": "sodium", "bmi": "bmi",
    "tsh": "tsh", "white cells": "wbc|white count|white blood cell|white blood cell count|white cell count",
    "platelets": "platelets|platelet count", "psa": "psa", "gfr": "gfr|egfr", "crp": "crp", "esr": "esr",
    "ferritin": "ferritin", "inr": "inr", "alt": "alt", "ast": "ast", "bilirubin": "bilirubin", "mcv": "mcv",
    "lactate": "lactate", "uric acid": "uric acid|urate", "albumin": "albumin", "fev1": "fev1|fev one",
    "peak flow": "peak flow", "free t4": "free t4|free t four|ft4",
}  # fmt: skip
_MEASURE_OF = {name: measure for measure, names in MEASURES.items() for name in names.split("|")}
_MEASURE = re.compile(
    "(?<![a-z])(?:"
    + "|".join(sorted(map(re.escape, _MEASURE_OF), key=len, reverse=True))
    + ")(?![a-z0-9]|[ ](?:gain|loss|change))",  # an amount lost is no value of the measure
    re.IGNORECASE,
)
# A speaker takes back what came before and says it anew.
_CORRECTIONS = [
    phrase.split()
    for phrase in (
        "no wait,wait no,scratch that,correction,i mean,i meant,make that,let me correct,oh wait,strike that,or rather,"
        "i misspoke,no sorry,sorry no,no no,no i'm sorry,i'm sorry,my mistake,sorry,actually no,actually,excuse me"
    ).split(",")
]
_NO_NAME = set(  # words in front of a dose that are no medication
    "take takes taking took dose doses dosage increase increased decrease decreased start started starting continue "
    "continued daily about around approximately another additional total weekly tablets tablet capsule extra under over "
    "using give given gave with from every each patch cream injection strength current currently maximum increase "
    "milligrams level levels glucose creatinine than only plus and the for was were been least most prescribed solution "
    "drops oral orally mouth night nightly morning evening twice once three times per below above home prior previously "
    "weight protein salt sodium water fluid fluids calcium potassium iron magnesium zinc vitamin fiber caffeine infusion "
    "bolus chewable liquid generic release extended immediate strength baby regular low high reduce reduced resume "
    "resumed received receive restart titrate titrated uptitrate medication medications drug pill pills".split()
)

_TOKEN = re.compile(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?|[a-zµ]+(?:'[a-z]+)?|%|\.", re.IGNORECASE)
_NUMBER = re.compile(
    r"(?<![\w.])(?<![A-Za-z]-)(?<!\d,)\d{1,3}(?:,\d{3})+(?:\.\d+)?(?![\w,]*\d)|"
    r"(?<![\w.])(?<![A-Za-z]-)\d+(?:\.\d+)?(?=st\b|nd\b|rd\b|th\b|mg|mcg|ml|cm|mm|kg|lbs?|%|x\b|"
    r"(?:d|h|hrs?|wks?|w|mo|yo?|g|u|units?|l|puffs?|tabs?)\b|\W|$)",
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
class Claim:
    """Something a note says that can be looked up. ``value`` and ``unit`` for numbers, ``name`` for the rest."""

    kind: str  # number, medication, dose
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
        # "Weight seventy eight. Feet: pulses there" counts no feet: a unit never begins a sentence
        heard_words = [
            "|" if t.text in UNITS and i and re.search(r"[.;:?!\n]", self._between(i - 1, i)) else t.text
            for i, t in enumerate(self.tokens)
        ]
        self.corrections = [span for span in _corrections(self.words) if not self._answers(*span)]
        # "ninety eight . six" is one number, "pulse fifty eight . one plus edema" is two: the first may stand alone
        dots = {i for i, t in enumerate(self.tokens) if self.text[t.start : t.end] == "."}
        apart = ["|" if i in dots else word for i, word in enumerate(heard_words)]
        heard = mentions_in(heard_words)
        alone = [
            m
            for m in mentions_in(apart)
            if m not in heard and (m.at - 1 not in dots or self._begins_sentence(m.at))
        ]
        # "five hundred, two a day": where a comma is heard, both readings stand
        commas = frozenset(
            i for i in range(1, len(self.tokens)) if any(c in self._between(i - 1, i) for c in ",;:")
        )
        parted = [m for m in mentions_in(heard_words, commas) if m not in heard]
        clock = [
            Mention(float(m[1]) * 100 + float(m[2]), None, self._token_at(m.start()))
            for m in _CLOCK.finditer(text)
        ]
        self.mentions = self._kept(heard + alone + parted + clock)
        self.by_value: dict[float, list[Mention]] = {}
        for mention in self.mentions:
            self.by_value.setdefault(round(mention.value, 4), []).append(mention)
        self.drugs = self._named(_drugs(self.words))
        self.measures = self._measures()
        self.passages = [(m.start(), m.end()) for m in re.finditer(r"[^\n]*[^\s][^\n]*", text)]

    def _between(self, first: int, second: int) -> str:
        """The text between two tokens."""
        return self.text[self.tokens[first].end : self.tokens[second].start]

    def _begins_sentence(self, position: int) -> bool:
        """Written with a capital behind a full stop: "Three. Six when I cough" is no 3.6."""
        return self.text[self.tokens[position].start].isupper()

    def _answers(self, start: int, end: int) -> bool:
        """ "No. No allergies" and "No, no." take nothing back: a sentence ends inside, or "no no" is all of it."""
        if any(re.search(r"[.?!\n]", self._between(i, i + 1)) for i in range(start, end - 1)):
            return True
        ended = end >= len(self.tokens) or bool(re.search(r"[.?!\n]", self._between(end - 1, end)))
        line = self.text[self.text.rfind("\n", 0, self.tokens[start].start) + 1 : self.tokens[start].start]
        replies = bool(
            re.fullmatch(r"\s*\[?\w+[\]:]+\s*", line)
        )  # "Doctor: I'm sorry." is no correction of his own
        return ended and (replies or self.words[start:end] == ["no", "no"])

    def _token_at(self, offset: int) -> int:
        return max(0, bisect_right([token.start for token in self.tokens], offset) - 1)

    def _kept(self, mentions: list[Mention]) -> list[Mention]:
        """Without numbers that their speaker took back: "twenty, no wait, forty"; "twenty, not forty"."""
        gone = set()
        for start, end in self.corrections:
            spoken = [m for m in mentions if self.words[m.at] not in ARTICLES]
            after = [m for m in spoken if 0 <= m.at - end <= 8]
            before = sorted((m for m in spoken if 0 < start - m.at <= 9), key=lambda m: m.at)
            if before and after and before[-1].value not in {m.value for m in after}:
                last = before[-1].at
                same = [m for m in before if last - m.at <= 3]
                gone |= {m.at for m in same if _compatible(m.unit, after[0].unit) or not after[0].unit}
        for position, word in enumerate(self.words):
            if word == "not":
                after = [m for m in mentions if 0 < m.at - position <= 2]
                before = [m for m in mentions if 0 < position - m.at <= 4]
                if after and before and before[-1].value != after[0].value and after[0].value >= 1:
                    gone.add(after[0].at)
        return [m for m in mentions if m.at not in gone]

    def _named(self, drugs: dict[int, list[int]]) -> dict[int, list[int]]:
        """Without medications that their speaker took back."""
        every = sorted((at, substance) for substance, places in drugs.items() for at in places)
        gone = set()
        for start, end in self.corrections:
            before = [(at, s) for at, s in every if 0 < start - at <= 5]
            after = [s for at, s in every if 0 <= at - end <= 5]
            if before and after and before[-1][1] != after[0]:
                gone.add(before[-1][0])
        # An empty list stays: the substance was named and taken back, so a similar spelling is no support either.
        return {substance: [at for at in places if at not in gone] for substance, places in drugs.items()}

    def _measures(self) -> list[tuple[int, str]]:
        """``(token position, measure)`` of every name of a vital sign or laboratory value."""
        starts = [token.start for token in self.tokens]
        return [
            (bisect_right(starts, m.start()) - 1, _MEASURE_OF[m.group().casefold()])
            for m in _MEASURE.finditer(self.text)
        ]

    def measured(self, mention: Mention) -> str | None:
        """What a number is said of: the last measure named within ten tokens before it; "X over Y" is a pressure."""
        around = range(max(1, mention.at - 1), min(len(self.words) - 1, mention.at + 5))
        if mention.value > 30 and any(
            self.words[i] in ("over", "by")
            and is_numeric(self.words[i - 1])
            and is_numeric(self.words[i + 1])
            for i in around
        ):
            return "blood pressure"
        before = [name for at, name in self.measures if 0 <= mention.at - at <= 10]
        return before[-1] if before else None

    def taken(self, mention: Mention) -> int | None:
        """The substance that a dose is said of: the nearest one; one after it only counts as near right behind it.

        "Losartan, a hundred. Simvastatin forty": behind a comma or the end of a sentence another one begins.
        """
        return min(
            (
                (abs(at - mention.at) * self._pause(mention.at, at), substance)
                for substance, places in self.drugs.items()
                for at in places
                if abs(at - mention.at) <= NEAR
            ),
            default=(0, None),
        )[1]

    def last_named(self, mention: Mention) -> int | None:
        """The substance named last before a number."""
        before = [(at, s) for s, places in self.drugs.items() for at in places if at < mention.at]
        return max(before, default=(0, None))[1]

    def _pause(self, number: int, name: int) -> int:
        """How much farther a name behind a number counts than it stands."""
        if name < number:
            return 1
        between = self._between(number, name)
        if re.search(r"[.;?!\n](?!\d)", between):
            return 10
        return 3 if name - number > 4 or "," in between else 1

    def is_reply(self, mention: Mention) -> bool:
        """In a turn of a few words, which answers what was asked before it."""
        start = self.tokens[mention.at].start
        begin, end = self.passages[max(0, bisect_right([a for a, _ in self.passages], start) - 1)]
        return len(self.text[begin:end].split()) <= 8

    def around(self, mention: Mention, reach: int = 22) -> set[str]:
        """Beginnings of the longer words near a number."""
        return _stems(" ".join(self.words[max(0, mention.at - reach) : mention.at + reach]))

    def number(self, value: float, unit: str | None) -> list[Mention]:
        """Mentions of the same quantity: same value and no conflicting unit, or the same amount in another unit."""
        found = [m for m in self.by_value.get(round(value, 4), []) if _compatible(unit, m.unit)]
        if unit not in UNITS:
            return found
        dimension, factor = UNITS[unit]
        if dimension in (
            "time",
            "long",
            "pieces",
            "puffs",
            "times",
        ):  # seventy-eight beats a minute are no 78 years
            found = [m for m in found if m.unit or self._bound(m) is None]
        if dimension in ("time", "long") and unit[0] != "y":  # a bare number counts days in a few places only
            found = [m for m in found if m.unit or self.is_reply(m) or self._shares_unit(m, dimension)]
        found += [
            m
            for m in self.mentions
            if m not in found and m.unit in UNITS and _same_amount(value, unit, m.value, m.unit)
        ]
        if dimension == "mass" and (
            not found or unit in ("g", "gram", "grams")
        ):  # "a thousand twice a day" for 1 g
            found += [m for m in self.by_value.get(round(value * factor * 1e3, 4), []) if m.unit is None]
        if dimension == "share":  # half is 50 %
            found += [m for m in self.by_value.get(round(value / 100, 4), []) if m.unit not in UNITS]
        if dimension == "mass" and value * factor < 1e-3:  # "seventy-five" for 0.075 mg
            found += [m for m in self.by_value.get(round(value * factor * 1e6, 4), []) if m.unit is None]
        return found

    def _shares_unit(self, mention: Mention, dimension: str) -> bool:
        """Before "or six days", or at the end of a sentence: "it's gone in one"."""
        ahead = self.words[mention.at + 1 : mention.at + 6]
        end = self.tokens[mention.at].end
        if re.match(r"\s*[.;?!]", self.text[end : end + 3]):
            return True
        return any(UNITS.get(word, ("",))[0] == dimension for word in ahead)

    def _bound(self, mention: Mention) -> str | None:
        """The measure named right before a number: "pulse sixty-eight", "temperature is thirty-eight"."""
        before = [(at, name) for at, name in self.measures if 0 < mention.at - at <= 3]
        if not before or any(is_numeric(word) for word in self.words[before[-1][0] + 1 : mention.at]):
            return None
        return None if before[-1][1] == "weight" else before[-1][1]

    def drug(self, name: str) -> list[int]:
        """Token positions where the substance is named, by any of its names or nearly so."""
        if name not in SUBSTANCE:  # a word in front of a dose that no list knows: it must be said
            hits = process.extract(name, self.words, scorer=fuzz.ratio, score_cutoff=80, limit=3)
            return [position for _, _, position in hits]
        substance = SUBSTANCE[name]
        at = self.drugs.get(substance)
        if at is None:
            said = {word for n in SAID_FOR if SUBSTANCE.get(n) == substance for word in SAID_FOR[n]}
            at = [position for position, word in enumerate(self.words) if word in said]
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
    for token in words:
        if token.text in SUBSTANCE:
            claims.append(Claim("medication", token.start, token.end, name=token.text))
    numbers = []
    short = {m.span(): m for m in _SHORT_TIME.finditer(note)}
    for (start, end), m in short.items():
        period = {"7": "days", "52": "weeks", "12": "months", "40": "weeks"}[m[3]]
        numbers += [Claim("number", start, end, float(value), period) for value in (m[1], m[2]) if value]
    for m in _EVERY.finditer(note):
        period = {"h": "hours", "d": "days", "w": "weeks", "m": "minutes"}[m["unit"][0].casefold()]
        numbers += [Claim("number", *m.span(n), float(m[n]), period) for n in ("a", "b") if m[n]]
        short[m.span()] = m
    for m in _FRACTION.finditer(note):
        unit = _unit_after(note, m.end())
        numbers.append(Claim("number", *m.span(), int(m[1]) / int(m[2]), unit))
        short[m.span()] = m
    for m in _NO_CLAIM.finditer(note):
        short[m.span()] = m
    clock = {m.span(): m for m in _CLOCK.finditer(note)}
    for (start, end), m in clock.items():
        numbers.append(Claim("number", start, end, float(m[1]) * 100 + float(m[2])))
    dated = [match.span() for match in DATE.finditer(note)]
    for match in _NUMBER.finditer(note):
        if match.end() in marks or any(a <= match.start() < b for a, b in [*dated, *short, *clock]):
            continue
        after = _UNIT.match(note, match.end())
        unit = _unit_after(note, match.end())
        if unit is None and (span := _RANGE.match(note, match.end())):  # "24-48 hours" are 24 hours, too
            unit = _unit_after(note, span.end())
        if re.search(r"\d ?\+$", note[: match.start()]):  # 28+3 weeks: three days
            unit = None
        value = float(match.group().replace(",", ""))
        if after and after.group(1).casefold() == "thousand":
            value *= 1000
        numbers.append(
            Claim("number", match.start(), match.end(), value, unit, _measure_in(note, match.start()))
        )
    for mention in mentions_in([token.text for token in words]):  # "three weeks", "ten milligrams"
        token = words[mention.at]
        if (
            mention.unit
            and (token.text in WORDS)
            and not any(a.start <= token.start < a.end for a in numbers)
        ):
            numbers.append(Claim("number", token.start, token.end, mention.value, mention.unit))
    drugs = [claim for claim in claims if claim.kind == "medication"]
    for claim in numbers:
        before = [d for d in drugs if 0 <= claim.start - d.end <= 25 and "." not in note[d.end : claim.start]]
        if claim.unit in UNITS and UNITS[claim.unit][0] in DOSE_DIMENSIONS:
            if before:
                claim = Claim("dose", claim.start, claim.end, claim.value, claim.unit, before[-1].name)
            elif claim.unit in _STRENGTH and (
                named := _UNKNOWN.search(note, max(0, claim.start - 40), claim.start)
            ):
                word = named[1].casefold()
                if (
                    word not in _NO_NAME
                    and word not in SUBSTANCE
                    and word not in WORDS
                    and word not in _MEASURE_OF
                ):
                    claims.append(Claim("medication", named.start(1), named.end(1), name=word))
        claims.append(claim)
    return sorted(claims, key=lambda claim: (claim.start, claim.end))


def _unit_after(note: str, position: int) -> str | None:
    after = _UNIT.match(note, position)
    unit = after.group(1).casefold() if after else ""
    return _ABBREVIATED.get(unit) or (unit if unit in UNITS else None)


_RANGE = re.compile(r" ?(?:[-–]|to) ?\d+(?:\.\d+)?")
_ABBREVIATED = {"d": "days", "h": "hours", "w": "weeks", "y": "years", "u": "units", "daily": None}
_EVERY = re.compile(  # q6h, q4-6h, every 4-6 h, 12-hourly
    r"\bq ?\.?(?P<a>\d{1,2})(?:[ ]?[-–][ ]?(?P<b>\d{1,2}))?[ ]?(?P<unit>hours?|hrs?|h|days?|d|wks?|weeks?|w|min(?:utes)?)\b",
    re.IGNORECASE,
)
_FRACTION = re.compile(r"(?<![\d/.])([13])/([24])(?![\d/.])(?! ?(?:7|52))")
# numbers that are names or scales: type 2 diabetes, 4/10, pulses 2+, oriented x3, strength 5/5, CN II-12
_NO_CLAIM = re.compile(
    r"(?<=type )[12]\b(?= diab| dm|,? t?2?dm)|(?<=\d)/10\b|(?<!\d)[1-4]\+(?!\d)|(?<=oriented x)[ ]?[1-4]\b|(?<=oriented x )[1-4]\b|"
    r"(?<![\d/])5/5\b|\b2-12\b|(?<=covid)-19|(?<=\bcovid )19\b",
    re.IGNORECASE,
)
_CLOCK = re.compile(r"(?<![\d:])(\d{1,2}):(\d{2})(?![\d:])")  # said "eight thirty": 830
# British: 10/7 is ten days, 3/12 three months, 31/40 a week of pregnancy
_SHORT_TIME = re.compile(r"(?<![\w/.+])(?:x ?)?(\d{1,2})(?:[-–](\d{1,2}))?(?:\+\d)?/(7|52|12|40)(?![\w/])")
_STRENGTH = {"mg", "mcg", "milligram", "milligrams", "micrograms", "ug", "µg", "mgs"}
_UNKNOWN = re.compile(r"\b([A-Za-z]{5,})(?:,? (?:at|of|oral|tablets?|capsules?))? $")
_MONTHS = "jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?"
DATE = re.compile(
    rf"\b(?:(?P<m1>{_MONTHS})\.? (?P<d1>\d{{1,2}})(?:st|nd|rd|th)?(?!\d)(?:,? (?P<y1>(?:19|20)\d\d))?|"
    rf"(?P<d2>\d{{1,2}})(?:st|nd|rd|th)? (?:of )?(?P<m2>{_MONTHS})\b\.?(?:,? (?P<y2>(?:19|20)\d\d))?|"
    r"(?P<m3>\d{1,2})[/-](?P<d3>\d{1,2})[/-](?P<y3>(?:19|20)?\d\d))\b",
    re.IGNORECASE,
)


_PRESSURE = re.compile(r"(?<![\d/.])([6-9]\d|1\d\d|2[0-4]\d)/([3-9]\d|1[0-4]\d)(?![\d/.])")


def _measure_in(note: str, position: int) -> str:
    """The measure that a number of a note is a value of, or an empty text."""
    for pair in _PRESSURE.finditer(note, max(0, position - 4), position + 8):
        if position in (pair.start(1), pair.start(2)):
            return "blood pressure"
    begin = max(0, position - 40, note.rfind("\n", 0, position), note.rfind("; ", 0, position))
    named = [m for m in _MEASURE.finditer(note, begin, position)]
    if (
        not named
        or len(_NUMBER.findall(note[named[-1].end() : position])) > 1
        or ". " in note[named[-1].end() : position]
    ):
        return ""
    if re.search(r"\d%?, [A-Za-z]", note[named[-1].end() : position]):  # "platelets 480, CRP 36"
        return ""
    return _MEASURE_OF[named[-1].group().casefold()]


def judge(claim: Claim, source: Source, note: str) -> tuple[str | None, str]:
    """``(kind of error or None, support)``: the turn that supports the claim, or the nearest one when none does."""
    if claim.kind == "medication":
        at = source.drug(claim.name)
        return (
            (None, source.passage(at[0])) if at else ("unsupported_medication", _nearest(claim, source, note))
        )
    found = source.number(claim.value, claim.unit)
    if claim.kind == "dose":
        drug = source.drug(claim.name)
        if not drug:
            return None, ""  # reported once, with the medication
        near = [m for m in found if any(abs(m.at - at) <= NEAR for at in drug)]
        owned = [m for m in near if source.taken(m) in (SUBSTANCE[claim.name], None)]
        if near and (owned or SUBSTANCE[claim.name] not in source.drugs):
            return None, source.passage((owned or near)[0].at)
        meant = [m for m in found if source.last_named(m) == SUBSTANCE.get(claim.name, -1)]
        if meant:  # "Let's go up to seventy-five": of the medication named last, however long ago
            return None, source.passage(meant[0].at)
        if derived := worked_out(note, claim, source.mentions):
            return None, source.passage(derived.at)
        return "wrong_dose", source.passage(drug[0])
    if not found:
        derived = worked_out(note, claim, source.mentions) or in_date(
            note, claim, source.mentions, source.words
        )
        if derived:
            return None, source.passage(derived.at)
        return "unsupported_number", _nearest(claim, source, note)
    if claim.name:
        named = [at for at, name in source.measures if name == claim.name]
        said = [(m, source.measured(m)) for m in found]
        owned = [
            m
            for m, of in said
            if of == claim.name
            or (of is None and (source.is_reply(m) or any(abs(m.at - at) <= 25 for at in named)))
        ]
        values = [m for m in source.mentions if source.measured(m) == claim.name]
        if named and values and not owned:
            return "wrong_number", source.passage(values[0].at)
        return None, source.passage((owned or found)[0].at)
    rival = _said_of_it(claim, source, note, found)
    return ("wrong_number", source.passage(rival.at)) if rival else (None, source.passage(found[0].at))


def _said_of_it(claim: Claim, source: Source, note: str, found: list[Mention]) -> Mention | None:
    """Another amount in this unit that is said of what the claim is about, where the claim's own never is.

    "About" is words in common: none around any mention of the claim's amount, at least two around the other's.
    """
    if claim.unit not in UNITS or UNITS[claim.unit][0] not in ("time", "long"):
        return None
    about = _stems(_sentence(claim, note)) - {unit[:5] for unit in UNITS}
    if any(about & source.around(m) or (m.unit and source.is_reply(m)) for m in found):
        return None
    rivals = [
        m
        for m in source.mentions
        if m.unit in UNITS and UNITS[m.unit][0] == UNITS[claim.unit][0] and len(about & source.around(m)) >= 2
    ]
    return max(rivals, key=lambda m: len(about & source.around(m)), default=None)


def _stems(text: str) -> set[str]:
    return {word[:5] for word in re.findall(r"[a-z]{4,}", text.casefold()) if word not in _COMMON}


_COMMON = set(
    "that this with have been they from what your were will when then just like about okay right patient reports states "
    "notes over last past next ago days weeks months years hours doctor well going know some also there every since".split()
)


def _sentence(claim: Claim, note: str) -> str:
    begin = max(note.rfind(". ", 0, claim.start), note.rfind("\n", 0, claim.start)) + 1
    end = min(
        (i for i in (note.find(". ", claim.end), note.find("\n", claim.end)) if i >= 0), default=len(note)
    )
    return note[begin:end]


def _corrections(words: list[str]) -> list[tuple[int, int]]:
    """Token spans of phrases by which a speaker takes something back."""
    found: list[tuple[int, int]] = []
    for start in range(len(words)):
        for phrase in _CORRECTIONS:
            if words[start : start + len(phrase)] == phrase and not (found and start < found[-1][1]):
                found.append((start, start + len(phrase)))
                break
    return found


def _nearest(claim: Claim, source: Source, note: str) -> str:
    return source.nearest(set(re.findall(r"[a-z]{4,}", _sentence(claim, note).casefold())))


def _short(text: str, centre: int, width: int = 160) -> str:
    text = text.strip()
    if len(text) <= width:
        return text
    begin = max(0, min(len(text) - width, centre - width // 2))
    return ("…" if begin else "") + text[begin : begin + width] + ("…" if begin + width < len(text) else "")


def _same_amount(value: float, unit: str, other: float, other_unit: str) -> bool:
    """One amount in two units; 1.5 weeks and 10 days, a month and 4 weeks pass for one."""
    (dimension, factor), (other_dimension, other_factor) = UNITS[unit], UNITS[other_unit]
    if {dimension, other_dimension} == {"time", "long"}:
        first, second = value * factor, other * other_factor
        days, months = (first / 1440, second) if dimension == "time" else (second / 1440, first)
        return months > 0 and 28 <= days / months <= 31
    if dimension != other_dimension:
        return False
    apart = abs(other * other_factor - value * factor)
    loose = 0.05 if dimension == "time" and factor != other_factor and value * factor >= 7 * 1440 else 1e-9
    return apart <= loose * max(1e-12, value * factor)


def _compatible(first: str | None, second: str | None) -> bool:
    """Units do not contradict each other: one is missing, or both are the same size of the same dimension."""
    if NAMED in (first, second):
        return first is None or second is None
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
