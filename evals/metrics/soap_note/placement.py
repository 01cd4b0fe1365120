# ruff: noqa: E501  (word lists and patterns read better in long lines)
"""Is content under the right heading? Sentences that plainly belong to another part of S, O, A/P.

Covers: sentences with several plain signs of one part (what the patient says; what was measured, seen or felt; what
will be done) under a heading of another, and sections most of whose signed sentences do; several notes in one text;
sections of a reference that a note leaves out.
Does not cover: sentences without such signs, assessment against plan (they share a heading too often), order.
"""

import re

from .sections import HEADINGS, Section, find_sections, words_in

# Signs of a part and their weights. A sentence belongs to a part that leads by MARGIN.
SIGNS: dict[str, list[tuple[float, str]]] = {
    "subjective": [
        (1.5, r"\b(?:reports?|reported|denies|denied|complains? of|endorses?|states?|stated|admits?|describes?|tells|says)\b"),
        (1.0, r"\b(?:presents?|presented|here today|comes in|came in|for the past|(?:days?|weeks?|months?|years?) ago|started|"
              r"began|woke|worse (?:with|when|at)|better (?:with|when)|rates|feels?|felt|lives|works|smokes?|drinks?|"
              r"mother|father|brother|sister|family|wife|husband|home|grandmother)\b"),
    ],
    "objective": [
        (2.0, r"\b(?:auscultation|palpation|percussion|on exam(?:ination)?|vital signs|afebrile|normocephalic|"
              r"range of motion|nondistended|non-distended|nontender|non-tender|normal s1|rubs|gallops?|rhonchi|rales|"
              r"crackles|murmurs?|erythematous|tympanic|oropharynx|turgor|capillary refill|well appearing|well-appearing|"
              r"no acute distress|lungs (?:are )?clear|clear bilaterally|heart (?:rate )?regular|regular rate|reflexes|"
              r"sensation (?:is )?intact|strength (?:is )?5|bowel sounds|pupils|mcmurray|lachman|straight leg|homans?|"
              r"guarding|rebound|edema|effusion|crepitus|ecchymosis|bruits?|lymphadenopathy|exudates?|abdomen (?:is )?soft)\b"),
        (2.0, r"\b(?:x-?ray|ct|mri|ultrasound|echocardiogram|ekg|ecg|labs?|urinalysis|hemoglobin|a1c|wbc|creatinine|imaging)\b"
              r"[^.]{0,40}\b(?:show\w*|reveal\w*|demonstrat\w*|was|were|is|of|negative|positive|normal|unremarkable)\b"),
        (1.5, r"\b(?:bp|blood pressure|hr|heart rate|pulse|temp(?:erature)?|rr|spo2|o2 sat\w*|weight|a1c|ldl|glucose)\b:? "
              r"(?:is |was |of |at )?\d"),
        (1.0, r"\b(?:tender(?:ness)?|swelling|intact|normal|unremarkable|bilaterally|symmetric|alert)\b"),
    ],
    "plan": [
        (2.0, r"\b(?:we will|i will|will (?:start|order|obtain|refer|continue|check|recheck|send|schedule|follow)|follow[- ]?up (?:in|with|on|visit)|"
              r"return (?:in|to clinic|if|for)|refer(?:red|ral)? (?:to|for)|prescribe[ds]?|prescription|recommend\w*|advised|counsel\w*|"
              r"educat\w+ (?:the )?patient|scheduled for|call (?:the office |the clinic |us )?if|side effects|to the emergency|rtc)\b"),
        (2.0, r"(?:^|[-•*] ?|\d[.)] ?)(?:start|continue|increase|decrease|stop|discontinue|order|obtain|refer|schedule|check|recheck|repeat|rest|ice|"
              r"apply|take|avoid|encourage|begin|switch|restart|hold|taper|return|follow|book|arrange|send|safety-?net|physio\w*|trial)\b"),
        (1.0, r"\b(?:plan|start|continue|discussed|monitor|if (?:symptoms|no better|worse\w*|not))\b"),
    ],
}  # fmt: skip
MARGIN = 2.0
WHOLE = 2.0  # points of another part in a section without any of its own
_COMPILED = {
    part: [(weight, re.compile(pattern, re.IGNORECASE)) for weight, pattern in signs]
    for part, signs in SIGNS.items()
}
_SENTENCE = re.compile(r"[^.\n]+(?:\.(?=\d)[^.\n]*)*\.?")
GROUP = {"subjective": "subjective", "objective": "objective", "assessment": "plan", "plan": "plan"}


