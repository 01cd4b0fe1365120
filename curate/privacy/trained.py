# ruff: noqa: E501  (tables of words and expressions read better unwrapped)
"""Our own small model, for what rules and lists do not know. Covers: loading the shipped asset, asking it once per
distinct piece of text, dropping what cannot be personal, scores from the asset's card.
Does not cover: training (``scripts/train_pii_model.py``), the stock model (`ner`).

The asset (``model/``) is a spaCy pipeline of one recognizer, trained on the written corpus of the repository; its card
says what it was made of and how it did. Files of weights only: nothing in it is executed.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import OrderedDict
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any

from presidio_analyzer import EntityRecognizer, RecognizerResult
from presidio_analyzer.nlp_engine import NlpArtifacts

from curate.privacy import lexicon, ner
from curate.privacy.dates import MONTH_OF
from curate.privacy.findings import ModelMissing
from curate.privacy.keep import before_clinical_noun, is_public, sends_help
from curate.privacy.names import RELATION, TITLE
from curate.privacy.ner import pieces
from curate.privacy.patterns import result
from curate.privacy.places import is_place_of_work, is_placed

ASSET = Path(__file__).with_name("model")
UNSURE = (
    0.45  # of a lower-case word on no list: dropped by a threshold of 0.5, the default without the encoder
)
_FLOOR = 0.5  # a label less often right than this on the calibration styles is not used
_NUMBER_WORD = (
    r"(?:zero|oh|nought|one|two|three|four|five|six|seven|eight|niner?|double|triple|ten|eleven|twelve|thirteen|fourteen|fifteen|sixteen|"
    r"seventeen|eighteen|nineteen|twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety|hundred)"
)
_COUNTS = re.compile(rf"\d|\b{_NUMBER_WORD}\b", re.I)
_OLD = re.compile(r"^(?:9\d|1[0-2]\d)$|\b(?:ninety|nineties|hundred)\b", re.I)
_DAY = re.compile(
    r"(?<!\d)\d{1,2}(?!\d)|\b(?:first|second|third|fourth|fifth|sixth|seventh|eighth|ninth|tenth|eleventh|twelfth|\w+teenth|twentieth|"
    rf"thirtieth|{_NUMBER_WORD})\b|\d(?:st|nd|rd|th)\b",
    re.I,
)
_UNIT = re.compile(
    r"^\W*(?:mg|mcg|ml|kg|g|iu|units?|hours?|hrs?|minutes?|mins?|days?|weeks?|months?|years?|yrs?|am|pm|%|per|tablets?|puffs?|[x/]\s?\d)\b",
    re.I,
)
# Words before a name that the model takes along: relations, titles, trades.
_BEFORE = re.compile(
    rf"^(?:(?:{RELATION}|{TITLE}|grandpa|granny|gran|nan|nonna|opa|oma|keyworker|carer|baby|little|old|young|late|reverend|"
    r"staff|worker|watchman|guard|plumber|manager|customer|caller|pt|agent)\b\.?[ ]+)+(?=\w{2})",
    re.I,
)
# Measured, not unique to anybody: blood pressure, a temperature, a version, an error code.
_MEASURED = re.compile(
    r"^(?:\d{2,3}\s?/\s?\d{2,3}|[A-Za-z]{0,4}\s?\d{1,3}\.\d{1,2}|v?\d+(?:\.\d+){1,2}|0x[0-9a-f]+)$", re.I
)
# A name of code (KeyError, DataFrame); McCoy, DeSouza and FitzGerald are people.
_IDENTIFIER = re.compile(r"\b(?!(?:Mc|Mac|De|Di|Da|Du|La|Le|Van|Von|Fitz|Ni|Ua)[A-Z])[A-Z]?[a-z]+[A-Z]\w*\b")
# What follows a name that opens a sentence or a line.
_AFTER_NAME = re.compile(r"['’]s\b|[ ]\(|[ ]\d{1,2}:\d\d")
_NAMED = re.compile(
    rf"(?i)\b(?:{TITLE}|pastor|called|named|name is|name's|naam|cousin|uncle|aunty?|niece|nephew)[ ,]+$"
)
# An age is said of somebody, not of a pressure or a temperature.
_AGED = re.compile(
    r"(?i)(?:[,(]|\b(?:is|was|are|were|be|i'm|aged?|turn(?:s|ed|ing)?|now|nearly|almost|of|both|only|umar|umra|made|granny|gran|nan|nana|nani|dadi|mother|father|mum|mom|dad|"
    r"grandmother|grandfather|grandma|grandpa|wife|husband|lady|gentleman|man|woman|patient|female|male|years?|old|at))[ ]*$"
)
_VITAL = re.compile(
    r"(?i)\b(?:temp(?:erature)?|pulse|heart|rate|sats?|saturation|oxygen|spo2|bp|pressure|sugar|glucose|h(?:a)?emoglobin|hb|weight|weigh\w*|kilos?|hr|rr|systolic|diastolic|"
    r"ferritin|creatinine|mg|dose|call|dial|room|flat|bus|route|page|number|speed|level|score|percent|cholesterol|urea|sodium)\b[^.!?]{0,24}$"
)
SURROGATE = re.compile(r"[\ud800-\udfff]")
# A date names a month, or a day by its ordinal, or is written in digits.
_CALENDAR = re.compile(
    rf"(?i)(?<!\w)(?:{'|'.join(sorted(map(re.escape, MONTH_OF), key=len, reverse=True))})(?!\w)|\d(?:st|nd|rd|th)\b|\b(?:the|\w{{3,6}}day|mon|tue|wed|thu|fri|sat|sun)[ ][\w -]{{2,}}(?:st|nd|rd|th)\b|"
    r"\btarikh|\btaar?ee?kh|(?<![\d.])\d{1,4}[/·-]\d{1,2}(?!\d)|(?<![\d.])\d{1,4}\.\d{1,2}\.|\b\d{8}\b|\d\.?[ ][^\W\d_]*[^\x00-\x7f][^\W\d_]*|^\d{1,2}\.?[ ][a-z]{5,}(?:[ ]\d{4})?$|\.[ivx]+\."
)
# Weeks, months and days as clinics write them ("3/12", "2/52", "26/40"), hours of opening, counts.
_SHORTHAND = re.compile(
    r"\d{1,2}/52|\d{1,2}/40|(?:\d|1[01])/12|\d/7|\d+/\d{3,}|\d{1,3}(?:\.\d+)?\s?%?\s(?:to|and|ya|-)\s\d{1,3}(?:\.\d+)?\s?%?"
)
_TICKET = re.compile(r"(?i)\b(?:ticket|bug|issue|change|cr|pr)\W*$")
_HOLIDAY = re.compile(
    r"(?i)christmas|diwali|new year|halloween|(?:boxing|republic|independence|labour) day|jayanti|\beid\b"
)
_NUMBERED = re.compile(
    r"(?i)\b(?:no|nos|number|id|a/?c|acct|account|ref|reference|code|card|policy|order|token|record|roll|file|claim|case|customer|consumer|"
    r"invoice|booking|tag|licence|license|passport|serial|uan|utr|aadhaar|nhs|uhid|mrn|meter|member|loan|pf|vat)\W*$"
)


@lru_cache(maxsize=1)
def digest() -> str:
    """SHA-256 over the asset's files: another model is another detector."""
    state = hashlib.sha256()
    for path in sorted(p for p in ASSET.rglob("*") if p.is_file()):
        state.update(path.relative_to(ASSET).as_posix().encode() + b"\0" + path.read_bytes())
    return state.hexdigest()


