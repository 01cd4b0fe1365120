"""Statistics against scipy and statsmodels, by property, and by light simulation of the error rates.

The heavy simulation is `python -m benchmarks gates`.
"""

import json
import math

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats as oracle
from sklearn.metrics import cohen_kappa_score
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint

from curate.errors import UsageError
from evals import stats
from evals.stats import (
    clopper_pearson,
    cohen_kappa,
    difference_p,
    holm,
    mean_interval,
    noninferiority,
    plan_pairs,
    superiority,
    tango,
    wilson,
)


@pytest.mark.parametrize(("k", "n"), [(0, 10), (3, 10), (10, 10), (0, 200), (17, 168)])
def test_shares_equal_statsmodels(k, n):
    assert wilson(k, n) == pytest.approx(proportion_confint(k, n, alpha=0.05, method="wilson"), abs=1e-9)
    assert clopper_pearson(k, n) == pytest.approx(
        proportion_confint(k, n, alpha=0.05, method="beta"), abs=1e-9
    )


def test_none_of_two_hundred_still_allows_one_and_a_half_percent():
    assert clopper_pearson(0, 200, alpha=0.05)[1] == pytest.approx(0.0149, abs=1e-4)


@given(st.integers(1, 60), st.integers(0, 60), st.integers(0, 300))
def test_tango_is_the_inverted_score_test_and_mcnemar_at_zero(wins, losses, both):
    n = wins + losses + both
    low, high = tango(wins, losses, n, alpha=0.05)
    assert -1 <= low <= (wins - losses) / n <= high <= 1
    z = oracle.norm.ppf(0.95)
    for end, sign in ((low, 1), (high, -1)):
        if abs(end) < 1 - 1e-6:
            assert float(stats._tango_z(wins, losses, n, end)) == pytest.approx(sign * z, abs=1e-4)
    table = [[both, wins], [losses, 0]]
    expected = mcnemar(table, exact=False, correction=False).statistic
    assert float(stats._tango_z(wins, losses, n, 0.0)) ** 2 == pytest.approx(expected, rel=1e-9)


def test_tango_of_no_discordant_pair_is_wilson_shaped_and_swaps_sides():
    low, high = tango(0, 0, 50, alpha=0.05)
    assert low == pytest.approx(-high) and low == pytest.approx(-wilson(0, 50, alpha=0.05)[1], abs=1e-6)
    assert tango(12, 2, 50) == pytest.approx(tuple(-end for end in reversed(tango(2, 12, 50))))


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30))
def test_holm_equals_statsmodels(pvalues):
    assert holm(pvalues) == pytest.approx(list(multipletests(pvalues, method="holm")[1]))


def test_bootstrap_is_close_to_t_on_normal_data_and_repeats_digit_for_digit():
    rng = np.random.default_rng(3)
    base = rng.random(120)
    mine = base + rng.normal(0.01, 0.2, 120)
    result = noninferiority(mine, base, 0.03)
    expected = oracle.ttest_rel(mine, base).confidence_interval(0.90)
    assert result.interval == pytest.approx((expected.low, expected.high), abs=0.004)
    assert result == noninferiority(mine, base, 0.03)
    assert result != noninferiority(mine, base, 0.03, seed=1)


def test_cluster_error_equals_statsmodels_and_widens_the_interval():
    rng = np.random.default_rng(4)
    clusters = np.repeat(np.arange(40), rng.integers(1, 6, 40))
    base = np.zeros(len(clusters))
    mine = rng.normal(0, 0.3, 40)[clusters] + rng.normal(0, 0.1, len(clusters))
    fit = sm.OLS(mine, np.ones_like(mine)).fit()
    robust = fit.get_robustcov_results("cluster", groups=clusters, use_correction=False)
    result = noninferiority(mine, base, 0.05, clusters=[f"patient {c}" for c in clusters])
    assert result.clusters == 40
    assert result.standard_error == pytest.approx(float(robust.bse[0]) * math.sqrt(40 / 39))
    loose = noninferiority(mine, base, 0.05)
    assert result.interval[0] < loose.interval[0] and result.interval[1] > loose.interval[1]


