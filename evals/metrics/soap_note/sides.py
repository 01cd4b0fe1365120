# ruff: noqa: E501  (word lists and patterns read better in long lines)
"""Sides of the body: in a note, in a transcript, and where the two disagree.

Covers: a side next to a body part (also L/R, OD/OS, quadrants), in speech the side nearest to the part, without what
the speaker takes back, the only side that is spoken of, the side that is said to be well, which side is the worse one.
Does not cover: sides of things that are no body part, which value belongs to which side.
"""

import re
from bisect import bisect_left
from dataclasses import dataclass

from .concepts import SITES, places
from .source import Source

Hit = tuple[str, int, int, str]  # kind, start, end, support

SIDES = {"left": "right", "right": "left"}
BODY = set(
    "knee hip shoulder elbow wrist hand foot feet ankle leg arm eye ear lung breast kidney thumb finger toe heel calf "
    "thigh groin flank buttock forearm ovary testicle side lobe ventricular atrial extremity quadrant chest abdomen back "
    "face jaw temple cheek neck tonsil nostril foot shin hamstring quad achilles rib clavicle collarbone palm sole eyelid "
    "cuff canal drum eardrum base paraspinal trapezius bicep biceps tricep index lateral medial upper lower".split()
)
_ALSO = {"extremity": ("leg", "arm", "foot", "hand", "ankle"), "cuff": ("shoulder",), "foot": ("heel", "toe")}
_VAGUE = set("upper lower lateral medial side index".split())
_SIDE_WORD = re.compile(
    r"\b(?P<side>[Ll]eft|[Rr]ight|LEFT|RIGHT)(?:-sided| sided)?[ -]+(?P<rest>[\w-]+(?: [\w-]+){0,2})"
)

_SHORT_SIDE = re.compile(
    r"(?<![\w/])(?:\((?P<a>[LR])\)|(?<![\d] )(?P<b>[LR])(?=[ ][a-z])(?! (?:a|per|of|daily|over|each|every|in)\b)|(?P<c>[LR])-sided|(?P<d>Lt|Rt)\b\.?|(?P<e>O[SD])(?![\w/]))[ ]?(?P<rest>[A-Za-z-]*(?: [a-z-]+){0,2})"
)
_QUADRANT = re.compile(  # of the belly, a lobe, a jaw: RLQ, LIF, RUL, LR6
    r"\b(?:(?P<side>[RL])(?P<rest>UQ|LQ|IF|UL|ML|LL)|(?P<jaw>[UL])(?P<half>[RL])(?=[1-8]\b| (?:post|quadrant|molar|premolar|incisor|canine|tooth|wisdom|[1-8]\b)))"
)
_QUARTERS = {
    "UQ": "upper",
    "LQ": "lower",
    "IF": "lower",
    "UL": "upper",
    "LL": "lower",
    "ML": "middle",
    "U": "upper",
    "L": "lower",
}
_BEHIND = re.compile(  # "knee pain, right"
    r"(?P<rest>\b[a-z]+(?: [a-z]+)?)(?:,| -| –|:|\() ?(?P<side>left|right|[LR]|Lt|Rt)\b(?=[\s)]*(?:[.,;)\n]|$))",
    re.IGNORECASE,
)
_HANDED = re.compile(r"\b(left|right)[- ]hand(?:ed|er)\b", re.IGNORECASE)
_WORSE = re.compile(
    r"\b(?:(?P<a>left|right|L|R) ?> ?(?:left|right|L|R)\b|(?:worse|worst|more|greater|mainly|mostly)(?: \w+)? (?:on|in|at|over) (?:the |his |her )?(?P<b>left|right|L|R)\b|"
    r"\b(?P<c>left|right|L|R)(?: (?:one|side|knee|hip|leg|foot|ear|eye|hand|shoulder|ankle|wrist|elbow))?(?: is| was|'s)? (?:a bit |much |far |slightly |the )?(?:worse|worst|zyada|more|bigger))",
    re.IGNORECASE,
)
_FOR = {  # words that name a part otherwise
    "otalgia": "ear", "earache": "ear", "otitis": "ear", "tm": "ear", "tympanic": "ear", "hallux": "toe", "conjunctivitis": "eye",
    "sciatica": "leg", "crackles": "base", "creps": "base", "crepitations": "base", "basal": "base", "gonarthrosis": "knee",
    "gonalgia": "knee", "coxarthrosis": "hip", "loin": "flank", "renal": "flank",
}  # fmt: skip
_ALONE = re.compile(
    r"\b(?:on|to|in|of) (?:the |his |her )?(?P<side>left|right)\b(?![ -]+[a-z])(?P<rest>)", re.IGNORECASE
)


