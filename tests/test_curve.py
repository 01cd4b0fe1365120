"""The learning curve: honest intervals on curves whose truth is known, parts that nest."""

import itertools

import numpy as np
import pytest

from curate.errors import UsageError
from evals.curve import FRACTIONS, fit, hold_back, nested_parts

SIZES = np.repeat([60.0, 120.0, 240.0, 480.0], 2)  # four parts, two seeds


def truth(size, a, b, c):
    return a - b * np.asarray(size, float) ** -c


@pytest.mark.parametrize(("a", "b", "c"), [(0.9, 2.0, 0.5), (0.7, 1.2, 0.3), (0.85, 20.0, 1.0)])
def test_the_truth_lies_inside_the_interval_as_often_as_stated(a, b, c):
    inside = reached = 0
    rounds = 40
    for seed in range(rounds):
        rng = np.random.default_rng([seed, int(100 * a)])
        scores = truth(SIZES, a, b, c) + rng.normal(0, 0.015, len(SIZES))
        threshold = float(truth(700, a, b, c))
        found = fit(SIZES, scores, threshold=threshold, seed=seed)
        new = float(truth(960, a, b, c) + rng.normal(0, 0.015))  # a model trained on twice the data
        inside += found["double"]["low"] <= new <= found["double"]["high"]
        low, high = found["needed"]["low"], found["needed"]["high"]
        reached += (low is not None and low <= 700) and (high is None or high >= 700)
    assert inside / rounds >= 0.9 and reached / rounds >= 0.9


def test_an_interval_is_worth_something():
    scores = truth(SIZES, 0.9, 2.0, 0.5) + np.random.default_rng(1).normal(0, 0.01, len(SIZES))
    found = fit(SIZES, scores)
    assert found["double"]["pairs"] == 960 and found["double"]["high"] - found["double"]["low"] < 0.12
    assert found["double"]["low"] < found["double"]["estimate"] < found["double"]["high"]
    assert found == fit(SIZES, scores)
    assert [row["pairs"] for row in found["line"]] == sorted(row["pairs"] for row in found["line"])


def test_a_plateau_says_that_data_will_not_help():
    scores = 0.6 - 4.0 / SIZES + np.random.default_rng(2).normal(0, 0.002, len(SIZES))
    found = fit(SIZES, scores, threshold=0.9)
    assert found["needed"]["low"] is None and "will not reach 0.9" in found["sentence"]


def test_the_largest_part_is_foretold_from_the_others():
    scores = truth(SIZES, 0.9, 2.0, 0.5) + np.random.default_rng(3).normal(0, 0.01, len(SIZES))
    found = hold_back(SIZES.tolist(), scores.tolist())
    assert found["pairs"] == 480 and found["inside"] == 2 and found["scores"] == scores[-2:].tolist()
    broken = scores.copy()
    broken[-2:] = 0.2  # as if the largest part were poisoned
    assert hold_back(SIZES.tolist(), broken.tolist())["inside"] == 0
    assert hold_back([10, 10, 20, 20, 30, 30, 40, 40], scores.tolist()) is None


@pytest.mark.parametrize("points", [([10, 20, 30], [0.1, 0.2, 0.3]), ([10] * 4 + [20] * 4, [0.1] * 8)])
def test_too_few_points_say_so(points):
    with pytest.raises(UsageError, match="at least"):
        fit(*points)


def test_parts_nest_and_keep_sources_together():
    sources = [f"s{i // 5}" for i in range(80)]
    parts = nested_parts(sources, seed=3)
    assert [len(part) for part in parts] == [round(80 * share) for share in FRACTIONS]
    for small, large in itertools.pairwise(parts):
        assert set(small) < set(large)
    assert parts == nested_parts(sources, seed=3) and parts[0] != nested_parts(sources, seed=4)[0]
    assert len({sources[i] for i in parts[0]}) == 2
    with pytest.raises(UsageError, match="rise"):
        nested_parts(sources, 0, [0.5, 0.25])
