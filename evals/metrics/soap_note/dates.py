# ruff: noqa: E501  (patterns read better in long lines)
"""Calendar dates of a note, weekdays and months, against those that were said.

Covers: month and day in figures and words, British and American order, ISO dates, years beside them, feasts with a
fixed date; weekdays and months that stand alone, where the transcript names others and not this one.
Does not cover: relative dates ("last Tuesday", "three weeks before Easter") beyond the name of the day.
"""

import re
from bisect import bisect_left

from .source import Source
from .spoken import MONTHS, ORDINALS, WORDS

Hit = tuple[str, int, int, str]  # kind, start, end, support
Date = tuple[int, int, int | None]

_NAMES = "jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?"
DATE = re.compile(
    rf"\b(?:(?P<m1>{_NAMES})\.? (?P<d1>\d{{1,2}})(?:st|nd|rd|th)?(?![\d:])(?:,? (?P<y1>(?:19|20)\d\d))?|"
    rf"(?P<d2>\d{{1,2}})(?:st|nd|rd|th)?[ -](?:of )?(?P<m2>{_NAMES})\b\.?(?:,?[ -](?P<y2>(?:19|20)\d\d))?|"
    r"(?P<m3>\d{1,2})(?P<sep>[/-])(?P<d3>\d{1,2})(?P=sep)(?P<y3>(?:19|20)?\d\d)|"
    r"(?P<y4>(?:19|20)\d\d)-(?P<m4>\d\d)-(?P<d4>\d\d))\b",
    re.IGNORECASE,
)
_MONTH_NUMBER = {name[:3]: int(number) for name, number in MONTHS.items()} | {"may": 5}
_FEASTS = {  # feasts that keep their date
    "new year": (1, 1), "new year's": (1, 1), "christmas eve": (12, 24), "christmas": (12, 25), "boxing day": (12, 26),
    "halloween": (10, 31), "valentine's": (2, 14), "independence day": (7, 4), "fourth of july": (7, 4),
    "republic day": (1, 26), "new year's eve": (12, 31), "may day": (5, 1), "bonfire night": (11, 5),
}  # fmt: skip
_FEAST = re.compile(r"\b(?:" + "|".join(sorted(_FEASTS, key=len, reverse=True)) + r")(?!\w)", re.IGNORECASE)
_WEEK = "mon tue wed thu fri sat sun".split()
_WEEKDAY = re.compile(
    r"\b(?:mon(?:day)?|tue(?:s(?:day)?)?|wed(?:nesday)?|thu(?:rs?(?:day)?)?|fri(?:day)?|saturday|sunday)s?\b"
)
_SPOKEN_DAY = re.compile(r"\b(mon|tues?|wednes|thurs?|fri|satur|sun)days?\b", re.IGNORECASE)
_ALONE = re.compile(  # a month with neither day nor the verb "may" about it
    rf"\b(?:in|since|last|until|till|by|early|late|mid|from|next|this|of|ending|around)[ -](?P<month>{_NAMES})\b(?! ?\d{{1,2}}\b)|"
    rf"\b(?P<dated>{_NAMES})(?= (?:19|20)\d\d\b)",
    re.IGNORECASE,
)


def dates(note: str, source: Source) -> tuple[list[Hit], int]:
    """``(hits, number of claims)``: a calendar date whose month and day are not said together, a weekday or month nobody named."""
    said = _said_dates(source)
    hits: list[Hit] = []
    count = 0
    for match in DATE.finditer(note):
        date = read(match)
        if date is None:
            continue
        count += 1
        if not any(_same(date, other) for other in said):
            nearest = next((at for m, d, _, at in said if m == date[0] or d == date[1]), None)
            hits.append(("wrong_date", *match.span(), source.passage(nearest) if nearest is not None else ""))
    taken = [match.span() for match in DATE.finditer(note)]
    for found, spoken in ((_weekdays(note), _said_weekdays(source)), (_months(note), _said_months(source))):
        for name, start, end in found:
            if any(a <= start < b for a, b in taken):
                continue
            count += 1
            if spoken and name not in spoken:
                hits.append(("wrong_date", start, end, source.passage(min(spoken.values()))))
    return hits, count


def read(match: re.Match[str]) -> Date | None:
    """Month, day and year modulo 100 or None; None where no calendar has such a date."""
    name = match["m1"] or match["m2"]
    month = _MONTH_NUMBER[name.casefold()[:3]] if name else int(match["m3"] or match["m4"])
    day = int(match["d1"] or match["d2"] or match["d3"] or match["d4"])
    written = match["y1"] or match["y2"] or match["y3"] or match["y4"]
    year = int(written) % 100 if written else None
    return (month, day, year) if 1 <= month <= 31 and 1 <= day <= 31 else None


