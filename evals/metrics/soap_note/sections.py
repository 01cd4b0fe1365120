"""Sections of a visit note: where each begins, which part of S, O, A, P it is.

Covers: headings on their own line or followed by a colon, in the middle of a line, behind Markdown or angle
brackets, after chatter; common synonyms of both the S/O/A/P and the visit-note (ACI-Bench) style.
Does not cover: whether the content belongs under its heading.
"""

import re
from dataclasses import dataclass

PARTS = ("subjective", "objective", "assessment", "plan")

# Heading -> parts that it opens. Longer headings are tried first.
HEADINGS: dict[str, tuple[str, ...]] = {
    name.strip(): parts
    for parts, names in (
        (
            ("subjective",),
            "subjective, chief complaint, cc, reason for visit, presenting complaint, history of present illness, "
            "history of presenting illness, history of presenting complaint, hpi, hpc, interval history, history, "
            "review of systems, review of symptoms, ros, past medical history, medical history, past history, pmh, "
            "past surgical history, surgical history, psh, social history, family history, birth history, medications, "
            "current medications, medication list, drug history, allergies, s",
        ),
        (
            ("objective",),
            "objective, vitals, vitals reviewed, vital signs, physical exam, physical examination, exam, examination, "
            "on examination, o/e, results, test results, lab results, labs, laboratory data, diagnostic results, "
            "imaging, investigations, procedure, o",
        ),
        (
            ("assessment",),
            "assessment, impression, imp, clinical impression, diagnosis, diagnoses, medical decision making, a",
        ),
        (
            ("plan",),
            "plan, treatment plan, management plan, management, instructions, recommendations, disposition, follow up, "
            "follow-up, p",
        ),
        (
            ("assessment", "plan"),
            "assessment and plan, assessment & plan, assessment/plan, assessment / plan, a&p, a/p, a and p, "
            "impression and plan, impression & plan, impression/plan",
        ),
    )
    for name in names.split(",")
}

_ORDERED = sorted(HEADINGS, key=len, reverse=True)
_GAP = "[ \\t]+"
_NAMES = "|".join(re.escape(name).replace(r"\ ", _GAP) for name in _ORDERED)
_UPPER = "|".join(re.escape(name.upper()).replace(r"\ ", _GAP) for name in _ORDERED if len(name) > 1)
_DECORATION = r"[ \t>#*_\-–•=<(\[]*(?:\d{1,2}[.)][ \t]*)?[ \t*_]*"
# A line that is a heading, or begins with one and a colon.
_LINE = re.compile(
    rf"^{_DECORATION}(?P<name>{_NAMES})[ \t*_]*(?:[:>\])][ \t*_]*|(?=[ \t#*_=\-–]*$))",
    re.IGNORECASE | re.MULTILINE,
)
# In the middle of a line only with a colon: in capitals anywhere, or after the end of a sentence.
_CAPITALS = re.compile(rf"(?<![\w/])(?P<name>{_UPPER})(?=[ \t]*:)")
_AFTER_STOP = re.compile(rf"(?<=[.:;!?>])[ \t]+(?P<name>{_NAMES})(?=[ \t]*:)", re.IGNORECASE)


@dataclass(frozen=True)
class Section:
    """One heading and the text up to the next one. Offsets count characters of the note."""

    name: str
    parts: tuple[str, ...]
    start: int  # of the heading
    head_end: int
    end: int  # of the section's text


def find_sections(note: str) -> list[Section]:
    """Sections in the order of the note; text before the first heading belongs to none."""
    found: dict[int, tuple[int, str]] = {}
    for pattern in (_LINE, _CAPITALS, _AFTER_STOP):
        for match in pattern.finditer(note):
            start, end = match.span("name")
            name = " ".join(match.group("name").casefold().split())
            single = len(name) == 1
            # "a" and "p" are headings only as a capital with a colon on their own line
            if single and not (pattern is _LINE and match.group("name").isupper() and ":" in match.group(0)):
                continue
            if not any(start < other_end and other < end for other, (other_end, _) in found.items()):
                found[start] = (end, name)
    heads = sorted(found.items())
    ends = [*(start for start, _ in heads[1:]), len(note)][: len(heads)]
    return [
        Section(name, HEADINGS[name], start, head_end, end)
        for (start, (head_end, name)), end in zip(heads, ends, strict=True)
    ]


def words_in(note: str, section: Section) -> int:
    """Number of words below a section's heading."""
    return len(re.findall(r"\w+", note[section.head_end : section.end]))
