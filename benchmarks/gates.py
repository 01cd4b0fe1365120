"""Error rates of the gate by simulation: how often does it promote a regression, how often an equal version?

Covers: false promotion at the margin and power of `evals.stats.noninferiority` for pass/fail and continuous scores,
independent and clustered, n = 50 to 1 000; beside it two gates in common use on the same draws: "no drop beyond the
tolerance" and "not significantly worse"; likewise `evals.stats.superiority`, falsely claimed where nothing differs and
its power for an advantage of `ADVANTAGE`, beside "a higher mean"; whether learning curves hold what they state
(`benchmarks._curves`). The same seeds give the same rates.
Does not cover: models, time, planted mistakes (`benchmarks.planted`).
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy
from scipy import stats as oracle

from benchmarks import _curves
from evals.stats import MIN_CLUSTERS, Comparison, noninferiority, superiority

MARGIN, ALPHA = 0.03, 0.05
ADVANTAGE, BETTER_ALPHA = 0.05, 0.025
SIZES = (50, 100, 200, 400, 1000)
RESAMPLES = 1999  # of each draw; 9 999 by default elsewhere, where an interval must repeat to the third digit
Draw = tuple[np.ndarray, np.ndarray, "np.ndarray | None"]


@dataclass(frozen=True)
class Question:
    """A comparison, and the two true differences at which it is simulated."""

    wrong: str  # what a PASS at ``bound`` is
    power: str
    test: Callable[..., Comparison]
    alpha: float
    bound: float
    truth: float  # for which power is printed
    peers: dict[str, Callable[[np.ndarray], Any]]  # gates in common use: do they pass these differences?


def run(quick: bool) -> Iterator[dict[str, Any]]:
    """Rows for every kind of score and size; quick takes 100 draws of three sizes instead of 2 000 of five."""
    rounds, sizes = (100, (50, 200, 1000)) if quick else (2000, SIZES)
    with ProcessPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        cells = {
            (number, kind, n): pool.submit(_rates, number, kind, n, rounds)
            for number, question in enumerate(QUESTIONS)
            for kind in KINDS
            for n in sizes
        }
        for number, question in enumerate(QUESTIONS):
            for kind in KINDS:
                found = {n: cells[number, kind, n].result() for n in sizes}
                yield from _told(question, kind, found, rounds)
    yield from _curves.rows(quick)


def _told(
    question: Question, kind: str, found: dict[int, dict[str, Any]], rounds: int
) -> Iterator[dict[str, Any]]:
    """A row for every size, and one for the size at which the printed power is farthest off."""
    alpha = question.alpha
    limit = alpha + 2 * math.sqrt(alpha * (1 - alpha) / rounds)
    for n, rates in found.items():
        yield _row(
            f"{question.wrong}, {kind}, n = {n}",
            f"<= {limit:.3f}",
            rates["false"],
            rates["peers"],
            f"{rounds} draws, {rates['undecided']} of them too few clusters",
            bool(rates["false"] <= limit),
        )
    told = {n: rates for n, rates in found.items() if rates["undecided"] < rounds}
    n = max(told, key=lambda size: abs(told[size]["true"] - told[size]["printed"]))
    rates = told[n]
    worst = abs(rates["true"] - rates["printed"])
    error = 2 * math.sqrt(rates["true"] * (1 - rates["true"]) / rounds)
    yield _row(
        f"printed {question.power} against realised, {kind}, worst size n = {n}",
        "<= 0.03 apart",
        round(worst, 3),
        None,
        f"printed {rates['printed']:.3f}, realised {rates['true']:.3f} +- {error:.3f} (2 SE) "
        f"over {rounds} draws; all sizes: "
        + ", ".join(f"n {size} {r['printed']:.3f}/{r['true']:.3f}" for size, r in told.items()),
        bool(worst <= 0.03),
    )


def _rates(number: int, kind: str, n: int, rounds: int) -> dict[str, Any]:
    """Shares of PASS when the truth lies at the bound (false) and where power is told (true), and the power printed
    there; the peers' shares of PASS at the bound.

    Both truths are judged on the same noise. An interval of continuous scores moves with them, so that one call tells
    both (held by a test); pass/fail scores are drawn and judged twice.
    """
    question = QUESTIONS[number]
    draw, moves = KINDS[kind], kind.startswith("continuous")
    passed = {question.truth: 0, question.bound: 0}
    peers = dict.fromkeys(question.peers, 0)
    printed, undecided = 0.0, 0
    for seed in range(rounds):
        for shift in passed:
            mine, base, clusters = draw(np.random.default_rng([seed, n]), n, shift)
            if shift == question.truth or not moves:
                at, result = (
                    shift,
                    question.test(mine, base, clusters=clusters, seed=seed, resamples=RESAMPLES),
                )
            passed[shift] += result.method != "none" and result.interval[0] + shift - at > question.bound
            if shift == question.truth:
                printed += result.power
        undecided += "too few clusters" in result.reason
        for name, passes in question.peers.items():
            peers[name] += bool(passes(mine - base))
    return {
        "false": round(passed[question.bound] / rounds, 4),
        "true": passed[question.truth] / rounds,
        "printed": printed / rounds,
        "peers": "; ".join(f"{name}: {share / rounds:.3f}" for name, share in peers.items()),
        "undecided": int(undecided),
    }


def _not_significantly_worse(diff: np.ndarray) -> bool:
    return not np.ptp(diff) or oracle.ttest_1samp(diff, 0.0, alternative="less").pvalue > ALPHA


QUESTIONS = (
    Question(
        "false promotion at the margin",
        "power",
        lambda mine, base, **how: noninferiority(mine, base, MARGIN, alpha=ALPHA, **how),
        ALPHA,
        -MARGIN,
        0.0,
        {
            f"tolerance of {MARGIN:g}": lambda diff: diff.mean() > -MARGIN,
            "not significantly worse": _not_significantly_worse,
        },
    ),
    Question(
        "superiority claimed where nothing differs",
        "power of superiority",
        lambda mine, base, **how: superiority(mine, base, effect=ADVANTAGE, alpha=BETTER_ALPHA, **how),
        BETTER_ALPHA,
        0.0,
        ADVANTAGE,
        {"a higher mean": lambda diff: diff.mean() > 0},
    ),
)


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
        "figure": figure,
        "goal": goal,
        "ours": ours,
        "peer": peer,
        "spread": spread,
        "met": met,
        "versions": {"scipy": scipy.__version__, "numpy": np.__version__, "least clusters": MIN_CLUSTERS},
    }
