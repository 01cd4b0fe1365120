"""A note beside its reference, sentence by sentence: the same words but for a number or a side, under another heading,
or not there at all.

Covers: sentences that are a reference's own with another number, dose or side in them, or with "denies" for "reports";
sections whose sentences stand under another part in the reference; sections of the reference that a note in its own
words lacks.
Does not cover: the same said in other words (`claims`, `findings`, `lexical`, `placement.dropped`); which of the two is
right.
"""

import re
from dataclasses import dataclass

from rapidfuzz import fuzz, process

from .placement import GROUP
from .sections import Section, find_sections, words_in

_SENTENCE = re.compile(r"[^.;!?\n•]+(?:\.(?=\d)[^.;!?\n•]*)*[.;!?]?")
_VARIES = re.compile(r"\d+(?:[.,]\d+)*|\b(?:left|right)\b", re.IGNORECASE)
_DOSED = re.compile(
    r"[ -]?(?:mg|mcg|µg|milligrams?|micrograms?|grams?|units?|ml|tablets?|capsules?|puffs?)\b", re.I
)
_DENIES = frozenset("denies denied deny no not without never nor nil negative".split())
_SAYS = frozenset("reports reported report endorses endorsed positive admits states notes".split())
_EMPTY = frozenset(
    "a an the any of for that to is are was were be been has have had does did do he she they".split()
)
ALIKE = 92.0  # of 100: the rest of a sentence, letters
LONG = 40  # letters under another heading that are more than a phrase by chance
OWN = 0.5  # share of a note's sentences that are the reference's: it is a version of it, not another text


@dataclass(frozen=True)
class _Line:
    """A sentence; ``frame`` is it without its numbers and sides, which are ``values`` with their places."""

    text: str
    start: int
    frame: str
    values: tuple[tuple[str, int, int], ...]


def _lines(text: str) -> list[_Line]:
    found = []
    for piece in _SENTENCE.finditer(text):
        values = tuple((m.group().casefold(), *m.span()) for m in _VARIES.finditer(piece.group()))
        frame = " ".join(_VARIES.sub("#", piece.group()).casefold().split())
        if len(re.sub(r"[^a-z]", "", frame)) >= 2:
            found.append(_Line(piece.group(), piece.start(), frame, values))
    return found


def changed_values(note: str, reference: str) -> list[tuple[str, int, int, str]]:
    """``(kind, start, end, the reference's sentence)`` of numbers and sides in which a sentence differs from its own.

    Its own is the sentence with the same frame, or nearly its letters, and as many values, all but one of them the
    same; none is looked for where the reference has the sentence, or more than one frame like it with that value.
    """
    approved = _lines(reference)
    known = {(line.frame, tuple(value for value, _, _ in line.values)) for line in approved}
    found = []
    for line in _lines(note):
        values = [value for value, _, _ in line.values]
        if not values or (line.frame, tuple(values)) in known:
            continue
        like = [
            approved[index]
            for _, _, index in process.extract(
                line.frame,
                [other.frame for other in approved],
                scorer=fuzz.ratio,
                score_cutoff=ALIKE,
                limit=5,
            )
            if len(approved[index].values) == len(values)
        ]
        differing = [
            (other, [n for n, (value, _, _) in enumerate(other.values) if value != values[n]])
            for other in like
        ]
        if not differing or any(not places for _, places in differing):
            continue
        other, places = min(differing, key=lambda item: len(item[1]))
        if len(places) > 1 and len(places) == len(values):
            continue  # another sentence of the same form, "vitals: # over #"
        for place in places:
            value, start, end = line.values[place]
            if value.isalpha() != other.values[place][0].isalpha():
                continue
            dose = _DOSED.match(line.text, end)
            kind = "wrong_laterality" if value.isalpha() else "wrong_dose" if dose else "wrong_number"
            found.append((kind, line.start + start, line.start + end, other.text.strip()))
    return found


def denials(note: str, reference: str) -> list[tuple[int, int, str]]:
    """``(start, end, the reference's sentence)`` of sentences with its words but for one more or one less denial."""
    approved: dict[tuple[str, ...], list[tuple[int, str]]] = {}
    for line in _lines(reference):
        words, times = _denials(line)
        approved.setdefault(words, []).append((times, line.text.strip()))
    found = []
    for line in _lines(note):
        words, times = _denials(line)
        same = approved.get(words, []) if len(words) > 1 else []
        if same and abs(same[0][0] - times) == 1 and all(other != times for other, _ in same):
            found.append((line.start, line.start + len(line.text), same[0][1]))
    return found


def _denials(line: _Line) -> tuple[tuple[str, ...], int]:
    """The words of a sentence that say what it is about, and how many deny."""
    words = re.findall(r"[a-z0-9.%/-]*[a-z0-9]", line.text.casefold())
    told = tuple(word for word in words if word not in _DENIES | _SAYS | _EMPTY)
    return told, sum(word in _DENIES for word in words)


def moved(note: str, reference: str, sections: list[Section]) -> list[tuple[int, int, str]]:
    """``(start, end, why)`` of sections whose sentences the reference has under another part, most of them."""
    home: dict[str, set[str]] = {}
    for section in find_sections(reference):
        for line in _lines(reference[section.head_end : section.end]):
            home.setdefault(line.frame, set()).update(GROUP[part] for part in section.parts)
    found = []
    for section in sections:
        own = {GROUP[part] for part in section.parts}
        placed = [
            (section.head_end + line.start, section.head_end + line.start + len(line.text), home[line.frame])
            for line in _lines(note[section.head_end : section.end])
            if line.frame in home
        ]
        strange = [item for item in placed if not item[2] & own]
        long = sum(end - start for start, end, _ in strange) >= LONG
        if long and 2 * len(strange) > len(placed):
            there = "/".join(sorted(set().union(*(item[2] for item in strange))))
            found.append((strange[0][0], strange[-1][1], f"{there} in the reference"))
    return found


def left_out(note: str, reference: str, sections: list[Section]) -> list[tuple[str, str]]:
    """``(heading, its first words)`` of sections of the reference that a version of it has neither as heading nor text.

    Empty for a note in other words: there nothing tells a section left out from one told elsewhere.
    """
    mine = {line.frame for line in _lines(note)}
    approved = {line.frame for line in _lines(reference)}
    if not mine or len(mine & approved) < OWN * len(mine):
        return []
    names = {section.name for section in sections if words_in(note, section)}
    missing = []
    for section in find_sections(reference):
        content = reference[section.head_end : section.end]
        frames = {line.frame for line in _lines(content)}
        if section.name not in names and frames and len(frames & mine) < OWN * len(frames):
            missing.append((section.name, " ".join(content.split())[:120]))
    return missing