def sides(note: str, source: Source) -> tuple[list[Hit], int]:
    """``(hits, number of claims)``: a side that the transcript contradicts near the same body part."""
    hits: list[Hit] = []
    count = 0
    clauses = _side_clauses(source)
    hits += _comparisons(note, source)
    hits += _handed(note, source)
    patterns = (_SIDE_WORD, _SHORT_SIDE, _ALONE, _QUADRANT, _BEHIND)
    for match in (m for pattern in patterns for m in pattern.finditer(note)):
        groups = match.groupdict()
        if (
            groups.get("side")
            and match["rest"].casefold().startswith("hand")
            and _HANDED.match(note, match.start("side"))
        ):
            continue
        letter = (
            groups.get("side")
            or groups.get("half")
            or next(filter(None, (groups.get(n) for n in "abcde")), "")
        ).casefold()
        side = {"l": "left", "r": "right", "lt": "left", "rt": "right", "os": "left", "od": "right"}.get(
            letter, letter
        )
        quarter = _QUARTERS.get(groups.get("jaw") or match["rest"]) if match.re is _QUADRANT else None
        words = [quarter] if quarter else re.findall(r"[a-z]+", match["rest"].casefold())
        words = [_FOR.get(word, word) for word in words]
        part = next((w for w in words if _singular(w) in BODY - _VAGUE or w in SITES), None) or next(
            (w for w in words if w in _VAGUE), None
        )
        if part is None and re.match(r"\w+[- ]sided", match.group(), re.IGNORECASE):
            part = "side"
        if (
            part is None
            and letter == "od"
            and re.search(r"\d[^\d\n]*$", note[max(0, match.start() - 25) : match.start()])
        ):
            continue  # "10 mg OD" is once a day
        count += 1
        at = _contradicted(note, match, side, part, source, clauses)
        if at is not None:
            begin = match.start("side") if groups.get("side") else match.start()
            if match.re in (_QUADRANT, _BEHIND):
                hits.append(("wrong_laterality", *match.span(), source.passage(at)))
                continue
            at_part = match["rest"].casefold().find(part) if part else -1
            end = match.end() if at_part < 0 else match.start("rest") + at_part + len(part or "")
            end = begin + len(letter) if at_part < 0 else end
            hits.append(("wrong_laterality", begin, end, source.passage(at)))
    return hits, count


