# ruff: noqa: E501  (word lists and patterns read better in long lines)
"""Claims of a note that can be looked up: numbers with unit and what they measure, medications, doses.

Covers: finding them in a note, whether a `Source` supports them, the nearest support.
Does not cover: how a transcript is read (`source`); how often a medication is taken (`frequency`); negation
(`findings`); sides, allergies and dates (`facts`).
"""

import re
from dataclasses import dataclass
from itertools import pairwise

from .clock import written_times
from .dates import DATE
from .derived import in_date, in_tablets, worked_out
from .frequency import said_frequencies
from .medications import SUBSTANCE
from .source import CLOCK, MEASURE, MEASURE_OF, NEAR, Source, stems, tokens
from .spoken import SCALES, UNITS, WORDS, Mention, mentions_in

DOSE_DIMENSIONS = {"mass", "doses", "volume"}
_NO_NAME = set(  # words in front of a dose that are no medication
    "take takes taking took dose doses dosage increase increased decrease decreased start started starting continue "
    "continued daily about around approximately another additional total weekly tablets tablet capsule extra under over "
    "using give given gave with from every each patch cream injection strength current currently maximum increase "
    "milligrams level levels glucose creatinine than only plus and the for was were been least most prescribed solution "
    "drops oral orally mouth night nightly morning evening twice once three times per below above home prior previously "
    "weight protein salt sodium water fluid fluids calcium potassium iron magnesium zinc vitamin fiber caffeine infusion "
    "stays remains keep keeping changed switched until again therapy followed repeat repeated together either adult child hold "
    "bolus chewable liquid generic release extended immediate strength baby regular low high reduce reduced resume "
    "resumed received receive restart titrate titrated uptitrate medication medications drug pill pills".split()
)

_NUMBER = re.compile(
    r"(?<![\w.])(?<![A-Za-z]-)(?<!\d,)\d{1,3}(?:,\d{3})+(?:\.\d+)?(?![\w,]*\d)|"
    r"(?:(?<![\w.])|(?<=\bx)|(?<=\dx))(?<![A-Za-z]-)\d+(?:\.\d+)?(?=st\b|nd\b|rd\b|th\b|mg|mcg|ml|cm|mm|kg|lbs?|%|x\b|x\d|"
    r"(?:d|h|hrs?|wks?|w|mo|yo?|g|u|units?|l|k|m|yds?|iu|lakhs?|puffs?|tabs?|mins?|[cf]|days?)\b|\W|$)",
    re.IGNORECASE,
)
_LIST_MARK = re.compile(r"^[ \t#*•\-]*\d{1,2}[.)](?=\s)", re.MULTILINE)
_UNIT = re.compile(r"[ \t\-]*(%|y/o|[a-zµ]+)", re.IGNORECASE)


@dataclass(frozen=True)
class Claim:
    """Something a note says that can be looked up. ``value`` and ``unit`` for numbers, ``name`` for the rest."""

    kind: str  # number, medication, dose
    start: int
    end: int
    value: float = 0.0
    unit: str | None = None
    name: str = ""


def _numbered(note: str) -> set[int]:
    """Ends of the numbers of a list that runs on in a line: "1. Knee pain 2. Hypertension"."""
    found: set[int] = set()
    wanted = 1
    for match in re.finditer(r"(?<![\w./-])(\d{1,2})[.)](?= [A-Za-z])|\n", note):
        if match.group() == "\n":
            wanted = 1
        elif int(match[1]) == wanted:
            found.add(match.end(1))
            wanted += 1
    return found