@lru_cache(maxsize=1)
def card() -> dict[str, Any]:
    """What the asset was trained on and how it did. Raises `ModelMissing`."""
    try:
        return dict(json.loads((ASSET / "card.json").read_text(encoding="utf-8")))
    except FileNotFoundError as error:
        raise ModelMissing(
            f"The name model of this package is missing ({ASSET.name}/card.json), so nothing can be scanned and "
            "nothing can be approved. Reinstall goldpair, or train it with scripts/train_pii_model.py."
        ) from error


@lru_cache(maxsize=1)
def load() -> Any:
    """The spaCy pipeline of the asset. Raises `ModelMissing`."""
    import spacy

    card()
    return spacy.load(ASSET)


def scores() -> dict[str, float]:
    """Per label how often a finding was right on author styles held out of training, at most 0.84: such findings
    are never as certain as a spoken introduction. Labels below the floor are left out."""
    right = {
        kind: (good + 1) / (count + 2)
        for kind, (good, count) in card()["precision_by_label"].items()
        if count
    }
    return {kind: round(min(0.84, value), 2) for kind, value in right.items() if value >= _FLOOR}


@lru_cache(maxsize=1)
def _vocabulary() -> frozenset[str]:
    """Words the stock model was trained with, in lower case: names are rarely among them. Read from its files, since
    a loaded model adds every word it meets. Raises `ModelMissing`."""
    import spacy.util

    try:
        found = next(spacy.util.get_package_path(ner.MODEL).rglob("strings.json"))
    except (ImportError, StopIteration) as error:
        raise ModelMissing(
            f"The spaCy model {ner.MODEL} is not installed; `goldpair doctor` checks it."
        ) from error
    return frozenset(json.loads(found.read_text(encoding="utf-8")))


