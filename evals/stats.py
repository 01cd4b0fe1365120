"""Paired comparisons with known error rates: is the candidate not worse, is it better, could we tell?

Covers: non-inferiority and superiority of paired scores (studentised cluster bootstrap, Tango's interval for
pass/fail), the interval of one arm's mean, Wilson and Clopper-Pearson bounds, Holm's correction, power, minimal
detectable effect, examples missing, agreement (Cohen's kappa).
Does not cover: what is compared, and what a verdict means for a release (`evals.gate`).

``alpha`` is one-sided throughout. An ``interval`` is the two-sided one of level ``1 - 2 * alpha``; its lower end
decides. So alpha .05 shows a 90 % interval, .025 a 95 % interval.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import optimize, stats

from curate.errors import UsageError
from evals._power import few_power, fewer_than, resampled_power

PASS, FAIL, INCONCLUSIVE = "PASS", "FAIL", "INCONCLUSIVE"
MIN_PAIRS = 6  # below, no interval is worth printing
MIN_CLUSTERS = 20  # below, a cluster bootstrap passes more regressions than its alpha says (see benchmarks)
THIN_TAIL = 20  # over the number of clusters: by how much a skewed quantile is raised (`_studentised`)

Floats = NDArray[np.float64]
# The same counts come up over and over: in slices, in reports, in the search for a size, in simulations.
_remembered = functools.lru_cache(maxsize=4096)


@dataclass(frozen=True)
class Comparison:
    """Outcome of one paired comparison, candidate minus baseline; a positive estimate is in the candidate's favour.

    ``power`` is the chance of a PASS at this size of data if the candidate were exactly as good (non-inferiority)
    or better by ``effect`` (superiority); ``n_needed`` is the number of pairs that brings it to the target, ``mde``
    the smallest difference that could be detected at the target power. None stands for "cannot be told".
    """

    estimate: float
    interval: tuple[float, float]
    verdict: str
    power: float
    n_needed: int | None
    method: str
    n: int
    clusters: int
    margin: float
    alpha: float
    mde: float | None
    standard_error: float | None
    reason: str = ""

    @property
    def missing(self) -> int | None:
        """Pairs that are missing for the target power."""
        return None if self.n_needed is None else max(0, self.n_needed - self.n)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready: no NaN, lists for tuples."""
        out = {key: _finite(value) for key, value in asdict(self).items()}
        out["interval"] = [_finite(end) for end in self.interval]
        return out | {"missing": self.missing}


def noninferiority(
    candidate: ArrayLike,
    baseline: ArrayLike,
    margin: float,
    *,
    clusters: Sequence[Any] | None = None,
    alpha: float = 0.05,
    seed: int = 0,
    power: float = 0.8,
    resamples: int = 9999,
) -> Comparison:
    """Is the candidate worse by less than ``margin``?

    PASS when the lower end of the interval lies above ``-margin``; FAIL when the upper end lies below it; otherwise
    INCONCLUSIVE. "Not significantly worse" is never a PASS.

    Args:
        candidate, baseline: paired scores in the same order, shape (n,), higher is better.
        margin: largest loss that is still acceptable, above 0, in score units.
        clusters: one value a pair; pairs that share it are not independent (one patient, one conversation).
        alpha: one-sided error rate. power: target for ``n_needed`` and ``mde``.
        seed, resamples: of the bootstrap; the same seed gives the same digits.

    Raises `UsageError` for scores that are not paired or not finite, and for a margin that is not positive.
    """
    if not margin > 0:
        raise UsageError(f"A non-inferiority margin must be above 0, not {margin}.")
    return _compare(candidate, baseline, -margin, 0.0, clusters, alpha, seed, power, resamples)


def superiority(
    candidate: ArrayLike,
    baseline: ArrayLike,
    *,
    effect: float = 0.03,
    clusters: Sequence[Any] | None = None,
    alpha: float = 0.025,
    seed: int = 0,
    power: float = 0.8,
    resamples: int = 9999,
) -> Comparison:
    """Is the candidate better than the baseline at all?

    PASS when the interval (95 % at the default alpha) lies above 0; FAIL when it lies below ``effect``, the smallest
    advantage worth having; otherwise INCONCLUSIVE. Arguments as in `noninferiority`.
    """
    if not effect > 0:
        raise UsageError(f"The smallest advantage worth having must be above 0, not {effect}.")
    return _compare(candidate, baseline, 0.0, effect, clusters, alpha, seed, power, resamples)


