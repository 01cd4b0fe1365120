"""Error rates of the gate by simulation: how often does it promote a regression, how often an equal version?

Covers: false promotion at the margin and power of `evals.stats.noninferiority` for pass/fail and continuous scores,
independent and clustered, n = 50 to 1 000; beside it two gates in common use on the same draws: "no drop beyond the
tolerance" and "not significantly worse"; whether learning curves hold what they state (`benchmarks._curves`). The same
seeds give the same rates.
Does not cover: models, time, planted mistakes (`benchmarks.planted`).
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import numpy as np
import scipy
from scipy import stats as oracle

from benchmarks import _curves
from evals.stats import MIN_CLUSTERS, noninferiority

MARGIN, ALPHA = 0.03, 0.05
SIZES = (50, 100, 200, 400, 1000)
RESAMPLES = 499  # of each draw; 9 999 by default elsewhere, where an interval must repeat to the third digit
Draw = tuple[np.ndarray, np.ndarray, "np.ndarray | None"]


def run(quick: bool) -> Iterator[dict[str, Any]]:
    """Rows for every kind of score and size; quick takes 100 draws of three sizes instead of 2 000 of five."""
    rounds, sizes = (100, (50, 200, 1000)) if quick else (2000, SIZES)
    with ProcessPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        cells = {(name, n): pool.submit(_rates, name, n, rounds) for name in KINDS for n in sizes}
        for name in KINDS:
            off = []
            for n in sizes:
                rates = cells[name, n].result()
                limit = ALPHA + 2 * math.sqrt(ALPHA * (1 - ALPHA) / rounds)
                yield _row(
                    f"false promotion at the margin, {name}, n = {n}",
                    f"<= {limit:.3f}",
                    rates["false"],
                    rates["peers"],
                    f"{rounds} draws, {rates['undecided']} of them too few clusters",
                    bool(rates["false"] <= limit),
                )
                if rates["undecided"] < rounds:
                    off.append((abs(rates["true"] - rates["printed"]), n, rates))
            worst, n, rates = max(off, key=lambda item: item[0])
            error = 2 * math.sqrt(rates["true"] * (1 - rates["true"]) / rounds)
            yield _row(
                f"printed power against realised, {name}, worst size n = {n}",
                "<= 0.03 apart",
                round(worst, 3),
                None,
                f"printed {rates['printed']:.3f}, realised {rates['true']:.3f} +- {error:.3f} (2 SE) "
                f"over {rounds} draws; all sizes: "
                + ", ".join(f"n {size} {r['printed']:.3f}/{r['true']:.3f}" for _, size, r in off),
                bool(worst <= 0.03),
            )
    yield from _curves.rows(quick)


def _rates(kind: str, n: int, rounds: int) -> dict[str, Any]:
    """Shares of PASS when the truth lies at the margin (false) and at no difference (true), and the power printed
    there; the peers' shares of PASS at the margin.

    Both truths are judged on the same noise. An interval of continuous scores moves with them, so that one call tells
    both (held by a test); pass/fail scores are drawn and judged twice.
    """
    draw, moves = KINDS[kind], kind.startswith("continuous")
    passed = {0.0: 0, -MARGIN: 0}
    printed, tolerant, insignificant, undecided = 0.0, 0, 0, 0
    for seed in range(rounds):
        for shift in passed:
            mine, base, clusters = draw(np.random.default_rng([seed, n]), n, shift)
            if not shift or not moves:
                at, result = (
                    shift,
                    noninferiority(
                        mine, base, MARGIN, clusters=clusters, alpha=ALPHA, seed=seed, resamples=RESAMPLES
                    ),
                )
            passed[shift] += result.method != "none" and result.interval[0] + shift - at > -MARGIN
            if not shift:
                printed += result.power
        undecided += "too few clusters" in result.reason
        diff = mine - base
        tolerant += diff.mean() > -MARGIN
        p = oracle.ttest_1samp(diff, 0.0, alternative="less").pvalue if np.ptp(diff) else 1.0
        insignificant += p > ALPHA
    return {
        "false": round(passed[-MARGIN] / rounds, 4),
        "true": passed[0.0] / rounds,
        "printed": printed / rounds,
        "peers": f"tolerance of {MARGIN:g}: {tolerant / rounds:.3f}; "
        f"not significantly worse: {insignificant / rounds:.3f}",
        "undecided": int(undecided),
    }


# --- draws: (candidate, baseline, clusters) with a true mean difference of ``shift`` --------------------------------


def _pass_fail(discordance: float) -> Callable[[np.random.Generator, int, float], Draw]:
    def draw(rng: np.random.Generator, n: int, shift: float) -> Draw:
        won, lost = (discordance + shift) / 2, (discordance - shift) / 2
        step = rng.choice([1.0, -1.0, 0.0], n, p=[won, lost, 1 - discordance])
        base = np.where(step > 0, 0.0, np.where(step < 0, 1.0, (rng.random(n) < 0.8).astype(float)))
        return base + step, base, None

    return draw


def _normal(rng: np.random.Generator, n: int, shift: float) -> Draw:
    base = rng.random(n)
    return base + rng.normal(shift, 0.15, n), base, None


def _skewed(rng: np.random.Generator, n: int, shift: float) -> Draw:
    """Losses have a long tail: the hard side for a one-sided bound."""
    base = rng.random(n)
    return base - rng.exponential(0.12, n) + 0.12 + shift, base, None


def _clustered(rng: np.random.Generator, n: int, shift: float) -> Draw:
    """Clusters of one to five rows, two thirds of the variance between them."""
    clusters = np.repeat(np.arange(n), rng.integers(1, 6, n))[:n]
    noise = rng.normal(0, 0.12, n)[clusters] + rng.normal(0, 0.085, n)
    base = rng.random(n)
    return base + noise + shift, base, clusters


def _clustered_pass_fail(rng: np.random.Generator, n: int, shift: float) -> Draw:
    """Clusters of one to three rows that differ in how often they are discordant (10 % on average)."""
    clusters = np.repeat(np.arange(n), rng.integers(1, 4, n))[:n]
    share = rng.beta(0.5, 4.5, n)[clusters]  # mean .1
    tilt = shift / 0.1
    draw = rng.random(n)
    won, lost = share * (1 + tilt) / 2, share * (1 - tilt) / 2
    step = np.where(draw < won, 1.0, np.where(draw < won + lost, -1.0, 0.0))
    base = np.where(step > 0, 0.0, np.where(step < 0, 1.0, (rng.random(n) < 0.8).astype(float)))
    return base + step, base, clusters


KINDS: dict[str, Callable[[np.random.Generator, int, float], Draw]] = {
    "pass/fail, 5 % discordant": _pass_fail(0.05),
    "pass/fail, 20 % discordant": _pass_fail(0.2),
    "continuous, normal": _normal,
    "continuous, long tail of losses": _skewed,
    "continuous, clusters of 1 to 5": _clustered,
    "pass/fail, clusters of 1 to 3": _clustered_pass_fail,
}


def _row(figure: str, goal: str, ours: Any, peer: Any, spread: str, met: bool) -> dict[str, Any]:
    return {
        "area": "gates",
        "figure": figure,
        "goal": goal,
        "ours": ours,
        "peer": peer,
        "ratio": None,
        "spread": spread,
        "met": met,
        "command": "python -m benchmarks gates",
        "versions": {"scipy": scipy.__version__, "numpy": np.__version__, "least clusters": MIN_CLUSTERS},
    }