def everyday(word: str) -> bool:
    """True for a word that opens sentences without being a name, as far as the stock model's vocabulary knows."""
    return word.lower() in _vocabulary()


def _written_as_a_name(piece: str, start: int, name: str) -> bool:
    """Who uses capitals uses them for names, and a word that opens a sentence has its capital from there."""
    if any(lexicon.is_name(w) for w in re.findall(r"[^\W\d_]+", name)):
        common = " " not in name and lexicon.fold(name) in lexicon.wordlike() and not name.isupper()
        opens = not piece[:start].strip() or piece[:start].rstrip(" \"'“(")[-1:] in (".", "!", "?")
        return not (
            common
            and opens
            and re.match(
                r"[ ](?:my|the|a|your|our|it|to|for|of|in|on|this|that)\b", piece[start + len(name) :]
            )
        )
    if name.isupper() and sum(map(str.isupper, piece)) > 0.7 * sum(map(str.isalpha, piece)):
        return False  # a heading
    if name.islower():
        return piece.islower()
    if name.isupper() and " " not in name:
        return False  # a keyword or a constant: a name in capitals that is on no list has a second word
    if name.isupper() and (piece[start + len(name) :][:1] in ("-", "_") or piece[:start][-1:] in ("-", "_")):
        return False  # part of a name in code
    if not name.islower() and re.search(r" [a-z]{4,}$", name):
        return False  # the verb after a word that opens a sentence
    opens = piece[:start].rstrip(" \"'“(")[-1:] in ("", ".", "!", "?")
    return (
        not opens
        or " " in name
        or _AFTER_NAME.match(piece[start + len(name) :]) is not None
        or not everyday(name)
    )


def _opens_alone(piece: str, start: int, name: str) -> bool:
    """One word at the start of a sentence, with nothing but its capital to say that it is a name."""
    return (
        " " not in name
        and (not lexicon.is_name(name) or lexicon.fold(name) in lexicon.wordlike())
        and piece[:start].rstrip(" \"'“(")[-1:] in ("", ".", "!", "?")
        and _AFTER_NAME.match(piece[start + len(name) :]) is None
    )


_CAPACITY = re.compile(
    r"(?i)\d\s?(?:[kmgt]i?b|mah|[kmg]?hz|mp)\b"
)  # what a device holds, in the name of its model
# Parts of a document, which end an address and belong to none.
_CITED = re.compile(
    r"(?i)[.,;]?\s+(?:form|page|section|clause|chapter|appendix|annexure|schedule|table|figure) \d+$"
)
_COMPANY = re.compile(r"^[^\d,]+ (?:Limited|Ltd|LLP|LLC|Inc|GmbH|PLC)\.?$")  # a firm is no address


