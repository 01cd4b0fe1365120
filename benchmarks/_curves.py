"""How often the truth lies inside the interval of a learning curve, on curves whose truth is known.

Covers: power laws of many shapes under two strengths of training noise, four parts and two seeds as `goldpair curve`
measures by default; curves that are no power law, beside them, because a real one is none either.
Does not cover: a real curve (`goldpair curve` tries every one on its own largest part and says so).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import scipy

from curate.errors import UsageError
from evals.curve import fit
from evals.stats import wilson

SIZES = np.repeat([60.0, 120.0, 240.0, 480.0], 2)
NOISE = (0.01, 0.03)  # standard deviation of a model's mean score, training seed and eval rows together
WANTED = 700.0  # pairs at which the threshold is reached
Truth = Callable[[np.random.Generator], Callable[[np.ndarray], np.ndarray]]


def _power(rng: np.random.Generator) -> Callable[[np.ndarray], np.ndarray]:
    """A power law from 0.2 to 0.7 at 60 pairs, its ceiling up to 0.98, its exponent between 0.1 and 1.5."""
    start, exponent = rng.uniform(0.2, 0.7), math.exp(rng.uniform(math.log(0.1), math.log(1.5)))
    ceiling = rng.uniform(start + 0.05, 0.98)
    return lambda n: ceiling - (ceiling - start) * (n / 60.0) ** -exponent


def _exponential(rng: np.random.Generator) -> Callable[[np.ndarray], np.ndarray]:
    start, scale = rng.uniform(0.2, 0.7), rng.uniform(60, 600)
    ceiling = rng.uniform(start + 0.05, 0.98)
    return lambda n: ceiling - (ceiling - start) * np.exp(-(n - 60.0) / scale)


def _sigmoid(rng: np.random.Generator) -> Callable[[np.ndarray], np.ndarray]:
    """Nothing is learned from the smallest part, then all of it within two doublings."""
    start, middle, width = rng.uniform(0.1, 0.5), rng.uniform(100, 400), rng.uniform(0.4, 1.0)
    rise = rng.uniform(0.1, 0.45)
    return lambda n: start + rise / (1 + np.exp(-np.log(n / middle) / width))


KINDS: dict[str, tuple[Truth, bool]] = {
    "power laws": (_power, True),
    "exponentials, no power law": (_exponential, False),
    "sigmoids, no power law": (_sigmoid, False),
}


def rows(quick: bool) -> Iterator[dict[str, Any]]:
    """For each kind of curve: a new model at twice the data, and the pairs that reach a threshold, inside as stated?"""
    rounds = 100 if quick else 500
    for name, (kind, judged) in KINDS.items():
        inside, reached, widths, refused = [], [], [], 0
        for number in range(rounds):
            rng = np.random.default_rng([number, len(name)])
            truth, noise = kind(rng), NOISE[number % len(NOISE)]
            scores = np.clip(truth(SIZES) + rng.normal(0, noise, len(SIZES)), 0, 1)
            try:
                result = fit(
                    SIZES.tolist(), scores.tolist(), threshold=float(truth(np.array(WANTED))), seed=number
                )
            except UsageError:  # noise over a nearly flat curve: the scores fall, and no interval is stated
                refused += 1
                continue
            new = float(truth(np.array(960.0)) + rng.normal(0, noise))
            low, high = result["double"]["low"], result["double"]["high"]
            inside.append(low <= new <= high)
            widths.append(high - low)
            least, most = result["needed"]["low"], result["needed"]["high"]
            reached.append(least is not None and least <= WANTED and (most is None or most >= WANTED))
        width = f"interval {np.median(widths):.3f} wide in the median; {refused} of {rounds} state none"
        yield _row(f"{name}: a new model's score at twice the data", inside, judged, width)
        yield _row(f"{name}: the pairs that reach a threshold", reached, judged, "")


def _row(figure: str, outcomes: list[bool], judged: bool, more: str) -> dict[str, Any]:
    hits, rounds = sum(outcomes), len(outcomes)
    low, high = wilson(hits, rounds)
    share = hits / rounds
    return {
        "figure": f"learning curve, {figure}, inside the 95 % interval",
        "goal": ">= 0.9" if judged else "as measured",
        "ours": round(share, 4),
        "spread": f"{rounds} curves of 4 parts and 2 seeds, [{low:.3f}, {high:.3f}]{'; ' + more if more else ''}",
        "met": bool(share >= 0.9) if judged else None,
        "versions": {"numpy": np.__version__, "scipy": scipy.__version__},
    }