def find_claims(note: str) -> list[Claim]:
    """Claims in the order of the note. A number right after a medication and with a dose unit is its dose."""
    marks = {m.end() - 1 for m in _LIST_MARK.finditer(note)} | _numbered(note)
    claims: list[Claim] = []
    words = tokens(note)
    for token in words:
        if token.text in SUBSTANCE:
            claims.append(Claim("medication", token.start, token.end, name=token.text))
    for first, second in pairwise(words):
        pair = f"{first.text}-{second.text}"
        if pair in SUBSTANCE and first.text not in SUBSTANCE and note[first.end : second.start] == "-":
            claims = [c for c in claims if c.start != second.start]
            claims.append(Claim("medication", first.start, second.end, name=pair))
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
        part = int(m["top"]) / int(m["low"])
        numbers.append(Claim("number", *m.span(), int(m["whole"] or 0) + part, _unit_after(note, m.end())))
        short[m.span()] = m
    for m in _PARTED.finditer(note):
        part = int(m["whole"] or 0) + _HALVES[m["sign"]]
        numbers.append(Claim("number", *m.span(), part, _unit_after(note, m.end())))
        short[m.span()] = m
    for m in _NO_CLAIM.finditer(note):
        short[m.span()] = m
    for m in _SCORE.finditer(note):
        short[m.span("most")] = m
    clock = []
    for start, end, (hour, minute) in written_times(note):
        clock.append((start, end))
        numbers.append(Claim("number", start, end, hour * 60.0 + minute, CLOCK))
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
        if after and (scale := {**SCALES, "k": 1e3}.get(after.group(1).casefold())):
            value *= scale
        if value == 1 and note[match.start() - 1 : match.start()] == "x":  # "x1" hardly says anything
            continue
        timed = unit in UNITS and UNITS[unit][0] in _NO_VALUES  # "BP: recheck in 3 weeks"
        measure = "" if timed else _measure_in(note, match.start())
        numbers.append(Claim("number", match.start(), match.end(), value, unit, measure))
    for mention in mentions_in([token.text for token in words]):  # "three weeks", "ten milligrams"
        token = words[mention.at]
        if (
            (mention.unit or _counts(note, token.end, mention.value))
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
                    and word not in MEASURE_OF
                ):
                    claims.append(Claim("medication", named.start(1), named.end(1), name=word))
        claims.append(claim)
    return sorted(claims, key=lambda claim: (claim.start, claim.end))


def _counts(note: str, end: int, value: float) -> bool:
    """Whether a number in words counts a thing: "five nylon sutures"."""
    return 2 <= value <= 99 and bool(_THINGS.match(note, end))


_NO_VALUES = frozenset(("time", "long", "length", "volume", "pieces", "puffs", "times", "doses"))
_THINGS = re.compile(
    r"[ -](?!of\b|or\b|and\b|to\b|point\b|out\b|hundred|thousand|way|fold|th\b|\w+(?:teen|ty)\b)[a-z]{3,}"
)


def _unit_after(note: str, position: int) -> str | None:
    after = _UNIT.match(note, position)
    unit = after.group(1).casefold() if after else ""
    if unit == "st" and after and after.group()[0] == " ":  # "11 st" is a weight, "1st" is none
        return "stone"
    return _ABBREVIATED.get(unit) or (unit if unit in UNITS else None)


