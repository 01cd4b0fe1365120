# ruff: noqa: E501  (word lists and patterns read better in long lines)
"""What a note may rest on: the transcript and declared metadata, read once and looked up often.

Covers: spoken numbers in a transcript ("six point seven", "one twenty over eighty", "twice"), what a speaker takes
back ("twenty, no wait, forty"), unit spellings and conversions, brand and generic names, small misspellings, what a
number is said of (vital sign, laboratory value, medication, or the words around it).
Does not cover: what a note claims and whether it is supported (`claims`); clock times (`clock`).
"""

import re
from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

from rapidfuzz import fuzz, process

from .clock import Time, spoken_times, written_times
from .medications import COMPOSED, SAID_FOR, SUBSTANCE
from .spoken import ARTICLES, NAMED, UNITS, WORDS, Mention, is_numeric, mentions_in

CLOCK = "o'clock"  # unit of a time of the day: minutes after twelve
NEAR = 60  # tokens between a medication and its dose in speech: a turn or two
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
    "platelets": "platelets|platelet count|plts|plt", "psa": "psa", "gfr": "gfr|egfr", "crp": "crp", "esr": "esr",
    "ferritin": "ferritin", "inr": "inr", "alt": "alt", "ast": "ast", "bilirubin": "bilirubin", "mcv": "mcv",
    "lactate": "lactate", "uric acid": "uric acid|urate", "albumin": "albumin", "fev1": "fev1|fev one",
    "peak flow": "peak flow", "free t4": "free t4|free t four|ft4",
}  # fmt: skip
MEASURE_OF = {name: measure for measure, names in MEASURES.items() for name in names.split("|")}
MEASURE = re.compile(
    "(?<![a-z])(?:"
    + "|".join(sorted(map(re.escape, MEASURE_OF), key=len, reverse=True))
    + ")(?![a-z0-9]|[ ](?:gain|loss|change))",  # an amount lost is no value of the measure
    re.IGNORECASE,
)
# A speaker takes back what came before and says it anew.
_CORRECTIONS = [
    phrase.split()
    for phrase in (
        "no wait,wait no,scratch that,correction,i mean,i meant,make that,let me correct,oh wait,strike that,or rather,"
        "i misspoke,no let me count,let me count,no let me check,let me check,hang on,no hang on,make it,no sorry,sorry no,no no,no i'm sorry,i'm sorry,my mistake,sorry,actually no,actually,excuse me"
    ).split(",")
]
_REPLY = re.compile(  # a short way to the number that is right
    r"\s*(?:\[?[A-Za-z][\w. ]{0,20}[\]:]+)?\s*(?P<said>(?:(?:no|nope|nah|nahi|actually|it's|it is|that was|its|now|ab|um|uh|well|i'm|she's|he's|"
    r"only|about|just|more like|a|oh|closer to|nearer|make that|,|\.)[ ,.]*)*(?:\d|"
    + "|".join(WORDS)
    + r"|hundred|half)\b(?! (?:i|of|we|that|thing)\b)[^.?!\n]{0,25})",
    re.IGNORECASE,
)
_FREE = frozenset(  # words that follow a number whose unit was said before
    "by to or x now today each yesterday before last previously then all in on at an a per deep long wide across".split()
)
_ASKS_FOR = re.compile(
    r"\b(?:how|what|when|which|who|where)\b[^.?!,]*\?\s*$", re.IGNORECASE
)  # no guess at a number
_STATED = re.compile(r"\s*(?:\[?[A-Za-z][\w. ]{0,20}[\]:]+)?\s*(?P<said>[^.?!\n]{1,70})")
_CHANGED = re.compile(
    r"[^.?!\n]{0,40}\b(?:was|were|been|got|they|he|she|doctor|gp|it's|now|only|down|up)\b[^.?!\n]{0,25}?\b(?:changed|reduced|increased|cut|"
    r"bumped|put|lowered|raised|switched|dropped) (?:it |me |that )?(?:up |down |back )?to\b",
    re.IGNORECASE,
)
_NO_SHORT = set("test para care cart pant call meth came".split())  # no short forms of a medication
_TOKEN = re.compile(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?|[a-zµ]+(?:'[a-z]+)?|%|\.", re.IGNORECASE)


@dataclass(frozen=True)
class Token:
    """One word or number of a text; ``start`` and ``end`` are its characters."""

    text: str
    start: int
    end: int


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
        self.mentions = self._kept(heard + alone + parted)
        self.by_value: dict[float, list[Mention]] = {}
        for mention in self.mentions:
            self.by_value.setdefault(round(mention.value, 4), []).append(mention)
        self.drugs = self._named(_drugs(self.words))
        self.blamed = {  # medications named for an allergy own no dose
            at
            for places in self.drugs.values()
            for at in places
            if {"allergy", "allergic", "allergies"} & set(self.words[max(0, at - 4) : at + 3])
        }
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

    def _amends(self, position: int) -> bool:
        """A "no" between commas, behind a number or its unit."""
        if not 0 < position < len(self.words) - 1:
            return False
        before, after = self._between(position - 1, position), self._between(position, position + 1)
        behind = self.words[position - 1]
        return (
            before.strip() in (",", ".", "…", "...", "-", "–")
            and after.strip() == ","
            and (is_numeric(behind) or behind in UNITS)
        )

    def token_at(self, offset: int) -> int:
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
            if word == "no" and self._amends(position):  # "two point five, no, five"
                after = [m for m in mentions if 0 < m.at - position <= 3]
                amended = [
                    m for m in mentions if 0 < position - m.at <= 5 and self.words[m.at] not in ARTICLES
                ]
                if after and amended and {m.value for m in amended}.isdisjoint(m.value for m in after):
                    last = max(m.at for m in amended)
                    gone |= {
                        m.at
                        for m in amended
                        if last - m.at <= 2 and (_compatible(m.unit, after[0].unit) or not after[0].unit)
                    }
            if word == "not":
                after = [m for m in mentions if 0 < m.at - position <= 2]
                before = [m for m in mentions if 0 < position - m.at <= 4]
                if after and before and before[-1].value != after[0].value and after[0].value >= 1:
                    gone.add(after[0].at)
        gone |= self._overridden(mentions)
        return [m for m in mentions if m.at not in gone]

    def _overridden(self, mentions: list[Mention]) -> set[int]:
        """Numbers that an answer replaces: "Fourteen months? Fifteen."; "Losartan fifty? It's a hundred now."."""
        gone: set[int] = set()
        starts = [token.start for token in self.tokens]
        spoken = sorted((m for m in mentions if self.words[m.at] not in ARTICLES), key=lambda m: m.at)
        for line in re.finditer(r"[^\n]+\n+(?=[^\n])", self.text):
            stated = _STATED.match(self.text, line.end())
            changed = _CHANGED.match(self.text, stated.start("said")) if stated else None
            asked = line.group().rstrip().endswith("?")
            reply = stated if changed else _REPLY.match(self.text, line.end()) if asked else None
            if reply is None or (asked and not changed and _ASKS_FOR.search(line.group())):
                continue
            first = (
                line.start() + max(line.group().rstrip(" \n?").rfind(c) for c in ".?!:") + 1
                if asked
                else line.start()
            )
            begin, middle = bisect_left(starts, first), bisect_left(starts, line.end())
            end = bisect_left(starts, reply.end("said"))
            old = [m for m in spoken if begin <= m.at < middle]
            new = [m for m in spoken if middle <= m.at < end]
            if changed:
                new = [m for m in new if m.at >= bisect_left(starts, changed.end())]
            if not old or not new or {m.value for m in old} & {m.value for m in new}:
                continue
            last = max(m.at for m in old)
            if asked and not changed and last < middle - 4:  # something else was asked behind it
                continue
            same = [m for m in old if last - m.at <= 2]
            if any(_compatible(m.unit, n.unit) or not n.unit for m in same for n in new):
                gone |= {m.at for m in same}
        return gone

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
            (bisect_right(starts, m.start()) - 1, MEASURE_OF[m.group().casefold()])
            for m in MEASURE.finditer(self.text)
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

    def taken(self, mention: Mention) -> set[int]:
        """The substances that a dose is said of: the nearest one; one after it only counts as near right behind it.

        "Losartan, a hundred. Simvastatin forty": behind a comma or the end of a sentence another one begins. A
        combination stands for each of its substances.
        """
        near = [
            (abs(at - mention.at) * self._pause(mention.at, at), substance)
            for substance, places in self.drugs.items()
            for at in places
            if abs(at - mention.at) <= NEAR and at not in self.blamed
        ]
        least = min((distance for distance, _ in near), default=0)
        return {substance for distance, substance in near if distance == least}

    def last_named(self, mention: Mention) -> int | None:
        """The substance named last before a number."""
        before = [
            (at, s)
            for s, places in self.drugs.items()
            for at in places
            if at < mention.at and at not in self.blamed
        ]
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
        return stems(" ".join(self.words[max(0, mention.at - reach) : mention.at + reach]))

    @cached_property
    def times(self) -> set[Time]:
        """Every time of the day that was said or stands in figures."""
        return spoken_times(self.words) | {time for _, _, time in written_times(self.text)}

    def number(self, value: float, unit: str | None) -> list[Mention]:
        """Mentions of the same quantity: same value and no conflicting unit, or the same amount in another unit."""
        if unit == CLOCK:
            return [Mention(value, unit, 0)] if divmod(int(value), 60) in self.times else []
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
        if dimension in ("length", "weight", "volume") and any(
            UNITS.get(m.unit or "", ("",))[0] == dimension for m in self.mentions
        ):
            # where the unit is spoken, a bare number in the middle of a sentence counts something else
            found = [m for m in found if m.unit or self.is_reply(m) or self._stands_free(m)]
        found += [
            m
            for m in self.mentions
            if m not in found and m.unit in UNITS and _same_amount(value, unit, m.value, m.unit)
        ]
        if dimension == "mass" and (
            not found or unit in ("g", "gram", "grams")
        ):  # "a thousand twice a day" for 1 g
            found += [m for m in self.by_value.get(round(value * factor * 1e3, 4), []) if m.unit is None]
        if dimension == "mass" and factor >= 1.0 and not found:  # "thirty-three ten" for 3.31 kg
            found += [m for m in self.by_value.get(round(value * factor, 4), []) if m.unit is None]
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

    def _stands_free(self, mention: Mention) -> bool:
        """At the end of a clause, or before "by", "to", another number and the like."""
        end = mention.at + 1
        while end < len(self.words) and (
            is_numeric(self.words[end]) or self.words[end] in ("and", "point", "a", "half")
        ):
            end += 1
        if end >= len(self.words):
            return True
        between = self._between(end - 1, end)
        return bool(re.search(r"[.,;?!\n]", between)) or self.words[end] in _FREE

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
            short = [i for i, word in enumerate(self.words) if len(word) >= 4 and name.startswith(word)]
            return [position for _, _, position in hits] + short
        substance = SUBSTANCE[name]
        at = self.drugs.get(substance)
        if at is None:
            said = {word for n in SAID_FOR if SUBSTANCE.get(n) == substance for word in SAID_FOR[n]}
            every = [n for n, number in SUBSTANCE.items() if number == substance]
            names = [n for n in every if len(n) >= 6]
            said |= {
                word
                for word in set(self.words) - _NO_SHORT
                if len(word) >= 4 and any(n.startswith(word) for n in names)
            }
            at = [position for position, word in enumerate(self.words) if word in said]
            parts = [SUBSTANCE[part] for part in COMPOSED.get(name, "").split()]
            if len(parts) > 1 and all(
                self.drugs.get(part) for part in parts
            ):  # the combination, by its substances
                at += self.drugs[parts[0]]
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


def stems(text: str) -> set[str]:
    """Beginnings (five letters) of the words of a text that say something."""
    return {word[:5] for word in re.findall(r"[a-z]{4,}", text.casefold()) if word not in _COMMON}


_COMMON = set(
    "that this with have been they from what your were will when then just like about okay right patient reports states "
    "notes over last past next ago days weeks months years hours doctor well going know some also there every since".split()
)


def _corrections(words: list[str]) -> list[tuple[int, int]]:
    """Token spans of phrases by which a speaker takes something back."""
    found: list[tuple[int, int]] = []
    for start in range(len(words)):
        for phrase in _CORRECTIONS:
            if words[start : start + len(phrase)] == phrase and not (found and start < found[-1][1]):
                found.append((start, start + len(phrase)))
                break
    return found


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
    if {dimension, other_dimension} == {"mass", "weight"}:  # pounds and kilograms, rounded
        grams = [
            v * f * (453.592 if d == "weight" else 1.0)
            for v, f, d in ((value, factor, dimension), (other, other_factor, other_dimension))
        ]
        return min(grams) >= 400 and abs(grams[0] - grams[1]) <= 0.012 * grams[0]
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
        pair = f"{word}-{words[position + 1]}" if position + 1 < len(words) else ""
        name = word if word in SUBSTANCE else word.removesuffix("s")  # "two advils"
        if pair in SUBSTANCE:  # "co amoxiclav"
            name = pair
        if name in SUBSTANCE:
            found.setdefault(SUBSTANCE[name], []).append(position)
        for part in COMPOSED.get(name, "").split():
            found.setdefault(SUBSTANCE[part], []).append(position)
    return found
