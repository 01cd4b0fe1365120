# ruff: noqa: E501
"""Detection tables of `contract_clauses` and `policy_facts`: planted errors caught, clean documents flagged.

Covers: hand-written agreements and answers (``documents_data``, written before the rules; part b and answers from n21 on
were first opened for measuring, see docs/scorer-documents.md), generated ones with seeds, one planted error at a time,
95 % Wilson intervals. Does not cover: model outputs, drafts by lawyers, whether the errors are as frequent in life.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pydantic
from scipy.stats import binomtest

import evals

DATA = Path(__file__).parent / "documents_data"
SEED = 20261122
Plant = tuple[str, str, frozenset[str]]  # name of the error, text with it, kinds that count as caught


@dataclass(frozen=True)
class Item:
    """One clean text with what was asked; ``marks`` are the words that planted errors change."""

    id: str
    question: str
    text: str
    marks: dict[str, str]


def run(quick: bool) -> list[dict[str, Any]]:
    """Rows by kind of planted error and for clean texts, for both scorers."""
    agreements = [
        *read("agreements_a.txt", "request"),
        *read("agreements_b.txt", "request"),
        *generated_agreements(36),
    ]
    answers = [*read("answers.txt", "question"), *generated_answers(36)]
    if quick:
        agreements, answers = agreements[::6], answers[::6]
    return [
        *_rows("contract_clauses", agreements, plant_agreement, _agreements),
        *_rows("policy_facts", answers, plant_answer, _answers),
    ]


def read(name: str, asked: str) -> list[Item]:
    """Items of a file of ``documents_data``; raises `ValueError` where a mark is not in its text."""
    items = []
    for block in re.split(r"^=== ", (DATA / name).read_text("utf-8"), flags=re.MULTILINE)[1:]:
        head, text = block.split("\n---\n", 1)
        first, *lines = head.splitlines()
        marks = dict(line.split(": ", 1) for line in lines)
        for kind, mark in marks.items():
            if kind not in (asked, "sheet", "stale", "promise", "place") and not re.search(
                re.escape(mark.split(" => ")[0]), text, re.IGNORECASE
            ):
                raise ValueError(f"{name}: {first}: the mark {kind} ({mark}) is not in the text.")
        items.append(Item(first, marks.pop(asked), text.rstrip() + "\n", marks))
    return items


# --- planted errors -------------------------------------------------------------------------------------------------

_OMIT = {
    "gratuity": r"gratuity",
    "maternity": r"maternity",
    "posh": r"sexual harassment|posh",
    "confidentiality": r"confiden|secrecy|non-disclosure|\bsecret",
    "law": r"law|jurisdiction|courts?",
}
_ACTS = ("Delhi Shops and Establishments Act, 1954", "Kerala Shops and Commercial Establishments Act, 1960")
_WRONG = {
    "amount": "wrong_amount",
    "date": "wrong_date",
    "notice": "wrong_notice",
    "probation": "wrong_probation",
}
_BLANK_VALUE = {
    "amount": "Rs. 4,75,000",
    "date": "3 May 2027",
    "notice": "forty-five days",
    "employee": "Vivek Anand",
}


def plant_agreement(item: Item) -> Iterator[Plant]:
    """One error at a time into a clean agreement."""
    text, marks = item.text, item.marks
    for name, pattern in _OMIT.items():
        without = _without_clause(text, pattern)
        if without != text:
            yield f"omitted clause: {name}", without, frozenset({"missing_clause", "empty_clause"})
    for kind, value in (
        ("amount", _other_figure),
        ("date", _other_year),
        ("notice", _period),
        ("probation", _period),
    ):
        if kind in marks:
            changed = _swap(text, marks[kind], value(marks[kind]))
            yield f"contradicted {kind}", changed, frozenset({_WRONG[kind], "contradiction"})
    for kind in ("amount", "date", "notice", "employee"):
        if kind in marks:
            yield (
                f"placeholder left: {kind}",
                _swap(text, marks[kind], "[●]"),
                frozenset({"placeholder_left", "missing_fact"}),
            )
        if f"blank_{kind}" in marks:
            invented = _swap(text, marks[f"blank_{kind}"], _BLANK_VALUE[kind])
            yield f"invented value: {kind}", invented, frozenset({"invented_value"})
    if "employee" in marks:
        first, *_ = marks["employee"].split()
        yield (
            "another employee",
            _swap(text, marks["employee"], f"{first} Chatterjee"),
            frozenset({"wrong_party"}),
        )
    if "Code on Social Security, 2020" in text:
        stale = text.replace("Code on Social Security, 2020", "Payment of Gratuity Act, 1972", 1)
        yield "stale statute", stale, frozenset({"stale_statute"})
    if "act" in marks:
        other = next(act for act in _ACTS if act.split()[0] != marks["act"].split()[0])
        yield "act of another state", _swap(text, marks["act"], other), frozenset({"wrong_state"})
    if "define" in marks:
        yield "undefined term", _swap(text, marks["define"], ""), frozenset({"undefined_term"})
    at = re.search(r"section 27", text, re.IGNORECASE)
    if at:
        start = text.rfind("\n", 0, at.start()) + 1
        bad = "For two years after leaving, the employee shall not join any competing business."
        yield "void restraint", f"{text[:start]}{bad}\n{text[start:]}", frozenset({"void_restraint"})


def _without_clause(text: str, pattern: str) -> str:
    """Without the paragraphs whose first line speaks of a subject, and without every other line that does."""
    kept, dropping = [], False
    for line in text.splitlines(keepends=True):
        title = re.match(r"[\W\d]*(?:[A-Za-z]{1,7}\s[IVXL\d]+\W+)?(?:[A-Za-z][.)]\s)?[^.:\n]{0,60}", line)
        heading = title is not None and re.search(pattern, title.group(), re.IGNORECASE) and line.strip()
        if heading or (re.search(pattern, line, re.IGNORECASE) and pattern != _OMIT["law"]):
            dropping = True
            continue
        if not line.strip() or re.match(r"\W*(?:\d|[A-Z][.)]|[IVX]+\.|ARTICLE|Clause|Article|§)", line):
            dropping = False
        if not dropping:
            kept.append(line)
    return "".join(kept)


def _swap(text: str, old: str, new: str) -> str:
    return re.sub(re.escape(old), lambda _: new, text, flags=re.IGNORECASE)


def _other_figure(mark: str) -> str:
    return re.sub(r"\d", lambda m: str(int(m.group()) % 9 + 1), mark, count=1)


def _other_year(mark: str) -> str:
    return re.sub(r"(20\d\d)", lambda m: str(int(m.group()) + 1), mark)


def _period(mark: str) -> str:
    return "twenty-five (25) days'" if "notice" not in mark else "twenty-five days' notice"


_CAUGHT = {
    "days": frozenset({"wrong_time", "unsupported_promise", "stale_fact"}),
    "fee": frozenset({"wrong_fee", "unsupported_promise", "stale_fact"}),
    "share": frozenset({"wrong_share", "unsupported_promise", "stale_fact"}),
    "payer": frozenset({"wrong_payer", "stale_fact"}),
    "channel": frozenset({"wrong_channel"}),
}


def plant_answer(item: Item) -> Iterator[Plant]:
    """One error at a time into a clean answer."""
    for kind, caught in _CAUGHT.items():
        if kind in item.marks:
            old, new = item.marks[kind].split(" => ")
            yield f"wrong {kind}", _swap(item.text, old, new), caught
    if "promise" in item.marks:
        text = f"Thanks for asking you did! {item.marks['promise']} Anything else?"
        yield "promise instead of hand-over", text, frozenset({"must_hand_over"})
    if item.marks.get("stale") == "yes":
        yield "stale policy", item.text, frozenset({"stale_fact"})


# --- measuring ------------------------------------------------------------------------------------------------------


def _agreements(items: list[tuple[Item, str, str]]) -> list[list[dict[str, Any]]]:
    result = evals.metric("contract_clauses").compute(
        predictions=[text for _, _, text in items], requests=[item.question for item, _, _ in items]
    )
    return result["evidence"]


def _answers(items: list[tuple[Item, str, str]]) -> list[list[dict[str, Any]]]:
    sheets = [(DATA / f"policy_{version}.toml").read_text("utf-8") for version in ("2026_04", "2026_10")]
    found: list[list[dict[str, Any]]] = [[] for _ in items]
    for day, version in (("2026-05-01", "2026_04"), ("2026-11-01", "2026_10")):
        some = [
            n
            for n, (item, name, _) in enumerate(items)
            if ("2026_10" if name == "stale policy" else item.marks["sheet"]) == version
        ]
        if some:
            result = evals.metric("policy_facts").compute(
                predictions=[items[n][2] for n in some],
                questions=[items[n][0].question for n in some],
                policies=[sheets],
                as_of=day,
            )
            for n, hits in zip(some, result["evidence"], strict=True):
                found[n] = hits
    return found


def measure(
    items: list[Item],
    plant: Callable[[Item], Iterator[Plant]],
    judge: Callable[[list[tuple[Item, str, str]]], list[list[dict[str, Any]]]],
) -> tuple[dict[str, list[bool]], dict[str, list[str]]]:
    """By planted error whether each was caught, and by clean item the kinds it was flagged for."""
    clean = judge([(item, "", item.text) for item in items])
    flagged = {item.id: [hit["kind"] for hit in hits] for item, hits in zip(items, clean, strict=True)}
    planted = [(item, *one) for item in items for one in plant(item)]
    judged = judge([(item, name, text) for item, name, text, _ in planted])
    caught: dict[str, list[bool]] = {}
    for (_, name, _, kinds), hits in zip(planted, judged, strict=True):
        caught.setdefault(name, []).append(any(hit["kind"] in kinds for hit in hits))
    return caught, flagged


def _rows(
    scorer: str,
    items: list[Item],
    plant: Callable[[Item], Iterator[Plant]],
    judge: Callable[[list[tuple[Item, str, str]]], list[list[dict[str, Any]]]],
) -> list[dict[str, Any]]:
    caught, flagged = measure(items, plant, judge)
    rows = [_row(f"{scorer}: {name}, caught", some, 0.95) for name, some in sorted(caught.items())]
    rows.append(
        _row(f"{scorer}: all planted errors, caught", [one for some in caught.values() for one in some], 0.95)
    )
    written = [bool(kinds) for name, kinds in flagged.items() if not name.startswith("g")]
    rows.append(_row(f"{scorer}: clean texts flagged, written by hand", written, 0.02, most=True))
    rows.append(
        _row(f"{scorer}: clean texts flagged, all", [bool(k) for k in flagged.values()], 0.02, most=True)
    )
    return rows


def _row(figure: str, outcomes: list[bool], goal: float, most: bool = False) -> dict[str, Any]:
    hits, n = sum(outcomes), len(outcomes)
    interval = binomtest(hits, n).proportion_ci(method="wilson")
    share = hits / n
    return {
        "figure": f"{figure} (n = {n})",
        "goal": f"{'<=' if most else '>='} {goal:g}",
        "ours": round(share, 4),
        "spread": f"95 % Wilson {interval.low:.3f} to {interval.high:.3f}",
        "met": bool(share <= goal if most else share >= goal),
        "versions": {"pydantic": pydantic.VERSION, "policy_facts": evals.scorer_version("policy_facts"),
                     "contract_clauses": evals.scorer_version("contract_clauses")},
    }  # fmt: skip


# --- generated texts ------------------------------------------------------------------------------------------------

_PEOPLE = "Anil Kapadia, Sunita Gowda, Irfan Ansari, Pallavi Hegde, Mohan Pillai, Zoya Mirza, Kiran Thakur, Neha Bansal"
_FIRMS = "Copperleaf Textiles, Monsoon Robotics, Quiet Harbour Foods, Bluestem Media, Cedarline Motors, Lanternfish Labs"
_JOBS = (
    "Quality Engineer, Accounts Executive, Design Lead, Sales Manager, Data Engineer, Store Manager, Trainer"
)
_PLACES = (
    ("Bengaluru", "Karnataka Shops and Commercial Establishments Act, 1961"),
    (
        "Pune",
        "Maharashtra Shops and Establishments (Regulation of Employment and Conditions of Service) Act, 2017",
    ),
    ("Chennai", "Tamil Nadu Shops and Establishments Act, 1947"),
    ("Hyderabad", "Telangana Shops and Establishments Act, 1988"),
    ("Jaipur", "Rajasthan Shops and Commercial Establishments Act, 1958"),
)
_PERIODS = ("thirty (30) days", "two (2) months", "sixty (60) days", "three (3) months", "six (6) months")
_HEADS = ("{n}. {t}", "{n}) {T}", "Clause {n}: {t}", "## {n}. {t}", "{t}")
_BODY: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("Appointment", ("{firm} takes {person} into employment as {job} from {date}.", "{person} is appointed as {job} and joins {firm} on {date}.")),
    ("Duties", ("The usual tasks of the post are to be carried out with care.", "Work is assigned by the head of the unit and done diligently.")),
    ("Probation", ("The first {probation} are served on probation.", "A probation of {probation} is agreed.")),
    ("Remuneration", ("Gross pay is {amount} per annum.", "{firm} pays {amount} per annum in equal monthly parts.")),
    ("Working hours and leave", ("The {act} sets hours, rest and leave.", "Hours of work and leave are those of the {act}.")),
    ("Provident fund", ("Contributions follow the Employees' Provident Funds and Miscellaneous Provisions Act, 1952.",)),
    ("Employees' State Insurance", ("It applies within the wage ceiling of the Code on Social Security, 2020.",)),
    ("Gratuity", ("It is paid as the Code on Social Security, 2020 lays down.",)),
    ("Maternity benefit", ("The Code on Social Security, 2020 is followed.",)),
    ("Sexual harassment", ("Complaints go to the Internal Committee under the Sexual Harassment of Women at Workplace (Prevention, "
                           "Prohibition and Redressal) Act, 2013.",)),
    ("Confidentiality", ('What is not public (the "Guarded Matter") is kept secret. No Guarded Matter leaves the office.',)),
    ("Intellectual property", ("Whatever is created at work is owned by {firm}.",)),
    ("Data protection", ("Personal data is handled under the Digital Personal Data Protection Act, 2023.",)),
    ("Covenants", ("No second job is taken during the employment. Section 27 of the Indian Contract Act, 1872 governs the time after it.",)),
    ("Termination", ("Either party may end the employment with notice of {notice}.", "A notice of {notice} in writing ends it for either party.")),
    ("Governing law", ("The laws of India apply, and the courts at {place} have jurisdiction.",)),
)  # fmt: skip


def generated_agreements(count: int) -> list[Item]:
    """Agreements from phrases, the same ones every time; every third request leaves the notice open."""
    rng = random.Random(SEED)
    items = []
    for number in range(count):
        place, act = rng.choice(_PLACES)
        lakh = rng.randint(3, 40)
        facts = {
            "person": rng.choice(_PEOPLE.split(", ")),
            "firm": rng.choice(_FIRMS.split(", ")) + rng.choice((" Private Limited", " LLP")),
            "job": rng.choice(_JOBS.split(", ")),
            "date": f"{rng.randint(1, 28)} {rng.choice(('January', 'February', 'March', 'April'))} 2027",
            "amount": f"Rs. {lakh},00,000",
            "notice": rng.choice(_PERIODS[:3]),
            "probation": rng.choice(_PERIODS[3:]),
            "place": place,
            "act": act,
        }
        silent = number % 3 == 0
        asked = "" if silent else f" The notice period is {facts['notice']}."
        request = (
            f"Draft an employment agreement for {facts['person']}, {facts['job']} at "
            f"{facts['firm']}, {place}. Salary {lakh} lakh "
            f"per annum, start {facts['date']}, probation {facts['probation']}.{asked}"
        )
        shown = facts | ({"notice": "[length of notice]"} if silent else {})
        style = rng.choice(_HEADS)
        parts = [
            f'Employment Agreement\n\nBetween {facts["firm"]} (the "Employer") and {facts["person"]} (the "Employee").\n'
        ]
        for n, (title, phrases) in enumerate(_BODY, 1):
            head = style.format(n=n, t=title, T=title.upper())
            parts.append(f"{head}\n{rng.choice(phrases).format(**shown)}\n")
        parts.append("Signed by the Employer: ______________    Signed by the Employee: ______________\n")
        marks = {"amount": facts["amount"], "date": facts["date"], "probation": facts["probation"], "employee": facts["person"],
                 "act": act, "define": '(the "Guarded Matter")'}  # fmt: skip
        marks["blank_notice" if silent else "notice"] = shown["notice"]
        items.append(Item(f"g{number:02d}", request, "\n".join(parts), marks))
    return items


_OPEN = (
    "Thanks for your message!",
    "Glad you asked us.",
    "Happy to help you with this.",
    "Good question, thank you!",
)
_CLOSE = (
    "Anything else?",
    "Just reply if you need more.",
    "Let us know how it goes.",
    "We are here for you.",
)
# question, sentence with {v}, kind of error, value of each version, wrong value
_TOLD: tuple[tuple[str, str, str, tuple[str, str], str], ...] = (
    ("How long can I return a bag?", "A bag can be returned within {v}.", "days", ("10 days", "14 days"), "45 days"),
    ("When do I see the refund on my card?", "The refund reaches the card in {v}.", "days", ("5 business days", "3 business days"), "10 business days"),
    ("What does express delivery cost?", "Express costs {v}.", "fee", ("Rs 129", "Rs 149"), "Rs 59"),
    ("What do you charge for cash on delivery?", "For cash on delivery we add {v}.", "fee", ("Rs 35", "Rs 40"), "Rs 10"),
    ("How many Leaf points do I earn?", "Points are {v} of the order.", "share", ("2%", "3%"), "8%"),
    ("How long does delivery take?", "Standard delivery takes {v}.", "days", ("3-5 business days", "3-5 business days"), "1-2 business days"),
    ("How long is a gift card valid?", "A gift card can be used for {v}.", "days", ("12 months", "12 months"), "36 months"),
    ("The mug is broken, who pays the pickup?", "For a broken mug, {v}.", "payer", ("the pickup is on us", "the pickup is on us"), "the pickup is on you"),
    ("Where do I change my address?", "You can change the address {v} until dispatch.", "channel", ("in the app", "in the app"), "by phone"),
)  # fmt: skip


def generated_answers(count: int) -> list[Item]:
    """Answers from phrases, the same ones every time, by turns against the first and the second sheet."""
    rng = random.Random(SEED)
    items = []
    for number in range(count):
        question, sentence, kind, values, wrong = _TOLD[number % len(_TOLD)]
        version = rng.randrange(2)
        text = f"{rng.choice(_OPEN)} {sentence.format(v=values[version])} {rng.choice(_CLOSE)}\n"
        marks = {"sheet": ("2026_04", "2026_10")[version], kind: f"{values[version]} => {wrong}"}
        if version == 0 and values[0] != values[1]:
            marks["stale"] = "yes"
        items.append(Item(f"g{number:02d}", question, text, marks))
    return items
