"""Defined terms: which an agreement defines, which of them it uses, and which it uses without defining.

Covers: definitions in brackets with quotes, "X" means, terms used as capitalised words inside a sentence. Does not
cover: a single word at the start of a sentence, where a capital says nothing; terms defined by another document.
"""

import re
from dataclasses import dataclass

from .facts import COMPANY, NO_NAME, PERSON
from .statutes import STATE_OF, find_statutes
from .values import NUMBER_WORDS

_QUOTED = re.compile(
    r"\((?:[^()\"“”\n]{0,80}[ ,])?[\"“'](?P<a>[^\"“”'\n]{1,60})[\"”'](?:[^()\n]{0,80})?\)"
    r"|\b(?:called|known as|referred to as) (?:the )?[\"“'](?P<c>[A-Z][^\"“”'\n]{0,60})[\"”']"
    r"|[\"“'](?P<b>[A-Z][^\"“”'\n]{0,60})[\"”'][ ]*(?:\([^()\n]{0,60}\)[ ]*)?(?:shall mean|means?"
    r"|refers? to|includes?|has the meaning|:)",
)
_CAPITALS = re.compile(r"(?<![\w\"“'’.-])[A-Z][a-z]+(?:[- ][A-Z][a-z]+)*\b")
#: capitalised words of contracts that are nobody's defined term
_COMMON = (
    frozenset(
        "agreement contract clause article section schedule annexure appendix chapter part item "
        "form internal committee complaints "
        "local high court supreme courts india indian republic act code rules central government "
        "state union employees employee "
        "provident fund scheme pension deposit linked insurance corporation organisation aadhaar "
        "pan universal account number "
        "gratuity maternity esi epf posh rupees rupee lakh lakhs crore thousand hundred only ctc "
        "one two three four five six seven "
        "eight nine ten twenty thirty forty fifty sixty seventy eighty ninety january february "
        "march april may june july august "
        "september october november december monday tuesday wednesday thursday friday saturday "
        "sunday english hindi authorised "
        "authorized signatory signature witness mr ms mrs dr shri smt dear directors chief "
        "executive financial officer human "
        "resources hr department policy policies handbook i you we our your the this that any all "
        "each either every no nothing if on "
        "in at by for from with after before during upon subject where when while and or but as to "
        "of a an it its such such email "
        "internet web google microsoft excel linux python java gst tds income tax professional "
        "copyright patents data protection "
        "fiduciary principal law laws parliament act's private limited limited's company's seat "
        "arbitration tribunal "
        "labour codes benefit benefits christian hindu muslim diwali holi republic independence day "
        "gandhi jayanti first second third "
        "agreement's service rules standing orders annexures preamble recitals background signed "
        "executed registrar companies "
        "mondays tuesdays wednesdays thursdays fridays saturdays sundays french german bengali kannada tamil telugu "
        "malayalam marathi gujarati punjabi odia urdu konkani assamese sanskrit "
        "she he they his her their there these those here note yours sincerely truly".split()
    )
    | NUMBER_WORDS
    | NO_NAME
    | {"rs", "inr"}
)
#: of those, nouns that head a term where another capitalised word stands before them: Work Product, Clinical Data
_HEADS = frozenset("data product products project projects software property properties".split())


@dataclass(frozen=True)
class Term:
    """A term at ``start``..``end`` of the text."""

    name: str
    start: int
    end: int


def definitions(text: str) -> list[Term]:
    """Terms that the text defines, in its order."""
    found = []
    for match in _QUOTED.finditer(text):
        group = next(group for group in "abc" if match[group])
        name = re.sub(r"^(?:the|The|a|an) ", "", match[group].strip(" ,."))
        if name and name[0].isupper():
            found.append(Term(name, *match.span(group)))
    return found


def _stem(name: str) -> str:
    return " ".join(
        re.sub(r"(?<=\w\w)(?:ies|y)$", "i", re.sub(r"[’']s$|[’']$", "", word)).removesuffix("s")
        for word in name.casefold().split()
    )


def unused(text: str) -> list[Term]:
    """Terms that are defined and never come again, in any case or number."""
    found = []
    whole = f" {' '.join(_stem(word) for word in re.findall(r'[A-Za-z][A-Za-z’-]*', text))} "
    for term in definitions(text):
        words = " ".join(_stem(word) for word in re.findall(r"[A-Za-z][A-Za-z’-]*", term.name))
        if words and whole.count(f" {words} ") < 2:
            found.append(term)
    return found


