"""Numbers as people say them, with the unit that follows: "six point seven", "one twenty over eighty", "twice".

Covers: digits and words, joined and broken readings of a run of number words, fractions, sums of two units, plural
number words ("the eights"), units and their conversion.
Does not cover: what a number is said of, what a speaker takes back (`claims`).
"""

from dataclasses import dataclass
from itertools import pairwise

_SMALL = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
    "seventeen eighteen nineteen"
).split()
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()
WORDS = {word: float(n) for n, word in enumerate(_SMALL)} | {
    word: 10.0 * n for n, word in enumerate(_TENS, 2)
}
_ORDER = "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth".split()
ORDINALS = (
    {word: float(number) for number, word in enumerate(_ORDER, 1)}
    | {f"{word}th": value for word, value in WORDS.items() if 13 <= value < 20}
    | {word.removesuffix("y") + "ieth": value for word, value in WORDS.items() if value >= 20}
)
# "may" is left out: it is a verb far more often
_YEAR = "january february march april - june july august september october november december".split()
MONTHS = {word: float(number) for number, word in enumerate(_YEAR, 1) if word != "-"}
SPOKEN = {"once": 1.0, "twice": 2.0, "thrice": 3.0, "couple": 2.0, "pair": 2.0, "single": 1.0, "double": 2.0,
          "triple": 3.0, "half": 0.5, "dozen": 12.0, "both": 2.0, "quarter": 0.25, "daily": 1.0}  # fmt: skip
ARTICLES = {"a": 1.0, "an": 1.0}  # a number only before a unit: "a week"
# spelling -> (unit, factor into the base of its dimension); units of one dimension convert into each other
UNITS: dict[str, tuple[str, float]] = {}
for _dimension, _table in {
    "mass": {"mcg microgram micrograms ug µg mic mics": 1e-6, "mg milligram milligrams mgs": 1e-3,
             "g gram grams gm": 1.0, "kg kilogram kilograms kilos": 1e3},
    "weight": {"lb lbs pound pounds": 1.0, "oz ounce ounces": 1 / 16, "stone": 14.0},
    "volume": {"ml mls mil mils milliliter milliliters millilitre millilitres cc ccs": 1.0,
               "dl": 100.0, "l liter liters litre litres": 1e3},
    "length": {"mm millimeter millimeters millimetre millimetres": 0.1, "inch inches": 2.54,
               "cm centimeter centimeters centimetre centimetres": 1.0, "foot feet ft": 30.48,
               "yard yards yd yds": 91.44, "meter meters metre metres": 100.0,
               "km kilometer kilometers kilometre kilometres": 1e5, "mile miles": 160934.4},
    "time": {"seconds sec secs": 1 / 60, "minute minutes min mins": 1.0, "hour hours hourly hr hrs": 60.0,
             "day days": 1440.0, "week weeks wk wks": 10080.0},
    "long": {"month months mo mos": 1.0, "year years yr yrs yo y/o": 12.0},
    "share": {"% percent": 1.0},
    "doses": {"unit units iu": 1.0},
    "pieces": {"tablet tablets tab tabs pill pills capsule capsules": 1.0},
    "puffs": {"puff puffs": 1.0},
    "times": {"times": 1.0},
    "degrees": {"degree degrees fahrenheit": 1.0},
}.items():  # fmt: skip
    for _names, _factor in _table.items():
        UNITS |= {name: (_dimension, _factor) for name in _names.split()}
SCALES = {"hundred": 100.0, "thousand": 1e3, "lakh": 1e5, "lakhs": 1e5, "million": 1e6, "crore": 1e7}
_PARTS = {"third": 1 / 3, "thirds": 1 / 3, "quarter": 0.25, "quarters": 0.25, "half": 0.5, "halves": 0.5,
          "fifths": 0.2, "eighths": 0.125, "tenths": 0.1}  # fmt: skip
NAMED = "#"  # unit of a month's name or an ordinal: it may stand for a bare number only
_PLURALS = (
    {  # "two of the five hundreds", "the eights"
        (f"{w[:-1]}ies" if w.endswith("y") else f"{w}es" if w.endswith("x") else f"{w}s"): w
        for w in [*WORDS, "hundred", "thousand"]
    }
    | {"nought": "zero", "nil": "zero"}
)
_SINGLE = frozenset(("day", "week", "month", "year", "hour", "minute"))
_COUNTS = {"times", "pieces", "puffs", "time"}  # what a number after a dose may count


@dataclass(frozen=True)
class Mention:
    """A number as somebody said it: value, unit or None, position among the tokens."""

    value: float
    unit: str | None
    at: int


