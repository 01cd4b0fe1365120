# ruff: noqa: E501  (patterns read better in long lines)
"""How often a medication is taken: in a note (BD, tid, q6h, 1-0-1, nocte), in speech ("one in the morning and one at night").

Covers: times a day, every so many hours, weekly and alternate days, and where note and transcript contradict each
other about one medication. Does not cover: how many tablets at a time, "as needed", for how long.
"""

import re
from bisect import bisect_left

from .medications import COMPOSED, SUBSTANCE
from .source import Source
from .spoken import WORDS

Hit = tuple[str, int, int, str]  # kind, start, end, support

_N = {word: int(value) for word, value in WORDS.items() if 1 <= value <= 24} | {
    "once": 1,
    "twice": 2,
    "thrice": 3,
}
_COUNT = "once|twice|thrice|one|two|three|four|five|six|eight|[1-8]"
_DAY = r"(?:a|per|each|every|in a|in the)[ -]day|daily|/ ?d(?:ay)?\b|in 24 hours|in twenty[- ]four hours"
# (pattern, times a day; 0: count of group n, -1: 24 hours by groups a and b, -2: digits that are not nought)
_PATTERNS: list[tuple[str, float]] = [
    (rf"(?<![\w.-])(?P<n>{_COUNT})(?P<of>[ -]?x|[ -]times?| tablets?| tabs?| pills?| capsules?| puffs?| doses?)?[ ,]*(?:{_DAY})", 0),
    (r"\b(?:q|every |each )[ .]?(?P<a>\w+)(?:[ ]?(?:[-–]|to|or)[ ]?(?P<b>\w+))?[ ]?(?:h|hrs?|hours?)\b", -1),
    (r"\b(?P<a>\d{1,2}|four|six|eight|twelve)(?:[ ]?(?:[-–]|to)[ ]?(?P<b>\d{1,2}|six|eight))?[ -]?hourly\b", -1),
    (r"(?<![\d/-])(?P<digits>[0-2]-[0-2]-[0-2](?:-[0-2])?)(?![\d/-])", -2),
    (r"\b(?:qds|qid|q\.i\.d|q\.d\.s)\b", 4), (r"\b(?:tds|tid|t\.i\.d|t\.d\.s)\b|\b(?:with|after|before) (?:each|every) meals?\b", 3),
    (r"\b(?:bd|bid|b\.i\.d|b\.d|bds)\b|\bmorning and (?:\w+ ){0,3}?(?:evening|night|bedtime)\b|\b(?:am|breakfast) (?:and|&) (?:pm|dinner|supper)\b", 2),
    (r"\b(?P<week>two|three|four|five|six|[2-6])(?:[ ]?(?:-|–|to|or)[ ]?(?P<more>three|four|five|six|[3-6]))?(?: times|[ ]?x)[ ]?(?:a |per |each |/)?week(?:ly)?\b|\b(?P<in_week>two|three|four|five|six|[2-6]) (?:in )?a week\b", -3),
    (r"\b(?:once|one|1|a dose|single dose)(?: time)? (?:a|per|each|every) week\b|\b(?:once )?weekly\b|\bqw\b", 1 / 7),
    (r"\b(?:twice|two times|2x) (?:a |per |/)?week(?:ly)?\b", 2 / 7), (r"\bthree times (?:a|per) week\b", 3 / 7),
    (r"\b(?:every other|alternate) (?:day|night|morning)s?\b|\bqod\b|\bevery (?:two|2|second) days?\b", 0.5),
    (r"\bfortnightly\b|\bevery (?:two|2) weeks\b|\bq2w\b", 1 / 14), (r"\b(?:once a month|monthly|every month)\b", 1 / 30),
    (r"(?<!times )(?<!twice )(?<!x )\b(?:once daily|daily|od|o\.d|qd|q\.d|once a day|nocte|mane|qhs|hs|qam|qpm|(?:every|each) (?:day|morning|night|evening)|"
     r"(?:at|before) (?:night|bedtime|bed)|in the (?:morning|evening)|nightly|(?:before|with|after) (?:breakfast|dinner|supper|lunch)|at lunch(?:time)?|with lunch|tonight)\b", 1),
]  # fmt: skip
_COMPILED = [(re.compile(pattern, re.IGNORECASE), times) for pattern, times in _PATTERNS]
_ONE_BY_ONE = re.compile(
    r"\b(morning|breakfast|noon|lunch(?:time)?|midday|afternoon|evening|dinner|supper|night|bedtime|bed)\b",
    re.IGNORECASE,
)
_TIME_OF_DAY = {"breakfast": "morning", "lunch": "noon", "lunchtime": "noon", "midday": "noon", "afternoon": "noon",
                "dinner": "evening", "supper": "evening", "night": "evening", "bedtime": "evening", "bed": "evening"}  # fmt: skip


