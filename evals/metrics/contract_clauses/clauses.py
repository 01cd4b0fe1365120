"""Clauses of an employment agreement: where each begins, what it is about, which are missing or out of order.

Covers: headings in the usual numbering styles (1., 1.0, (1), A., ARTICLE I, Clause 1:, §1, Markdown, plain title
lines, a title in front of its text), synonyms of titles, several subjects under one title. Does not cover: whether
what a clause says is good law or good for either side.
"""

import re
from dataclasses import dataclass

#: Clauses that are asked for, in the usual order, with the words that mark them in a title.
TITLES: dict[str, str] = {
    "parties": r"\bpart(?:y|ies)\b|\bbetween\b|\brecitals?\b",
    "appointment": r"\bappoint(?:ment|ed)\b|\bengagement\b|\bposition\b|\bcommencement\b|\bthe job\b"
    r"|\bdesignation\b|"
    r"\boffer\b|\bacceptance of employment\b|^employment$|\bjoining\b|\bposting\b"
    r"|\b(?:training )?post\b(?!-)|\b(?:job|role) and start\b|\bapprenticeship\b",
    "duties": r"\bdut(?:y|ies)\b(?!\s+hours)|\bresponsibilit|\bscope of work\b|\bjob description\b"
    r"|\btasks?\b|\bfunctions?\b|"
    r"^(?:the |your |what the )?(?:work|job)(?: to be done| is)?$|\brole\b(?! and start)"
    r"|\bwhat (?:you|the \w+(?: \w+)?) (?:will )?do(?:es)?\b|\bnature of\b|^roles?$|\brole and\b",
    "probation": r"\bprobation|\btrial period\b|\bconfirmation\b|\b(?:fixed )?term\b(?! of)"
    r"|\bduration\b|\btenure\b",
    "remuneration": r"\bremuneration\b|\bsalary\b|\bcompensation\b|\bpay\b|\bwages?\b|\bctc\b"
    r"|\bemoluments?\b|\bstipend\b",
    "hours_leave": r"\bhours\b|\bleaves?\b|\bworking (?:time|days)\b|\bholidays?\b|\battendance\b"
    r"|\bshifts?\b|\brest\b",
    "termination": r"\bterminat|\bnotice\b|\bseparation\b|\bend(?:ing)?\b(?! of the day)"
    r"|\bresignation\b|\bexit\b|\bleaving\b|\bparting\b|\bhow it ends\b",
    "gratuity": r"\bgratuity\b",
    "provident_fund": r"\bprovident fund\b|\be?\.?p\.?f\.?(?!\w)",
    "state_insurance": r"\bstate insurance\b|\be\.?s\.?i\.?c?\.?(?!\w)",
    "maternity": r"\bmaternity\b",
    "posh": r"\bposh\b|\bsexual harassment\b|\bharassment[- ]free\b|\bdignity at work\b"
    r"|\brespect at work\b|\b(?:safe|respectful) "
    r"(?:and respectful )?workplace\b|\bworkplace conduct\b",
    "confidentiality": r"\bconfidential|\bsecre(?:cy|ts?)\b|\bnon-?disclosure\b",
    "ip": r"\bintellectual property\b|\bipr?\b|\binventions?\b|\bownership of (?:work|results)\b"
    r"|\brights in (?:your |the )?(?:work|what)\b|\bworks made\b|\bwho owns\b",
    "data_protection": r"\bdata (?:protection|privacy)\b|\bpersonal data\b|\bprivacy\b|\b(?:customer"
    r"|employee) data\b|\bpersonal information\b",
    "covenants": r"\bcovenants?\b|\bnon-?compet|\bnon-?solicit|\bcompet(?:ition|ing)\b|\bexclusiv"
    r"|\bother (?:employment|work)\b|"
    r"\boutside work\b|\bmoonlighting\b|\brestraints?\b|\bloyalty\b|\bside jobs?\b"
    r"|\bprivate (?:practice|tuition)\b|\bfreelanc|"
    r"\bsolicitation\b|\bconflict of interest\b|\brestrictive\b",
    "law": r"\bgoverning\b|\bapplicable law\b|\bjurisdiction\b|\blaw and\b|^law\b|\blaw;"
    r"|\bdisputes?\b|\barbitration\b",
    "signature": r"\bsign(?:ed|ature|atures|ing)?\b|\bin witness\b|\bas witness\b|\bexecuted\b|\bexecution\b",
}
CLAUSES = tuple(TITLES)
_TITLE = {name: re.compile(pattern, re.IGNORECASE) for name, pattern in TITLES.items()}
# What shows a clause that has no title of its own: its obligation in the running text.
_BODY = {
    name: re.compile(pattern, re.IGNORECASE | re.MULTILINE)
    for name, pattern in {
        "parties": r"\bbetween\b[^.]{2,400}?\band\b|\bDear (?:(?:Mr|Ms|Mrs|Dr|Shri|Smt)\b|[A-Z\[])"
        r"|\bhave agreed\b|\bagree:|"
        r"\bemploys\b|\bemployer\s*:[^\n]+\n+\W*employee\s*:|^.{0,30}\([\"“].{1,30}[\"”]\)\s*\+",
        "appointment": r"\b(?:is|are|be) (?:hereby )?(?:appointed|employed|engaged)\b"
        r"|\b(?:hereby )?(?:appoints|employs|engages)\b|"
        r"\b(?:appointed|join\w*) as\b",
        "duties": r"\b(?:shall|will|must)\s+(?:perform|discharge|devote|report|carry out"
        r"|be responsible)\b|\bduties\b",
        "probation": r"\bprobation|\bfixed term of\b",
        "remuneration": r"\b(?:shall|will) (?:be paid|pay|receive)\b[^.]{0,80}(?:₹|\bRs|\bINR"
        r"|\bRupees|salary|wages)|"
        r"\b(?:salary|ctc|wages|compensation)\b[^.\n]{0,30}(?:₹|\bRs|\bINR|\[|_{3})",
        "hours_leave": r"\bhours (?:a|per) (?:day|week)\b|\bworking hours\b|\b(?:earned|annual"
        r"|casual|paid) leave\b",
        "termination": r"\bnotice (?:of termination|in writing|in lieu)\b|\b(?:written"
        r"|prior) notice\b|\bmay (?:be )?terminate",
        "gratuity": r"\bgratuity\b",
        "provident_fund": r"\bprovident funds?\b|\bEPF\b",
        "state_insurance": r"\bstate insurance\b|\bESIC?\b",
        "maternity": r"\bmaternity\b",
        "posh": r"\bsexual harassment\b|\bPOSH\b",
        "confidentiality": r"\b(?:shall|must|will|may) not\b[^.]{0,60}\b(?:disclose|divulge)"
        r"|\b(?:keep|hold|maintain|kept|held)\b[^.]{0,80}"
        r"\b(?:confiden\w+|secret)|\b(?:is|are|stay|remain)\b[^.]{0,12}\bconfidential\b",
        "ip": r"\bintellectual property\b|\b(?:assigns?|vests?) (?:to|in)\b[^.]{0,60}\b(?:rights"
        r"|copyright)|\bcopyright in\b",
        "data_protection": r"\bpersonal data\b|\bData Protection\b|\bpersonal information\b",
        "covenants": r"\bsection 27\b|\bnon-?(?:compete|solicit)|\bshall not solicit\b",
        "law": r"\b(?:governed by|laws of india|indian law|law of india)\b|\bcourts? (?:at|of|in)\b",
        "signature": r"\bin witness whereof\b|\bauthori[sz]ed signator|\bsigned\b[^.\n]{0,60}\.?$"
        r"|^\W*accepted\b|\bsignatures?\b",
    }.items()
}
_NUMBER = (
    r"(?:(?:article|clause|section|part|schedule)\s+(?:\d{1,2}|[IVXL]{1,6}|[A-Z])\b[\s.:)–—-]*"
    r"|§\s*\d{1,2}[.):]?\s*|"
    r"\d{1,2}(?:\.\d{1,2})+[.)]?\s+|\(?(?:\d{1,2}|[ivxl]{1,6}|[A-Za-z])[.)]\s*|\d{1,2}\s+(?=(?-i:[A-Z])))"
)
_HEAD = re.compile(rf"^(?P<marks>[ \t>#*•|_-]*)(?P<number>{_NUMBER})?(?P<bold>[*_ \t]*)", re.IGNORECASE)
_END = re.compile(r"[.:](?=\s|\*|$)|\s+[–—-]\s+|\*\*|\|")
#: the title of the whole, not of a clause
_DOCUMENT = re.compile(
    r"\b(?:agreement|contract|deed|appointment letter|letter of appointment)\b", re.IGNORECASE
)
_SUBCLAUSE = re.compile(r"^\W*(?:\d+\.[1-9]\d*)")


