"""Amounts, dates and periods of a contract text, as somebody wrote them.

Covers: rupee amounts in figures (Indian and Western grouping), lakh and crore forms, LPA, words in brackets, monthly or
annual; dates in the usual orders (day first); periods in figures, words or both. Does not cover: other currencies,
other languages, dates without a year.
"""

import re
from dataclasses import dataclass
from datetime import date

_SMALL = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
    "seventeen eighteen nineteen"
).split()
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()
_UNITS = {word: n for n, word in enumerate(_SMALL)} | {word: 10 * n for n, word in enumerate(_TENS, 2)}
_SCALES = {
    "hundred": 100,
    "thousand": 1_000,
    "lakh": 100_000,
    "lakhs": 100_000,
    "lac": 100_000,
    "lacs": 100_000,
    "million": 1_000_000,
    "crore": 10_000_000,
    "crores": 10_000_000,
    "cr": 10_000_000,
    "k": 1_000,
}
NUMBER_WORDS = frozenset({*_UNITS, *_SCALES})
_WORDS = "|".join(sorted([*_UNITS, *(s for s in _SCALES if len(s) > 2)], key=len, reverse=True))
NUMBER_PATTERN = rf"(?:{_WORDS})(?:(?:[\s-]+and[\s-]+|[\s-]+)(?:{_WORDS}))*"
_FIGURE = r"\d+(?:,\d{2,3})*(?:\.\d+)?"
_SIGN = r"(?:₹|\bRs\b\.?|\bINR\b|\b(?:Indian\s+)?Rupees\b)"
_SCALE = r"(?:lakhs?|lacs?|crores?|cr|million|thousand|k)\b"
_MONEY = re.compile(
    rf"{_SIGN}\s*(?P<figure>{_FIGURE})(?:/-|\s*/=)?(?:\s*(?P<scale>{_SCALE}))?"
    rf"|{_SIGN}\s*(?P<words>{NUMBER_PATTERN})\b"
    rf"|(?<![\w.,/-])(?P<bare>{_FIGURE})\s*(?:(?P<lpa>LPA)\b|(?P<bare_scale>{_SCALE})?\s*(?:rupees\b|/-)|"
    r"(?P<lone_scale>(?:lakhs?|lacs?|crores?)\b))"
    # "22,000 pm": no sign, but a figure of thousands that is paid by the month or year
    r"|(?<![\w.,/-])(?P<paid>\d{1,3}(?:,\d{2,3})+|\d{4,8})(?=\s*(?:/-\s*)?(?:p\.?\s?[ma]\b|(?:per|a)\s+(?:month|annum|year)\b"
    r"|monthly\b|annually\b|/\s?(?:month|mo|year|yr)\b))",
    re.IGNORECASE,
)
_PER_YEAR = re.compile(
    r"[\s,/()-]*(?:only\)?)?[\s,(]*(?:gross\s+|fixed\s+|CTC\s+)?(?:per\s+annum|p\.?\s?a\b|annually|annual|"
    r"(?:a|per|each|every)\s+year|/\s?(?:year|yr|annum)|yearly)",
    re.IGNORECASE,
)
_PER_MONTH = re.compile(
    r"[\s,/()-]*(?:only\)?)?[\s,(]*(?:gross\s+|fixed\s+)?(?:per\s+month|p\.?\s?m\b|monthly|"
    r"(?:a|per|each|every)\s+month|/\s?(?:month|mo)\b|month\b)",
    re.IGNORECASE,
)
_BRACKET = re.compile(
    rf"(?:/-)?\s*\(\s*(?:{_SIGN}\s*)?(?P<words>{NUMBER_PATTERN})(?:\s+rupees)?(?:\s+only)?\s*\)", re.I
)
_MONTHS = "january february march april may june july august september october november december".split()
_MONTH = (
    r"(?P<{0}>jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?"
    r"|sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)\b\.?"
)
_DATE = re.compile(
    r"\b(?P<d1>\d{1,2})(?:\s?(?:st|nd|rd|th))?(?:\s+day)?(?:\s+of)?[\s-]+" + _MONTH.format("m1")
    + r"[\s,-]+(?P<y1>(?:19|20)\d\d)\b"
    r"|\b" + _MONTH.format("m2") + r"[\s-]+(?P<d2>\d{1,2})(?:st|nd|rd|th)?,?\s+(?P<y2>(?:19|20)\d\d)\b"
    r"|(?<![\d./-])(?P<d3>\d{1,2})[./-](?P<m3>\d{1,2})[./-](?P<y3>(?:19|20)\d\d)(?![\d/-])"
    r"|(?<![\d./-])(?P<y4>(?:19|20)\d\d)-(?P<m4>\d{1,2})-(?P<d4>\d{1,2})(?![\d/-])",
    re.IGNORECASE,
)  # fmt: skip
_PERIOD = re.compile(
    rf"(?<![\w.,/])(?:(?P<words>{NUMBER_PATTERN}|an?"
    rf"|half\s+a)(?:[\s-]*\(\s*(?P<inside>\d{{1,3}})\s*\))?|(?P<figure>\d{{1,3}})"
    rf"(?:\s*\(\s*(?P<spelt>{NUMBER_PATTERN})\s*\))?)[\s-]*(?:calendar\s+|clear\s+|full\s+|working\s+)?"
    r"(?P<unit>days?|weeks?|fortnights?|months?|years?)\b(?P<own>['’]s?|s['’])?",
    re.IGNORECASE,
)
_DAYS = {"day": 1, "week": 7, "fortnight": 14, "month": 30, "year": 360}