def mentions_in(words: list[str], breaks: frozenset[int] = frozenset()) -> list[Mention]:
    """Every number that a listener could hear, in digits or words, with the unit that follows it.

    No number goes on over a position in ``breaks``.
    """
    words = [_PLURALS.get(word, word) for word in words]
    found: list[Mention] = []
    start = 0
    while start < len(words):
        end = start
        while end < len(words) and end - start < 12 and not (end > start and end in breaks) and (
            _digit(words[end]) is not None
            or words[end] in WORDS
            or words[end] in SCALES
            or words[end] in ("point", "oh")
            or (words[end] == "and" and end > start and (words[end - 1] in SCALES or words[end - 1] == "point"))
        ):  # fmt: skip
            end += 1
        if end == start:
            word = words[start]
            tens = WORDS.get(words[start - 1], 0.0) if start else 0.0
            if tens >= 20 and tens % 10 == 0 and ORDINALS.get(word, 99.0) < 10:  # "the twenty-second"
                found.append(Mention(tens + ORDINALS[word], None, start))
            found += _relative(words, start)
            for table in (SPOKEN, ORDINALS, MONTHS, ARTICLES):
                if word in table:
                    skip = _article(words, start + 1) if word in _PARTS else 0
                    heard = _with_unit(words, start + 1 + skip, table[word], start)
                    if table in (ORDINALS, MONTHS):  # "August" is no 8 of anything
                        heard = [
                            m if m.unit and table is ORDINALS else Mention(m.value, NAMED, start)
                            for m in heard
                        ]
                    found += [m for m in heard if table is not ARTICLES or m.unit or m.value > 1]
            start += 1
            continue
        readings = _readings(words, start, end)
        if end - start > 1 and UNITS.get(_unit_at(words, end) or "", ("",))[0] in _COUNTS:
            # "four hundred three times a day" is a dose and a count
            apart = _readings(words, start, end - 1) + _readings(words, end - 1, end)
            readings += [item for item in apart if item not in readings]
        for i, j, value in readings:
            found += _with_unit(words, j, value, i) if j == end else [Mention(value, None, i)]
            if (
                j == end and words[end : end + 1] and words[end] in _PARTS
            ):  # "two thirds", "three quarters of an hour"
                found += _with_unit(words, end + 1 + _article(words, end + 1), value * _PARTS[words[end]], i)
        found += _spelled(words, start, end)
        if words[start - 1 : start] == ["couple"] and words[start] in SCALES:  # "a couple hundred yards"
            found += _with_unit(words, start + 1, 2 * SCALES[words[start]], start)
        start = end
    return found + _sums(found, words) + _shared(found, words)


def _shared(found: list[Mention], words: list[str]) -> list[Mention]:
    """ "One and a half by two centimetres": the unit stands once."""
    ordered = sorted(found, key=lambda m: m.at)
    smaller = {"stone": "lb", "foot": "inches", "feet": "inches", "ft": "inches"}
    followed = [  # "eleven stone four", "five foot nine"
        Mention(second.value, smaller[first.unit or ""], second.at)
        for first, second in pairwise(ordered)
        if first.unit in smaller and second.unit is None and 0 < second.at - first.at <= 4
    ]
    return followed + [
        Mention(first.value, second.unit, first.at)
        for first, second in pairwise(ordered)
        if first.unit is None
        and second.unit in UNITS
        and 0 < second.at - first.at <= 6
        and {"by", "x", "or", "to"} & set(words[first.at : second.at])
    ]


def _article(words: list[str], at: int) -> int:
    """How many words of "of", "a" and "an" begin here: "half an hour", "a quarter of an hour"."""
    after = words[at : at + 2]
    return 2 if after in (["of", "an"], ["of", "a"]) else 1 if after[:1] in (["an"], ["a"]) else 0


def _sums(found: list[Mention], words: list[str]) -> list[Mention]:
    """ "Two years and four months" are also 28 months; so are hours and minutes, stone and pounds."""
    sums = []
    for first, second in pairwise(sorted((m for m in found if m.unit in UNITS), key=lambda m: m.at)):
        large, small = UNITS[first.unit or ""], UNITS[second.unit or ""]
        between = words[first.at : second.at]
        joined = len(between) <= 5 and between[-1:] in (["and"], [first.unit])
        if joined and large[0] == small[0] and large[1] > small[1]:
            sums.append(Mention(first.value * large[1] / small[1] + second.value, second.unit, first.at))
    return sums


