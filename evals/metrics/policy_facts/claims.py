"""Promises of an answer: how long, how much, who pays, where; and which fact of a policy sheet they rest on.

Covers: times and ranges in figures or words, rupee amounts, percentages, who pays, channels, words of certainty,
hand-over to a person. Does not cover: promises without a number, payer or channel ("soon", "a full refund"), other
currencies, other languages.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from functools import lru_cache

from evals._tone import content
from evals.metrics.contract_clauses.values import NUMBER_PATTERN, find_money, words_to_number

from .sheet import Fact, Sheet

_HOURS = {"minute": 1 / 60, "hour": 1.0, "day": 24.0, "week": 168.0, "month": 720.0, "year": 8760.0}
_N = rf"(?:\d{{1,4}}(?:\.\d+)?|{NUMBER_PATTERN}|a|an|one)"
_TIME = re.compile(
    rf"(?<![\w.,])(?P<a>{_N})(?:\s*(?:to|-|–|—|or|and)\s*(?P<b>{_N}))?[\s-]+(?:(?:business|working"
    rf"|calendar|full)\s+)?"
    r"(?P<unit>minutes?|hours?|hrs?|days?|weeks?|months?|years?)\b",
    re.IGNORECASE,
)
_NEXT_DAY = re.compile(r"\bthe next (?:business |working )?day\b|\btomorrow\b|\bsame[- ]day\b", re.IGNORECASE)
_SHARE = re.compile(rf"(?<![\w.])(\d{{1,3}}(?:\.\d+)?|{NUMBER_PATTERN})\s*(?:%|per\s?cent\b)", re.IGNORECASE)
_PAYERS = (
    ("customer", re.compile(
        r"(?<!before )(?<!when )(?<!until )(?<!once )(?<!as )\byou(?:’ll|'ll)?\s+(?:\w+\s+){0,2}?(?:pay|bear|cover)\b"
        r"(?!\s+(?:nothing|no|by|with|through|online)\b)|\b(?:is|are|be)\s+on\s+you\b"
        r"|\bat\s+your\s+(?:own\s+)?(?:cost|expense)\b"
        r"|\bcosts?\s+you\s+(?!nothing|no\b)|\byou\s+(?:will\s+be|are|get)\s+charged\b"
        r"|\bdeducted\s+from\s+your\b|\bwe\s+(?:do\s+not|don['’]t|"
        r"cannot|can['’]t)\s+(?:pay|cover)\b",
        re.I,
    )),
    ("company", re.compile(
        r"\bwe\s+(?:\w+\s+){0,2}?(?:pay|bear|cover|waive|absorb)\b|\b(?:is|are|be)\s+on\s+us\b"
        r"|\bat\s+our\s+(?:own\s+)?(?:cost|expense)\b|"
        r"\bfree\s+of\s+charge\b|\b(?:costs?\s+you|you\s+pay)\s+nothing\b|\b(?:at\s+)?no\s+(?:\w+\s+)?"
        r"(?:cost|charge|fee)\b|\bfor\s+free\b|"
        r"\b(?:is|are|be)\s+(?:\w+\s+)?free\b|\bwithout\s+(?:any\s+)?(?:charge|cost|fee)\b"
        r"|\bfree\s+(?:delivery|shipping|pickup|returns?)\b",
        re.I,
    )),
    ("seller", re.compile(r"\bthe\s+seller\s+(?:\w+\s+)?(?:pays?|covers?|bears?)\b", re.I)),
)  # fmt: skip
CHANNELS = {
    name: re.compile(pattern, re.IGNORECASE)
    for name, pattern in {
        "app": r"\b(?:in|on|through|via|using|open|inside)\s+(?:\w+\s+){0,6}?app\b",
        "website": r"\b(?:on|through|via|visit)\s+(?:the\s+|our\s+)?(?:web\s?site|web\s?page)\b",
        "email": r"\be-?mail\b|\S+@\S+",
        "chat": r"\bchat\b",
        "phone": r"\b(?:by|over|on)\s+(?:the\s+)?(?:phone|telephone)\b|\bcall(?:ing)?\s+(?:us|our"
        r"|the)\b|\bhotline\b|\bhelpline\b"
        r"|\b1800[\s-]?\d{3}",
        "whatsapp": r"\bwhats\s?app\b",
        "store": r"\b(?:at|in|to|from)\s+(?:any\s+(?:of\s+)?)?(?:our|a|the"
        r"|your nearest)\s+(?:\w+\s+)?(?:stores?|shops?|counters?|branch(?:es)?|"
        r"outlets?)\b|\bshop counter\b",
        "post": r"\b(?:by|via)\s+(?:post|mail|courier)\b|\bletter\b|\bpost\s+box\b",
        "fax": r"\bfax\b",
        "sms": r"\bsms\b|\btext message\b",
        "social": r"\b(?:twitter|instagram|facebook)\b",
    }.items()
}
_CERTAIN = re.compile(
    r"\b(?:we|i)\s+(?!can|never)(?:\w+\s+)?(?:guarantee|promise|assure)\b|\bguaranteed\b|\b(?:definitely"
    r"|certainly|for sure)\s+(?:\w+\s+){0,2}?(?:get|"
    r"receive|arrive|be)\b|\bwill\s+(?:definitely|certainly|surely)\b",
    re.IGNORECASE,
)
_HAND_OVER = (
    re.compile(
        r"\b(?:hand(?:ing|ed)?|pass(?:ing|ed)?|forward(?:ing|ed)?|escalat\w+|transfer(?:ring|red)?"
        r"|connect(?:ing|ed)?|refer(?:ring|red)?|"
        r"rout(?:e|ing|ed)|rais(?:e|ing|ed)|put(?:ting)?)\b[^.!?\n]{0,80}\b(?:team|colleagues?"
        r"|specialists?|agents?|person|human|"
        r"department|desk|experts?|manager)\b",
        re.I,
    ),
    re.compile(
        r"\b(?:colleagues?|specialists?|team|agents?|experts?|manager|someone"
        r"|person)\b[^.!?\n]{0,60}\b(?:will|can|would|who)\b[^.!?\n]{0,40}\b"
        r"(?:contact|get back|reply|follow up|reach|get in touch|check|help|call|take|look|know|does"
        r"|confirm|answer)",
        re.I,
    ),
)  # fmt: skip
_DENIAL = re.compile(
    r"\b(?:not|no longer|cannot|can['’]t|past|outside|beyond|over|after|too late"
    r"|longer than|more than)\b",
    re.I,
)
_FEE_WORDS = re.compile(r"\b(?:fee|costs?|pay|charge[sd]?|up to|limit|refund)\b[^.\d]{0,25}$", re.I)


@dataclass(frozen=True)
class Claim:
    """A promise at ``start``..``end``. ``kind``: time (hours), inr, percent, payer or channel."""

    kind: str
    start: int
    end: int
    low: float = 0.0
    high: float = 0.0
    name: str = ""


@lru_cache(maxsize=8)  # asked for once a claim
def sentences(text: str) -> tuple[tuple[int, int], ...]:
    """Start and end of every sentence."""
    return tuple(_sentences(text))


def _sentences(text: str) -> Iterator[tuple[int, int]]:
    for match in re.finditer(r"(?:[^.!?\n]|\.(?=\S))+(?:[.!?]+|\n|$)", text.replace("Rs. ", "Rs  ")):
        if match.group().strip():
            yield match.start(), match.end()


def _value(words: str) -> float:
    if re.fullmatch(r"[\d.]+", words):
        return float(words.strip(".") or 0)
    return 1.0 if words.casefold() in ("a", "an") else words_to_number(words)


def find_claims(text: str, question: str = "") -> list[Claim]:
    """Promises in the order of the text. What only repeats the customer's own number is none."""
    asked_amounts = {money.value for money in find_money(question)}
    asked_times = {(claim.low, claim.high) for claim in _times(question)}
    found = []
    for claim in _times(text):
        after = text[claim.end : claim.end + 12]
        if re.match(r"\s+(?:ago|old|late|earlier)\b", after) or re.search(
            r"\b(?:day|since|last|past)\s+$", text[: claim.start][-8:], re.I
        ):
            continue
        begin, end = next(((a, b) for a, b in sentences(text) if a <= claim.start < b), (0, len(text)))
        if (claim.low, claim.high) in asked_times and _DENIAL.search(text, begin, end):
            continue
        found.append(claim)
    for money in find_money(text):
        if money.value in asked_amounts and not _FEE_WORDS.search(text[: money.start][-40:]):
            continue
        found.append(Claim("inr", money.start, money.end, money.value, money.value))
    for match in _SHARE.finditer(text):
        share = _value(match.group(1))
        found.append(Claim("percent", match.start(), match.end(), share, share))
    for payer, pattern in _PAYERS:
        found += [Claim("payer", m.start(), m.end(), name=payer) for m in pattern.finditer(text)]
    for channel, pattern in CHANNELS.items():
        found += [Claim("channel", m.start(), m.end(), name=channel) for m in pattern.finditer(text)]
    found += [Claim("certainty", m.start(), m.end()) for m in _CERTAIN.finditer(text)]
    return sorted(found, key=lambda claim: (claim.start, claim.end, claim.kind, claim.name))


