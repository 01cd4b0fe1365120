# ruff: noqa: E501  (patterns and word lists read better in long lines)
"""What is denied in so many words, whether or not any list knows it: "no mouth ulcers", "were you admitted? No."

Covers: noun phrases behind "no", "any" and "denies" in a conversation and in a note, and whether the other one says
the contrary of the same words; sentences of a note that are a reference's own but for "denies" or "no".
Does not cover: other words for the same thing (`findings`); degree.
"""

import re

from rapidfuzz import fuzz

from .findings import NO, YES, Finding, Flip, mentions_of, polarity
from .sections import find_sections

_SENTENCE = re.compile(r"[^.;!?\n•]+(?:\.(?=\d)[^.;!?\n•]*)*[.;!?]?")
_WORD = re.compile(r"[A-Za-z][A-Za-z'-]*")
# Words that say too little to carry a denial.
_VAGUE = set(
    "history problem problems change changes issue issues question questions trouble sign signs symptom symptoms concern concerns pain pains thing "
    "things idea medication medications medicine medicines allergy allergies treatment treatments need reason difference evidence more other others "
    "plan test tests doubt difficulty difficulties way time times point matter wonder worries worry rush good great bother luck choice kind sort "
    "one ones anything everything nothing something further relief improvement help news recent new acute significant known current obvious real "
    "such much many less longer later before after since today yesterday now again ever never always really just still well okay right left also "
    "patient doctor mother father day days week weeks month months year years night morning past first last same little lot bit least most "
    "limitation limitations restriction restrictions interest sense distress complaint complaints abnormality abnormalities deficit deficits".split()
)
_STATES = set("present noted seen found evident reported visible palpable today now currently".split())
_SMALL = set(
    "a an the of in on to with for at by from and or nor any no not is are was were be been has have had do does did it he she they you i we this "
    "that there his her your my their our as than so if but your about up out into over under while when where which who what how".split()
)
_PHRASE = re.compile(
    r"\b(?:no|any|denies(?: any)?|denied(?: any)?|without(?: any)?|nor(?: any)?|nil|never had(?: any)?)[ ]+"
    r"(?P<list>[A-Za-z'-]+(?:[ ][A-Za-z'-]+){0,3}(?:(?:,[ ]?(?:or |and |no |any )?|[ ]or[ ](?:any )?|[ ]and[ ]no[ ]|/)[A-Za-z'-]+(?:[ ][A-Za-z'-]+){0,3})*)",
    re.IGNORECASE,
)
Phrase = tuple[str, ...]


def _stem(word: str) -> str:
    return re.sub(r"(?:ing|ies|ied|ed|es|s)$", "", word.casefold())[:7]


def _phrases(text: str) -> list[tuple[Phrase, int, int, str]]:
    """``(stems, start, end, trigger)`` of the noun phrases that a list behind "no", "any" or "denies" names."""
    found = []
    for match in _PHRASE.finditer(text):
        trigger = match.group().split()[0].casefold()
        at = match.start("list")
        listed = trigger != "no" or bool(re.search(r"[ ](?:or|and no)[ ]|/", match["list"]))
        for part in re.split(
            r"(,[ ]?(?:or |and |no |any )?|[ ]or[ ](?:any )?|[ ]and[ ]no[ ]|/)", match["list"]
        ):
            begin, at = at, at + len(part)
            if begin > match.start("list") and not listed:  # "no smell, cervix healthy"
                break
            words = []
            for word in _WORD.finditer(part):
                if word.group().casefold() in _SMALL:
                    break
                words.append(word)
            words = words[:2]
            stems = tuple(_stem(w.group()) for w in words)
            if (
                not stems
                or any(len(s) < 3 for s in stems)
                or all(w.group().casefold() in _VAGUE for w in words)
            ):
                continue
            first_vague = words[0].group().casefold() in _VAGUE
            if (words[-1].group().casefold() in _VAGUE and (len(words) == 1 or first_vague)) or (
                len(words) == 1 and len(words[0].group()) < 5
            ):
                continue
            found.append((stems, begin + words[0].start(), begin + words[-1].end(), trigger))
    return found


def _known(text: str, start: int, end: int) -> bool:
    return any(a < end and start < b for _, a, b in mentions_of(text))


def contradicted(note: str, transcript: str) -> list[Flip]:
    """Phrases that a conversation denies throughout and the note affirms, or that the note denies and an answer affirms."""
    denied, affirmed = _said(transcript)
    found: list[Flip] = []
    plans = [(s.head_end, s.end) for s in find_sections(note) if s.parts == ("plan",)]
    for piece in _SENTENCE.finditer(note):
        if any(a <= piece.start() < b for a, b in plans):
            continue
        sentence = piece.group()
        words = [(m, _stem(m.group())) for m in _WORD.finditer(sentence)]
        stems = [stem for _, stem in words]
        for phrase, at in denied.items():
            if not set(phrase) <= set(stems) or phrase in affirmed:
                continue
            head = stems.index(phrase[-1])
            first = stems.index(phrase[0])
            if abs(head - first) > 3:
                continue
            start, end = words[min(head, first)][0].start(), words[max(head, first)][0].end()
            after = _WORD.match(sentence, end + 1)
            if (
                len(phrase) == 1
                and after
                and sentence[end] == " "
                and after.group().casefold() not in _SMALL | _STATES
            ):
                continue  # "blood pressure" is no blood
            present, limited = polarity(sentence, start, end)
            if present and not limited and not _known(sentence, start, end) and not _hedged(sentence, start):
                found.append(
                    Flip(
                        Finding(" ".join(phrase), piece.start() + start, piece.start() + end, True),
                        at,
                        "transcript",
                    )
                )
        for phrase, start, end, trigger in _phrases(sentence):
            if (
                trigger != "any"
                and phrase in affirmed
                and phrase not in denied
                and not _known(sentence, start, end)
            ):
                found.append(
                    Flip(
                        Finding(" ".join(phrase), piece.start() + start, piece.start() + end, False),
                        affirmed[phrase],
                        "transcript",
                    )
                )
    return found


