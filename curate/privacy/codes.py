# ruff: noqa: E501  (tables of words and expressions read better unwrapped)
"""Identifiers without a shape of their own: numbers read aloud, codes named by the word before them, letters with
numbers. Covers: their rules, and the recognizer over these and the shapes of `patterns`.
Does not cover: numbers with a fixed shape or a check digit (`patterns`), phone numbers written in digits (`phones`).
"""

from __future__ import annotations

import re

from curate.privacy.patterns import RULES, Rule, RuleRecognizer, before

_I = re.IGNORECASE


def _bare_number(match: re.Match[str], text: str) -> float:
    """Long runs of digits: nearly always a number given to a person or to a transaction."""
    digits = match.group("x")
    left = before(match, text, 18)
    if (
        re.search(r"(?:rs\.?|inr|₹|\$|€|£|usd|eur|approx|about|over|around)\s*$", left)
        or len(set(digits)) == 1
    ):
        return 0.0
    if re.match(
        r"\s?(?:%|km|kms|met(?:re|er)s?|m/s|kg|tons?|tonnes|hz|seconds|light|years|people|dollars|rupees|bytes|users|miles|times)",
        text[match.end() :],
    ):
        return 0.0
    return 0.0 if digits.endswith("000000") or digits in "01234567890123456789" else 0.65


_WORD_DIGIT = (
    r"(?:zero|oh|one|two|three|four|five|six|seven|eight|nine|shunya|sunya|ek|do|teen|char|chaar|paanch|panch|chhe|chheh|"
    r"chah|saat|sat|aath|ath|nau)"
)
_SPOKEN_UNIT = rf"(?:(?:double|triple|tripple)\s+)?(?:{_WORD_DIGIT}|\d)(?:\s+hundred)?"
_SPOKEN = (
    rf"\b{_SPOKEN_UNIT}(?:(?:\s*[,.\-…]\s*|\s+)(?:(?:and|then|um+|uh+|er+|aur)\s+)?{_SPOKEN_UNIT}){{5,}}\b"
)


# Letters, "dash" and "plus" that are read aloud with the digits.
_NATO = (
    r"(?:alpha|alfa|bravo|charlie|delta|echo|foxtrot|golf|hotel|india|juliett?|kilo|lima|mike|november|oscar|papa|quebec|romeo|sierra|tango|"
    r"uniform|victor|whiskey|whisky|x-?ray|yankee|zulu|zed)"
)
_SPOKEN_MARK = rf"(?:[a-z](?:-[a-z])*|{_NATO}|plus|dash|hyphen|slash|stroke|oblique|underscore|double)"
_SPOKEN_BEFORE = rf"(?:\b(?!(?:a|i|o|s|t|d|m)\b(?![ ,]+(?:[a-z]|dash|slash)\b)){_SPOKEN_MARK}[ ,]+(?:{_SPOKEN_MARK}[ ,]+){{0,6}})?"
_SPOKEN_AFTER = rf"(?:(?:[ ,]+(?:hundred|thousand|double|triple|{_WORD_DIGIT}|{_NATO}|dash|hyphen|slash|stroke|\d+|(?!(?:a|i)\b)[a-z](?=[ ]*(?:[.,;?!\n]|$)|[ ,]+[a-z]\b)))+)?\b"


def _spoken(match: re.Match[str], text: str) -> float:
    words = re.findall(_WORD_DIGIT, match.group(), _I)
    if len(words) < 4:
        return 0.0
    # "one two three four five six" is counting, not a number of somebody's
    return 0.0 if match.group().casefold().startswith("one") and counting(match.group()) else 0.85


def counting(text: str) -> bool:
    """True for three or more number words in their order and nothing else ("SIX   SEVEN EIGHT")."""
    words = " ".join(re.findall(r"[^\W_]+", text.casefold()))
    return words.count(" ") >= 2 and f" {words} " in " zero one two three four five six seven eight nine ten "


def _spoken_code(match: re.Match[str], text: str) -> float:
    """At least two letters and two digits, five signs in all."""
    words = re.findall(r"[a-z]+", match.group().lower())
    digits = [w for w in words if re.fullmatch(_WORD_DIGIT, w)]
    letters = [w for w in words if len(w) == 1 or re.fullmatch(_NATO, w)]
    return 0.75 if len(digits) >= 2 and len(letters) >= 2 and len(digits) + len(letters) >= 5 else 0.0