def _contradicted(
    note: str, match: re.Match[str], side: str, part: str | None, source: Source, clauses: "Clauses"
) -> int | None:
    """The token of a transcript that says the other side, or None where nothing speaks against this one."""
    other = SIDES[side]
    near = _clause_of(note, max(0, match.start() - 40), match.start(), match.end(), match.end() + 40)
    told_of_both = any(c.where & places(near) or c.words & _content(near) for c in clauses["both"])
    if _OTHER.search(source.text) and _WELL.search(near):  # "the other one's fine"
        return None
    if not told_of_both and not clauses[side] and (firm := [c for c in clauses[other] if c.firm]):
        return firm[0].at  # only the other side is spoken of at all
    if part is None:
        return None
    own, against, at = _said_sides(source, _singular(part), side)
    told_apart = own >= 1 and re.search(rf"\b{SIDES[side]} {part}", note, re.IGNORECASE)
    if (
        against > 0
        and own * 3 <= against
        and (not own or (against >= 2 and part not in _VAGUE))
        and not told_apart
    ):
        return at
    if (
        _against_the_note(note, match, side, part)
        and own < max(1.0, against / 2)
        and against > own
        and not told_apart
    ):
        return at
    begin = max(note.rfind(c, 0, match.start()) for c in (". ", "\n", ";")) + 1
    ends = [
        i
        for i in (note.find(". ", match.end()), note.find("\n", match.end()), note.find(";", match.end()))
        if i >= 0
    ]
    sentence = note[begin : min(ends, default=len(note))]
    where = places(part) or places(sentence)
    here, there = ([c for c in clauses[name] if not c.where or c.where & where] for name in (side, other))
    here, there = ([c for c in group if part in c.text.casefold()] or group for group in (here, there))
    if not here or not there or _both_sides(sentence):
        return None
    ailing = [c for c in there if not c.well and (c.where & where or part in c.text.casefold())]
    if all(c.well for c in here) and ailing and (_ILL.search(sentence) or not _WELL.search(sentence)):
        return ailing[0].at
    stop = begin + len(sentence)
    clause = note[
        max(begin, note.rfind(",", begin, match.start()) + 1) : _or_end(
            note.find(",", match.end(), stop), stop
        )
    ]
    about = _content(clause if len(_content(clause)) >= 2 else sentence)
    shared, elsewhere = (max(len(about & c.words) for c in group) for group in (here, there))
    if elsewhere >= 2 and not shared:
        return max(there, key=lambda c: len(about & c.words)).at
    return None


def _against_the_note(note: str, match: re.Match[str], side: str, part: str) -> bool:
    """Every other time the note names the part with a side, at least twice, it is the other side."""
    named = [m[1].casefold() for m in re.finditer(rf"\b(left|right) {re.escape(part)}", note, re.IGNORECASE)]
    return part not in _VAGUE and named.count(side) == 1 and named.count(SIDES[side]) >= 2


_OTHER = re.compile(
    r"\bother (?:one|side|leg|arm|knee|hip|eye|ear|foot|hand|shoulder|ankle|wrist|elbow)(?:'s| is| was| seems| looks)? (?:\w+ )?"
    r"(?:fine|ok|okay|alright|all right|good|normal|clear|well)\b",
    re.IGNORECASE,
)


def _clause_of(note: str, first: int, start: int, end: int, last: int) -> str:
    """The part of a text between commas and stops around ``start:end``, within ``first:last``."""
    begin = max(first, max(note.rfind(c, first, start) for c in ",;.\n") + 1)
    stop = min((i for i in (note.find(c, end, last) for c in ",;.\n") if i >= 0), default=last)
    return note[begin:stop]


def _letter(match: re.Match[str]) -> str:
    """left or right, of the first named group of a match that holds a side."""
    return {"l": "left", "r": "right"}[next(g for g in match.groups() if g)[0].casefold()]


def _comparisons(note: str, source: Source) -> list[Hit]:
    """A side that is called the worse one, where only the other one was."""
    said = [
        (_letter(m), m.start()) for m in _WORSE.finditer(source.text) if not _taken(source.text, m.start())
    ]
    hits: list[Hit] = []
    for match in _WORSE.finditer(note):
        side = _letter(match)
        if said and all(other != side for other, _ in said):
            hits.append(("wrong_laterality", *match.span(), source.passage(source.token_at(said[0][1]))))
    return hits


def _taken(text: str, position: int) -> bool:
    return bool(re.match(r"[^.?!\n]*(?:\?|\bor\b)", text[position:]))


def _handed(note: str, source: Source) -> list[Hit]:
    """The hand somebody uses."""
    said = {m[1].casefold(): m.start() for m in _HANDED.finditer(source.text)}
    return [
        ("wrong_laterality", *m.span(), source.passage(source.token_at(min(said.values()))))
        for m in _HANDED.finditer(note)
        if said and m[1].casefold() not in said
    ]