_RANGE = re.compile(r" ?(?:[-–]|to) ?\d+(?:\.\d+)?")
_ABBREVIATED = {"d": "days", "h": "hours", "w": "weeks", "y": "years", "u": "units", "daily": None}
_EVERY = re.compile(  # q6h, q4-6h, every 4-6 h, 12-hourly
    r"\bq ?\.?(?P<a>\d{1,2})(?:[ ]?[-–][ ]?(?P<b>\d{1,2}))?[ ]?(?P<unit>hours?|hrs?|h|days?|d|wks?|weeks?|w|min(?:utes)?)\b",
    re.IGNORECASE,
)
_FRACTION = re.compile(
    r"(?<![\d/.])(?:(?P<whole>\d{1,2})[ ])?(?P<top>[123])/(?P<low>[234])(?![\d/.])(?! ?(?:7|52))"
)
_HALVES = {"½": 0.5, "¼": 0.25, "¾": 0.75, "⅓": 1 / 3, "⅔": 2 / 3}
_PARTED = re.compile(rf"(?P<whole>\d{{1,2}})?[ ]?(?P<sign>[{''.join(_HALVES)}])")
# numbers that are names or scales: type 2 diabetes, 4/10, pulses 2+, oriented x3, strength 5/5, CN II-12
_NO_CLAIM = re.compile(
    r"(?<=type )[12]\b(?= diab| dm|,? t?2?dm)|(?<=\d)/(?:10|5)\b|(?<!\d)[1-4]\+(?!\d)|(?<=oriented x)[ ]?[1-4]\b|(?<=oriented x )[1-4]\b|"
    r"(?<![\d/])5/5\b|\b2-12\b|(?<=covid)-19|(?<=\bcovid )19\b|(?<=ox)[1-4]\b|"
    r"\b[1-5](?:st|nd|rd|th)(?= (?:MTPJ?|MCPJ?|PIPJ?|DIPJ?|toe|finger|metatars|metacarp|digit|ray|rib|nerve|cranial|degree|heart sound|intercostal))|"
    r"(?<![\d-])[0-2]-[0-2]-[0-2](?:-[0-2])?(?![\d-])",
    re.IGNORECASE,
)
# British: 10/7 is ten days, 3/12 three months, 31/40 a week of pregnancy
_SHORT_TIME = re.compile(r"(?<![\w/.+])(?:x ?)?(\d{1,2})(?:[-–](\d{1,2}))?(?:\+\d)?/(7|52|12|40)(?![\w/])")
_STRENGTH = {"mg", "mcg", "milligram", "milligrams", "micrograms", "ug", "µg", "mgs"}
_UNKNOWN = re.compile(r"\b([A-Za-z]{5,})(?:,? (?:at|of|oral|tablets?|capsules?))? $")
_PRESSURE = re.compile(r"(?<![\d/.])([6-9]\d|1\d\d|2[0-4]\d)/([3-9]\d|1[0-4]\d)(?![\d/.])")


_SCORE = re.compile(  # the most that a score can be: "PHQ-9 12/27"
    r"\b(?:phq|gad|gcs|mmse|moca|score|audit|epds|vas|nrs|dlqi|ipss|cat|apgar|act|amts|6-?cit|madrs|ham-?d|pcl|epworth|oxford)\b[^.;\n]{0,25}?\d(?P<most>/\d{1,3})\b",
    re.IGNORECASE,
)


def _measure_in(note: str, position: int) -> str:
    """The measure that a number of a note is a value of, or an empty text."""
    for pair in _PRESSURE.finditer(note, max(0, position - 4), position + 8):
        if position in (pair.start(1), pair.start(2)):
            return "blood pressure"
    begin = max(0, position - 40, note.rfind("\n", 0, position), note.rfind("; ", 0, position))
    named = [m for m in MEASURE.finditer(note, begin, position)]
    if (
        not named
        or len(_NUMBER.findall(note[named[-1].end() : position])) > 1
        or ". " in note[named[-1].end() : position]
    ):
        return ""
    if re.search(r"\d%?, [A-Za-z]", note[named[-1].end() : position]):  # "platelets 480, CRP 36"
        return ""
    return MEASURE_OF[named[-1].group().casefold()]


