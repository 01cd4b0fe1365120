"""How many more pairs? A saturating curve through the scores of models trained on parts of the data.

Covers: nested parts of a snapshot, the fit, intervals for a score at other sizes and for the size that reaches a
threshold, the sentence for the report, a check of the fit against the largest part.
Does not cover: training and scoring the parts (`goldpair curve` does), drawing (`evals._charts`).

The curve is ``score = a - b * pairs ** -c`` with b, c > 0 (a power law that saturates: Cortes and others 1993;
Hestness and others 2017). With eight points or so three numbers are known badly, so nothing is said from the best fit
alone: ``c`` is averaged over a grid by its marginal likelihood, ``a``, ``b`` and the noise are drawn from their
posterior under flat priors, and every interval comes from those draws.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from curate.errors import UsageError

FRACTIONS = (0.125, 0.25, 0.5, 1.0)
EXPONENTS = np.geomspace(0.05, 3.0, 60)
DRAWS = 6_000
ROUNDS = 40  # of draws, where the bounds of a and b throw most of them away
LEAST = 6  # points; fewer leave no freedom for three numbers and a noise
LEVEL = 0.95


def nested_parts(
    sources: Sequence[str], seed: int, fractions: Sequence[float] = FRACTIONS
) -> list[list[int]]:
    """Row numbers of each part; every part holds the one before it. Whole sources, so that parts differ as data do.

    The last source is taken in part where it would overshoot. Raises `UsageError` for fractions that do not rise.
    """
    if list(fractions) != sorted(set(fractions)) or not 0 < fractions[0] <= fractions[-1] <= 1:
        raise UsageError(f"Parts must rise from above 0 to at most 1, not {list(fractions)}.")
    groups: dict[str, list[int]] = {}
    for number, source in enumerate(sources):
        groups.setdefault(source, []).append(number)
    names = sorted(groups)
    random.Random(seed).shuffle(names)
    order = [number for name in names for number in groups[name]]
    return [sorted(order[: max(1, round(part * len(order)))]) for part in fractions]


def fit(
    pairs: Sequence[float],
    scores: Sequence[float],
    *,
    threshold: float | None = None,
    named: str = "The gate's floor",
    highest: float = 1.0,
    seed: int = 0,
    level: float = LEVEL,
) -> dict[str, Any]:
    """Fit the curve and say what it can say.

    Args:
        pairs, scores: one measured model each, shape (n,), at least three different sizes.
        threshold: score whose size is asked for, and what it is called. highest: no score lies above it.

    Returns ``{"points", "line", "double": {pairs, estimate, low, high}, "threshold", "needed": {estimate, low, high} |
    None, "deviation", "level", "sentence"}``; an end of ``needed`` that no number of pairs reaches is None. The
    interval at twice the data is for the score that one more model would get. Raises `UsageError` for too few points.
    """
    n, y = np.asarray(pairs, float), np.asarray(scores, float)
    if (
        len(n) != len(y)
        or len(n) < LEAST
        or len(np.unique(n)) < 3
        or not np.isfinite(y).all()
        or (n <= 0).any()
    ):
        raise UsageError(
            f"A curve needs at least {LEAST} scores over at least 3 sizes, not {len(n)} over {len(np.unique(n))}. "
            "Use more parts or more seeds."
        )
    unit = n.max()
    rng = np.random.default_rng(seed)
    a, b, c, sigma = _draws(n / unit, y, highest, rng)
    if len(a) < 200:
        raise UsageError("The scores do not rise with the data, so no saturating curve goes through them.")
    tail = (1 - level) / 2

    def at(size: float, noise: bool) -> tuple[float, float, float]:
        value = a - b * (size / unit) ** -c
        spread = value + sigma * rng.standard_normal(len(a)) if noise else value
        low, high = np.quantile(spread, [tail, 1 - tail])
        return float(np.median(value)), float(low), float(high)

    sizes = np.geomspace(n.min(), 4 * unit, 40)
    line = []
    for size in sizes:
        middle, low, high = at(float(size), noise=True)
        line.append({"pairs": float(size), "estimate": middle, "low": low, "high": high})
    middle, low, high = at(2 * unit, noise=True)
    double = {"pairs": int(2 * unit), "estimate": middle, "low": low, "high": high}
    needed = None
    if threshold is not None:
        with np.errstate(divide="ignore", invalid="ignore"):
            size = np.where(a > threshold, unit * (b / np.maximum(a - threshold, 1e-12)) ** (1 / c), np.inf)
        ends = np.quantile(size, [0.5, tail, 1 - tail], method="inverted_cdf")
        needed = {
            name: None if not math.isfinite(end) or end > 1e9 else math.ceil(end)
            for name, end in zip(("estimate", "low", "high"), ends, strict=True)
        }
    return {
        "points": [{"pairs": float(p), "score": float(s)} for p, s in zip(n, y, strict=True)],
        "line": line,
        "double": double,
        "threshold": threshold,
        "needed": needed,
        "deviation": float(np.median(sigma)),
        "level": level,
        "sentence": _sentence(double, threshold, named, needed, level),
    }


def hold_back(pairs: Sequence[float], scores: Sequence[float], *, seed: int = 0) -> dict[str, Any] | None:
    """What the scores of the smaller parts foretell for the largest one, beside what was measured there.

    ``{"pairs", "low", "high", "scores", "inside", "sentence"}``, ``inside`` counts the scores within the interval. None
    where the largest part is not twice the one before (to rounding), or the rest is too few to fit.
    """
    sizes = sorted(set(pairs))
    if len(sizes) < 2 or abs(sizes[-1] - 2 * sizes[-2]) > 1:
        return None
    rest = [(p, s) for p, s in zip(pairs, scores, strict=True) if p < sizes[-1]]
    try:
        told = fit([p for p, _ in rest], [s for _, s in rest], seed=seed)["double"]
    except UsageError:
        return None
    seen = [s for p, s in zip(pairs, scores, strict=True) if p == sizes[-1]]
    inside = sum(told["low"] <= score <= told["high"] for score in seen)
    return {
        "pairs": sizes[-1],
        "low": told["low"],
        "high": told["high"],
        "scores": seen,
        "inside": inside,
        "sentence": f"Tried on what is known: half the pairs foretold {told['low']:.3f} to {told['high']:.3f} for all "
        f"of them; the models scored {', '.join(f'{score:.3f}' for score in seen)}.",
    }


def _draws(
    x: NDArray[np.float64], y: NDArray[np.float64], highest: float, rng: np.random.Generator
) -> tuple[NDArray[np.float64], ...]:
    """Posterior draws of a, b, c and the noise, those with b <= 0 or a above the highest score left out."""
    freedom = len(x) - 2
    parts, weights = [], []
    for exponent in EXPONENTS:
        design = np.column_stack([np.ones_like(x), -(x**-exponent)])
        gram = design.T @ design
        best = np.linalg.solve(gram, design.T @ y)
        rest = max(float(((y - design @ best) ** 2).sum()), 1e-10)
        parts.append((best, np.linalg.cholesky(np.linalg.inv(gram)), rest))
        weights.append(-0.5 * np.linalg.slogdet(gram)[1] - 0.5 * freedom * math.log(rest))
    share = np.exp(np.array(weights) - max(weights))
    found: list[NDArray[np.float64]] = []
    for _ in range(ROUNDS):
        counts = rng.multinomial(DRAWS, share / share.sum())
        for exponent, (best, root, rest), count in zip(EXPONENTS, parts, counts, strict=True):
            if count:
                sigma = np.sqrt(rest / rng.chisquare(freedom, count))
                ab = best + sigma[:, None] * (rng.standard_normal((count, 2)) @ root.T)
                keep = (ab[:, 1] > 0) & (ab[:, 0] <= highest)
                found.append(np.column_stack([ab, np.full(count, exponent), sigma])[keep])
        if sum(map(len, found)) >= DRAWS // 2:
            break
    a, b, c, sigma = np.concatenate(found).T
    return a, b, c, sigma


def _sentence(
    double: dict[str, Any],
    threshold: float | None,
    named: str,
    needed: dict[str, Any] | None,
    level: float,
) -> str:
    text = (
        f"With twice the data ({double['pairs']} pairs) a model is expected to score {double['estimate']:.3f} "
        f"[{double['low']:.3f}, {double['high']:.3f}] ({level:.0%} interval)."
    )
    if needed is None or threshold is None:
        return text
    if needed["low"] is None:
        return f"{text} More pairs of this kind will not reach {threshold:.3g}; something else has to change."
    high = f"{needed['high']}" if needed["high"] is not None else "no number that can be told"
    middle = (
        f"about {needed['estimate']} pairs"
        if needed["estimate"] is not None
        else "no number of pairs for sure"
    )
    return f"{text} {named} of {threshold:.3g} takes {middle} [{needed['low']} to {high}]."