def frequencies(text: str) -> list[tuple[int, int, frozenset[float]]]:
    """``(start, end, times a day)`` of every expression; a range ("q6-8h") has two."""
    found: list[tuple[int, int, frozenset[float]]] = []
    for pattern, times in _COMPILED:
        for match in pattern.finditer(text):
            values = _values(match, times)
            if values and not any(a < match.end() and match.start() < b for a, b, _ in found):
                found.append((*match.span(), frozenset(values)))
    return sorted(found)


def _values(match: re.Match[str], times: float) -> set[float]:
    if times > 0:
        return {times}
    if times == 0:
        count = float(_count(match["n"]))
        # "amlodipine five daily" may be the strength
        return (
            {count} if match["of"] or match["n"].casefold() in ("once", "twice", "thrice") else {count, 1.0}
        )
    if times == -3:
        return {_count(match[name]) / 7 for name in ("week", "more", "in_week") if match[name]}
    if times == -2:
        return {float(sum(digit in "12" for digit in match["digits"]))}
    hours = [_count(match[name]) for name in ("a", "b") if match[name]]
    return {24 / hour for hour in hours if 0 < hour <= 72}


def _count(word: str) -> int:
    word = word.casefold()
    return _N.get(word, int(word) if word.isdigit() else 0)


def said_frequencies(text: str) -> set[float]:
    """Times a day that a stretch of conversation can mean, one by one and counted together over the day."""
    found = {value for _, _, values in frequencies(text) for value in values}
    parts = {_TIME_OF_DAY.get(word, word) for word in map(str.casefold, _ONE_BY_ONE.findall(text))}
    return found | ({float(len(parts))} if parts else set())


def changed(note: str, source: Source, claims: list[tuple[int, int, str]]) -> tuple[list[Hit], int]:
    """``(hits, number judged)``: a medication of the note (``claims``: start, end, name) taken otherwise than was said.

    Judged where something is said of how often, next to the medication and before another one is named.
    """
    hits: list[Hit] = []
    count = 0
    every = sorted(at for places in source.drugs.values() for at in places)
    for number, (_, end, name) in enumerate(claims):
        stop = min([claims[number + 1][0]] if number + 1 < len(claims) else [len(note)])
        segment = re.split(r"[.;](?!\d)\s|\n", note[end : min(stop, end + 60)], maxsplit=1)[0]
        written = frequencies(segment)
        if (
            len(written) != 1
            or len(_ONE_BY_ONE.findall(segment)) > 1
            or re.search(
                r"\b(?:from|then|was|instead|previously|prior|missed|misses|forgets?)\b|→|->|↑|↓", segment
            )
        ):
            continue
        said: set[float] = set()
        plain = False
        wanted = {SUBSTANCE[name], *(SUBSTANCE[part] for part in COMPOSED.get(name, "").split())}
        places = sorted({at for substance in wanted for at in source.drugs.get(substance, [])})
        if any(source.text[source.tokens[at].end : source.tokens[at].end + 1] == "?" for at in places):
            continue  # the answer says how often, and may name nothing
        for at in places:
            heard = _near(source, at, every)
            said |= said_frequencies(heard)
            plain = plain or bool(_PLAIN.search(heard))
        if not said or not plain:
            continue
        count += 1
        start, stop, values = written[0]
        if len(said) > 1:  # said of several things, or of parts of the day
            continue
        if not any(abs(value - other) < 0.02 for value in values for other in said):
            hits.append(("wrong_dose", end + start, end + stop, source.passage(places[0])))
    return hits, count


# how often in so many words; "at night" alone may be one of several times
_PLAIN = re.compile(
    r"\b(?:a day|daily|per day|every day|a week|weekly|times|twice|once|hourly|every \w+ (?:\w+ \w+ )?hours|[bt]i?ds?|qi?ds?|bid|tid|qid|od|"
    r"morning and|one (?:at|in the)|each (?:morning|night|evening|meal)|every (?:morning|night|evening|meal|other))\b",
    re.IGNORECASE,
)


def _near(source: Source, at: int, every: list[int]) -> str:
    """The sentence of a medication from half-way to the one before it, up to the one after it, and a short one behind."""
    index = bisect_left(every, at)
    same = source.words[at]
    before = next((other for other in reversed(every[:index]) if source.words[other] != same), -99)
    after = next(
        (other for other in every[index:] if other > at and source.words[other] != same), len(source.tokens)
    )
    start, stop = source.tokens[at].start, source.tokens[at].end
    begin = max(source.text.rfind(mark, 0, start) for mark in (". ", "? ", "! ", "; ", "\n")) + 1
    ends = [m.start() for m in re.finditer(r"[.;?!](?!\d)\s?|\n", source.text[stop : stop + 160])][:2]
    end = stop + (ends[0] if ends else 90)
    if len(ends) > 1 and len(source.text[end : stop + ends[1]].split()) <= 8:
        end = stop + ends[1]
    first = max(
        bisect_left([token.start for token in source.tokens], begin),
        at - 8,
        at - max(0, at - before - 1) // 2,
    )
    last = min(after, at + 18, len(source.tokens))
    return source.text[max(begin, source.tokens[first].start) : min(end, source.tokens[last - 1].end)]
