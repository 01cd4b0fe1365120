# ruff: noqa: E501  (tables of words and expressions read better unwrapped)
"""Identifiers with a shape: numbers, codes, accounts, addresses on a network. Covers: one table of rules, the
check digits they are validated with, and the Presidio recognizer that runs them.
Does not cover: codes without a shape (`codes`), dates (`dates`), postal addresses and organisations (`places`), names (`names`).

Check digits: Verhoeff 1969 for Aadhaar; ISO/IEC 7812-1 Annex B (Luhn) for cards; the GSTIN check character is
the weighted base-36 sum published by the Goods and Services Tax Network.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from presidio_analyzer import EntityRecognizer, RecognizerResult
from presidio_analyzer.nlp_engine import NlpArtifacts

_D = (
    "0123456789",
    "1234067895",
    "2340178956",
    "3401289567",
    "4012395678",
    "5987604321",
    "6598710432",
    "7659821043",
    "8765932104",
    "9876543210",
)
_P = (
    "0123456789",
    "1576283094",
    "5803796142",
    "8916043527",
    "9453126870",
    "4286573901",
    "2793806415",
    "7046913258",
)


def verhoeff_ok(number: str) -> bool:
    """True when the digits of ``number`` carry a correct Verhoeff check digit at the end."""
    digits = [int(c) for c in number if c.isdecimal()]
    state = 0
    for index, digit in enumerate(reversed(digits)):
        state = int(_D[state][int(_P[index % 8][digit])])
    return bool(digits) and state == 0


def luhn_ok(number: str) -> bool:
    """True when the digits of ``number`` pass the Luhn test."""
    digits = [int(c) for c in number if c.isdecimal()]
    odd, even = digits[-1::-2], digits[-2::-2]
    return len(digits) > 1 and (sum(odd) + sum(sum(divmod(2 * d, 10)) for d in even)) % 10 == 0


_BASE36 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def gstin_ok(number: str) -> bool:
    """True when the 15th character of a GSTIN is its check character."""
    code = number.upper()
    total = 0
    for index, char in enumerate(code[:14]):
        product = _BASE36.index(char) * (1 if index % 2 == 0 else 2)
        total += product // 36 + product % 36
    return _BASE36[(36 - total % 36) % 36] == code[14:15]


Judge = Callable[[re.Match[str], str], float]


@dataclass(frozen=True)
class Rule:
    """One shape. The named group ``x`` is the personal span, or the whole match where there is none. ``score``
    is a number, or a function of match and text that returns one (0 drops the match)."""

    name: str
    entity: str
    pattern: re.Pattern[str]
    score: float | Judge
    reason: str
    needs: re.Pattern[str] | None = None  # cheap test: without a hit the rule is not tried

    def hits(self, text: str) -> Iterator[tuple[int, int, float]]:
        if self.needs is not None and not self.needs.search(text):
            return
        group: int | str = "x" if "x" in self.pattern.groupindex else 0
        for match in self.pattern.finditer(text):
            score = self.score if isinstance(self.score, float) else self.score(match, text)
            if score > 0 and match.start(group) < match.end(group):
                yield match.start(group), match.end(group), score


class RuleRecognizer(EntityRecognizer):
    """Presidio recognizer over a table of `Rule`; the recognizer name of a result is ``family.rule``."""

    def __init__(self, family: str, rules: tuple[Rule, ...]) -> None:
        self.family, self.rules = family, rules
        super().__init__(
            supported_entities=sorted({rule.entity for rule in rules}), name=family, supported_language="en"
        )

    def load(self) -> None:
        """Nothing to load."""

    def analyze(
        self, text: str, entities: list[str], nlp_artifacts: NlpArtifacts | None = None
    ) -> list[RecognizerResult]:
        return [
            result(rule.entity, start, end, score, f"{self.family}.{rule.name}", rule.reason)
            for rule in self.rules
            if rule.entity in entities
            for start, end, score in rule.hits(text)
        ]


def result(entity: str, start: int, end: int, score: float, name: str, reason: str) -> RecognizerResult:
    """A Presidio result that carries which rule found it and why."""
    return RecognizerResult(
        entity_type=entity,
        start=start,
        end=end,
        score=score,
        recognition_metadata={"rule": name, "reason": reason},
    )


def before(match: re.Match[str], text: str, width: int = 40) -> str:
    """Lower-case text just left of a match, on the same line or the end of the one before."""
    return text[max(0, match.start() - width) : match.start()].lower()


_I = re.IGNORECASE
STATE_CODES = (
    "AN|AP|AR|AS|BR|CG|CH|DD|DL|DN|GA|GJ|HP|HR|JH|JK|KA|KL|LA|LD|MH|ML|MN|MP|MZ|NL|OD|OR|PB|PY|RJ|SK|TN|TR|TS|TG|UA|UK|"
    "UP|WB"
)
UPI_HANDLES = (
    "upi|ybl|ibl|axl|paytm|ptyes|ptaxis|pthdfc|ptsbi|okaxis|oksbi|okicici|okhdfcbank|apl|yapl|rapl|axisbank|sbi|hdfcbank|"
    "icici|kotak|yesbank|barodampay|idfcbank|idfcfirst|indus|federal|airtel|jio|freecharge|fam|slice|jupiteraxis|naviaxis|"
    "postbank|pnb|boi|cnrb|unionbank|rbl|aubank|dbs|hsbc|waicici|wahdfcbank|waaxis|wasbi|superyes|tapicici|goaxb|yescred"
)


def _aadhaar(match: re.Match[str], text: str) -> float:
    if verhoeff_ok(match.group("x")):
        return 0.95
    if re.search(r"aad?ha?a?r|uidai|uid\b|आधार", before(match, text, 45)):
        return 0.9  # a typo does not make it less personal
    return 0.7 if match.group("s") else 0.0


def _card(match: re.Match[str], text: str) -> float:
    digits = re.sub(r"\D", "", match.group("x"))
    if not 13 <= len(digits) <= 19:
        return 0.0
    if luhn_ok(digits) and digits[0] in "3456":
        return 0.95
    if re.search(r"\bcard|visa|master|amex|rupay|debit|credit", before(match, text, 45)):
        return 0.85
    return 0.7 if re.fullmatch(r"\d{4}([ -])\d{4}\1\d{4}\1\d{4}", match.group("x")) else 0.0


def _ip(match: re.Match[str], text: str) -> float:
    try:
        ipaddress.ip_address(match.group("x"))
    except ValueError:
        return 0.0
    if re.search(
        r"(?:version|ver\.?|\bv|release|firmware|build|section|clause|chapter)\s*$", before(match, text, 12)
    ):
        return 0.0
    return 0.0 if match.group("x") in ("0.0.0.0", "127.0.0.1", "::1", "::", "255.255.255.255") else 0.85


def _gstin(match: re.Match[str], text: str) -> float:
    return 0.98 if gstin_ok(match.group("x")) else 0.9


RULES: tuple[Rule, ...] = (
    Rule(
        "email",
        "EMAIL",
        re.compile(
            r"(?<![\w.+-])(?P<x>[\w](?:[\w.+'-]*\w)?@(?:[\w](?:[\w-]*\w)?\.)+[^\W\d_]{2,24})(?![\w-]|@)", _I
        ),
        0.98,
        "e-mail address",
    ),
    Rule(
        "email_spoken",
        "EMAIL",
        re.compile(
            r"\b(?P<x>[a-z][\w.]*(?:\s+(?:dot|underscore|dash|hyphen)\s+[\w]+)*\s+at(?:\s+the\s+rate(?:\s+of)?)?\s+"
            r"(?:gmail|g mail|yahoo|hotmail|outlook|rediffmail|rediff|icloud|proton ?mail|[a-z]{2,20}(?: dot [a-z]{2,20})?)\s+dot\s+"
            r"(?:com|co dot in|in|org|net|edu|co|co dot uk|co uk|example|ie|nz|co dot nz|com dot au|ca))\b",
            _I,
        ),
        0.9,
        "e-mail address read aloud",
    ),
    Rule(
        "upi",
        "UPI",
        re.compile(rf"(?<![\w.+@-])(?P<x>[\w][\w.-]{{1,63}}@(?:{UPI_HANDLES}))(?![\w@-]|\.\w)", _I),
        0.95,
        "UPI id with a known handle",
    ),
    Rule(
        "user_at_host",
        "UPI",
        re.compile(r"(?<![\w.+@:/-])(?P<x>[a-z0-9][\w.-]{2,63}@[a-z]{2,20})(?![\w@-]|\.\w)", _I),
        0.75,
        "name@word: a UPI id or an account on a machine",
    ),
    Rule(
        "url",
        "URL",
        re.compile(r"(?P<x>\b(?:https?|ftp)://[^\s<>\"'`]{3,}[^\s<>\"'`.,;:!?)\]}])", _I),
        0.8,
        "web address",
    ),
    Rule(
        "url_profile",
        "URL",
        re.compile(
            r"(?<![\w@./-])(?P<x>(?:www\.)?(?:[\w-]+\.)+(?:com|in|org|net|io|me|co|uk|edu|gov|info|app|dev|example)"
            r"/[^\s<>\"'`]*[^\s<>\"'`.,;:!?)\]}])",
            _I,
        ),
        0.7,
        "web address with a path",
    ),
    Rule(
        "url_spoken",
        "URL",
        re.compile(
            r"(?<!at )\b(?P<x>[a-z0-9]{3,30} dot (?:com|in|org|net|example|ie|co dot (?:uk|in|nz))(?: slash [a-z0-9]+)+)\b",
            _I,
        ),
        0.8,
        "web address read aloud",
    ),
    Rule(
        "url_www",
        "URL",
        re.compile(r"(?<![\w@./-])(?P<x>www\.(?:[\w-]+\.)+[a-z]{2,})(?![\w/-])", _I),
        0.6,
        "web address",
    ),
    Rule(
        "ipv4",
        "IP_ADDRESS",
        re.compile(r"(?<![\d.])(?P<x>(?:\d{1,3}\.){3}\d{1,3})(?![\d]|\.\d)"),
        _ip,
        "IP address",
    ),
    Rule(
        "ipv6",
        "IP_ADDRESS",
        re.compile(r"(?<![\w:.])(?P<x>(?=(?:[0-9a-f]*:){3})[0-9a-f:]{6,39})(?![\w:])", _I),
        _ip,
        "IP address",
    ),
    Rule(
        "mac",
        "ID",
        re.compile(r"(?<![\w:-])(?P<x>[0-9a-f]{2}([:-])(?:[0-9a-f]{2}\2){4}[0-9a-f]{2})(?![\w:-])", _I),
        0.9,
        "hardware address of a device",
    ),
    Rule(
        "uuid",
        "ID",
        re.compile(r"\b(?P<x>[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12})\b", _I),
        0.7,
        "unique identifier",
    ),
    Rule(
        "gstin",
        "GSTIN",
        re.compile(r"(?<![A-Z0-9])(?P<x>\d{2}[A-Z]{5}\d{4}[A-Z][A-Z0-9]{3})(?![A-Z0-9])", _I),
        _gstin,
        "GST identification number",
    ),
    Rule(
        "driving_licence",
        "DRIVING_LICENCE",
        re.compile(
            rf"(?<![A-Z0-9])(?P<x>(?:{STATE_CODES})[ -]?\d{{2}}[ -/]?(?:19|20)\d\d[ -/]?\d{{7}})(?!\d)", _I
        ),
        0.95,
        "Indian driving licence",
    ),
    Rule(
        "abha",
        "ABHA",
        re.compile(r"(?<![\d-])(?P<x>\d{2}([ -])\d{4}\2\d{4}\2\d{4})(?![\d-])"),
        0.92,
        "ABHA health account number",
    ),
    Rule(
        "abha_bare",
        "ABHA",
        re.compile(r"\b(?:abha|health id|abdm)\b\D{0,30}(?P<x>\d{14})(?!\d)", _I),
        0.92,
        "ABHA health account number",
    ),
    Rule(
        "abha_address",
        "ABHA",
        re.compile(r"(?<![\w.+-])(?P<x>[\w][\w.]{2,}@(?:abdm|sbx|ndhm))(?![\w.])", _I),
        0.95,
        "ABHA address",
    ),
    Rule(
        "aadhaar",
        "AADHAAR",
        re.compile(r"(?<![\d-])(?<!\d )(?P<x>[2-9]\d{3}(?P<s>[ -]?)\d{4}(?P=s)\d{4})(?![\d]|-\d| \d{4}\b)"),
        _aadhaar,
        "Aadhaar number",
    ),
    Rule(
        "aadhaar_cued",
        "AADHAAR",
        re.compile(r"\b(?:aad?ha?a?r|uidai)\b[^\d\n]{0,30}(?P<x>\d(?:[ -]?\d){10,13})(?!\d)", _I),
        0.9,
        "number called Aadhaar",
    ),
    Rule(
        "card",
        "CARD",
        re.compile(r"(?<![\d-])(?<!\d )(?P<x>\d(?:[ -]?\d){12,18})(?![\d]|-\d)"),
        _card,
        "payment card number",
    ),
    Rule(
        "card_tail",
        "CARD",
        re.compile(
            r"\b(?:card|debit|credit|account|a/c)\b[^\d\n.]{0,40}\b(?:ending|ends|last (?:four|4)(?: digits)?)\b[^\d\n.]{0,16}"
            r"(?P<x>(?:[x*]+[ -]?)*\d{4})(?!\d)",
            _I,
        ),
        0.85,
        "last digits of a card",
    ),
    Rule(
        "ifsc",
        "IFSC",
        re.compile(r"(?<![A-Z0-9])(?P<x>[A-Z]{4}0(?=[A-Z0-9]*\d{3})[A-Z0-9]{6})(?![A-Z0-9])", _I),
        0.93,
        "bank branch code",
    ),
    Rule(
        "pan",
        "PAN",
        re.compile(r"(?<![A-Z0-9])(?P<x>[A-Z]{5}\d{4}[A-Z])(?![A-Z0-9])", _I),
        0.93,
        "permanent account number",
    ),
    Rule(
        "pan_cued",
        "PAN",
        re.compile(
            r"\bpan\b(?: card)?(?: no\.?| number)?\s*(?:is|:|-|#)?\s*(?P<x>(?=\w*\d\w*\d)[A-Z0-9]{8,12})\b",
            _I,
        ),
        0.88,
        "number called PAN",
    ),
    Rule(
        "ssn",
        "SSN",
        re.compile(r"(?<![\d-])(?P<x>\d{3}([- ])\d{2}\2\d{4})(?![\d-])"),
        0.88,
        "social security number",
    ),
    Rule(
        "ssn_cued",
        "SSN",
        re.compile(
            # not the year of India's Code on Social Security, 2020
            r"(?<!code on )\b(?:ssn|social security(?: number| no\.?)?|social)\b[^\d\n]{0,24}"
            r"(?P<x>\d{4,9})(?![\d-])",
            _I,
        ),
        0.88,
        "number called SSN",
    ),
    Rule(
        "bank_account",
        "BANK_ACCOUNT",
        re.compile(
            r"(?:\b(?:a/c|ac|acc|acct|account|acnt|khata)(?: ?(?:no|num|number|#))?\b|खाता)[^\d\n]{0,25}?"
            r"(?P<x>\d(?:[ -]?\d){7,17})(?!\d)",
            _I,
        ),
        0.92,
        "bank account number",
    ),
    Rule(
        "iban",
        "BANK_ACCOUNT",
        re.compile(
            r"(?<![A-Z0-9])(?P<x>[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?)(?![A-Z0-9])"
        ),
        lambda match, text: 0.95 if _iban_ok(match.group("x")) else 0.0,
        "international bank account number",
    ),
    Rule(
        "vehicle",
        "VEHICLE",
        re.compile(
            rf"(?<![A-Z0-9])(?P<x>(?:{STATE_CODES})[ -]?\d{{1,2}}[ -]?[A-Z]{{1,3}}[ -]?\d{{4}})(?!\d)", _I
        ),
        0.92,
        "Indian vehicle registration",
    ),
    Rule(
        "vehicle_bh",
        "VEHICLE",
        re.compile(r"(?<![A-Z0-9])(?P<x>\d\d[ -]?BH[ -]?\d{4}[ -]?[A-Z]{1,2})(?![A-Z0-9])"),
        0.9,
        "Indian vehicle registration, BH series",
    ),
    Rule(
        "vehicle_cued",
        "VEHICLE",
        re.compile(
            r"\b(?:licen[cs]e plate|number plate|plate(?: no| number)?|vehicle (?:no|number|reg\w*)|registration(?: no| number)?|"
            r"reg(?:n)?(?: no)?)\b\W{0,4}(?:is\s|was\s)?\W{0,3}(?P<x>(?=[A-Z0-9 -]*\d)[A-Z0-9]{1,4}(?:[ -][A-Z0-9]{1,4}){0,3})\b"
        ),
        lambda match, text: 0.8 if 5 <= len(match.group("x")) <= 13 else 0.0,
        "number called a plate",
    ),
    Rule(
        "passport_cued",
        "PASSPORT",
        re.compile(r"\bpassport\b[^\d\n]{0,25}?(?P<x>[A-Z]{0,2} ?\d{6,9})(?!\d)", _I),
        0.93,
        "number called passport",
    ),
    Rule(
        "passport",
        "PASSPORT",
        re.compile(r"(?<![A-Z0-9])(?P<x>[A-PR-WY]\d{7})(?![A-Z0-9])"),
        0.75,
        "passport number",
    ),
    Rule(
        "voter",
        "VOTER_ID",
        re.compile(r"(?<![A-Z0-9])(?P<x>[A-Z]{3}\d{7})(?![A-Z0-9])", _I),
        0.85,
        "voter id number",
    ),
    Rule(
        "voter_cued",
        "VOTER_ID",
        re.compile(
            r"\b(?:voter(?: id| card)?|epic)\b(?: no\.?| number)?\W{0,3}(?:is\s)?\W{0,3}"
            r"(?P<x>(?=[A-Z0-9/]*\d{5})[A-Z]{2,3}[A-Z0-9/]{6,14})\b",
            _I,
        ),
        0.9,
        "number called voter id",
    ),
)


def _iban_ok(code: str) -> bool:
    """ISO 13616 check: move the first four characters to the end, letters to numbers, modulo 97 is 1."""
    flat = code.replace(" ", "")
    return len(flat) >= 15 and int("".join(str(_BASE36.index(c)) for c in flat[4:] + flat[:4])) % 97 == 1