def _same(date: Date, said: tuple[int, int, int | None, int]) -> bool:
    month, day, year = date
    if year is not None and said[2] is not None and year != said[2]:
        return False
    return (month, day) == said[:2] or (day, month) == said[:2]


def _weekdays(note: str) -> list[tuple[str, int, int]]:
    """Weekdays written with a capital, short or long: "Fri", "Thursdays"."""
    return [
        (m.group()[:3].casefold(), *m.span())
        for m in re.finditer(_WEEKDAY.pattern, note, re.IGNORECASE)
        if m.group()[0].isupper()
    ]


def _said_weekdays(source: Source) -> dict[str, int]:
    found: dict[str, int] = {}
    for match in _SPOKEN_DAY.finditer(source.text):
        found.setdefault(match[1].casefold()[:3], source.token_at(match.start()))
    if re.search(
        r"\bweekdays?\b|\bweekends?\b|\bevery day\b|\btomorrow\b|\btoday's\b", source.text, re.IGNORECASE
    ):
        return {}  # another day's name may follow from it
    return found


def _months(note: str) -> list[tuple[str, int, int]]:
    found = []
    for match in _ALONE.finditer(note):
        group = "month" if match["month"] else "dated"
        if match[group][0].isupper():
            found.append((match[group].casefold()[:3], *match.span(group)))
    return found


def _said_months(source: Source) -> dict[str, int]:
    """Months by their first three letters, named or in a date of figures."""
    found: dict[str, int] = {}
    names = {number: name for name, number in _MONTH_NUMBER.items()}
    for match in re.finditer(rf"\b(?:{_NAMES})\b", source.text, re.IGNORECASE):
        name = match.group().casefold()
        if (
            name in ("mar", "may")
            and not match.group()[0].isupper()
            and not _dated(source.text, *match.span())
        ):
            continue
        if name not in ("dec", "sep", "jan", "oct", "mar"):
            found.setdefault(name[:3], source.token_at(match.start()))
    for month, day, _, at in _said_dates(source):
        for number in (month, day):
            if number in names:
                found.setdefault(names[number], at)
    if set(found) <= {"may"} and not re.search(r"\b(?:in|since|last|of) may\b", source.text, re.IGNORECASE):
        return {}
    return found


def _dated(text: str, start: int, end: int) -> bool:
    return bool(
        re.search(r"\b(?:in|since|last|of|early|late|next|by|until) $", text[max(0, start - 8) : start])
    )


def _said_dates(source: Source) -> list[tuple[int, int, int | None, int]]:
    """Month, day, year modulo 100 or None, and token position of every date in speech or digits."""
    found: list[tuple[int, int, int | None, int]] = []
    starts = [token.start for token in source.tokens]
    for match in DATE.finditer(source.text):
        date = read(match)
        if date:
            found.append((*date, bisect_left(starts, match.start())))
    for match in re.finditer(r"(?<!\d)(\d{1,2})[/-](\d{1,2})(?![\d/-])", source.text):
        found.append((int(match[1]), int(match[2]), None, bisect_left(starts, match.start())))
    for match in _FEAST.finditer(source.text):
        found.append((*_FEASTS[match.group().casefold()], None, bisect_left(starts, match.start())))
    for position, word in enumerate(source.words):
        month = (
            _MONTH_NUMBER.get(word[:3])
            if word in MONTHS or word in ("may", *(m[:3] for m in MONTHS))
            else None
        )
        if month is None:
            continue
        year = next(
            (
                int(m.value) % 100
                for m in source.mentions
                if 0 < m.at - position <= 5 and 1900 <= m.value < 2100 and m.unit is None
            ),
            None,
        )
        near = source.words[position + 1 : position + 4], source.words[max(0, position - 3) : position]
        for group in near:
            for day in _days(group):
                found.append((month, day, year, position))
    return found


def _days(words: list[str]) -> set[int]:
    days = set()
    tens = 0
    for word in words:
        value = ORDINALS.get(word) or WORDS.get(word)
        digits = re.match(r"(\d{1,2})(?:st|nd|rd|th)?$", word)
        if digits:
            days.add(int(digits[1]))
            tens = 0
        elif value is not None:
            if tens and value < 10:  # "the twenty-second" is neither a 20th nor a 2nd
                days.discard(tens)
                value += tens
            tens = int(value) if value in (20, 30) and word in WORDS else 0
            days.add(int(value))
    return {day for day in days if 1 <= day <= 31}