@dataclass(frozen=True)
class Interval:
    """A mean or a share with its two-sided interval."""

    estimate: float
    interval: tuple[float, float]
    n: int
    method: str

    def to_dict(self) -> dict[str, Any]:
        return asdict(self) | {"estimate": _finite(self.estimate), "interval": list(self.interval)}


def mean_interval(
    scores: ArrayLike,
    *,
    clusters: Sequence[Any] | None = None,
    alpha: float = 0.025,
    seed: int = 0,
    resamples: int = 9999,
) -> Interval:
    """Mean of one arm's scores with its interval of level ``1 - 2 * alpha``.

    Wilson for independent pass/fail scores, cluster bootstrap otherwise. With fewer than `MIN_PAIRS` scores the
    interval is the whole range of the scores, because nothing narrower can be defended.
    """
    values = _scores(scores, "scores")
    ids, _ = _cluster_ids(clusters, len(values))
    if len(values) == 0:
        return Interval(math.nan, (0.0, 1.0), 0, "no scores")
    estimate = float(values.mean())
    span = (min(0.0, float(values.min())), max(1.0, float(values.max())))
    groups = len(np.unique(ids))
    if groups < MIN_PAIRS:
        return Interval(estimate, span, len(values), "too few scores for an interval")
    if _is_binary(values) and groups == len(values):
        return Interval(estimate, wilson(int(values.sum()), len(values), alpha=alpha), len(values), "Wilson")
    usual = _commonest(values)
    above, below = int((values > usual).sum()), int((values < usual).sum())
    if not above + below or (above + below < MIN_PAIRS and groups == len(values)):
        # Too few differ to tell their spread: a bootstrap would say "certain", or nothing. How many may differ is
        # bounded exactly, and each that does is taken to lie at the end of the range (for none, the rule of three).
        most_above, most_below = (clopper_pearson(k, groups, alpha=alpha)[1] for k in (above, below))
        reach = (usual - most_below * (usual - span[0]), usual + most_above * (span[1] - usual))
        return Interval(estimate, reach, len(values), "nearly all alike" if above + below else "all alike")
    sums, sizes = _by_cluster(values, ids)
    (low, high), _, _ = _studentised(sums, sizes, alpha, seed, resamples)
    low, high = max(span[0], low), min(span[1], high)  # a score does not leave its range
    return Interval(estimate, (low, high), len(values), _bootstrap_name(groups, len(values)))


def wilson(successes: int, n: int, *, alpha: float = 0.025) -> tuple[float, float]:
    """Wilson's score interval of a share (Wilson 1927). Level ``1 - 2 * alpha``."""
    interval = _binomial(successes, n).proportion_ci(confidence_level=1 - 2 * alpha, method="wilson")
    return float(interval.low), float(interval.high)


@_remembered
def clopper_pearson(successes: int, n: int, *, alpha: float = 0.025) -> tuple[float, float]:
    """Exact interval of a share (Clopper and Pearson 1934). Level at least ``1 - 2 * alpha``."""
    interval = _binomial(successes, n).proportion_ci(confidence_level=1 - 2 * alpha, method="exact")
    return float(interval.low), float(interval.high)


@_remembered
def tango(wins: int, losses: int, n: int, *, alpha: float = 0.05) -> tuple[float, float]:
    """Score interval of the difference of two paired shares (Tango, Statistics in Medicine 17, 1998).

    Args:
        wins: pairs where only the candidate passes; losses: only the baseline; n: all pairs.
    """
    if min(wins, losses) < 0 or wins + losses > n or n < 1:
        raise UsageError(f"{wins} wins and {losses} losses do not fit into {n} pairs.")
    z = float(stats.norm.ppf(1 - alpha))
    estimate = (wins - losses) / n

    def ends(sign: float) -> float:
        def distance(delta: float) -> float:
            return float(_tango_z(wins, losses, n, delta)) + sign * z

        edge = math.copysign(1.0, sign)
        # The statistic falls as delta grows; at the edge of the range it may not reach z.
        inner, outer = estimate, edge * (1 - 1e-12)
        if distance(inner) * distance(outer) > 0:
            return edge
        return float(optimize.brentq(distance, min(inner, outer), max(inner, outer), xtol=1e-10))

    return ends(-1.0), ends(1.0)