_RELATIVE = {  # words that hold an amount of time
    "yesterday": (1.0, "day"), "tomorrow": (1.0, "day"), "overnight": (1.0, "day"), "fortnight": (2.0, "week"),
    "fortnightly": (2.0, "week"), "decade": (10.0, "year"), "weekly": (1.0, "week"), "monthly": (1.0, "month"),
    "yearly": (1.0, "year"), "annually": (1.0, "year"), "hourly": (1.0, "hour"),
}  # fmt: skip
_ONE = set("next last past per each every another the this".split())


def _relative(words: list[str], at: int) -> list[Mention]:
    """ "yesterday" is a day ago, "next week" in one week, "a fortnight" two weeks; "hour and a half" after "an"."""
    word = words[at]
    found = [Mention(*_RELATIVE[word], at)] if word in _RELATIVE else []
    if word == "yesterday" and words[max(0, at - 2) : at] == ["day", "before"]:
        found.append(Mention(2.0, "day", at))
    if words[at : at + 3] in (
        ["night", "before", "last"],
        ["every", "other", "day"],
        ["day", "after", "tomorrow"],
    ):
        found.append(Mention(2.0, "day", at))
    if word in _ONE and UNITS.get(_unit_at(words, at + 1) or "", ("",))[0] in ("time", "long"):
        found.append(Mention(1.0, words[at + 1], at))
    if _unit_at(words, at) and words[at + 1 : at + 4] == ["and", "a", "half"]:
        found.append(Mention(1.5, word, at))
    return found


def _spelled(words: list[str], start: int, end: int) -> list[Mention]:
    """What people say without "point" and without places: "thirty-eight nine", "ten two", "nine one one"."""
    found: list[Mention] = []
    for i in range(start, end):
        if "point" in words[max(start, i - 3) : i]:
            continue
        digits = [WORDS.get(word, 99.0) for word in words[i:end]]
        run = next((n for n, digit in enumerate(digits) if digit > 9), len(digits))
        if run >= 3 and not (i > start and WORDS.get(words[i - 1], 99.0) <= 9):
            found.append(Mention(float("".join(str(int(digit)) for digit in digits[:run])), None, i))
            if run >= 4 and _unit_at(words, i + run):  # "six two five three times a day"
                found.append(Mention(float("".join(str(int(d)) for d in digits[: run - 1])), None, i))
        for j in (i + 1, i + 2):
            whole = _parse(words[i:j]) if j < end and words[i] in WORDS else None
            part = WORDS.get(words[j], 99.0) if j < end else 99.0
            if whole is not None and part <= 9 and (whole < 20 or whole % 10) and not _unit_at(words, j + 1):
                found.append(Mention(whole + part / 10, None, i))
    return found


def _with_unit(words: list[str], after: int, value: float, at: int) -> list[Mention]:
    """A number with its unit; half more of it where "and a half" follows ("an hour and a half"); "a day or two"."""
    unit = _unit_at(words, after)
    if unit in _SINGLE and value >= 2 and after + 1 < len(words) and is_numeric(words[after + 1]):
        unit = None  # "five hundred day one"
    found = [Mention(value, unit, at)]
    more = (
        WORDS.get(words[after + 2], 0.0)
        if words[after + 1 : after + 2] == ["or"] and after + 2 < len(words)
        else 0.0
    )
    if unit and more:
        found.append(Mention(more, unit, at))
    for half in (after, after + 1):
        if words[half : half + 3] == ["and", "a", "half"]:
            found.append(Mention(value + 0.5, unit or _unit_at(words, half + 3), at))
    return found


def _unit_at(words: list[str], position: int) -> str | None:
    word = words[position] if position < len(words) else ""
    return word if word in UNITS else None


def is_numeric(word: str) -> bool:
    """Whether a word, as `mentions_in` gets it, is a number or a part of a spoken one."""
    return word in WORDS or word in SCALES or word == "oh" or word[:1].isdigit()


def _digit(word: str) -> float | None:
    return float(word.replace(",", "")) if word[0].isdigit() else None


def _parse(words: list[str]) -> float | None:
    """Value of a run of number words, or None when nobody would say one number that way."""
    if "point" in words:
        if words[-1] in SCALES:  # "eleven point six thousand"
            whole = _parse(words[:-1])
            return None if whole is None else round(whole * SCALES[words[-1]], 4)
        at = words.index("point")
        whole = (_parse(words[:at]) or _joined(words[:at])) if at else 0.0
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
    for name, size in sorted(SCALES.items(), key=lambda item: -item[1]):
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
    if words[:1] == ["oh"] and len(known) == 2 and words[1] in WORDS and known[1] < 10:
        return known[1]  # "in oh-eight"
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
