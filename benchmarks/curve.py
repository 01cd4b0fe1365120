"""The learning curve on real models: what half of the sarcastic bot's pairs foretell, beside models trained on all.

Covers: `goldpair curve` as people run it, on the shipped pack with the small base: nested parts of 1/8, 1/4, 1/2 and
all pairs under two seeds, the fit to the smaller parts against the largest (`evals.curve.hold_back`).
Does not cover: how often the interval holds, which takes many curves (`benchmarks.gates`, on synthetic ones); other
packs, larger models.

About half an hour on two cores.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks._shipped import at_snapshot
from curate import contract
from train.base import DEFAULT

TASK = "sarcastic-bot"
SEEDS, POINTS = 2, 4


def run(quick: bool) -> Iterator[dict[str, Any]]:
    """Three rows a suite; quick trains every model for half a minute at most."""
    bounded = {"max_minutes": 0.5} if quick else {}
    with tempfile.TemporaryDirectory(prefix="goldpair-curve-") as scratch:
        steps, snapshot = at_snapshot(Path(scratch), TASK)
        name = contract.load_manifest(snapshot).id
        steps.job("baselines", "eval", task=TASK, snapshot=name)
        steps.job("preflight", "preflight", snapshot=name)
        found = steps.job("curve", "curve", snapshot=name, seeds=SEEDS, points=POINTS, **bounded)
    for suite, told in found["suites"].items():
        measured = ", ".join(f"{one['pairs']}: {one['score']:.3f}" for one in told["points"])
        kept = told.get("hold_back")
        if kept is None:
            yield _row(
                f"{suite}: what the smaller parts foretell for all pairs",
                "a curve",
                None,
                False,
                told["sentence"],
            )
            continue
        n = len(kept["scores"])
        yield _row(
            f"{suite}: models on all {kept['pairs']} pairs inside the 95 % interval that half of them foretell",
            f"{n} of {n}",
            f"{kept['inside']} of {n}",
            kept["inside"] == n,
            f"{kept['sentence']} Pairs and scores: {measured}",
        )
        width = kept["high"] - kept["low"]
        yield _row(
            f"{suite}: width of that interval", "as measured", round(width, 3), None, "in units of the score"
        )
        double = told["double"]
        yield _row(
            f"{suite}: score foretold at {double['pairs']} pairs",
            "as measured",
            round(double["estimate"], 3),
            None,
            told["sentence"],
        )


def _row(figure: str, goal: str, ours: Any, met: bool | None, spread: str) -> dict[str, Any]:
    return {
        "figure": figure,
        "goal": goal,
        "ours": ours,
        "spread": spread,
        "met": met,
        "versions": {"base": DEFAULT},
    }