@dataclass(frozen=True)
class Money:
    """A rupee amount. ``per`` is "year", "month" or empty; ``words`` the value of the words beside it, or None."""

    start: int
    end: int
    value: float
    per: str
    words: float | None = None


@dataclass(frozen=True)
class Day:
    """A full date."""

    start: int
    end: int
    value: date


@dataclass(frozen=True)
class Period:
    """A length of time in days (a month counts 30, a year 360). ``words_differ``: figure and words disagree."""

    start: int
    end: int
    days: int
    words_differ: bool = False


def words_to_number(text: str) -> float:
    """Value of number words: "eighteen lakh fifty thousand" is 1 850 000. Words that are none are skipped."""
    total = group = 0
    for word in re.findall(r"[a-z]+", text.casefold()):
        if word in _UNITS:
            group += _UNITS[word]
        elif word == "hundred":
            group = max(group, 1) * 100
        elif word in _SCALES:
            total += max(group, 1) * _SCALES[word]
            group = 0
    return float(total + group)


def find_money(text: str) -> list[Money]:
    """Amounts in the order of the text; words in brackets behind a figure belong to it."""
    found: list[Money] = []
    covered = 0
    for match in _MONEY.finditer(text):
        if match.start() < covered:
            continue
        scale = (
            match["scale"] or match["bare_scale"] or match["lone_scale"] or ("lakh" if match["lpa"] else "")
        )
        if match["words"]:
            value = words_to_number(match["words"])
        else:
            value = float((match["figure"] or match["bare"] or match["paid"]).replace(",", ""))
            value *= _SCALES.get(scale.casefold(), 1)
        end, words = match.end(), None
        bracket = _BRACKET.match(text, end)
        if bracket:
            words, end = words_to_number(bracket["words"]), bracket.end()
        covered = end
        per = (
            "year"
            if match["lpa"] or _PER_YEAR.match(text, end)
            else "month"
            if _PER_MONTH.match(text, end)
            else ""
        )
        found.append(Money(match.start(), match.end(), value, per, words))
    return found


def find_days(text: str) -> list[Day]:
    """Full dates; numeric ones are read day first, impossible ones are left out."""
    found = []
    for match in _DATE.finditer(text):
        for number in "1234":
            if match[f"y{number}"]:
                month = match[f"m{number}"]
                month = int(month) if month.isdigit() else _month(month)
                try:
                    value = date(int(match[f"y{number}"]), month, int(match[f"d{number}"]))
                except ValueError:
                    break
                found.append(Day(match.start(), match.end(), value))
    return found


def _month(name: str) -> int:
    return next(n for n, month in enumerate(_MONTHS, 1) if month.startswith(name.casefold()[:3]))


def find_periods(text: str) -> list[Period]:
    """Lengths of time: "six (6) months", "60 days", "a fortnight"."""
    found = []
    for match in _PERIOD.finditer(text):
        words, figure = match["words"], match["figure"] or match["inside"]
        spelt = match["spelt"] or (words if match["inside"] else None)
        if figure:
            value = float(figure)
        else:
            said = (words or "").casefold()
            value = 0.5 if said.startswith("half") else 1.0 if said in ("a", "an") else words_to_number(said)
        differ = bool(figure and spelt and words_to_number(spelt) != value)
        unit = match["unit"].casefold().rstrip("s")
        found.append(Period(match.start(), match.end(), round(value * _DAYS[unit]), differ))
    return found