def test_the_lower_end_decides():
    n = 400
    base = np.array([1.0] * 320 + [0.0] * 80)
    same = noninferiority(base, base, 0.03)
    assert same.verdict == "PASS" and same.interval[0] > -0.03
    worse = base.copy()
    worse[:60] = 0
    assert noninferiority(worse, base, 0.03).verdict == "FAIL"
    slightly = base.copy()
    slightly[:10] = 0
    result = noninferiority(slightly, base, 0.03)
    assert result.verdict == "INCONCLUSIVE" and result.interval[0] < -0.03 < result.interval[1]
    assert result.n == n and result.n_needed is not None and "interval" in result.reason


def test_superiority_verdicts():
    rng = np.random.default_rng(0)
    base = rng.random(300)
    assert superiority(base + rng.normal(0.1, 0.1, 300), base).verdict == "PASS"
    assert superiority(base + rng.normal(0.0, 0.05, 300), base, effect=0.03).verdict == "FAIL"
    noisy = superiority(base + rng.normal(0.02, 0.4, 300), base, effect=0.03)
    assert noisy.verdict == "INCONCLUSIVE" and noisy.missing > 0


@pytest.mark.parametrize("n", range(stats.MIN_PAIRS))
def test_few_pairs_decide_nothing(n):
    result = noninferiority([1.0] * n, [0.0] * n, 0.03)
    assert result.verdict == "INCONCLUSIVE" and "insufficient pairs" in result.reason
    json.dumps(result.to_dict(), allow_nan=False)


def test_too_few_clusters_decide_nothing_however_many_rows():
    rng = np.random.default_rng(1)
    base = rng.random(1000)
    result = noninferiority(base + 0.5, base, 0.03, clusters=list(np.arange(1000) % 5))
    assert result.verdict == "INCONCLUSIVE" and "too few clusters" in result.reason and result.clusters == 5


def test_identical_answers_are_no_proof_on_a_small_set():
    """A bootstrap of zeros is certain of zero; three in n could still be lost."""
    scores = list(np.linspace(0.1, 0.9, 50))
    assert noninferiority(scores, scores, 0.03).verdict == "INCONCLUSIVE"
    scores = list(np.linspace(0.1, 0.9, 400))
    assert noninferiority(scores, scores, 0.03).verdict == "PASS"


@pytest.mark.parametrize(
    ("candidate", "baseline", "words"),
    [([1, 0], [1], "paired"), ([1, math.nan], [1, 0], "missing"), ([[1], [0]], [1, 0], "one number")],
)
def test_bad_scores_are_refused(candidate, baseline, words):
    with pytest.raises(UsageError, match=words):
        noninferiority(candidate, baseline, 0.03)


def test_bad_parameters_are_refused():
    for call in (
        lambda: noninferiority([1] * 9, [1] * 9, 0),
        lambda: superiority([1] * 9, [1] * 9, effect=0),
        lambda: noninferiority([1] * 9, [1] * 9, 0.03, alpha=0.9),
        lambda: noninferiority([1] * 9, [1] * 9, 0.03, clusters=[1]),
        lambda: tango(5, 6, 10),
        lambda: wilson(5, 0),
    ):
        with pytest.raises(UsageError):
            call()


@pytest.mark.parametrize(
    ("discordance", "margin", "known"), [(0.1, 0.03, 687), (0.2, 0.05, 495), (0.05, 0.02, 773)]
)
def test_planning_formula_has_the_published_constant(discordance, margin, known):
    """n = 6.18 * discordance / margin^2 at one-sided 5 % and 80 % power."""
    assert plan_pairs(math.sqrt(discordance), margin) == pytest.approx(known, abs=1)