def judge(claim: Claim, source: Source, note: str) -> tuple[str | None, str]:
    """``(kind of error or None, support)``: the turn that supports the claim, or the nearest one when none does."""
    if claim.kind == "medication":
        at = source.drug(claim.name)
        return (
            (None, source.passage(at[0])) if at else ("unsupported_medication", _nearest(claim, source, note))
        )
    found = source.number(claim.value, claim.unit)
    if not found and claim.kind == "number" and (claim.name in _THOUSANDS or claim.value >= 1000):
        powers = (1e3, 1e-3, 1e5, 1e-5)  # "eleven thousand six hundred", 11.6; 1.4 lakh
        found = [m for power in powers for m in source.by_value.get(round(claim.value * power, 4), [])]
    if not found and claim.name == "temperature":
        found = _converted(claim, source)
    if claim.kind == "dose":
        drug = source.drug(claim.name)
        if not drug:
            return None, ""  # reported once, with the medication
        near = [m for m in found if any(abs(m.at - at) <= NEAR for at in drug)]
        owners = [(m, source.taken(m)) for m in near]
        owned = [m for m, substances in owners if not substances or SUBSTANCE[claim.name] in substances]
        if near and (owned or SUBSTANCE[claim.name] not in source.drugs):
            return None, source.passage((owned or near)[0].at)
        meant = [m for m in found if source.last_named(m) == SUBSTANCE.get(claim.name, -1)]
        if meant:  # "Let's go up to seventy-five": of the medication named last, however long ago
            return None, source.passage(meant[0].at)
        derived = worked_out(note, claim, source.mentions) or in_tablets(claim, source.mentions, drug)
        if derived or (claim.value in (75, 81) and {"baby", "low"} & {source.words[at - 1] for at in drug}):
            return None, source.passage(derived.at if derived else drug[0])
        return "wrong_dose", source.passage(drug[0])
    if not found:
        derived = worked_out(note, claim, source.mentions) or in_date(
            note, claim, source.mentions, source.words
        )
        if (
            claim.unit in ("hours", "hourly", "h")
            and claim.value
            and 24 / claim.value in said_frequencies(source.text)
        ):
            return None, ""  # "q6h" of what is taken four times a day
        if year := _short_year(claim, source):
            return None, source.passage(year.at)
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


def _short_year(claim: Claim, source: Source) -> Mention | None:
    """A year that was said by its last two figures: "ninety-two", "in oh-eight"."""
    if claim.unit or not 1930 <= claim.value <= 2049:
        return None
    said = source.by_value.get(claim.value % 100, [])
    return next((m for m in said if m.unit is None and source.words[m.at - 1] in _YEAR_AHEAD), None)


def _converted(claim: Claim, source: Source) -> list[Mention]:
    """A temperature that was said on the other scale, rounded."""
    celsius = claim.value if claim.value < 50 else (claim.value - 32) / 1.8
    other = celsius * 1.8 + 32 if claim.value < 50 else celsius
    return [m for m in source.mentions if abs(m.value - other) <= 0.11 and 34 <= celsius <= 43]


_THOUSANDS = {"white cells", "platelets"}
_YEAR_AHEAD = set(
    "in since from of nineties nineteen until till around about or spring summer autumn fall winter early late".split()
)


def _said_of_it(claim: Claim, source: Source, note: str, found: list[Mention]) -> Mention | None:
    """Another amount in this unit that is said of what the claim is about, where the claim's own never is.

    "About" is words in common: none around any mention of the claim's amount, at least two around the other's.
    """
    if claim.unit not in UNITS or UNITS[claim.unit][0] not in ("time", "long"):
        return None
    about = stems(_sentence(claim, note)) - {unit[:5] for unit in UNITS}
    if any(about & source.around(m) or (m.unit and source.is_reply(m)) for m in found):
        return None
    rivals = [
        m
        for m in source.mentions
        if m.unit in UNITS and UNITS[m.unit][0] == UNITS[claim.unit][0] and len(about & source.around(m)) >= 2
    ]
    return max(rivals, key=lambda m: len(about & source.around(m)), default=None)


def _sentence(claim: Claim, note: str) -> str:
    begin = max(note.rfind(". ", 0, claim.start), note.rfind("\n", 0, claim.start)) + 1
    end = min(
        (i for i in (note.find(". ", claim.end), note.find("\n", claim.end)) if i >= 0), default=len(note)
    )
    return note[begin:end]


def _nearest(claim: Claim, source: Source, note: str) -> str:
    return source.nearest(set(re.findall(r"[a-z]{4,}", _sentence(claim, note).casefold())))