def _times(text: str) -> list[Claim]:
    found = []
    for match in _TIME.finditer(text):
        unit = match["unit"].casefold().rstrip("s").replace("hr", "hour")
        low = _value(match["a"])
        high = _value(match["b"]) if match["b"] else low
        if match["a"].casefold() in ("a", "an") and not re.search(
            r"\b(?:within|in|takes|up to|for)\s+$", text[: match.start()][-8:], re.I
        ):
            continue
        found.append(Claim("time", match.start(), match.end(), low * _HOURS[unit], high * _HOURS[unit]))
    found += [Claim("time", m.start(), m.end(), 24.0, 24.0) for m in _NEXT_DAY.finditer(text)]
    return found


def hands_over(text: str) -> tuple[int, int] | None:
    """Where an answer passes the question to a person, or None."""
    for pattern in _HAND_OVER:
        match = pattern.search(text)
        if match:
            return match.span()
    return None


def says(text: str, word: str) -> bool:
    """Whether a text holds a word or phrase of the sheet, as the beginning of words."""
    return _beginning(word.casefold()).search(text.casefold()) is not None


@lru_cache(maxsize=16_384)  # a sheet has more keywords than the cache of `re` holds
def _beginning(word: str) -> re.Pattern[str]:
    return re.compile(rf"(?<!\w){re.escape(word)}")


