# ruff: noqa: E501  (tables of words and expressions read better unwrapped)
"""Found people, whole and in their other shapes. Covers: the words of a name beside the part that was found,
"Last, First" around a found first name, names spelled letter by letter, initials of people the record names in full.
Does not cover: finding a name in the first place (`names`, `ner`, `trained`), whole words elsewhere (`names.propagate`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from curate.privacy import lexicon
from curate.privacy.names import _PARTICLES, RELATION, TITLE

_LEFT = re.compile(r"(?<![\w'’.-])(?P<w>[^\W\d_a-z][\w'’-]*|[A-Z]\.)[ ]$")
_RIGHT = re.compile(
    rf"[ ](?P<p>(?:(?:{'|'.join(sorted(_PARTICLES | {'dos', 'das', 'y', 'e', 'na', 'nic', 'ap', 'af', 'zu'}))})[ ]){{0,2}})(?P<w>[^\W\d_a-z][^\W\d_]*(?:['’-][^\W\d_]+)*)(?![\w'’-]|@|\.\w)"
)
_ROLE = re.compile(
    rf"(?:{TITLE}|{RELATION}|chief|coach|father|mother|brother|pastor|elder|agent|officer|guard|skipper|foreman|warden|matron|midwife|constable|judge|registrar|"
    r"clerk|carer|porter|surgeon|consultant|baby|little|old|young|late|poor|dearest|dear|ask|tell|call|rang|ring|signed|saw|sent|see|thanks|hi|hello|from|to|by|with|and|"
    r"spoke|per|via|cc|re|attn|team|nok|pt|hon|kuya|ate|tita|tito|lola|lolo|nana|dada|baba|amma|appa|anna|akka|didi|bhaiya|pi|pu|u|ko|ma|daw|seu|dona|don|doña|madam|ustad|"
    r"haji|sheikh|tuan|puan|encik|cik|bapak|ibu|pak|mas|mbak|oga|chief|alhaji|auntie|uncle)\.?",
    re.I,
)
_NO_NAME_PART = re.compile(
    r"(?i)(?:hospitals?|clinic|school|college|university|road|rd|street|st|lane|avenue|nagar|colony|ltd|limited|pvt|inc|llp|centre|center|services|bank|house|home|farm|ward|unit|"
    r"surgery|practice|pharmacy|vets|trust|hotel|court|park|office|department|team|desk|room|bed|form|card|id|dob|uhid|mrn|hb|bp|hr|ecg|mri|ct|iv|im|po|bd|od|am|pm|kg|mg|ml|"
    r"phone|tel|mob|mobile|email|fax|address|date|name|no|sir|mam|madam|ji|bhai|garu|saab|sahab|sahib|san|kun|and|or|the|i|we|he|she|they|it|is|was|has)"
)


def _joins(word: str) -> bool:
    """May this capitalised word belong to a name that another word of it announced?"""
    key = lexicon.fold(word.strip(".'’"))
    if _NO_NAME_PART.fullmatch(key) or key in lexicon.cities() or key in lexicon.regions():
        return False
    return key not in lexicon.not_names() or (key in lexicon.wordlike() and lexicon.is_name(key))


def whole(text: str, start: int, end: int) -> tuple[int, int]:
    """A found name with the capitalised words beside it that belong to it; unchanged when there is none."""
    name = text[start:end]
    if not name[:1].isupper() or any(c.isdecimal() for c in name):
        return start, end
    caps = name.isupper() and len(name) > 2
    for _ in range(2):
        left = _LEFT.search(text[max(0, start - 30) : start])
        if left is None:
            break
        word = left.group("w")
        at = start - len(left.group())
        opens = text[:at].rstrip(" \"'“(")[-1:] in ("", ".", "!", "?", ":", "\n", ">")
        if _ROLE.fullmatch(word) or (len(word.strip(".")) > 1 and word.isupper() and not caps):
            break
        if word.endswith("."):
            if opens and text[:at].rstrip()[-1:] not in ("", "\n", ":"):
                break
        elif len(word) < 2 or not _joins(word) or (opens and not lexicon.is_name(word)):
            break
        start = at
    for _ in range(3):
        right = _RIGHT.match(text, end)
        if right is None or text[end - 1 : end] == "." or text[start:end].endswith(("'s", "’s")):
            break
        word = right.group("w")
        if (
            re.match(r"[ ]?\d|['’]s[ ](?:disease|syndrome|sign|law)", text[right.end() :])
            or word.isupper() != caps
        ):
            break
        if len(word) < 2 or not _joins(re.sub(r"['’]s$", "", word)) or _ROLE.fullmatch(word):
            break
        end = right.end() - (2 if word.endswith(("'s", "’s")) else 0)
    return _family_first(text, start, end), end


_FAMILY = re.compile(r"(?:^|[\s|(:\"“;])(?P<w>[^\W\d_a-z][^\W\d_]+(?:[-'’][^\W\d_]+)*),[ ]$")


def _family_first(text: str, start: int, end: int) -> int:
    """The start of "Last, First" when ``start`` is where the first name begins."""
    match = _FAMILY.search(text[max(0, start - 32) : start])
    if match is None:
        return start
    word = match.group("w")
    at = start - (len(match.group()) - match.start("w") + match.start())
    field = re.search(r"(?:[\d|(]|^|\n|\t|\bpt:|\bname:|\bpatient:)[ ]*$", text[:at], re.I) is not None
    shouted = len(word) > 2 and word.isupper() and not text[start:end].isupper()
    if re.search(r"[^\W\d_a-z][\w'’.-]*[ ]$", text[max(0, at - 20) : at]) or re.match(
        rf"{TITLE}\b", text[start:end], re.I
    ):
        return start  # "Priya SHARMA, Mrs. Sharma" is a list
    if (
        not _joins(word)
        or _ROLE.fullmatch(word)
        or not (shouted or (field and not lexicon.is_given(word)) or (field and lexicon.is_surname(word)))
    ):
        return start
    if (
        not shouted
        and not lexicon.is_surname(word)
        and re.search(r"(?:^|\n)[ ]*$", text[:at])
        and not re.match(r"[ ]*(?:[\d,;:(|\n]|$)", text[end:])
    ):
        return start  # "Meanwhile, Priya went" opens a sentence
    return at


def written(names: Iterable[str]) -> set[str]:
    """The capitalised words of found names, as written, that may be looked for elsewhere: no titles, roles, towns."""
    words = {
        w for name in names for w in re.findall(r"[^\W\d_]{3,}", name) if w[0].isupper() and not w.isupper()
    }
    known = (lexicon.not_names(), lexicon.cities(), lexicon.regions(), _PARTICLES)
    return {w for w in words if not _ROLE.fullmatch(w) and not any(lexicon.fold(w) in some for some in known)}


def full_names(names: Iterable[str]) -> set[str]:
    """Found names of two to four capitalised words, as written, of which one after the first is a listed name and none
    says that it is a firm, a street or a house."""
    found = set()
    for words in (name.split() for name in names):
        keys = [lexicon.fold(word.strip(".")) for word in words]
        listed = any(len(key) > 2 and lexicon.is_name(key) for key in keys[1:])
        told_apart = 2 <= len(words) <= 4 and all(word[0].isupper() for word in words)
        if told_apart and listed and not any(_NO_NAME_PART.fullmatch(k) or k == "private" for k in keys):
            found.add(" ".join(words))
    return found


def repeated(text: str, full: set[str]) -> Iterator[tuple[int, int]]:
    """Where one of the full names stands in a text again, word for word, on one line or broken over two."""
    for name in sorted(full):
        pattern = r"\s+".join(map(re.escape, name.split()))
        yield from (match.span() for match in re.finditer(rf"(?<![\w'’-]){pattern}(?![\w'’-])", text))


_SPELLED = re.compile(
    r"(?<![\w-])(?:[A-Z](?:-[A-Z]){2,}|[A-Z](?:[., ]{1,2}[A-Z]){3,}|[a-z](?: [a-z]){3,})(?![\w-]|\.\w)"
)


def spelled(text: str, tokens: set[str]) -> Iterator[tuple[int, int]]:
    """Letters read one by one that make a found name or the beginning of one, or follow the word "spell"."""
    for match in _SPELLED.finditer(text):
        word = re.sub(r"[^a-z]", "", match.group().lower())
        asked = re.search(
            r"(?i)\b(?:spel\w*|name)\b[^.!?\n]{0,30}$", text[max(0, match.start() - 45) : match.start()]
        )
        if asked or any(token.startswith(word) or word.startswith(token) for token in tokens):
            yield match.span()


_DOTTED = re.compile(r"(?<![\w.])(?:[A-Z]\.[ ]?){1,3}[A-Z]\.(?!\w)")


def initials_of(names: Iterable[str]) -> set[str]:
    """Initials ("mq") of full names, without particles."""
    out = set()
    for name in names:
        words = [
            w for w in re.findall(r"[^\W\d_]+(?:['’][^\W\d_]+)?", name) if lexicon.fold(w) not in _PARTICLES
        ]
        if 2 <= len(words) <= 4 and all(w[0].isupper() for w in words):
            out.add("".join(lexicon.fold(w)[:1] for w in words))
    return out


def initialled(text: str, initials: set[str]) -> Iterator[tuple[int, int]]:
    """Dotted initials of people the record names in full."""
    for match in _DOTTED.finditer(text):
        if re.sub(r"[^a-z]", "", match.group().lower()) in initials:
            yield match.span()


_SIGN_OFF = re.compile(
    r"(?:\n[ \t]*(?:[—–-]{1,2}[ ]?)?|[.!?…)][\"”’]?[ ]+(?:[—–-]{1,2}[ ]?)?|[ ][—–][ ]?)(?P<w>[^\W\d_a-z][^\W\d_]{2,}(?:[ ][^\W\d_a-z][^\W\d_]+)?)(?:,[ ]\d[\d./-]+)?\s*\Z"
)
_NO_SIGN = frozenset(
    "thanks thankyou cheers regards bye sorry please okay yes later soon done end same noted sincerely love best xoxo amen over hurry help stop".split()
)


def sign_off(text: str) -> Iterator[tuple[int, int]]:
    """The capitalised word or two, without a full stop, that end a text of several sentences."""
    match = _SIGN_OFF.search(text, max(0, len(text) - 80))
    if match is None or text.count(" ") < 12:
        return
    words = [lexicon.fold(w) for w in match.group("w").split()]
    known = lexicon.not_names() | lexicon.cities() | lexicon.regions() | _NO_SIGN
    if not any(w in known or _NO_NAME_PART.fullmatch(w) for w in words) and not match.group("w").isupper():
        yield match.span("w")


_HANDLE = re.compile(
    r"(?<![\w@./:-])(?:@[A-Za-z][\w.]+\w|(?=[A-Za-z.]*[\d_.]\w)[A-Za-z][\w.]*\w|(?<=user )[a-z]{4,})(?![\w@/:(-]|\.\w)"
)


def handles(text: str, tokens: set[str]) -> Iterator[tuple[int, int]]:
    """User names built from a found name: "dr_rao", "asha.k", "rao2", "prao"."""
    long = {token for token in tokens if len(token) >= 4}
    for match in _HANDLE.finditer(text):
        parts = [part for part in re.split(r"[\d_.]+", lexicon.fold(match.group().lstrip("@"))) if part]
        if any(part in long or (len(part) > 6 and part[1:] in long) for part in parts):
            yield match.start() + match.group().startswith("@"), match.end()


_SPEAKS = re.compile(r"^[ \t>*]*(?P<w>[^\W\d_]{3,15})(?=[ ]?:|[ ](?:[01]?\d|2[0-3])[:.][0-5]\d\b)", re.M)
_SPEAKER_ROLES = frozenset(
    "caller agent customer client patient doctor nurse user bot owner vet me mum dad mom mother father son daughter wife husband host guest desk reception system admin operator "
    "office unit ward bank shop hotel school clinic hospital counter warden dispatcher dispatch support rider driver partner holder adviser member clerk interviewer speaker seller buyer teacher student tenant landlord manager note notes re subject from "
    "date time name phone address update status error warn info debug reason action expected actual steps result title page http https ref via cc to bcc dob plan imp hx rx dx".split()
)


def speakers(text: str) -> Iterator[tuple[int, int]]:
    """Lower-case words that open two or more lines before a colon or a clock time, and say no role."""
    found = [m for m in _SPEAKS.finditer(text) if m.group("w").islower()]
    words = [m.group("w") for m in found]
    for match, word in zip(found, words, strict=True):
        if (
            words.count(word) >= 2
            and word not in _SPEAKER_ROLES
            and lexicon.fold(word) not in lexicon.not_names()
        ):
            yield match.span("w")
