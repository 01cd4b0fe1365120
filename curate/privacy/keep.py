"""What must survive. Covers: spans of a text that look like names or dates and are none: eponyms with their
clinical noun, medicines with a dose, statutes, public and fictional people, defined terms, code identifiers.
Does not cover: what is personal. A strong cue (a title, "my name is") beats the list of public people.
"""

from __future__ import annotations

import re

from curate.privacy import lexicon

_EPONYM = "(?:" + "|".join(sorted(map(re.escape, lexicon.eponyms()), key=len, reverse=True)) + ")"
_CLINICAL = (
    r"(?:disease|syndrome|sign|signs|test|maneuver|manoeuvre|reflex|lymphoma|cyst|palsy|sarcoma|tumou?r|carcinoma|contracture|fracture|"
    r"tendon|tube|tubes|duct|gland|node|nodes|score|scale|criteria|classification|grade|index|stage|class|staging|phenomenon|fever|"
    r"rash|spots|nodules|lesions|law|rule|procedure|operation|repair|position|incision|hernia|ulcer|oesophagus|esophagus|anaemia|anemia|"
    r"thyroiditis|chorea|ataxia|dystrophy|neuropathy|nephropathy|purpura|granulomatosis|arteritis|stain|smear|catheter|drain|"
    r"monitor|line|forceps|retractor|clamp|bladder|pouch|point|triangle|angle|canal|ligament|membrane|cells|bodies|body|apparatus|"
    r"coma|agar|solution|lactate|contractions|murmur|pulse|breathing|respiration|crisis|paralysis|gait|phase|method|equation|formula|"
    r"dementia|psychosis|encephalopathy|aphasia|malformation|deformity|exercises?|curve|block|mask|chart|scan|study|technique|"
    r"flexor|positive|negative|plantar|response|view|suture|hook|plate|nail|wire|traction|splint|collar|bandage|boots?|elbow)"
)
_KEEP = (
    re.compile(rf"\b{_EPONYM}(?:[ -](?:{_EPONYM}|and|-)){{0,3}}(?:['’]s|s['’])?[ ](?:[a-z-]+[ ])?{_CLINICAL}\b", re.I),
    re.compile(r"\b[A-Za-z]+[ ]?\d+(?:\.\d+)?[ ]?(?:mg|mcg|µg|ug|ml|iu|units?|puffs?|drops?|tabs?|tablets?|capsules?|g|%)(?![\w])", re.I),
    re.compile(r"(?:\b(?:the )?(?:[A-Z][\w'’()&-]*,?[ ]+|of[ ]+|and[ ]+|the[ ]+|for[ ]+|in[ ]+|on[ ]+|to[ ]+){1,12}(?:Act|Rules|Code|Regulations?|Ordinance|Order),?[ ]+(?:of[ ]+)?\d{4}\b)"),
    re.compile(r"\b(?:section|sec\.|article|clause|schedule|regulation|rule|chapter|para(?:graph)?)[ ]+\d+[A-Za-z]?(?:\(\w+\))*(?:[ ]+of[ ]+the[ ]+[A-Z][\w'’-]*(?:[ ]+[A-Z][\w'’-]*)*(?:,?[ ]+\d{4})?)?", re.I),
    re.compile(r"\b(?:WS|FD|LS|WK|W|CALC|PROCESS|READ|WRITE|PRINT|OPEN|CLOSE|INIT|MAIN|END)(?:-[A-Z0-9]+)+\b"),
    re.compile(r"\bGlasgow Coma Scale\b|\bG\d+P\d+(?:[AL]\d+)*\b", re.I),
)  # fmt: skip
_FULL_PUBLIC = re.compile(
    rf"(?<![\w])(?:{lexicon.alternation(frozenset(n for n in lexicon.public_figures()[0] if ' ' in n))})(?![\w])",
    re.I,
)


def kept_spans(text: str) -> list[tuple[int, int]]:
    """Spans of terms that only look personal."""
    return [match.span() for pattern in _KEEP for match in pattern.finditer(text)]


def public_spans(text: str) -> list[tuple[int, int]]:
    """Spans of full names of public or fictional people."""
    return [match.span() for match in _FULL_PUBLIC.finditer(lexicon_safe(text))]


def lexicon_safe(text: str) -> str:
    """Typographic apostrophes made plain without moving any offset."""
    return text.replace("’", "'")


def is_public(name: str) -> bool:
    """True when the whole string is a public or fictional person."""
    full, single = lexicon.public_figures()
    key = lexicon.fold(name.strip(" .,'"))
    return key in full or key in single