def belongs(sentence: str) -> str | None:
    """The part that a sentence plainly belongs to: subjective, objective or plan; None where it is not plain."""
    points = {
        part: sum(weight for weight, pattern in signs if pattern.search(sentence))
        for part, signs in _COMPILED.items()
    }
    first, second = sorted(points, key=lambda part: -points[part])[:2]
    return first if points[first] - points[second] >= MARGIN else None


def misplaced(note: str, sections: list[Section]) -> tuple[list[tuple[int, int, str]], int, int]:
    """``(start, end, "part, not part")`` of every section with foreign content; signed sentences in place, and all.

    A section is foreign where at least two signed sentences, and more than half of them, belong to one other part;
    single sentences are foreign where the signs of the other part are alone and twice as strong.
    Plans may restate findings and results, so only sections of S and O are asked for sentences of the plan, and
    sections of A/P and O for sentences of the history when nothing else is there.
    """
    hits: list[tuple[int, int, str]] = []
    good = total = 0
    for section in sections:
        own = {GROUP[part] for part in section.parts}
        signed = []
        for match in _SENTENCE.finditer(note, section.head_end, section.end):
            part = belongs(match.group())
            if part:
                signed.append((part, match.start(), match.end()))
        total += len(signed)
        foreign = [item for item in signed if item[0] not in own]
        good += len(signed) - len(foreign)
        kinds = {part: [item for item in foreign if item[0] == part] for part in GROUP.values()}
        whole = _points(note[section.head_end : section.end])
        rival = max((name for name in whole if name not in own), key=lambda name: whole[name])
        if (
            whole[rival] >= (WHOLE if "plan" not in own else 2 * WHOLE)
            and words_in(note, section) >= 8
            and not any(whole[name] for name in own)
            and 2 * whole[rival] > sum(whole.values())
            and section.parts != ("assessment",)
        ):
            text = note[section.head_end : section.end]
            start = section.head_end + len(text) - len(text.lstrip())
            hits.append(
                (start, section.head_end + len(text.rstrip()), f"{rival}, not {'/'.join(section.parts)}")
            )
            continue
        part, most = max(kinds.items(), key=lambda item: len(item[1]), default=("", []))
        if len(most) >= 2 and 2 * len(most) > len(signed):
            hits.append((most[0][1], most[-1][2], f"{part}, not {'/'.join(section.parts)}"))
            continue
        for part, start, end in foreign:
            text = note[start:end]
            if _strong(text, part, own):
                lead = len(text) - len(text.lstrip(" \t•*->:"))
                hits.append((start + lead, end, f"{part}, not {'/'.join(section.parts)}"))
    return hits, good, total


def _points(text: str) -> dict[str, float]:
    """Points of each part over a whole section: each sign counts once."""
    return {
        part: sum(weight for weight, pattern in signs if pattern.search(text))
        for part, signs in _COMPILED.items()
    }


def _strong(sentence: str, part: str, own: set[str]) -> bool:
    points = {
        name: sum(weight for weight, pattern in signs if pattern.search(sentence))
        for name, signs in _COMPILED.items()
    }
    if "plan" in own:  # an assessment rightly repeats the story and the findings
        return False
    return points[part] >= 4.0 and all(points[name] == 0 for name in own)