def test_exact_power_of_tango_by_drawing():
    rng = np.random.default_rng(5)
    n, discordance, margin = 300, 0.1, 0.04
    draws = rng.multinomial(n, [discordance / 2, discordance / 2, 1 - discordance], size=2000)
    share = np.mean([tango(w, lost, n)[0] > -margin for w, lost, _ in draws])
    assert stats._tango_power(n, discordance, -margin, 0.0, 0.05) == pytest.approx(share, abs=0.03)


def test_n_needed_brings_the_power():
    rng = np.random.default_rng(6)
    base = (rng.random(200) < 0.8).astype(float)
    mine = np.where(rng.random(200) < 0.1, 1 - base, base)
    result = noninferiority(mine, base, 0.03)
    discordance = (np.sum(mine != base) + 0.5) / 201
    assert stats._tango_power(result.n_needed, discordance, -0.03, 0.0, 0.05) == pytest.approx(0.8, abs=0.01)


@pytest.mark.parametrize("kind", ["pass/fail", "continuous", "clustered"])
def test_false_promotion_at_the_margin_is_rare(kind):
    """Light: 200 draws. Bound: 5 % plus three simulation standard errors."""
    margin, rounds, passed, printed, equal = 0.05, 200, 0, 0.0, 0
    for seed in range(rounds):
        rng = np.random.default_rng(seed)
        n, clusters = 120, None
        noise = rng.normal(0, 0.15, n)
        if kind == "clustered":
            clusters = np.arange(n) // 3
            noise = rng.normal(0, 0.15, 40)[clusters] + rng.normal(0, 0.1, n)
        base = (rng.random(n) < 0.8).astype(float) if kind == "pass/fail" else rng.random(n)
        for loss in (margin, 0.0):
            if kind == "pass/fail":
                lost, won = (0.1 + loss) / 2, (0.1 - loss) / 2
                step = rng.choice([-1.0, 1.0, 0.0], n, p=[lost, won, 0.9])
                base = np.where(step < 0, 1.0, np.where(step > 0, 0.0, base))
                mine = base + step
            else:
                mine = base + noise - loss
            result = noninferiority(mine, base, margin, clusters=clusters, resamples=999, seed=seed)
            if loss:
                passed += result.verdict == "PASS"
            else:
                equal += result.verdict == "PASS"
                printed += result.power
    assert passed / rounds <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / rounds)
    assert equal / rounds == pytest.approx(printed / rounds, abs=0.11)


def test_a_long_tail_of_losses_does_not_slip_through():
    """Fifty pairs with rare large losses, at the margin: a BCa or Student's interval passes .08 to .10 of them."""
    rounds, passed, student, printed, equal = 400, 0, 0, 0.0, 0
    for seed in range(rounds):
        rng = np.random.default_rng([seed, 50])
        base = rng.random(50)
        diff = 0.12 - rng.exponential(0.12, 50)
        at_margin = noninferiority(base + diff - 0.03, base, 0.03, seed=seed, resamples=499)
        passed += at_margin.verdict == "PASS"
        student += oracle.ttest_1samp(diff - 0.03, -0.03, alternative="greater").pvalue < 0.05
        as_good = noninferiority(base + diff, base, 0.03, seed=seed, resamples=499)
        equal += as_good.verdict == "PASS"
        printed += as_good.power
    error = math.sqrt(0.05 * 0.95 / rounds)
    assert passed / rounds <= 0.05 + 2 * error < student / rounds
    assert abs(equal - printed) / rounds < 0.08