def _range(fact: Fact) -> tuple[str, float, float] | None:
    if fact.value is None or fact.unit is None:
        return None
    high = fact.value if fact.value_to is None else fact.value_to
    if fact.unit in ("inr", "percent", "count"):
        return fact.unit, fact.value, high
    factor = _HOURS[fact.unit.removeprefix("business ").removesuffix("s")]
    return "time", fact.value * factor, high * factor


def relevant(facts: Sequence[Fact], sentence: str, question: str, day: date) -> list[tuple[int, Fact]]:
    """Facts that a sentence is about, with how strongly: a keyword of the question counts two, of the sentence one.

    A fact that another relevant one stands ``over`` drops out, and so does one that is not valid on the day.
    """
    scored = []
    for fact in facts:
        if (fact.valid_from and day < fact.valid_from) or (fact.valid_to and day > fact.valid_to):
            continue
        weight = 2 * _heard(question, fact.keywords) + _heard(sentence, fact.keywords)
        if weight:
            scored.append((weight, fact))
    dropped = {name for _, fact in scored for name in fact.over}
    return [(weight, fact) for weight, fact in scored if fact.id not in dropped]


def tells(fact: Fact, text: str, claims: Sequence[Claim]) -> bool:
    """Whether a text tells a fact: its value, else its payer or channel, else two of its own words."""
    known = _range(fact)
    if known is not None and known[0] == "inr" and known[1] == known[2] == 0:
        return any(claim.kind == "payer" and claim.name == "company" for claim in claims)
    if known is not None and known[0] == "count":
        numbers = {_value(m.group()) for m in re.finditer(rf"\b(?:\d+|{NUMBER_PATTERN})\b", text, re.I)}
        return known[1] in numbers
    if known is not None:
        return any(claim.kind == known[0] and _fits(claim, known[1], known[2]) for claim in claims)
    if fact.payer:
        return any(claim.kind == "payer" and claim.name == fact.payer for claim in claims)
    if fact.channels:
        return any(claim.kind == "channel" and claim.name in fact.channels for claim in claims)
    return _heard(text, fact.keywords) > 0 and len(set(content(fact.text)) & set(content(text))) > 1


