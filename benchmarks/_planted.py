"""Dose and response of preflight: corrupted labels planted into a snapshot, how often is training stopped?

Covers: notes with mistakes of kinds that `soap_note` claims to see (a wrong dose, an invented medication, a wrong
number) and of a kind that it does not (a clause that reads well and says something else), planted into 2, 5, 10 and
25 % of the pairs. Every text is judged once by the real scorer; a run is a draw of the pairs that are corrupted.
Does not cover: retraining, so it says nothing about the promotion gate.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import evals
from curate.tasks import EvalRow
from evals.run import score_texts
from evals.stats import wilson

SHARES = (0.02, 0.05, 0.1, 0.25)
MEDICINES = (
    "lisinopril",
    "metformin",
    "atorvastatin",
    "amoxicillin",
    "sertraline",
    "amlodipine",
    "omeprazole",
)
COMPLAINTS = ("a dry cough", "knee pain", "headaches", "heartburn", "trouble sleeping", "a rash on the arm")
DOSES = (5, 10, 20, 25, 40, 50, 100)


def _pair(number: int) -> tuple[str, dict[str, Any]]:
    rng = random.Random(number)
    facts = {
        "complaint": rng.choice(COMPLAINTS),
        "medicine": rng.choice(MEDICINES),
        "dose": rng.choice(DOSES),
        "days": rng.randint(2, 14),
        "course": "is getting better",
    }
    talk = (
        "[doctor] what brings you in today? [patient] i have had {complaint} for {days} days, it {course}. "
        "[doctor] i would like you to take {medicine} {dose} mg daily. [patient] okay."
    ).format(**facts)
    return talk, facts


def _note(facts: dict[str, Any]) -> str:
    return (
        "SUBJECTIVE\nThe patient reports {complaint} for {days} days; it {course}.\n\n"
        "ASSESSMENT AND PLAN\nTake {medicine} {dose} mg daily."
    ).format(**facts)


def _other(values: tuple[Any, ...], value: Any) -> Any:
    return values[(values.index(value) + 1) % len(values)]


KINDS: dict[str, tuple[bool, Callable[[dict[str, Any]], dict[str, Any]]]] = {
    "wrong dose": (True, lambda f: f | {"dose": _other(DOSES, f["dose"])}),
    "invented medication": (True, lambda f: f | {"medicine": _other(MEDICINES, f["medicine"])}),
    "wrong number": (True, lambda f: f | {"days": f["days"] + 17}),
    "other course, well said": (False, lambda f: f | {"course": "has been the same all along"}),
}


def rows(quick: bool) -> list[dict[str, Any]]:
    """Figures: for each kind and share, how often preflight stops; and how often a clean snapshot passes."""
    pairs, rounds = (60, 100) if quick else (200, 400)
    made = [_pair(number) for number in range(pairs)]
    version = evals.scorer_version("soap_note")

    def stopped(notes: list[str]) -> list[bool]:
        judged = [
            EvalRow(id=str(i), source=str(i), prompt=talk, reference=note)
            for i, ((talk, _), note) in enumerate(zip(made, notes, strict=True))
        ]
        evidence = score_texts("soap_note", judged, notes)["evidence"]
        return [any(hit.get("critical") for hit in hits) for hits in evidence]

    clean = stopped([_note(facts) for _, facts in made])
    found = []
    passes = sum(not any(random.Random(r).choices(clean, k=pairs)) for r in range(rounds))
    found.append(
        _row("a clean snapshot passes preflight", ">= 0.8", passes, rounds, pairs, True, 0.8, version)
    )
    for kind, (claimed, change) in KINDS.items():
        bad = stopped([_note(change(facts)) for _, facts in made])
        for share in SHARES:
            blocked = 0
            for r in range(rounds):
                planted = set(random.Random(r).sample(range(pairs), max(1, round(share * pairs))))
                blocked += any(bad[i] if i in planted else clean[i] for i in range(pairs))
            goal = 0.95 if claimed and share == 0.02 else None
            words = ">= 0.95" if goal else "as measured"
            name = f"preflight stops {share:.0%} {kind} ({'claimed' if claimed else 'not claimed'} by the scorer)"
            found.append(_row(name, words, blocked, rounds, pairs, goal is not None, goal or 0, version))
    return found


def _row(
    figure: str, goal: str, hits: int, rounds: int, pairs: int, judged: bool, least: float, version: str
) -> dict[str, Any]:
    low, high = wilson(hits, rounds)
    return {
        "area": "gates",
        "figure": figure,
        "goal": goal,
        "ours": round(hits / rounds, 4),
        "peer": None,
        "ratio": None,
        "spread": f"{rounds} draws of {pairs} pairs, [{low:.3f}, {high:.3f}]",
        "met": bool(hits / rounds >= least) if judged else None,
        "command": "python -m benchmarks gates",
        "versions": {"soap_note": version},
    }
