"""Power of the comparisons in `evals.stats` that have no closed form: their own rule, judged on drawn samples.

Covers: the studentised bootstrap, and the rule that takes over where few clusters differ.
Does not cover: Tango's interval, whose power is an exact sum (`evals.stats`); the intervals themselves.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

FEW_DIFFERENT = 10  # fewer than these among many ties: a bootstrap cannot know the tail it has not seen
WORLDS = 1000  # samples drawn where few differ

Floats = NDArray[np.float64]


def fewer_than(groups: int) -> float:
    """Below so many clusters that differ, counts decide and not the bootstrap."""
    return min(FEW_DIFFERENT, groups / 2)


def resampled_power(shifts: Floats, errors: Floats, quantile: float, distance: float, error: float) -> float:
    """Share of resampled worlds, centred ``distance`` above the bound, whose own lower end passes it.

    Corrected for its own bias (Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, section 10.6): seen
    from one sample the error is off by as much as each world's is off from the sample's, and power bends with it.
    """
    ends = np.sort(shifts - quantile * errors)
    scales = errors / max(error, 1e-300)  # no error at all: every world passes

    def share(scale: Any) -> Any:
        with np.errstate(divide="ignore"):
            return 1 - np.searchsorted(ends, -distance / np.asarray(scale), side="right") / len(ends)

    return float(np.clip(2 * share(1.0) - share(scales).mean(), 0.0, 1.0))


def few_power(
    sums: Floats,
    sizes: Floats,
    quantile: float,
    bound: float,
    effect: float,
    scale: float,
    alpha: float,
    seed: int,
) -> float:
    """Chance of a PASS where few clusters differ, by drawing samples and judging each.

    A drawn sample has as many differing clusters as chance gives it, each as large as one that was seen, won or lost
    so that the mean is ``effect``; then the same rule decides: Clopper-Pearson where few differ, else the studentised
    mean against ``quantile``.
    """
    rng = np.random.default_rng(seed)
    seen = sums != 0
    groups, total = len(sums), float(sizes.sum())
    # Half an imaginary cluster that differs, as in the power of Tango's interval.
    amounts, rows = (np.abs(sums[seen]), sizes[seen]) if seen.any() else (np.array([scale]), np.array([1.0]))
    typical = groups * float(amounts.mean()) / total
    # As many differ as the effect asks for at least: a mean cannot exceed what the pairs that differ add to it.
    share = min(1.0, max(float((seen.sum() + 0.5) / (groups + 1)), abs(effect) / typical))
    each = max(-1.0, min(1.0, effect / (share * typical)))  # mean sign of a difference
    if groups * share > 10 * FEW_DIFFERENT:  # the rule for few no longer matters, and drawing would cost much
        spread = math.sqrt(groups * share * float((amounts**2).mean())) / total
        return float(stats.norm.sf(quantile - (effect - bound) / spread))
    worlds = rng.binomial(groups, share, WORLDS)
    # As many as differ in a sample drawn from this one, and in one drawn from each of those.
    differ = np.concatenate([worlds, rng.binomial(groups, worlds / groups)])
    width = int(differ.max(initial=0)) + 1
    picked = rng.integers(0, len(amounts), (2 * WORLDS, width))
    sign = np.where(rng.random((2 * WORLDS, width)) < (1 + each) / 2, 1.0, -1.0)
    sign[np.arange(width) >= differ[:, None]] = 0.0
    s, m = sign * amounts[picked], rows[picked]
    lost = (sign < 0).sum(1)
    mean = s.sum(1) / total
    squares = (s**2).sum(1) - 2 * mean * (s * m).sum(1) + mean**2 * float((sizes**2).sum())
    error = np.sqrt(groups / (groups - 1) * np.maximum(squares, 0.0)) / total
    # Clopper and Pearson's upper bound for every number of losses the rule for few can meet
    losses = np.arange(min(FEW_DIFFERENT, groups - 1) + 1)
    most = stats.beta.ppf(1 - alpha, losses + 1, groups - losses) * scale
    low = np.where(
        differ < fewer_than(groups),
        -most[np.minimum(lost, len(most) - 1)],
        mean - quantile * error,
    )
    here, there = (low > bound).reshape(2, -1).mean(1)
    return float(np.clip(2 * here - there, 0.0, 1.0))  # less its own bias, as in `resampled_power`
