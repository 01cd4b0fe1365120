# ruff: noqa: E501  (word lists and patterns read better in long lines)
"""Allergies: by substance, "no known allergies", an allergy that the note leaves out of its own list.

Does not cover: the reaction to an allergen, and how bad it was.
"""

import re

from .medications import SUBSTANCE

Hit = tuple[str, int, int, str]  # kind, start, end, support

# What people are allergic to beside medications, and classes of medications.
ALLERGENS = {
    "sulfa": "sulfa sulfas sulfonamide sulfonamides sulpha sulphonamide sulphonamides sulfamethoxazole bactrim septra septrin "
    "co-trimoxazole cotrimoxazole",
    "penicillin": "penicillin penicillins amoxicillin pcn augmentin",
    "latex": "latex",
    "peanut": "peanut peanuts",
    "tree nut": "nuts walnuts cashews almonds",
    "shellfish": "shellfish shrimp crab lobster",
    "egg": "egg eggs",
    "milk": "milk dairy",
    "wheat": "wheat gluten",
    "soy": "soy",
    "iodine": "iodine",
    "contrast": "contrast dye",
    "bee": "bee bees wasp wasps",
    "cat": "cat cats",
    "dog": "dog dogs",
    "dust": "dust mites",
    "pollen": "pollen grass ragweed",
    "cephalosporin": "cephalosporin cephalosporins",
    "nsaid": "nsaid nsaids",
    "opioid": "opioids opiates",
    "statin": "statins",
    "nickel": "nickel",
    "adhesive": "adhesive tape",
    "kiwi": "kiwi",
    "strawberry": "strawberries strawberry",
    "fish": "fish",
    "mold": "mold mould",
}
_ALLERGEN = {word: name for name, words in ALLERGENS.items() for word in words.split()}
_NONE_KNOWN = re.compile(
    r"\b(?:nkda|nka|no known (?:drug |medication |food )*allerg\w+|(?:denies|denied|no|without)(?: any)?(?: known)?"
    r"(?: drug| medication| food)* allerg\w+|allerg\w+: ?(?:none|nil|no\b|nka|nkda|denies))",
    re.IGNORECASE,
)
_SEASONAL = re.compile(
    r"\b(?:seasonal|environmental|nasal)\W+(?:\w+\W+)?allerg\w+|allergic rhinitis|allergy (?:season|medicine|pill|medication|shots?)|"
    r"season\w* allerg\w+|allergist",
    re.IGNORECASE,
)


def _substances(text: str) -> dict[str, tuple[int, int]]:
    found: dict[str, tuple[int, int]] = {}
    for match in re.finditer(r"[A-Za-z][A-Za-z-]+", text):
        word = match.group().casefold()
        if word in _ALLERGEN:
            found.setdefault(_ALLERGEN[word], match.span())
        elif word in SUBSTANCE:
            found.setdefault(f"#{SUBSTANCE[word]}", match.span())
    return found


_LISTED = re.compile(
    r"[ \t:*]*(?:[^\s:*][^\n]*|\n(?:[ \t]*\n)?(?:(?![^\n]{0,30}:)[^\n]*\S[^\n]*(?:\n|$)){0,6})"
)


def noted_allergies(note: str) -> tuple[dict[str, tuple[int, int]], tuple[int, int] | None]:
    """``(allergen -> where, where the note says there are none)``."""
    found: dict[str, tuple[int, int]] = {}
    for match in re.finditer(r"\ballerg(?:y|ies|ic|en)\b", note, re.IGNORECASE):
        line = note.rfind("\n", 0, match.start()) + 1
        if _SEASONAL.search(note[max(line, match.start() - 25) : match.end() + 12]):
            continue
        heading = note[line : match.start()].strip(" *#•-") == "" and re.match(
            r"[\s*]*(?::|\n|$)", note[match.end() :]
        )
        if heading:  # what stands on its line, else the lines below it up to an empty one or another heading
            rest = _LISTED.match(note, match.end())
            stop = rest.end() if rest else match.end()
        else:
            stop = min(
                (i for i in (note.find(". ", match.end()), note.find("\n", match.end())) if i >= 0),
                default=len(note),
            )
        ahead = re.search(r"([A-Za-z-]+)[ ]$", note[line : match.start()])
        denied = ahead and re.search(
            r"\b(?:no|denies|without) $", note[line : line + ahead.start(1)], re.IGNORECASE
        )
        before = _substances(ahead[1]) if ahead and match.group().casefold() == "allergy" else {}
        if ahead and not denied:
            for name, (a, b) in before.items():
                found.setdefault(name, (line + ahead.start(1) + a, line + ahead.start(1) + b))
        if before and note[match.end() : match.end() + 1] != ":":  # "shellfish allergy, EpiPen expired"
            continue
        for name, (a, b) in _substances(note[match.end() : stop]).items():
            found.setdefault(name, (match.end() + a, match.end() + b))
    none = _NONE_KNOWN.search(_SEASONAL.sub(lambda m: "_" * len(m.group()), note))
    return found, none.span() if none else None