def _both_sides(sentence: str) -> bool:
    return bool(
        re.search(r"\bleft\b", sentence, re.IGNORECASE) and re.search(r"\bright\b", sentence, re.IGNORECASE)
    )


@dataclass(frozen=True)
class _Clause:
    """What is said with a side: position, regions of the body, content words, whether all is well, whether plainly a side."""

    at: int
    where: set[str]
    words: set[str]
    well: bool
    firm: bool
    text: str


Clauses = dict[str, list[_Clause]]
_WELL = re.compile(
    r"\b(?:fine|normal|good|clear|okay|ok|unremarkable|well|healthy|clean|intact|perfect|great|negative|nothing|no|not|nad|norm|nil|sound|wnl|"
    r"isn't|doesn't|unaffected|stable|unchanged)\b",
    re.IGNORECASE,
)
_ILL = re.compile(
    r"\b(?:hurt|pain|ache|aching|sore|red|swoll|swell|tender|weak|numb|tingl|can't|cannot|tear|torn|bulg|warm|hot|bleed|bruis|stiff|"
    r"lump|itch|rash|discharge|wheez|crackl|broken|fractur|blister|ulcer|scratch|worse|bad|puffy|blocked|tight|positive)",
    re.IGNORECASE,
)
_FIRM = re.compile(r"(?:[a-z]+-)?(?:sided?|one)", re.IGNORECASE)
_FILLERS = set(
    "left right side sided this that with have has had from your his her the and was were are its for one you".split()
)


def _content(text: str) -> set[str]:
    words = re.findall(r"[a-z]{3,}", text.casefold())
    return {w[:5] for w in words if w not in _FILLERS and w not in SITES and _singular(w) not in BODY}


def _or_end(position: int, end: int) -> int:
    return position if position >= 0 else end


def _side_clauses(source: Source) -> Clauses:
    """What a conversation says with a side: clause by clause, without what was taken back."""
    gone = _taken_back(source)
    found: Clauses = {"left": [], "right": [], "both": []}
    starts = [token.start for token in source.tokens]
    for piece in re.finditer(r"[^.;?!\n]+", source.text):
        first, last = bisect_left(starts, piece.start()), bisect_left(starts, piece.end())
        if re.search(r"\b(?:both|bilateral\w*|each|either) (?:\w+ )?\w+", piece.group(), re.IGNORECASE):
            said = piece.group()
            both = re.search(r"[^,]*\b(?:both|bilateral\w*|each|either)\b[^,]*", said, re.IGNORECASE)
            said = both.group() if both else said
            found["both"].append(_Clause(first, places(said), _content(said), False, False, said))
        at = [
            i
            for i in range(first, last)
            if source.words[i] in SIDES and i not in gone and not _no_side(source.words, i)
        ]
        for number, i in enumerate(at):
            # a sentence with two sides is cut before the second one
            begin = source.tokens[first].start if number == 0 else _parted(source, at[number - 1], i)
            end = _parted(source, i, at[number + 1]) if number + 1 < len(at) else piece.end()
            text = source.text[begin:end]
            at_side = source.tokens[i].start
            part = source.text[
                max(begin, source.text.rfind(",", begin, at_side)) : min(
                    end, _or_end(source.text.find(",", at_side), end)
                )
            ]
            after = source.words[i + 1] if i + 1 < last else ""
            before = source.words[i - 1] if i > first else ""
            firm = (
                _singular(after) in BODY
                or after in SITES
                or bool(_FIRM.fullmatch(after))
                or before in {"the", "my", "his", "her", "your"}
            )
            well = bool(_WELL.search(text)) and not _ILL.search(text)
            offered = source.text[piece.end() : piece.end() + 1] == "?"  # "left arm okay?" says nothing yet
            found[source.words[i]].append(
                _Clause(
                    i, places(part) or places(text), set() if offered else _content(text), well, firm, text
                )
            )
    return found