@pytest.mark.parametrize("discordance", [0.05, 0.2])
def test_printed_power_of_superiority_is_the_realised_one(discordance: float):
    """Also where the advantage is all that differs: there a plain count of differing pairs printed .12 too little."""
    advantage, n, rounds = 0.05, 100, 400
    rng = np.random.default_rng(5)
    won, lost = (discordance + advantage) / 2, (discordance - advantage) / 2
    passed, printed = 0, 0.0
    for wins, losses, _ in rng.multinomial(n, [won, lost, 1 - discordance], rounds):
        mine = np.concatenate([np.ones(wins), np.zeros(n - wins)])
        base = np.concatenate([np.zeros(wins), np.ones(losses), np.zeros(n - wins - losses)])
        result = superiority(mine, base, effect=advantage, alpha=0.025)
        passed += result.verdict == "PASS"
        printed += result.power
    assert printed / rounds == pytest.approx(passed / rounds, abs=0.06)


def test_power_is_that_of_the_rule_where_few_clusters_differ():
    """Fifty clusters of pass/fail pairs, a tenth discordant: the rule for few decides most, and can never pass one."""
    rounds, passed, printed, methods = 300, 0, 0.0, set()
    for seed in range(rounds):
        rng = np.random.default_rng([seed, 3])
        clusters = np.arange(100) // 2
        step = np.where(rng.random(100) < 0.09, rng.choice([-1.0, 1.0], 100), 0.0)
        base = np.where(step > 0, 0.0, np.where(step < 0, 1.0, (rng.random(100) < 0.8).astype(float)))
        result = noninferiority(base + step, base, 0.03, clusters=clusters, resamples=499, seed=seed)
        passed += result.verdict == "PASS"
        printed += result.power
        methods.add(result.method)
        if "few" in result.method:
            assert result.verdict != "PASS" and result.n_needed > result.n
    assert len(methods) == 2
    assert printed / rounds == pytest.approx(passed / rounds, abs=0.045)


def test_power_of_few_differences_by_judging_fresh_samples():
    """Two of 150 pairs differ: how often would a sample like that, exactly as good, pass?"""
    diff = np.zeros(150)
    diff[:2] = 0.4, -0.6
    printed = noninferiority(diff, np.zeros(150), 0.03).power
    rng = np.random.default_rng(0)
    fresh = np.where(rng.random((400, 150)) < 2.5 / 151, rng.choice([-0.6, -0.4, 0.4, 0.6], (400, 150)), 0.0)
    judged = np.mean([noninferiority(row, np.zeros(150), 0.03).verdict == "PASS" for row in fresh])
    assert printed == pytest.approx(judged, abs=0.12) and 0.1 < judged < 0.9
    assert noninferiority(np.zeros(30), np.full(30, 0.5), 0.6).power == 1.0  # no spread at all is no error