_DENIED = re.compile(
    r"[^.?!\n]*\?\s*(?:\[?\w+[\]:]+\s*)?(?:no|none|nil|nothing|never|nope|not)\b(?! only)", re.IGNORECASE
)
_KIN = re.compile(
    r"\b(?:sister|brother|mother|father|mum|mom|dad|son|daughter|wife|husband)('s)?\b(?!:)", re.IGNORECASE
)
_REACTS = re.compile(  # a reaction that is told without the word
    r"\b(?:(?:can't|cannot|can not|couldn't|shouldn't|mustn't|never|not to|not allowed to) (?:take|have|tolerate)|"
    r"(?:brings?|brought|breaks?|broke|came|comes?|come) (?:me |him |her )?(?:out|up) in|hives|anaphyla\w+|"
    r"(?:throat|face|lips?|tongue|mouth|eyes) (?:\w+ ){0,2}(?:swell\w*|swoll\w+|puff\w*|closed)|"
    r"gave (?:me|him|her) (?:a |an |the |terrible |awful |bad )*(?:rash|hives|blisters?|itch\w*|wheez\w+|swelling)|"
    r"(?:bad |allergic )?reaction to|reacted to)\b",
    re.IGNORECASE,
)
_ENDS = re.compile(r"(?<=[.?!])\s|\n")
_DRUG_CLASSES = frozenset(
    ("sulfa", "penicillin", "cephalosporin", "nsaid", "opioid", "statin", "contrast", "iodine")
)


def said_allergies(transcript: str) -> tuple[dict[str, int], bool]:
    """``(allergen -> offset, whether allergies come up at all)`` in a conversation."""
    found: dict[str, int] = {}
    text = _SEASONAL.sub(lambda m: "_" * len(m.group()), transcript)
    asked = False
    for match in re.finditer(r"\b(?:allerg(?:y|ies|ic|en)|reactions?)\b", text, re.IGNORECASE):
        asked = asked or match.group()[0] in "aA"
        if _DENIED.match(text, match.end()):  # "Any allergy, to egg? No." names no allergy
            continue
        if (
            re.search(
                r"\b(?:no|any|without)(?: known| drug| other| food)* $",
                text[max(0, match.start() - 25) : match.start()],
                re.IGNORECASE,
            )
            and text[match.end() : match.end() + 1] == "."
        ):
            continue  # "No allergies."
        begin, end = _reach(text, *match.span())
        if re.search(r"\bno (?:known |drug )*allerg", text[match.end() : end], re.IGNORECASE):
            continue
        for name, (a, _) in _substances(text[begin:end]).items():
            if not _lifted(text, begin + a):
                found.setdefault(name, begin + a)
    for match in _REACTS.finditer(text):
        begin, end = _sentence(text, match.start())
        earlier, _ = _sentence(text, max(0, begin - 2))
        # "Penicillin? Came out in hives": the medication may stand in the sentence before
        first = begin if _substances(text[begin:end]) else earlier
        for name, (a, _) in _substances(text[first:end]).items():
            if (name[0] == "#" or name in _DRUG_CLASSES) and not _lifted(text, first + a):
                asked = True
                found.setdefault(name, first + a)
    return found, asked