def restarts(sections: list[Section]) -> list[Section]:
    """Headings at which another note begins: the history again after an assessment or a plan, and a plan after it."""
    found: list[Section] = []
    begins = {"subjective", "chief complaint", "cc", "history of present illness", "hpi", "s"}
    planned = False
    for index, section in enumerate(sections):
        if section.name in begins and planned:
            if any("plan" in later.parts for later in sections[index + 1 :]):
                found.append(section)
            planned = False
        planned = planned or "plan" in section.parts
    return found


# Kinds of section that a visit note of many headings has, by the names they go by.
_KINDS = {
    "history": "history of present illness, hpi, subjective, s, history, interval history, history of presenting illness, "
    "history of presenting complaint, hpc, presenting complaint, review of systems, review of symptoms, ros",
    "exam": "physical exam, physical examination, exam, examination, on examination, o/e, objective, o",
    "results": "results, test results, lab results, labs, laboratory data, diagnostic results, imaging, investigations, objective, o",
}
_KIND_OF = {name: {kind for kind, names in _KINDS.items() if name in names.split(", ")} for name in HEADINGS}
_EXAMINED = re.compile(  # an examination that is spoken out
    r"\b(?:(?:on|your|quick|the|a|do a|physical) exam\w*|lungs (?:are|sound)|heart (?:sounds|is regular)|tender(?:ness)? (?:to|on|over)|palpat\w+|"
    r"range of motion|i hear|when i press|does (?:it|that) hurt when i|breath sounds|murmur|clear to auscultation|take a (?:quick )?look at|let me (?:take a )?(?:look|listen|examine))\b",
    re.IGNORECASE,
)
_TESTED = re.compile(
    r"\b(?:x-?rays?|mri|ct scan|ultrasound|echo\w*|ekg|ecg|labs?|blood ?work|results?|hemoglobin|a1c|urinalysis)\b[^.?\n]{0,80}\b(?:show\w*|look\w*|came back|was|is|were|are|reveal\w*|normal)\b",
    re.IGNORECASE,
)


def unwritten(note: str, transcript: str, sections: list[Section]) -> list[tuple[str, str]]:
    """``(kind, why)``: a note of many headings without its history, or without the examination or results that were spoken out."""
    names = {section.name for section in sections if words_in(note, section)}
    kinds = {kind for name in names for kind in _KIND_OF[name]}
    if len(names) < 3 or not names & _LONG:
        return []
    missing = [("history", "no history of the present illness")] if "history" not in kinds else []
    spoken = {m.group().casefold() for m in _EXAMINED.finditer(transcript)}
    if "exam" not in kinds and len(spoken) >= 3:
        missing.append(("physical exam", "; ".join(sorted(spoken))[:120]))
    if "results" not in kinds and not _TESTED.search(note) and (found := _TESTED.search(transcript)):
        missing.append(("results", found.group()[:120]))
    return missing


_LONG = frozenset(
    (
        "chief complaint",
        "history of present illness",
        "physical exam",
        "review of systems",
        "assessment and plan",
        "results",
    )
)


def dropped(note: str, reference: str, sections: list[Section]) -> list[tuple[str, str]]:
    """``(heading, its first words)`` of every section of a reference whose content is hardly in the note.

    Hardly: under a quarter of its longer words, of which there must be at least four, and no section of its name or
    kind that could tell it in other words. Of a note without headings nothing is said.
    """
    have = set(re.findall(r"[a-z0-9]{4,}|\d+", note.casefold()))
    written = [section for section in sections if words_in(note, section)]
    if len(written) < 2:
        return []
    kinds = {kind for section in written for kind in (*_KIND_OF[section.name], *section.parts)}
    missing = []
    for section in find_sections(reference):
        content = reference[section.head_end : section.end]
        wanted = set(re.findall(r"[a-z0-9]{4,}|\d+", content.casefold()))
        told = kinds & (_KIND_OF[section.name] or set(section.parts))
        if len(wanted) >= 4 and not told and len(wanted & have) < 0.25 * len(wanted):
            missing.append((section.name, " ".join(content.split())[:120]))
    return missing