def holm(pvalues: Sequence[float]) -> list[float]:
    """Adjusted p-values that hold the chance of any false alarm (Holm 1979), in the order given."""
    values = np.asarray(pvalues, float)
    order = np.argsort(values, kind="stable")
    steps = np.maximum.accumulate(values[order] * np.arange(len(values), 0, -1))
    out = np.empty(len(values))
    out[order] = np.minimum(1.0, steps)
    return [float(value) for value in out]


def difference_p(
    candidate: ArrayLike,
    baseline: ArrayLike,
    *,
    clusters: Sequence[Any] | None = None,
    seed: int = 0,
    resamples: int = 9999,
) -> float:
    """Two-sided p-value of "no difference": signs of whole clusters' differences flipped (exact when few)."""
    diff, ids, _ = _paired(candidate, baseline, clusters)
    if len(diff) == 0:
        return 1.0
    sums, _ = _by_cluster(diff, ids)
    sums = sums[sums != 0]  # a zero has no sign to flip
    if len(sums) < 2:
        return 1.0  # both signs of one difference are as extreme as what was seen
    result = stats.permutation_test(
        (sums,),
        lambda x, axis: np.sum(x, axis=axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=resamples,
        batch=1000,
        rng=np.random.default_rng(seed),
    )
    return float(result.pvalue)


@dataclass(frozen=True)
class Agreement:
    """Cohen's kappa of two raters with its bootstrap interval; None when one rater gave a single answer only."""

    kappa: float | None
    interval: tuple[float, float] | None
    n: int
    raw: float


def cohen_kappa(
    first: Sequence[Any],
    second: Sequence[Any],
    *,
    weights: str | None = None,
    alpha: float = 0.025,
    seed: int = 0,
    resamples: int = 2000,
) -> Agreement:
    """Agreement beyond chance (Cohen 1960) of two raters over the same items, with a percentile interval.

    ``weights`` may be ``linear`` or ``quadratic`` for ordered answers.
    """
    if len(first) != len(second):
        raise UsageError(f"Kappa compares the same items: {len(first)} answers against {len(second)}.")
    labels = sorted({*first, *second}, key=str)
    code = {label: number for number, label in enumerate(labels)}
    a = np.array([code[value] for value in first], int)
    b = np.array([code[value] for value in second], int)
    n, k = len(a), len(labels)
    if n == 0:
        return Agreement(None, None, 0, math.nan)
    distance = np.abs(np.subtract.outer(np.arange(k), np.arange(k))).astype(float)
    cost = {None: (distance > 0).astype(float), "linear": distance, "quadratic": distance**2}.get(weights)
    if cost is None:
        raise UsageError(f"Weights of kappa are linear or quadratic, not {weights!r}.")

    def kappa(counts: Floats) -> Floats:
        """counts: (..., k, k) tables -> (...) kappas, NaN where chance alone explains everything."""
        total = counts.sum((-2, -1))
        expected = counts.sum(-1)[..., :, None] * counts.sum(-2)[..., None, :] / total[..., None, None]
        chance = (expected * cost).sum((-2, -1))
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.where(chance > 0, 1 - (counts * cost).sum((-2, -1)) / chance, np.nan)

    table = np.bincount(a * k + b, minlength=k * k).astype(float)
    value = float(kappa(table.reshape(k, k)))
    if math.isnan(value):
        return Agreement(None, None, n, float((a == b).mean()))
    draws = np.random.default_rng(seed).multinomial(n, table / n, size=resamples).astype(float)
    spread = kappa(draws.reshape(-1, k, k))
    low, high = np.nanquantile(spread, [alpha, 1 - alpha])
    return Agreement(value, (float(low), float(high)), n, float((a == b).mean()))


def plan_pairs(deviation: float, difference: float, *, alpha: float = 0.05, power: float = 0.8) -> int:
    """Independent pairs needed before any data exist.

    Args:
        deviation: standard deviation of the paired differences; the root of the discordance for pass/fail scores.
        difference: the margin (true difference 0), or the advantage to be shown.
    """
    return math.ceil((deviation * _z_sum(alpha, power) / difference) ** 2)


# ---------------------------------------------------------------------------------------------------------------


def _compare(
    candidate: ArrayLike,
    baseline: ArrayLike,
    bound: float,
    effect: float,
    clusters: Sequence[Any] | None,
    alpha: float,
    seed: int,
    power: float,
    resamples: int,
) -> Comparison:
    """PASS when the interval lies above ``bound``; FAIL when it lies below ``effect``, or ``bound`` where that is 0."""
    if not 0 < alpha < 0.5 or not alpha < power < 1:
        raise UsageError(f"alpha must lie in (0, .5) and power in (alpha, 1), not {alpha} and {power}.")
    diff, ids, both_binary = _paired(candidate, baseline, clusters)
    n, groups = len(diff), len(np.unique(ids))
    scale = max(1.0, float(np.abs(diff).max(initial=0.0)))
    estimate = float(diff.mean()) if n else math.nan
    distance = effect - bound  # from the bound to the truth under which power is printed

    def undecided(reason: str, error: float | None = None, needed: int | None = None) -> Comparison:
        return Comparison(
            estimate, (-scale, scale), INCONCLUSIVE, 0.0, needed, "none", n, groups, abs(distance), alpha, None,
            error, reason,
        )  # fmt: skip

    if n < MIN_PAIRS:
        return undecided(f"insufficient pairs: {n}, and below {MIN_PAIRS} nothing can be told")
    sums, sizes = _by_cluster(diff, ids)
    independent = groups == n
    effective = float(sizes.sum() ** 2 / (sizes**2).sum())
    error = _cluster_error(sums, sizes)
    if not independent and effective < MIN_CLUSTERS:
        return undecided(
            f"too few clusters: {groups} (worth {effective:.0f} of equal size), and {MIN_CLUSTERS} are the least",
            error,
            math.ceil(n * MIN_CLUSTERS / effective),
        )

    if independent and both_binary:
        wins, losses = int((diff > 0).sum()), int((diff < 0).sum())
        interval = tango(wins, losses, n, alpha=alpha)
        discordance = _discordance(wins, losses, n, effect)

        def reached(size: int) -> float:
            return _tango_power(size, discordance, bound, effect, alpha)

        needed = _smallest(
            reached, power, plan_pairs(math.sqrt(discordance), distance, alpha=alpha, power=power)
        )
        chance = reached(n)
        error = math.sqrt(discordance / n)
        method = "Tango score interval"
    else:
        lost, won = int((sums < 0).sum()), int((sums > 0).sum())
        spread: tuple[Floats, Floats] | None = None
        quantile = float(stats.t.ppf(1 - alpha, groups - 1))
        few = fewer_than(groups)
        if lost + won < few:
            most_lost, most_won = (clopper_pearson(k, groups, alpha=alpha)[1] for k in (lost, won))
            interval = (-most_lost * scale, most_won * scale)
            method = "Clopper-Pearson on the few pairs that differ"
            # What is needed must fit the bound that decides: the worst that so few differences cannot rule out.
            error = max(error, -interval[0] / float(stats.norm.ppf(1 - alpha)))
        else:
            interval, quantile, spread = _studentised(sums, sizes, alpha, seed, resamples)
            method = _bootstrap_name(groups, n)

        # In another sample as few clusters may differ as the rule for few takes, which passes hardly any.
        if spread is None or stats.binom.cdf(few - 1, groups, (lost + won) / groups) > 0.01:
            chance = few_power(sums, sizes, quantile, bound, effect, scale, alpha, seed)
        else:
            chance = resampled_power(*spread, quantile, distance, error)
        needed = math.ceil(n * (error * _z_sum(alpha, power) / distance) ** 2)

    low, high = interval
    if low > bound:
        verdict, reason = PASS, ""
    elif high < (effect or bound):
        verdict, reason = FAIL, ""
    else:
        verdict, reason = INCONCLUSIVE, f"the interval reaches from {low:+.3f} to {high:+.3f}"
    return Comparison(
        estimate=estimate,
        interval=(float(low), float(high)),
        verdict=verdict,
        power=chance,
        n_needed=needed,
        method=method,
        n=n,
        clusters=groups,
        margin=distance,
        alpha=alpha,
        mde=error * _z_sum(alpha, power),
        standard_error=error,
        reason=reason,
    )


def _scores(values: ArrayLike, name: str) -> Floats:
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1:
        raise UsageError(f"{name} must be one number an example, not an array of shape {array.shape}.")
    if not np.isfinite(array).all():
        missing = int((~np.isfinite(array)).sum())
        raise UsageError(
            f"{missing} of the {name} are missing or not finite; a gap has to be named, not averaged."
        )
    return array


def _cluster_ids(clusters: Sequence[Any] | None, n: int) -> tuple[NDArray[np.int64], bool]:
    if clusters is None:
        return np.arange(n), False
    if len(clusters) != n:
        raise UsageError(f"{len(clusters)} cluster values for {n} scores; give one for each.")
    codes: dict[Any, int] = {}
    return np.array([codes.setdefault(value, len(codes)) for value in clusters], np.int64), True


def _paired(
    candidate: ArrayLike, baseline: ArrayLike, clusters: Sequence[Any] | None
) -> tuple[Floats, NDArray[np.int64], bool]:
    a, b = _scores(candidate, "candidate's scores"), _scores(baseline, "baseline's scores")
    if len(a) != len(b):
        raise UsageError(f"Scores must be paired: {len(a)} of the candidate, {len(b)} of the baseline.")
    ids, _ = _cluster_ids(clusters, len(a))
    return a - b, ids, _is_binary(a) and _is_binary(b)


def _is_binary(values: Floats) -> bool:
    return bool(np.isin(values, (0.0, 1.0)).all())


def _by_cluster(values: Floats, ids: NDArray[np.int64]) -> tuple[Floats, Floats]:
    """Sum and number of the values of each cluster, shape (clusters,)."""
    return np.bincount(ids, weights=values).astype(float), np.bincount(ids).astype(float)


def _cluster_error(sums: Floats, sizes: Floats) -> float:
    """Cluster-robust standard error of the mean over rows (Liang and Zeger 1986, with G / (G - 1))."""
    groups, total = len(sums), sizes.sum()
    if groups < 2:
        return math.inf
    rest = sums - sizes * (sums.sum() / total)
    return float(math.sqrt(groups / (groups - 1) * float((rest**2).sum())) / total)


def _studentised(
    sums: Floats, sizes: Floats, alpha: float, seed: int, resamples: int
) -> tuple[tuple[float, float], float, tuple[Floats, Floats]]:
    """Bootstrap-t interval of the mean over rows, clusters resampled whole; never narrower than Student's t.

    Each resample is divided by its own standard error (Efron 1981; Hall, "The Bootstrap and Edgeworth Expansion",
    1992, section 3.5), so that a long tail of losses, which pulls mean and error along together, is priced in: that
    is where a BCa interval passed .08 instead of .05 at fifty pairs. A small sample shows less of the tail than there
    is: what the quantile exceeds Student's by is raised by ``THIN_TAIL / groups`` (at most doubled); without that,
    .057 to .059 of regressions with an exponential tail pass at fifty pairs, and .065 at twenty-five.

    Returns the interval, the quantile that set its lower end, and the resamples (deviation of the mean, its standard
    error), each of shape (resamples,).
    """
    groups, total = len(sums), sizes.sum()
    mean, error = float(sums.sum() / total), _cluster_error(sums, sizes)
    rest = sums - sizes * mean  # deviations from here on: small numbers, so that moments lose no digits
    equal = bool((sizes == sizes[0]).all())
    rng = np.random.default_rng(seed)
    shifts, errors = np.empty(resamples), np.empty(resamples)
    step = max(1, 1_000_000 // groups)
    for start in range(0, resamples, step):
        stop = min(resamples, start + step)
        drawn = rng.integers(0, groups, (stop - start, groups))
        s = rest.take(drawn)
        n = total if equal else (m := sizes.take(drawn)).sum(1)
        shift = s.sum(1) / n
        squares = np.einsum("ij,ij->i", s, s)
        if equal:
            squares -= groups * (shift * sizes[0]) ** 2
        else:
            squares += shift * (shift * np.einsum("ij,ij->i", m, m) - 2 * np.einsum("ij,ij->i", s, m))
        shifts[start:stop] = shift
        errors[start:stop] = np.sqrt(groups / (groups - 1) * np.maximum(squares, 0)) / n
    # A resample of equal differences alone has no spread; its ratio is large, not undefined.
    ratios = np.sort(shifts / np.maximum(errors, max(1e-6 * error, 1e-300)))
    at = min(resamples, math.ceil((resamples + 1) * (1 - alpha))) - 1
    student = float(stats.t.ppf(1 - alpha, groups - 1))
    extra = 1 + min(1.0, THIN_TAIL / groups)
    high = student + extra * max(0.0, float(ratios[at]) - student)
    low = -student + extra * min(0.0, float(ratios[resamples - 1 - at]) + student)
    return (mean - high * error, mean - low * error), high, (shifts, errors)


def _bootstrap_name(groups: int, n: int) -> str:
    return "bootstrap-t" if groups == n else f"bootstrap-t of {groups} clusters"


def _tango_z(wins: Any, losses: Any, n: int, delta: float) -> Any:
    """Tango's score statistic for "the true difference is delta"; arrays allowed. At delta 0 it is McNemar's."""
    b, c = np.asarray(wins, float), np.asarray(losses, float)
    variance = n * (2 * _lost_share(b, c, n, delta) + delta * (1 - delta))
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(variance > 1e-15, (b - c - n * delta) / np.sqrt(np.maximum(variance, 1e-15)), 0.0)


def _lost_share(b: Any, c: Any, n: int, delta: float) -> Any:
    """Likeliest share of pairs that the candidate loses when the true difference is delta, after b wins and c losses.

    Tango 1998: the positive root of 2n q^2 + linear q - c delta (1 - delta).
    """
    linear = (2 * n - b + c) * delta - b - c
    return (np.sqrt(np.maximum(0.0, linear**2 + 8 * n * c * delta * (1 - delta))) - linear) / (4 * n)


def _discordance(wins: int, losses: int, n: int, effect: float) -> float:
    """Share of pairs that differ, as likely as the data allow when the true difference is ``effect``.

    Where that is 0 they are the pairs seen and half an imaginary one: none seen does not mean that none is possible.
    """
    if effect == 0:
        return (wins + losses + 0.5) / (n + 1)
    return 2 * float(_lost_share(wins, losses, n, effect)) + effect


@_remembered
def _tango_power(n: int, discordance: float, bound: float, effect: float, alpha: float) -> float:
    """Chance that Tango's lower end lies above ``bound`` when the true difference is ``effect``; exact.

    Sums over every split of the discordant pairs. ``discordance`` is raised to ``effect`` where it is smaller,
    because a difference cannot exceed the share of pairs that differ.
    """
    discordance = min(1.0, max(discordance, abs(effect) + 1e-9))
    share = (discordance + effect) / (2 * discordance)  # of discordant pairs that the candidate wins
    z = float(stats.norm.ppf(1 - alpha))
    spread = 7 * math.sqrt(n * discordance * (1 - discordance)) + 7
    totals = np.arange(max(0, int(n * discordance - spread)), min(n, int(n * discordance + spread)) + 1)
    weights = stats.binom.pmf(totals, n, discordance)
    # For each total the statistic grows with the wins: find the first win that passes, then one tail sum.
    wins = np.arange(totals.max() + 1)
    passes = _tango_z(wins[None, :], totals[:, None] - wins[None, :], n, bound) > z
    passes &= wins[None, :] <= totals[:, None]
    first = np.where(passes.any(1), passes.argmax(1), totals + 1)
    return float((weights * stats.binom.sf(first - 1, totals, share)).sum())


def _smallest(reached: Callable[[int], float], target: float, guess: int) -> int:
    """Smallest size (to 1 %) at which ``reached`` meets the target, searched around a first guess."""
    low, high = max(MIN_PAIRS, guess // 2), max(MIN_PAIRS + 1, guess)
    if guess > 20_000:  # the exact sum would cost more than its digits are worth
        return guess
    while reached(high) < target:
        low, high = high, high * 2
    while high - low > max(1, high // 100):
        middle = (low + high) // 2
        low, high = (low, middle) if reached(middle) >= target else (middle, high)
    return high


def _z_sum(alpha: float, power: float) -> float:
    return float(stats.norm.ppf(1 - alpha) + stats.norm.ppf(power))


def _commonest(values: Floats) -> float:
    found, times = np.unique(values, return_counts=True)
    return float(found[times.argmax()])


def _binomial(successes: int, n: int) -> Any:
    if n < 1 or not 0 <= successes <= n:
        raise UsageError(f"{successes} of {n} is not a share.")
    return stats.binomtest(successes, n)


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