def _hedged(sentence: str, start: int) -> bool:
    """Nothing is said to be there: a plan, a condition, a question, a family's history."""
    return bool(
        re.search(
            r"\b(?:if|should|unless|until|avoid|stop|will|plan|refer|consider|discuss\w*|advis\w*|return|watch|risk|family|mother|father|brother|sister|"
            r"previous\w*|old|history|prior|past|free|absent|negative|lack|declin\w+|not|normal|unchanged|stable|intact|in case|for)\b|\?",
            sentence[: start + 40],
            re.IGNORECASE,
        )
    )


_ADVICE = re.compile(
    r"\b(?:if|until|till|unless|when|for (?:a|the|\w+) (?:days?|weeks?|months?|hours?)|avoid|plan|should|don't|do not|we'll|we will|i'll|let's|take|rest|keep|start|stop|"
    r"must|can't|cut|give|come back|from now)\b",
    re.IGNORECASE,
)


def _said(transcript: str) -> tuple[dict[Phrase, int], dict[Phrase, int]]:
    """Phrases that are denied, and those that an answer affirms; what is said plainly elsewhere counts as affirmed."""
    denied: dict[Phrase, int] = {}
    affirmed: dict[Phrase, int] = {}
    pieces = list(_SENTENCE.finditer(transcript))
    for index, piece in enumerate(pieces):
        sentence = piece.group()
        asks = sentence.rstrip().endswith("?")
        phrases = _phrases(sentence)
        if not asks and not _ADVICE.search(sentence):
            for phrase, start, _, trigger in phrases:
                if trigger != "any" and len(phrase) > 1:  # a single word says too little
                    denied.setdefault(phrase, piece.start() + start)
        if not asks:
            continue
        reply = (
            re.sub(r"^\s*\[?\w+[\]:]+\s*", "", pieces[index + 1].group()) if index + 1 < len(pieces) else ""
        )
        if len(phrases) == 1 or (NO.match(reply) and len(reply.split()) <= 4):
            for phrase, start, _, _ in phrases:
                if NO.match(reply):
                    denied.setdefault(phrase, piece.start() + start)
                elif YES.match(reply):
                    affirmed.setdefault(phrase, piece.start() + start)
    # a word that also stands outside of questions and denials may be there after all
    spoken = [piece.group() for piece in pieces if not piece.group().rstrip().endswith("?")]
    for phrase, at in list(denied.items()):
        for sentence in spoken:
            own = {s for p, _, _, _ in _phrases(sentence) for s in p}
            if phrase[-1] in {_stem(w) for w in _WORD.findall(sentence)} - own and not re.search(
                r"\b(?:no|not|never|without)\b|n't", sentence
            ):
                affirmed.setdefault(phrase, at)
    return denied, affirmed


_REPORT = set(
    "reports report reported denies denied deny endorses endorsed positive negative notes noted states stated admits patient".split()
)


def against_reference(note: str, reference: str) -> list[Flip]:
    """Words that a sentence of the note affirms and the reference's own sentence denies, or the other way round.

    Two sentences are one where their content words are the same ones in the same order, or nearly all their letters.
    """
    approved = [(piece.group(), _content(piece.group())) for piece in _SENTENCE.finditer(reference)]
    found: list[Flip] = []
    for piece in _SENTENCE.finditer(note):
        sentence = piece.group()
        if sentence in reference:
            continue
        words = _content(sentence)
        if not words:
            continue
        same = [
            (text, other) for text, other in approved if list(other) == list(words) or _alike(sentence, text)
        ]
        if not same or re.search(r"\bfree\b", sentence):
            continue
        best = max(same, key=lambda item: fuzz.ratio(sentence, item[0]))
        flipped = []
        for stem, (start, end) in words.items():
            if stem not in best[1]:
                continue
            here, _ = polarity(sentence, start, end)
            there, _ = polarity(best[0], *best[1][stem])
            if here is not None and there is not None and here is not there:
                flipped.append((start, end, here))
        if flipped:
            start, end, here = flipped[0]
            found.append(
                Flip(
                    Finding("", piece.start() + start, piece.start() + max(e for _, e, _ in flipped), here),
                    -1,
                    "reference",
                )
            )
    return found


def _alike(sentence: str, other: str) -> bool:
    """Nearly the same letters; the words of denying and reporting count little in a sentence of some length."""
    return min(len(sentence), len(other)) >= 30 and fuzz.ratio(sentence.casefold(), other.casefold()) >= 82


def _content(sentence: str) -> dict[str, tuple[int, int]]:
    """Stems of the words that carry a sentence, with their offsets."""
    return {
        _stem(m.group()): m.span()
        for m in _WORD.finditer(sentence)
        if len(m.group()) > 2 and m.group().casefold() not in _SMALL | _REPORT
    }
