from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy import stats
from scipy.stats.contingency import relative_risk

from millrace.bias.intervals import difference_limits, quantile, ratio_limits, wilson

Z = quantile(0.95)


def _pairs(limits: Callable[..., Any], successes: list[int], trials: list[int]) -> tuple[np.ndarray, np.ndarray]:
    """Limits of every pair of groups as matrices [i, j]."""
    counts, sizes = np.array(successes), np.array(trials)
    rates, (low, high) = counts / sizes, wilson(counts, sizes, Z)
    return limits(rates[:, None], (low[:, None], high[:, None]), rates, (low, high))


@pytest.mark.parametrize(("successes", "trials"), [(0, 10), (1, 10), (5, 10), (10, 10), (81, 263), (15, 148), (0, 20)])
def test_wilson_agrees_with_scipy(successes: int, trials: int) -> None:
    low, high = wilson(np.array([successes]), np.array([trials]), Z)
    expected = stats.binomtest(successes, trials).proportion_ci(method="wilson")
    assert (low[0], high[0]) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_a_rate_of_nothing_has_no_interval() -> None:
    low, high = wilson(np.array([0]), np.array([0]), Z)
    assert np.isnan(low[0])
    assert np.isnan(high[0])


@pytest.mark.parametrize(
    ("first", "second", "low", "high"),
    [
        # Newcombe 1998, table II, method 10
        ((56, 70), (48, 80), 0.0524, 0.3339),
        ((9, 10), (3, 10), 0.1705, 0.8090),
        ((6, 7), (2, 7), 0.0582, 0.8062),
        ((5, 56), (0, 29), -0.0381, 0.1926),
        ((0, 10), (0, 20), -0.1611, 0.2775),
        ((10, 10), (0, 10), 0.6075, 1.0),
    ],
)
def test_differences_agree_with_newcombes_table(
    first: tuple[int, int], second: tuple[int, int], low: float, high: float
) -> None:
    lower, upper = _pairs(difference_limits, [first[0], second[0]], [first[1], second[1]])
    assert (lower[0, 1], upper[0, 1]) == pytest.approx((low, high), abs=5e-5)
    assert (lower[1, 0], upper[1, 0]) == pytest.approx((-high, -low), abs=5e-5)


def test_ratios_agree_with_the_log_method_where_that_is_valid() -> None:
    lower, upper = _pairs(ratio_limits, [3_900, 5_500], [10_000, 10_000])
    expected = relative_risk(3_900, 10_000, 5_500, 10_000).confidence_interval(0.95)
    assert (lower[0, 1], upper[0, 1]) == pytest.approx((expected.low, expected.high), rel=1e-3)


def test_the_ratio_turned_around_has_the_limits_turned_around() -> None:
    lower, upper = _pairs(ratio_limits, [12, 33], [50, 60])
    assert lower[0, 1] == pytest.approx(1 / upper[1, 0])
    assert upper[0, 1] == pytest.approx(1 / lower[1, 0])


def test_ratios_with_an_empty_group_are_one_sided() -> None:
    lower, upper = _pairs(ratio_limits, [0, 30], [50, 60])
    assert lower[0, 1] == 0
    assert 0 < upper[0, 1] < 0.3
    assert upper[1, 0] == np.inf


@pytest.mark.parametrize(("first", "second"), [(0.5, 0.35), (0.1, 0.1), (0.05, 0.02)])
def test_intervals_hold_as_often_as_they_say(first: float, second: float) -> None:
    rng = np.random.default_rng(3)
    draws, sizes = 3_000, (120, 90)
    held = {"difference": 0, "ratio": 0}
    for one, two in zip(rng.binomial(sizes[0], first, draws), rng.binomial(sizes[1], second, draws), strict=True):
        counts = [int(one), int(two)]
        lower, upper = _pairs(difference_limits, counts, list(sizes))
        held["difference"] += lower[0, 1] <= first - second <= upper[0, 1]
        lower, upper = _pairs(ratio_limits, counts, list(sizes))
        held["ratio"] += lower[0, 1] <= first / second <= upper[0, 1]
    # four standard errors of the simulation
    slack = 4 * (0.95 * 0.05 / draws) ** 0.5
    assert 0.95 - slack <= held["difference"] / draws <= 0.985
    assert 0.95 - slack <= held["ratio"] / draws <= 0.985