_NUMBER_OF = r"(?:\s*(?:(?:no|nos|num|number|nr|id|code|ref|key|is|was|as|ka|hai|to|for)\b\.?|[#:=–(.-]))*\s*"
_CODE = r"(?P<x>(?=[A-Z0-9/-]*\d[A-Z0-9/-]*\d[A-Z0-9/-]*\d)[A-Z0-9]+(?:[/-][A-Z0-9]+)*)(?![A-Z0-9]|\.\d)"
_CUED = (
    r"(?:\b(?:mrn|m\.r\.n\.?|mr number|uhid|ip ?no|ipd|opd|cr ?no|c\.r\. ?no|hospital (?:no|number|id)|patient (?:id|no|number)|"
    r"medical record(?: number)?|chart (?:no|number)|file (?:no|number)|accession(?: no| number)?|specimen (?:id|no)|"
    r"lab (?:id|no|number)|policy(?: no| number| id)?|insurance (?:policy|no|number|id)|claim(?: no| number| id)?|"
    r"member(?:ship)?(?: id| no| number)|group (?:no|number)|beneficiary(?: id| no)?|health (?:id|plan no)|"
    r"order(?: id| no| number)?|awb|waybill|tracking(?: id| no| number)?|docket|consignment|shipment|parcel|courier|"
    r"booking(?: id| ref| no)?|pnr|reservation(?: id| no)?|confirmation(?: code| no| number)?|"
    r"invoice(?: no| number)?|bill(?: no| number)|receipt(?: no)?|transaction(?: id| no| ref)?|txn(?: id)?|utr|rrn|"
    r"reference(?: id| no| number)?|ref(?: no| id)?|complaint(?: id| no| number)?|case (?:id|no|number)|"
    r"service request|sr (?:no|number)|request (?:id|no)|fir(?: no)?|docket|employee (?:id|code|no|number)|emp(?:loyee)? ?(?:id|code|no)|"
    r"staff (?:id|no)|badge(?: no| number| id)?|payroll (?:no|id|number)|uan|esic|esi no|pf (?:no|account|number)|ppo|"
    r"serial(?: no| number| is)?|s/n|sn|imei|udi|device (?:id|serial|no)|pacemaker|implant|model serial|"
    r"customer (?:id|no|number)|consumer (?:id|no|number)|client (?:id|no|number)|user (?:id|no)|account id|crn|cif|"
    r"application(?: id| no| number)|registration(?: id| no| number)|reg(?:n)?\.? ?no|enrol?lment (?:no|number|id)|"
    r"roll (?:no|number)|student (?:id|no|number)|licen[cs]e(?: no| number| id)?|certificate (?:no|number)|dl(?: no)?|npi|dea|"
    r"din|cin|tan|ration card(?: no)?|loan (?:a/c|account|no|number|id)|demat|folio|client code|"
    r"meter (?:no|number)|connection (?:no|id)|subscriber (?:id|no)|ticket (?:id|no|number)|token (?:no|number)|"
    r"visa (?:no|number)|driver'?s? licen[cs]e)\b)"
)


def _cued_code(match: re.Match[str], text: str) -> float:
    code = match.group("x")
    digits = sum(c.isdecimal() for c in code)
    if digits < 4 or len(code) < 5 or re.fullmatch(r"(?:19|20)\d\d(?:-\d\d)?", code):
        return 0.0
    if re.fullmatch(r"(?:CR|CVE|KB|ORA|RFC|ISO|ERR|E|HTTP|SKU|JIRA)[-_]?\d[\d-]*", code, _I):
        return 0.0
    return 0.9


# What "no." and a code also number: nobody's.
_IMPERSONAL = re.compile(
    r"(?:error|err|code|version|ver|build|release|part|section|sec|clause|art(?:icle)?|rule|act|schedule|exhibit|exh|annex(?:ure)?|form|page|chapter|step|line|"
    r"route|bus|platform|stop|room|bed|ward|bay|gate|lane|plot|flat|house|shop|door|block|floor|sector|wing|item|sl|question|table|fig(?:ure)?|model|"
    r"para(?:graph)?|appendix|note|train|flight|iso|iec|rfc|class|sheet|opus|hymn|psalm|machine|unit|station|h|field|sample|method|rev|revision|regulation|"
    r"direction|circular|directive|size|colou?r|sku|catalogue|cat|dose|day|week|track|channel|port|socket|pump|chair|locker|level|grade|type|stage)[ ]*$",
    re.I,
)


