"""Times of the day: "half past seven", "twenty to four", "ten at night", 07:30, 7.30 am, noon.

Covers: what stands for a time in figures in a note, what does in speech, and whether they can be the same one; morning
and afternoon are not told apart. Does not cover: how long something takes (`spoken`).
"""

import re

from .spoken import WORDS

_BETWEEN = frozenset(("a", "minutes", "the", "past", "to", "after", "till", "of"))
Time = tuple[int, int]  # hour modulo 12, minute

WRITTEN = re.compile(
    r"(?<![\d:.])(?:(?P<h>[01]?\d|2[0-4])[:.h](?P<m>[0-5]\d)(?!\d|[:.]\d|\s?%)(?P<ap>[ ]?[ap]\.?m\b\.?)?|"
    r"(?P<hour>1[0-2]|[1-9])(?P<half>[ ]?[ap]\.?m\b\.?))",
    re.IGNORECASE,
)


def written_times(text: str) -> list[tuple[int, int, Time]]:
    """``(start, end, time)`` of every time in figures; with a point only before am or pm (7.30 is a number)."""
    found = []
    for match in WRITTEN.finditer(text):
        if match["h"] and "." in match.group()[: len(match["h"]) + 1] and not match["ap"]:
            continue
        hour, minute = int(match["h"] or match["hour"]), int(match["m"] or 0)
        found.append((*match.span(), (hour % 12, minute)))
    return found


def spoken_times(words: list[str]) -> set[Time]:
    """Every time that a listener could hear in the words of a conversation."""
    found: set[Time] = set()
    for at, word in enumerate(words):
        if word in ("noon", "midday", "midnight"):
            found.add((0, 0))
        hour = _number(word)
        if hour is None or not 0 <= hour <= 24:
            continue
        clock = int(hour) % 12
        found.add((clock, 0))
        before = words[max(0, at - 4) : at]
        if before[-1:] in (["past"], ["to"], ["after"], ["till"], ["of"]) or before[-1:] == ["half"]:
            minutes = _minutes(
                [w for w in before if w not in ("a", "minutes", "the", "past", "to", "after", "till", "of")]
            )
            late = before[-1] in ("to", "till", "of")
            found |= {((clock - 1) % 12, 60 - m) if late and m else (clock, m) for m in minutes}
        found |= {(clock, m) for m in _minutes(words[at + 1 : at + 3], ahead=True)}
        if (
            word == "twenty" and len(words) > at + 1 and 1 <= (_number(words[at + 1]) or 0) <= 4
        ):  # "twenty-two hundred"
            found.add(((20 + int(_number(words[at + 1]) or 0)) % 12, 0))
    return found


def _number(word: str) -> float | None:
    return WORDS.get(word, float(word) if word.isdigit() and len(word) <= 2 else None)


def _minutes(words: list[str], ahead: bool = False) -> set[int]:
    """Minutes that the words nearest to an hour say: "quarter", "half", "twenty five", "oh five"."""
    near = words[:2] if ahead else words[-2:]
    if not near:
        return set()
    first = near[0] if ahead else near[-1]
    found: set[int] = set()
    if not ahead and first in ("quarter", "half"):
        return {15 if first == "quarter" else 30}
    values = [_number(word) for word in near]
    single = values[0] if ahead else values[-1]
    if single is not None and (not ahead or single >= 10) and single < 60:
        found.add(int(single))
    if len(near) == 2:
        tens, ones = values
        if tens is not None and ones is not None and tens >= 20 and tens % 10 == 0 and 1 <= ones <= 9:
            found.add(int(tens + ones))
        if near[0] == "oh" and ones is not None and ones < 10:
            found.add(int(ones))
    return {minute for minute in found if minute < 60}