def _parted(source: Source, first: int, second: int) -> int:
    """Where what is said of one side ends and what is said of the next one begins: at the last comma or "and"."""
    begin, end = source.tokens[first].end, source.tokens[second].start
    joins = list(re.finditer(r",|\b(?:and|but)\b", source.text[begin:end]))
    return begin + joins[-1].start() if joins else end


def _singular(word: str) -> str:
    word = word.removesuffix("'s")
    return {"feet": "foot", "calves": "calf"}.get(word, word.removesuffix("s") if word not in BODY else word)


def _said_sides(source: Source, part: str, side: str) -> tuple[float, float, int]:
    """How often a side and the opposite one are said near a body part: 1 next to it, less farther off."""
    weights = {"left": 0.0, "right": 0.0}
    first = 0
    gone = _taken_back(source)
    for position in _elliptic(source, part):  # "the right one is fine"
        weights[source.words[position]] += 1.0
    for position, word in enumerate(source.words):
        if _singular(word) != part and _singular(word) not in _ALSO.get(part, ()):
            continue
        window = range(max(0, position - 12), min(len(source.words), position + 13))
        if {"bilateral", "bilaterally", "both"} & {source.words[i] for i in window if abs(i - position) <= 5}:
            weights["left"] += 1
            weights["right"] += 1
        for i in window:
            if source.words[i] not in SIDES or i in gone or _no_side(source.words, i):
                continue
            distance = position - i
            weights[source.words[i]] += 1.0 if 0 < distance <= 3 else 0.25
            if not first and source.words[i] != side:
                first = position
    return weights[side], weights[SIDES[side]], first


def _taken_back(source: Source) -> set[int]:
    """Positions of sides that their speaker took back."""
    gone = set()
    for start, end in source.corrections:
        before = [i for i in range(max(0, start - 5), start) if source.words[i] in SIDES]
        after = [i for i in range(end, min(len(source.words), end + 6)) if source.words[i] in SIDES]
        if before and after and source.words[before[-1]] != source.words[after[0]]:
            gone.add(before[-1])
    return gone


_STANDS_ALONE = set("one one's ones is was isn't doesn't goes bends moves there there's it it's i".split())


def _elliptic(source: Source, part: str) -> list[int]:
    """Positions of sides that stand for the body part named last: "the left one", "on the right it is there"."""
    found, last = [], -99
    for position, word in enumerate(source.words):
        if _singular(word) == part:
            last = position
        if word in SIDES and position - last <= 40:
            after = source.words[position + 1 : position + 2]
            before = source.words[position - 1] if position else ""
            end = source.tokens[position].end
            stops = bool(re.match(r"\s*[.,;?!\n]", source.text[end : end + 3])) and before in (
                "the",
                "on",
                "in",
                "my",
            )
            opens = bool(re.search(r"[.;?!\n:]\s*$", source.text[: source.tokens[position].start][-4:]))
            opens = opens and after[:1] in (
                ["is"],
                ["okay"],
                ["ok"],
                ["fine"],
                ["normal"],
                ["clear"],
                ["one"],
            )
            if stops or opens or (before in ("the", "on") and (not after or after[0] in _STANDS_ALONE)):
                found.append(position)
    return found


def _no_side(words: list[str], position: int) -> bool:
    """ "right" as in "all right", "right now", "right?", and "left" as in "left over"."""
    before = words[position - 1] if position else ""
    after = words[position + 1] if position + 1 < len(words) else ""
    if _singular(after) in BODY - _VAGUE:  # "Okay. Right ear is clean"
        return False
    if after in ("handed", "hander"):
        return True
    if words[position] == "right":
        return before in {"all", "that's", "is", "alright", "you're", "yeah", "okay", "doctor", "patient"} or after in {
            "now", "away", "here", "there", "before", "after", "okay", "so", "then", "doctor", "patient", "around", "where",
        }  # fmt: skip
    return after in {"over", "the", "off", "me", "work", "home"} or before in {
        "i", "she", "he", "we", "they", "days", "day", "weeks", "week", "pills", "tablets", "refills", "minutes", "any", "is", "are", "nothing", "some",
    }  # fmt: skip