@given(st.integers(0, 10_000), st.floats(-0.2, 0.2))
@settings(max_examples=25)
def test_the_interval_of_continuous_scores_moves_with_them(seed, shift):
    """The simulation of error rates judges both truths by one call because of this."""
    rng = np.random.default_rng(seed)
    base, noise, clusters = rng.random(60), rng.exponential(0.1, 60), list(np.arange(60) // 2)
    there = noninferiority(base + noise, base, 0.03, clusters=clusters, resamples=199)
    moved = noninferiority(base + noise + shift, base, 0.03, clusters=clusters, resamples=199)
    assert moved.interval == pytest.approx(tuple(end + shift for end in there.interval), abs=1e-9)
    assert moved.power == pytest.approx(there.power, abs=0.011)  # a resample on the edge may fall either way


def test_studentised_interval_against_scipy_on_one_sample():
    """`scipy.stats.bootstrap` has no bootstrap-t; its percentile interval of the same ratios is the oracle."""
    rng = np.random.default_rng(12)
    diff = rng.exponential(1.0, 60) - 1.0
    result = noninferiority(diff, np.zeros(60), 0.5, resamples=9999)

    def ratio(x, axis):
        return (x.mean(axis) - diff.mean()) / (x.std(axis, ddof=1) / math.sqrt(60))

    drawn = oracle.bootstrap((diff,), ratio, n_resamples=9999, method="percentile", vectorized=True,
                             confidence_level=0.9, rng=np.random.default_rng(1))  # fmt: skip
    low, high = drawn.confidence_interval
    error, student = diff.std(ddof=1) / math.sqrt(60), oracle.t.ppf(0.95, 59)
    # What lies beyond Student's quantile is raised by a third: 20 over the sixty pairs.
    upper, lower = (student + 4 / 3 * max(0.0, end - student) for end in (high, -low))
    expected = (diff.mean() - upper * error, diff.mean() + lower * error)
    assert lower > 1.15 * student  # gains have the tail here
    assert result.interval == pytest.approx(expected, abs=0.02)


def test_sign_flip_equals_scipy_and_flips_whole_clusters():
    rng = np.random.default_rng(8)
    base = rng.random(9)
    mine = base + rng.normal(0.1, 0.1, 9)
    exact = oracle.permutation_test((mine - base,), np.sum, permutation_type="samples", n_resamples=np.inf)
    assert difference_p(mine, base) == pytest.approx(float(exact.pvalue))
    assert difference_p(base, base) == 1.0
    doubled = difference_p(np.tile(mine, 2), np.tile(base, 2), clusters=list(range(9)) * 2)
    assert doubled == pytest.approx(float(exact.pvalue))


@settings(max_examples=30)
@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=3, max_size=60),
    st.sampled_from([None, "linear", "quadratic"]),
)
def test_kappa_equals_scikit_learn(pairs, weights):
    first, second = zip(*pairs, strict=True)
    result = cohen_kappa(first, second, weights=weights, resamples=50)
    if len({*first, *second}) == 1:
        assert result.kappa is None
        return
    # scikit-learn counts steps between the labels that occur, as we do
    expected = cohen_kappa_score(first, second, weights=weights)
    assert result.kappa == pytest.approx(expected) and result.n == len(pairs)
    assert result.interval[0] <= result.interval[1]


def test_kappa_of_people_who_agree_by_chance():
    rng = np.random.default_rng(2)
    result = cohen_kappa(list(rng.random(400) < 0.5), list(rng.random(400) < 0.5))
    assert result.interval[0] < 0 < result.interval[1] and result.raw == pytest.approx(0.5, abs=0.1)


def test_the_mean_of_scores_that_hardly_differ_is_bounded_and_the_bound_holds():
    one = mean_interval([0.0] * 91 + [0.5])
    assert one.method == "nearly all alike" and one.interval[0] == 0.0 and 0.05 < one.interval[1] < 0.07
    rng = np.random.default_rng(5)
    for low, high, share in ((0.0, 0.5, 0.01), (1.0, 0.25, 0.02), (0.5, 1.0, 0.03)):
        truth = low + share * (high - low)
        held = []
        for _ in range(400):
            found = mean_interval(np.where(rng.random(60) < share, high, low), resamples=99)
            held.append(found.interval[0] <= truth <= found.interval[1])
        assert np.mean(held) >= 0.95, (low, high, share)


def test_mean_interval_chooses_its_method():
    rng = np.random.default_rng(9)
    assert mean_interval([1.0, 0.0] * 20).interval == pytest.approx(wilson(20, 40))
    values = rng.random(80)
    result = mean_interval(values)
    expected = oracle.t.interval(0.95, 79, values.mean(), oracle.sem(values))
    assert result.interval == pytest.approx(expected, abs=0.01)
    assert mean_interval([0.5] * 30).interval[0] < 0.5 < mean_interval([0.5] * 30).interval[1]
    assert mean_interval([0.5] * 3).interval == (0.0, 1.0)
    assert mean_interval([]).to_dict()["estimate"] is None


def test_one_difference_alone_is_no_evidence():
    assert stats.difference_p([0.9], [0.1]) == 1.0
    assert stats.difference_p([0.9, 0.5], [0.1, 0.5]) == 1.0