_TWO_NAMED = re.compile(
    r"\([^()\n]{0,60}[\"“][^\"“”\n]{1,40}[\"”]\)[^\"“]{1,300}?\([^()\n]{0,60}[\"“][^\"“”\n]{1,40}[\"”]\)"
    r"|\bemployer\b\W{1,6}\w[^\n]*\n+\W*employee\b",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Clause:
    """A title and its text. ``start``..``head_end`` is the title, ``head_end``..``end`` the text below it."""

    names: tuple[str, ...]
    title: str
    numbered: bool
    start: int
    head_end: int
    end: int


def find_clauses(text: str) -> list[Clause]:
    """Titled clauses in the order of the text. A title that says nothing we know has no names."""
    heads: list[tuple[tuple[str, ...], str, bool, int, int]] = []
    at = 0
    for line in text.splitlines(keepends=True):
        start, at = at, at + len(line)
        body = line.strip()
        if not body or len(body) > 4000:
            continue
        head = _HEAD.match(line)
        assert head is not None  # every part of it may be empty
        numbered = bool(head["number"]) or "#" in head["marks"] or "**" in head["marks"] + head["bold"]
        rest = line[head.end() :].rstrip()
        if not rest or _SUBCLAUSE.match(line):
            continue
        stop = _END.search(rest)
        title = (rest[: stop.start()] if stop else rest).strip(" *_\t|")
        alone = not rest[stop.end() if stop else len(rest) :].strip(" *_|")
        words = title.split()
        if not words or len(words) > 12 or len(title) > 100:
            continue
        if not (numbered or alone or (stop and rest[stop.start()] == ":")):
            continue
        if (
            not numbered
            and alone
            and (title[0].islower() or (stop and rest[stop.start()] == ".") or len(words) > 9)
        ):
            continue
        if not head["number"] and _DOCUMENT.search(title):
            continue
        names = tuple(name for name, pattern in _TITLE.items() if pattern.search(title))
        if "signature" in names:  # "Signed by the parties"
            names = tuple(name for name in names if name != "parties")
        if not names and not numbered:
            continue
        begin = start + head.end()
        heads.append((names, title, numbered, begin, begin + (stop.end() if stop else len(rest))))
    ends = [*(head[3] for head in heads[1:]), len(text)][: len(heads)]
    return [Clause(*head, end) for head, end in zip(heads, ends, strict=True)]


def first_places(text: str, clauses: list[Clause]) -> dict[str, tuple[int, Clause | None]]:
    """Where each clause is first found: by its title, else by its obligation in the text (without a clause)."""
    found: dict[str, tuple[int, Clause | None]] = {}
    for clause in clauses:
        for name in clause.names:
            if name not in found:
                found[name] = (clause.start, clause)
    for name, pattern in _BODY.items():
        if name in found and name != "parties":
            continue
        match = pattern.search(text)
        if name == "signature":  # a letter speaks of signing before it comes to it
            *_, match = (None, *pattern.finditer(text))
        if match and (name not in found or match.start() < found[name][0]):
            found[name] = (match.start(), None)
    named = _TWO_NAMED.search(text, 0, 1500)  # X ("A") and Y ("B"), or a table of both
    if named and ("parties" not in found or named.start() < found["parties"][0]):
        found["parties"] = (named.start(), None)
    if "signature" not in found:
        tail = max(0, len(text.rstrip()) - 300)
        blank = re.compile(r"(?:_{4,}|\.{5,})").search(text, tail)
        if blank:
            found["signature"] = (text.rfind("\n", 0, blank.start()) + 1, None)
    return found


def is_empty(text: str, clause: Clause, clauses: list[Clause]) -> bool:
    """Nothing stands below the title; untitled or unnumbered lines below a numbered title are its text."""
    if not clause.names or clause.names == ("signature",):
        return False
    later = (
        other for other in clauses if other.start > clause.start and (other.numbered or not clause.numbered)
    )
    end = next((other.start for other in later), len(text))
    below = text[clause.head_end : end]
    return not re.search(
        r"[^\W_]{2}|[_.]{3}|[●\[]", re.sub(_NUMBER + r"\s*$", "", below, flags=re.IGNORECASE)
    )


#: (first, later): what has to come before what, by their first places. Not more than every house style keeps.
ORDER = (
    ("parties", "appointment"),
    ("parties", "remuneration"),
    ("appointment", "remuneration"),
    ("appointment", "termination"),
    ("duties", "termination"),
    ("remuneration", "termination"),
    ("appointment", "law"),
    ("remuneration", "law"),
    ("termination", "signature"),
    ("remuneration", "signature"),
    ("law", "signature"),
)
#: clauses that one agreement has once; two of several show that there are two agreements
ONCE = ("appointment", "remuneration", "confidentiality", "ip", "law", "gratuity", "posh")