def _sentence(text: str, position: int) -> tuple[int, int]:
    """Begin and end of the sentence around an offset."""
    begin = max((m.end() for m in _ENDS.finditer(text, 0, position)), default=0)
    after = _ENDS.search(text, position)
    return begin, after.start() if after else len(text)


def _reach(text: str, start: int, end: int) -> tuple[int, int]:
    """Where the allergens stand that the word at ``start:end`` is about: its sentence and, behind a question, the answer."""
    begin, stop = _sentence(text, start)
    if stop - begin > 200:  # speech without punctuation
        return max(begin, start - 40), min(stop, end + 70)
    if (
        text[begin:stop].rstrip().endswith("?") or len(text[end:stop].split()) <= 3
    ):  # up to the end of the answer
        turn = text.find("\n", end)
        stop = next((i for i in (text.find("\n", turn + 1), len(text)) if i > turn >= 0), len(text))
    return begin, min(stop, end + 170)


def _lifted(text: str, at: int) -> bool:
    """An allergen that is denied, taken back, or a relative's."""
    lead = text[max(0, at - 30) : at].casefold()
    begin, _ = _sentence(text, at)
    if re.search(r"\b(?:not|n't|no) (?:allergic to |an? )?$", lead) or "no wait" in text[at : at + 25]:
        return True
    word = re.match(r"[\w-]+", text[at:])
    if re.match(
        r"[^.?!\n]{0,30}\b(?:can't be|isn't|is not|wasn't) right|[^.?!\n]{0,20}\b(?:is|that's) wrong",
        text[at:],
    ) or (word and re.search(rf"\bnot (?:the |to )?{re.escape(word.group())}\b", text, re.IGNORECASE)):
        return True
    kin = _KIN.search(text, begin, at)
    return bool(kin and not kin[1]) and not re.search(
        r"\b(?:he|she|him|her)\b", text[begin:at], re.IGNORECASE
    )


def _spoken_near(text: str) -> set[str]:
    """Allergens that are named in the neighbourhood of the word, and neither denied nor somebody else's."""
    found: set[str] = set()
    for match in re.finditer(r"\ballerg(?:y|ies|ic|en)\b", text, re.IGNORECASE):
        begin, end = max(0, match.start() - 60), min(len(text), match.end() + 170)
        if text.count("\n", begin, end):  # speech in turns
            found |= {n for n, (a, _) in _substances(text[begin:end]).items() if not _lifted(text, begin + a)}
    return found


def allergies(note: str, transcript: str, reference: str) -> tuple[list[Hit], int]:
    """``(hits, number of claims)``: an allergy nobody mentioned, or "none known" where one was; a list that lacks one."""
    noted, none = noted_allergies(note)
    said, asked = said_allergies(transcript)
    expected, _ = noted_allergies(reference) if reference else ({}, None)
    hits: list[Hit] = []
    near = _spoken_near(transcript)
    for name, (start, end) in noted.items():
        if not asked or name in said or name in near or name in expected or _class_of(name, said):
            continue
        support = (
            _line(transcript, min(said.values()))
            if said
            else _line(transcript, transcript.casefold().find("allerg"))
        )
        hits.append(("wrong_allergy", start, end, support))
    firm = {
        name: at
        for name, at in said.items()
        if re.search(r"allergic to|allergy|allergies", _line(transcript, at), re.IGNORECASE)
        or _REACTS.search(_line(transcript, at))
    }
    if none and not noted and firm and (not reference or expected):
        hits.append(("wrong_allergy", *none, _line(transcript, min(firm.values()))))
    return hits, len(noted) + bool(none)


def _class_of(name: str, said: dict[str, int]) -> bool:
    """A member of a class that was said, or the other way round, by substance."""
    return any(
        _ALLERGEN.get(word) == other or _ALLERGEN.get(word) == name
        for other in said
        for word, number in SUBSTANCE.items()
        if f"#{number}" in (name, other)
    )


def _line(text: str, position: int) -> str:
    if position < 0:
        return ""
    begin = text.rfind("\n", 0, position) + 1
    end = text.find("\n", position)
    return text[begin : end if end >= 0 else len(text)].strip()[:200]