def plausible(piece: str, start: int, end: int, kind: str) -> tuple[int, int] | None:
    """The finding without its edges that cannot belong to it, or None when it cannot be of its kind at all."""
    inner = piece[start:end]
    trimmed = re.sub(r"^[\s\"'“‘(\[,.:;]+|[^\w)]+$|(?<![\w(])\)+$", "", inner)
    if not trimmed:
        return None
    start += inner.index(trimmed)
    trimmed = re.sub(r"['’]s$", "", trimmed)
    end = start + len(trimmed)
    folded = lexicon.fold(trimmed)
    if kind == "PERSON":
        if before := _BEFORE.match(trimmed):
            start += before.end()
            trimmed = trimmed[before.end() :]
            folded = lexicon.fold(trimmed)
        words = re.findall(r"[^\W\d_]+", folded)
        known = [w for w in words if w in lexicon.not_names() and w not in lexicon.wordlike()]
        eponym = words and all(w in lexicon.eponyms() and not lexicon.is_given(w) for w in words)
        if (
            not words
            or eponym
            or len(known) == len(words)
            or is_public(trimmed)
            or all(part.strip() in lexicon.cities() | lexicon.regions() for part in folded.split(","))
            or folded in lexicon.not_names()
        ):
            return None
        if re.search(r"[\d@=<>{}\\]", trimmed) and not trimmed.islower():
            return None
        if _IDENTIFIER.search(trimmed):
            return None
        if before_clinical_noun(piece, end) or not _written_as_a_name(piece, start, trimmed):
            return None
    elif kind in ("ORG", "CITY"):
        if (
            not re.search(r"[^\W\d_]{2}", trimmed)
            or folded in lexicon.not_names()
            or folded in lexicon.regions()
            or (kind == "CITY" and trimmed.islower() and folded not in lexicon.cities() and everyday(trimmed))
            or (kind == "ORG" and trimmed.islower() and all(map(everyday, trimmed.split())))
        ):
            return None
    elif kind == "AGE":
        measured = re.match(
            r"\)?\s?(?:%|[A-Z]\b|percent|mg|kg|/|°|over\b|and (?:a |one|two|three|four|five|six|seven|eight|nine|\d)|point|pages|days|minutes|degrees)",
            piece[end:],
        )
        left = piece[max(0, start - 32) : start]
        said = (
            (_AGED.search(left) or not left.strip()) and not _VITAL.search(left) and not sends_help(trimmed)
        )
        return (start, end) if _OLD.search(trimmed) and said and not measured else None
    elif kind == "DATE":
        if (
            not _DAY.search(trimmed)
            or re.search(r"(?i)\b(?:year|yr|month|week|day)s?\b", trimmed)
            or _UNIT.match(piece[end:])
            or re.fullmatch(r"\d{1,4}", trimmed)
        ):
            return None
        if _HOLIDAY.search(piece[max(0, start - 20) : end + 20]):
            return None
        if not _CALENDAR.search(trimmed) or _SHORTHAND.fullmatch(trimmed):
            return None
        if (numeric := re.fullmatch(r"(\d{1,2})[./-](\d{1,2})", trimmed)) and not (
            0 < min(map(int, numeric.groups())) <= 12 and 0 < max(map(int, numeric.groups())) <= 31
        ):
            return None
    elif kind in ("PHONE", "ID"):
        if lead := re.match(r"(?:no|number|id|ref)\b[.: ]*", trimmed, re.I):
            start += lead.end()
            trimmed = trimmed[lead.end() :]
        if sends_help(trimmed):
            return None
        before_it = piece[:start]
        if re.search(r"(?i)\bpin(?:\s?code)?\W*$", before_it):
            return None  # a postal code: the rules know it, and keep its first digits
        if re.fullmatch(r"\d+", trimmed) and not lead and not _NUMBERED.search(before_it):
            return None  # a bare number without its word: the rules know the shapes that are personal
        if _TICKET.search(before_it) and re.fullmatch(r"[A-Z]{1,4}-?\d{2,6}", trimmed):
            return None
        counts = len(_COUNTS.findall(trimmed))
        if re.fullmatch(r"(?i)one,? two,? three,? four(?:,? \w+)*", trimmed):
            return None  # counting
        if counts < (6 if kind == "PHONE" else 4) or _UNIT.match(piece[end:]) or _MEASURED.match(trimmed):
            return None
        if _CAPACITY.search(trimmed):
            return None
    elif kind == "ADDRESS":
        if day := re.match(r"\d{1,2}[./-]\d{1,2}[./-]\d{2,4}\W+", trimmed):
            start += day.end()
            trimmed = trimmed[day.end() :]
            folded = lexicon.fold(trimmed)
        if cited := _CITED.search(trimmed):
            end = start + cited.start()
            trimmed = trimmed[: cited.start()]
            folded = lexicon.fold(trimmed)
        towns = lexicon.cities() | lexicon.regions()
        if all(part.strip() in towns for part in folded.split(",")) or _COMPANY.search(trimmed):
            return None
        worded = len(re.findall(r"[^\W\d_]{2,}", trimmed))
        if re.fullmatch(
            r"(?i)(?:unit|flat|room|bed|ward|floor|block|door|gate|bay|station|platform) \w+", trimmed
        ):
            return None
        if len(trimmed) < 6 or not worded or (worded < 2 and not re.search(r"\d|,", trimmed)):
            return None
    return start, end


