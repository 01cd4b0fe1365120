"""The radar of facts that expire, against completions that other hands wrote and labelled apart from the rules.

Covers: two files, each with completions (does it hold a fact that goes stale, yes or no) and spans (each labelled one
overlapped by a found one, each found one overlapping a labelled one), by kind and by domain, 95 % Wilson intervals. No
row of either was opened while rules and encoder were made (from ``volatile_facts_dev.jsonl`` and
``volatile_facts_dev_2.jsonl``); both were scored more than once, and docs/facts.md lists every run.
Does not cover: whether a fact is true, how labellers agree (`benchmarks/data/README.md`), other languages.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from datetime import date
from pathlib import Path
from typing import Any

from statsmodels.stats.proportion import proportion_confint

from curate.facts import read_facts, rules_version

DATA = Path(__file__).parent / "data"
FILES = {"volatile_facts_2": "new texts", "volatile_facts": "old texts"}  # and what the rows call them
TODAY = date(2026, 11, 22)  # the day the texts were written
RECALL, PRECISION = 0.95, 0.85
#: our kind -> what the labels call it; ``count`` has no kind of its own there
NAMES = {
    "price": "price",
    "fee": "price",
    "period": "duration",
    "rate": "rate",
    "date": "date",
    "statute": "statute",
    "version": "version",
    "hours": "hours",
    "office": "person",
    "channel": "channel",
    "now": "currency_of_statement",
    "availability": "availability",
    "count": "rate",
}
Pair = tuple[dict[str, Any], list[dict[str, Any]]]  # a labelled row and what was found in it


def run(quick: bool) -> list[dict[str, Any]]:
    """Rows for completions and spans of each file; quick takes every fourth completion."""
    out = []
    for file, name in FILES.items():
        lines = (DATA / f"{file}.jsonl").read_text("utf-8").splitlines()
        rows = [json.loads(line) for line in lines][:: 4 if quick else 1]
        pairs = list(zip(rows, read_facts([row["text"] for row in rows], today=TODAY), strict=True))
        out += [row | {"figure": f"{name}, {row['figure']}"} for row in _measured(pairs)]
    return out


def _measured(pairs: list[Pair]) -> list[dict[str, Any]]:
    both = sum(bool(row["facts"]) and bool(found) for row, found in pairs)
    labelled = sum(bool(row["facts"]) for row, _ in pairs)
    flagged = sum(bool(found) for _, found in pairs)
    wanted, hit = _spans(pairs)
    given, right = _found(pairs)
    out = [
        _row("completions with a fact that goes stale: recall", RECALL, both, labelled),
        _row("completions with a fact that goes stale: precision", PRECISION, both, flagged),
        _row("spans, of any kind: recall", RECALL, hit, wanted),
        _row("spans, of any kind: precision", PRECISION, right, given),
    ]
    for kind in sorted(set(NAMES.values())):
        n, k = _spans(pairs, lambda fact, kind=kind: fact["kind"] == kind)  # type: ignore[misc]
        out.append(_row(f"spans labelled {kind}: recall", None, k, n))
        n, k = _found(pairs, lambda fact, kind=kind: NAMES[fact["kind"]] == kind)  # type: ignore[misc]
        out.append(_row(f"spans found as {kind}: precision", None, k, n))
    for domain in sorted({row["domain"] for row, _ in pairs}):
        part = [(row, found) for row, found in pairs if row["domain"] == domain]
        both = sum(bool(row["facts"]) and bool(found) for row, found in part)
        out.append(
            _row(f"completions, {domain}: recall", None, both, sum(bool(row["facts"]) for row, _ in part))
        )
        out.append(
            _row(f"completions, {domain}: precision", None, both, sum(bool(found) for _, found in part))
        )
    return out


def _overlaps(one: dict[str, Any], others: Iterable[dict[str, Any]]) -> bool:
    return any(one["start"] < other["end"] and other["start"] < one["end"] for other in others)


def _spans(pairs: list[Pair], wanted: Callable[[dict[str, Any]], bool] = lambda _: True) -> tuple[int, int]:
    """Labelled spans, and how many of them something found overlaps."""
    facts = [(fact, found) for row, found in pairs for fact in row["facts"] if wanted(fact)]
    return len(facts), sum(_overlaps(fact, found) for fact, found in facts)


def _found(pairs: list[Pair], wanted: Callable[[dict[str, Any]], bool] = lambda _: True) -> tuple[int, int]:
    """Found spans, and how many of them overlap a labelled one."""
    facts = [(fact, row["facts"]) for row, found in pairs for fact in found if wanted(fact)]
    return len(facts), sum(_overlaps(fact, labels) for fact, labels in facts)


def _row(figure: str, goal: float | None, hits: int, n: int) -> dict[str, Any]:
    low, high = proportion_confint(hits, n, method="wilson") if n else (0.0, 1.0)
    share = round(hits / n, 3) if n else None
    return {
        "figure": figure,
        "goal": f">= {goal}" if goal else None,
        "ours": share,
        "spread": f"{hits} of {n}, {low:.3f} to {high:.3f}",
        "met": None if goal is None or share is None else share >= goal,
        "versions": rules_version(),
    }