def _numbered(match: re.Match[str], text: str) -> float:
    """A code after "no.": somebody's, unless the word before says it numbers a thing."""
    code = match.group("x")
    left = text[max(0, match.start() - 24) : match.start()]
    if sum(c.isdecimal() for c in code) < 3 or len(code) < 4 or _IMPERSONAL.search(left):
        return 0.0
    if re.fullmatch(r"(?:19|20)\d\d(?:[-/]\d\d)?", code) or _standard(code):
        return 0.0
    return 0.7


def _standard(code: str) -> bool:
    """Codes of norms, errors and changes: they say nothing about anybody."""
    return (
        re.match(
            r"(?:CR|CVE|KB|ORA|RFC|ISO|EN|DIN|BS|IS|ERR|E|HTTP|SKU|JIRA|IEC|IEEE|ANSI|ASTM|PEP|MSC|SQL|TEST|DEMO|SAMPLE|COVID|HER|CA|CD|T|C|B|BRCA|HLA|USB|UTF|SHA|MD|WS|FD|AES)"
            r"[-_/ ]?\d",
            code,
            _I,
        )
        is not None
    )


def _short_code(match: re.Match[str], text: str) -> float:
    code = match.group("x")
    left = text[max(0, match.start() - 24) : match.start()]
    return 0.0 if _standard(code) or _IMPERSONAL.search(left.rstrip(" .:#")) else 0.62


def _shaped_code(match: re.Match[str], text: str) -> float:
    code = match.group("x")
    left = before(match, text, 24)
    if re.match(
        r"(?:CR|CVE|KB|ORA|RFC|ISO|ERR|HTTP|SKU|JIRA|IEC|IEEE|ANSI|ASTM|PEP|MSC|SQL)[-_]?\d", code, _I
    ):
        return 0.0
    if re.search(
        r"(?:error|err|code|model|version|part|chip|processor|driver|firmware)\s*(?:no\.?|number|code|:|#)?\s*$",
        left,
    ):
        return 0.0
    return 0.75