def certainty(piece: str, start: int, end: int, kind: str, score: float) -> float:
    """The score of a model's finding. A lower-case word on no list gets `UNSURE`: in short questions
    seven of ten such findings were ordinary words ("slow", "guitar"), and each would hold its pair back. After "called"
    or a title it waits for a person, as does a word on no list, or a common one, that may owe its capital to the
    sentence it opens ("Papad was only the start", "Snow is late")."""
    found = piece[start:end]
    low = found == found.lower()
    if kind == "PERSON" and not low and _opens_alone(piece, start, found):
        return min(score, 0.55)
    if (kind == "CITY" and low and lexicon.fold(found) not in lexicon.cities()) or (
        kind == "ORG" and low and not is_place_of_work(found)
    ):
        return min(score, UNSURE)
    if kind == "ADDRESS" and not is_placed(found):
        return min(score, 0.55)
    words = found.split()
    if kind != "PERSON" or not low:
        return score
    if any(lexicon.is_plain_name(w) or (lexicon.is_name(w) and not everyday(w)) for w in words):
        return score
    said = _NAMED.search(piece[max(0, start - 24) : start]) and not any(map(everyday, words))
    return min(score, 0.55 if said else UNSURE)


class TrainedRecognizer(EntityRecognizer):
    """Presidio recognizer over the asset, with a memory of the pieces it has seen."""

    def __init__(self, memory: int = 20_000) -> None:
        self.nlp = load()
        self.score_of = scores()
        self.memory = memory
        self.seen: OrderedDict[str, tuple[tuple[str, int, int], ...]] = OrderedDict()
        super().__init__(supported_entities=sorted(self.score_of), name="trained", supported_language="en")

    def load(self) -> None:
        """The asset is loaded already."""

    def prepare(self, texts: Iterable[str]) -> None:
        """Run the model over every piece of ``texts`` that it has not seen, in batches."""
        fresh = list(dict.fromkeys(p for text in texts for _, p in pieces(text) if p not in self.seen))
        readable = (SURROGATE.sub("?", piece) for piece in fresh)  # spaCy cannot hash half a character
        for piece, doc in zip(fresh, self.nlp.pipe(readable, batch_size=64), strict=True):
            self.seen[piece] = tuple(
                (ent.label_, *span)
                for ent in doc.ents
                if ent.label_ in self.score_of
                and (span := plausible(piece, ent.start_char, ent.end_char, ent.label_))
            )
        while len(self.seen) > self.memory:
            self.seen.popitem(last=False)

    def analyze(
        self, text: str, entities: list[str], nlp_artifacts: NlpArtifacts | None = None
    ) -> list[RecognizerResult]:
        parts = pieces(text)
        if any(piece not in self.seen for _, piece in parts):
            self.prepare([text])
        return [
            result(kind, offset + start, offset + end, certainty(piece, start, end, kind, self.score_of[kind]), f"trained.{kind.lower()}", f"our model says {kind}")
            for offset, piece in parts
            for kind, start, end in self.seen.get(piece, ())
            if kind in entities
        ]  # fmt: skip