def undefined(text: str, titles: str, request: str) -> list[Term]:
    """Capitalised words inside sentences that nobody defined: not in the request, in a title, or a proper name.

    Of each such term the first place is given.
    """
    known = {_stem(term.name) for term in definitions(text)}
    heads = {word for name in known for word in name.split()}
    names = [m["name"] for pattern in PERSON for m in pattern.finditer(text)]
    people = [name for name in names if not COMPANY.search(name)]
    said = {
        _stem(word) for word in re.findall(r"[A-Za-z]+", COMPANY.sub(" ", request) + " " + " ".join(people))
    }
    # a firm's words in their own form only: "the Estate" is not the name Ironwood Estates
    firms = " ".join(m.group() for source in (request, text) for m in COMPANY.finditer(source))
    named = set(re.findall(r"[a-z]+", firms.casefold()))
    titled = " ".join(_stem(word) for word in re.findall(r"[A-Za-z]+", titles))
    blocked = [(m.start, m.end) for m in find_statutes(text)]
    blocked += [(m.start(), m.end()) for m in COMPANY.finditer(text)]
    blocked += [
        (m.start(), m.end())
        for m in re.finditer(
            r"\bBoard of [A-Z][a-z]+|[\"“][^\"“”\n]{1,80}[\"”]|\[[^\]\n]*\]|<<[^>\n]*>>|\{[^}\n]*\}", text
        )
    ]
    blocked.sort()
    found: dict[str, Term] = {}
    for match in _CAPITALS.finditer(text):
        start, words = match.start(), match.group().split(" ")
        if any(a < match.end() and match.start() < b for a, b in blocked):
            continue
        inside = _inside(text, start)
        while words and words[0].casefold() in _COMMON:
            start += len(words.pop(0)) + 1
            inside = True
        while (
            words
            and words[-1].casefold() in _COMMON
            and not (len(words) > 1 and words[-1].casefold() in _HEADS)
        ):
            words.pop()
        # at the start of a sentence the first capital says nothing, a second one does
        if not words or (not inside and len(words) < 2):
            continue
        whole = " ".join(words)
        parts = [_stem(word) for word in re.split(r"[ -]", whole)]
        plain = " ".join(parts)
        if plain in known or any(plain.endswith(" " + name) or name.endswith(" " + plain) for name in known):
            continue
        rest = [
            part
            for part, word in zip(parts, re.split(r"[ -]", whole), strict=True)
            if part not in said
            and word.casefold() not in named
            and word.casefold() not in _COMMON
            and part not in heads
            and part not in STATE_OF
        ]
        if not rest or plain in STATE_OF or whole.casefold() in STATE_OF:
            continue
        if f" {plain} " in f" {titled} " or _line_is_title(text, match.start(), match.end()):
            continue
        found.setdefault(plain, Term(whole, start, start + len(whole)))
    return list(found.values())


def _inside(text: str, start: int) -> bool:
    """Whether a word stands inside a sentence: a small letter, digit, comma or bracket with words stands before it."""
    before = text[max(0, start - 40) : start]
    if not re.search(r"[ ]$", before):
        return False
    if re.search(
        r"(?:^|\n)\W*(?:(?i:clause|article|section) )?[\w.]{1,6}[.):]*[ ]+$|\(\w{1,4}\)[ ]$"
        r"|\bcourts? (?:of|at|in) $",
        before,
    ):
        return False
    return bool(re.search(r"[a-z0-9,;)%’'][ ]$", before))


def _line_is_title(text: str, start: int, end: int) -> bool:
    """A short line of its own, without a sentence in it, or one where the words come before a colon."""
    begin = text.rfind("\n", 0, start) + 1
    stop = text.find("\n", end)
    line = text[begin : stop if stop >= 0 else len(text)]
    if re.match(r"[^.;\n]{0,40}[:|]", text[end : end + 42]) and start - begin < 12:
        return True
    words = line.split()
    small = [word for word in words if word[0].islower() and word not in ("of", "and", "the", "for", "by")]
    return len(words) <= 8 and not small and not line.rstrip().endswith(".")
