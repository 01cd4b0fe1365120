# ruff: noqa: E501  (tables of words and expressions read better unwrapped)
"""What must survive. Covers: spans of a text that look like names or dates and are none: eponyms with their
clinical noun, medicines with a dose, statutes, public and fictional people, defined terms, code identifiers.
Does not cover: what is personal. A strong cue (a title, "my name is") beats the list of public people.
"""

from __future__ import annotations

import re

from curate.privacy import lexicon

_CLINICAL = (
    r"(?:disease|syndrome|sign|signs|test|maneuver|manoeuvre|reflex|lymphoma|cyst|palsy|sarcoma|tumou?r|carcinoma|contracture|fracture|"
    r"tendon|tube|tubes|duct|gland|node|nodes|score|scale|criteria|classification|grade|index|stage|class|staging|phenomenon|fever|"
    r"rash|spots|nodules|lesions|law|rule|procedure|operation|repair|position|incision|hernia|ulcer|oesophagus|esophagus|anaemia|anemia|"
    r"thyroiditis|chorea|ataxia|dystrophy|neuropathy|nephropathy|purpura|granulomatosis|arteritis|stain|smear|catheter|drain|"
    r"monitor|line|forceps|retractor|clamp|bladder|pouch|point|triangle|angle|canal|ligament|membrane|cells|bodies|body|apparatus|"
    r"coma|agar|solution|lactate|contractions|murmur|pulse|breathing|respiration|crisis|paralysis|gait|phase|method|equation|formula|"
    r"dementia|psychosis|encephalopathy|aphasia|malformation|deformity|exercises?|curve|block|mask|chart|scan|study|technique|"
    r"foot|feet|jelly|forceps|machine|press|bend|head|knot|congruence|inequality|criterion|filter|window|distribution|diagram|curves?|estimate|nomogram|joint|"
    r"flexor|positive|negative|plantar|response|view|suture|hook|plate|nail|wire|traction|splint|collar|bandage|boots?|elbow)"
)
_AFTER_EPONYM = re.compile(
    rf"(?:['’]s|s['’]|['’])?(?:[ -][A-Za-z]+){{0,2}}?[ -](?:[a-z-]+[ ])?{_CLINICAL}\b", re.I
)
_TERMS = (
    re.compile(
        r"\b[A-Za-z]+[ ]?\d+(?:\.\d+)?[ ]?(?:mg|mcg|µg|ug|ml|iu|units?|puffs?|drops?|tabs?|tablets?|capsules?|g|%)(?![\w])"
    ),
    re.compile(
        r"\b(?:[A-Z][\w'’()&-]*,?[ ]+(?:(?:of|and|the|for|in|on|to)[ ]+){0,2}){1,10}(?:Act|Rules|Code|Regulations?|Ordinance|Order|Adhiniyam|Sanhita|Niyam(?:avali)?),?[ ]+(?:of[ ]+)?\d{4}\b"
        r"|\bCode[ ]+(?:on|of)[ ]+(?:[A-Z]\w+,?[ ]+){1,4}\d{4}\b"
    ),
    re.compile(
        r"\b(?:[Ss]ection|[Ss]ec\.|[Aa]rticle|[Cc]lause|[Ss]chedule|[Rr]egulation|[Rr]ule|[Cc]hapter|[Pp]ara(?:graph)?)[ ]+\d+[A-Za-z]?(?:\(\w+\))*"
        r"(?:[ ]+of[ ]+the[ ]+[A-Z][\w'’-]*(?:[ ]+[A-Z][\w'’-]*)*(?:,?[ ]+\d{4})?)?"
    ),
    re.compile(r"\b(?:WS|FD|LS|WK|CALC|PROCESS|READ|WRITE|PRINT|OPEN|CLOSE|INIT|MAIN|END)(?:-[A-Z0-9]+)+\b"),
    re.compile(r"\bGlasgow Coma Scale\b|\bG\d+P\d+(?:[AL]\d+)*\b"),
)
_FULL_PUBLIC = re.compile(
    rf"(?<![\w])(?:{lexicon.alternation(frozenset(n for n in lexicon.public_figures()[0] if ' ' in n))})(?![\w])",
    re.I,
)
_NEAR = 60  # characters around a finding in which a term or a public name that holds it must begin and end


_HELP = r"(?:112|911|999|988|108|10[0-3]|181|109[018]|1930|14416)"
_HELPLINES = re.compile(rf"{_HELP}(?:(?: ?[,/] ?| (?:or|and) ){_HELP})*")


def sends_help(number: str) -> bool:
    """True for numbers of India's and the common other helplines: an answer about danger is worth nothing without."""
    return _HELPLINES.fullmatch(number) is not None


def in_term(text: str, start: int, end: int) -> bool:
    """True when the span lies on a term that only looks personal: an eponym, a dose, a statute, code."""
    words = re.findall(r"[^\W\d_]+", lexicon.fold(text[start:end]))
    if words and all(word in lexicon.eponyms() or word in ("s", "and", "sign", "test") for word in words):
        tail = text[end : end + _NEAR]
        many = len({w for w in words if len(w) > 1}) > 1 and not any(lexicon.is_given(w) for w in words)
        alone = re.match(
            r"['’]s?(?:[.,;:)\n]|$|[ ](?:is|was|worse|since|and|on|of|for|in|at|diagnosed|confirmed)\b)", tail
        )
        listed = any(lexicon.is_given(w) if alone else lexicon.is_name(w) for w in words)
        owned = re.match(r"['’]s?\b", tail) and not listed
        if many or owned:
            return True
        if _AFTER_EPONYM.match(tail) or re.search(rf"(?:^|[ ]){_CLINICAL}$", text[start:end], re.I):
            return True
    if text[start:end].casefold().startswith("the "):
        start += 4  # a model may take the article along
    low, high = max(0, start - 2 * _NEAR), min(len(text), end + _NEAR)
    return any(
        match.start() <= start and end <= match.end()
        for pattern in _TERMS
        for match in pattern.finditer(text, low, high)
    )


def before_clinical_noun(text: str, end: int) -> bool:
    """True when a clinical noun follows at ``end``: "X's node", "X sign"."""
    return re.match(rf"(?:['’]s|s['’])?[ -]{_CLINICAL}\b", text[end : end + _NEAR], re.I) is not None


def in_public_name(text: str, start: int, end: int) -> bool:
    """True when the span touches the full name of a public or fictional person."""
    low, high = max(0, start - _NEAR), min(len(text), end + _NEAR)
    window = text[low:high].replace("’", "'")
    return any(m.start() + low < end and start < m.end() + low for m in _FULL_PUBLIC.finditer(window))


def is_public(name: str) -> bool:
    """True when the whole string is a public or fictional person."""
    full, single = lexicon.public_figures()
    key = lexicon.fold(name.strip(" .,'"))
    return key in full or key in single