CODES: tuple[Rule, ...] = (
    Rule(
        "spoken",
        "PHONE",
        re.compile(rf"{_SPOKEN_BEFORE}{_SPOKEN}{_SPOKEN_AFTER}", _I),
        _spoken,
        "number read aloud",
    ),
    Rule(
        "spoken_code",
        "ID",
        re.compile(
            rf"\b{_SPOKEN_MARK}(?:[ ,]+(?:{_SPOKEN_MARK}|{_WORD_DIGIT})){{1,8}}[ ,]+{_WORD_DIGIT}\b(?:[ ,]+(?:{_SPOKEN_MARK}|{_WORD_DIGIT}))*\b",
            _I,
        ),
        _spoken_code,
        "letters and digits read aloud",
    ),
    Rule(
        "cued_code",
        "ID",
        re.compile(_CUED + _NUMBER_OF + r"(?:(?:and|the|your|my|a)\s+)?" + _CODE, _I),
        _cued_code,
        "number named by the word before it",
    ),
    Rule(
        "shaped_code",
        "ID",
        re.compile(
            r"(?<![A-Z0-9_./-])(?P<x>[A-Z]{1,5}[-/]?\d{6,20}[A-Z]{0,2}|[A-Z]{2,5}\d{2,4}[-/][A-Z]{1,3}\d{4,10})(?![A-Z0-9_-])"
        ),
        _shaped_code,
        "letters and a long number",
    ),
    Rule(
        "numbered",
        "ID",
        re.compile(
            r"(?:\b(?:no|nr|nos|number|ref|reference|id|serial|token|contract|lease|panel|certificate|cert|permit|licen[cs]e|card|pin|vin|plate|badge|pouch|seal|"
            r"cv|reg|regd|registered|registration|docket|folio|lot|batch no|job|trip|voucher|warrant|caveat|envelope|pass|key|tag|file|case|matter|claim|"
            r"policy|account|acct|acc|cust(?:omer)?|emp(?:loyee)?|staff|member|receipt|coupon|booking|pnr|parcel|container|rx|auth|txn|asset|slip|licence plate)\b"
            r"(?:[ ]*(?:no|nr|id|number|code|is)\b)?[.:#]*[ ]*|(?<!\w)#[ ]?)"
            r"(?P<x>(?=[A-Z0-9/-]*\d)(?:[A-Z]{1,5}[ ])?[A-Z0-9]+(?:[/-][A-Z0-9]+)*)(?![\w]|[./-]\d)",
            _I,
        ),
        lambda match, text: _numbered(match, text),
        "code after the word number",
    ),
    Rule(
        "case_of_year",
        "ID",
        re.compile(
            r"(?:\b(?:no|nos|suit|petition|appeal|caveat|complaint|application|case|matter|claim)\.?[ ]+|\b(?:[A-Z]\.){2,3}[ ]*(?:No\.?[ ]*)?)"
            r"(?P<x>\d{1,6}(?:/|[ ]of[ ])(?:19|20)\d\d)(?![\w/])",
            _I,
        ),
        0.75,
        "number of a case",
    ),
    Rule(
        "short_code",
        "ID",
        re.compile(
            r"(?<![A-Za-z0-9_./@-])(?P<x>[A-Z]{2,5}[-/](?:[A-Z0-9]{1,3}[-/])?\d{4,8}(?:[-/][A-Z0-9]{1,4})?|[A-Z]{2}\d{5,6}|[A-Z]{2,4}/\d{2,5}/\d{2,6})(?![A-Za-z0-9_-]|/\d)"
        ),
        _short_code,
        "letters and a number",
    ),
    Rule(
        "record_locator",
        "ID",
        re.compile(
            r"\b(?:pnr|booking|locator|confirmation|conf|code|reservation|mpesa|m-pesa|txn|transaction)\b[^\n\w]{0,3}(?:(?:no|id|code|ref|is|number)\b[^\n\w]{0,3}){0,2}"
            r"(?P<x>(?-i:(?=[A-Z0-9]*\d)(?=[A-Z0-9]*[A-Z]{2})[A-Z][A-Z0-9]{4,11}))(?![\w-])",
            _I,
        ),
        lambda match, text: 0.0 if _standard(match.group("x")) else 0.75,
        "booking or transaction code",
    ),
    Rule(
        "plate_uk",
        "VEHICLE",
        re.compile(r"(?<![A-Z0-9])(?P<x>[A-HJ-PR-Y][A-Y]\d{2}[ ][A-HJ-PR-Z]{3})(?![A-Z0-9])"),
        0.8,
        "British number plate",
    ),
    Rule(
        "postal_item",
        "ID",
        re.compile(r"(?<![A-Z0-9])(?P<x>[A-Z]{2}[ ]?(?:\d[ ]?){9}[A-Z]{2})(?![A-Z0-9])"),
        0.9,
        "number of a letter or parcel (UPU S10)",
    ),
    Rule(
        "container",
        "ID",
        re.compile(r"(?<![A-Z0-9])(?P<x>[A-Z]{3}[UJZ][ ]?\d{6}[ ]?-?\d)(?![A-Z0-9])"),
        0.85,
        "number of a shipping container (ISO 6346)",
    ),
    Rule(
        "slashed_code",
        "ID",
        re.compile(r"(?<![A-Z0-9_./-])(?P<x>[A-Z]{1,5}[/-](?:[A-Z0-9]{2,8}[/-]){1,4}\d{3,8})(?![A-Z0-9_/-])"),
        lambda match, text: 0.75 if sum(c.isdecimal() for c in match.group()) >= 7 else 0.0,
        "reference in parts",
    ),
    Rule(
        "bare_number",
        "ID",
        re.compile(r"(?<![\w.,/-])(?P<x>\d{9,20})(?![\w/-]|[.,]\d)"),
        _bare_number,
        "long number",
    ),
)


def identifiers() -> RuleRecognizer:
    """The recognizer for numbers with a shape and for codes."""
    return RuleRecognizer("id", (*RULES, *CODES))