def keywords_heard(facts: Sequence[Fact], question: str, text: str) -> bool:
    """Whether a question and an answer are about one fact by its keywords, in whatever words of them."""
    return any(_heard(question, fact.keywords) and _heard(text, fact.keywords) for fact in facts)


def _heard(text: str, words: Sequence[str]) -> int:
    """How many of the words a text holds; "deliver" within "delivery" counts once."""
    heard = [word for word in words if says(text, word)]
    return sum(not any(other != word and other.startswith(word) for other in heard) for word in heard)


def judge(claim: Claim, text: str, question: str, sheet: Sheet, day: date) -> tuple[bool, str]:
    """Whether the sheet bears a claim out, and the words of the fact that does or comes nearest.

    It may rest on the fact that question and sentence are about, or on one whose keyword stands next to it: an answer
    may say more than was asked.
    """
    begin, end = next(((a, b) for a, b in sentences(text) if a <= claim.start < b), (0, len(text)))
    around = text[begin:end]
    about = relevant(sheet.facts, around, question, day) or relevant(sheet.facts, text, question, day)
    if claim.kind == "certainty":
        return False, about[0][1].text if about else "the sheet promises no certainty"
    if claim.kind == "channel":
        some = [fact for _, fact in about if fact.channels] or [fact for fact in sheet.facts if fact.channels]
        return any(claim.name in fact.channels for fact in some), "; ".join(fact.text for fact in some[:2])
    if claim.kind == "payer":
        bearing = [
            (weight, fact) for weight, fact in about if fact.payer or (fact.unit == "inr" and fact.value == 0)
        ]
        bearing = _named(bearing, around) or bearing
        best, near = _best(bearing), _nearest(bearing, claim, text, begin, end)
        right = any((fact.payer or "company") == claim.name for fact in (*best, *near))
        return right, best[0].text if best else "no fact on who pays"
    bearing = [(weight, fact) for weight, fact in about if (_range(fact) or ("",))[0] == claim.kind]
    best = _best(bearing)
    for fact in (*best, *_nearest(bearing, claim, text, begin, end)):
        known = _range(fact)
        if known is not None and _fits(claim, known[1], known[2]):
            return True, fact.text
    return False, best[0].text if best else "nothing of the kind on the sheet"


def _best(scored: list[tuple[int, Fact]]) -> list[Fact]:
    top = max((weight for weight, _ in scored), default=0)
    return [fact for weight, fact in scored if weight == top]


def _nearest(scored: list[tuple[int, Fact]], claim: Claim, text: str, begin: int, end: int) -> list[Fact]:
    """The facts with a keyword next before a claim, and next behind it, in its own sentence."""
    before: list[tuple[int, Fact]] = []
    behind: list[tuple[int, Fact]] = []
    for _, fact in scored:
        for word in fact.keywords:
            for match in _beginning(word.casefold()).finditer(text[begin:end].casefold()):
                if begin + match.end() <= claim.start:
                    before.append((begin + match.end(), fact))
                else:
                    behind.append((-begin - match.start(), fact))
    return _best(before) + _best(behind)


def _named(scored: list[tuple[int, Fact]], sentence: str) -> list[tuple[int, Fact]]:
    """Those of the facts whose own amount or share the sentence names."""
    amounts = {money.value for money in find_money(sentence)}
    amounts |= {_value(m.group(1)) for m in _SHARE.finditer(sentence)}
    return [(weight, fact) for weight, fact in scored if fact.value in amounts]


def _fits(claim: Claim, low: float, high: float) -> bool:
    """The same value or range; the upper end alone stands for a range ("up to 5 days" for 3 to 5)."""
    same = abs(claim.high - high) < 1e-6 * max(1.0, high)
    return same and (abs(claim.low - low) < 1e-6 * max(1.0, low) or claim.low == claim.high)
