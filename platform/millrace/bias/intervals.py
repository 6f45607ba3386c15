"""Intervals of rates, of differences and of ratios of rates, vectorised.

Wilson: E. B. Wilson 1927. Difference: R. G. Newcombe 1998, method 10. Ratio: A. Donner, G. Zou 2012 (MOVER-R). The
last two are built from Wilson limits, so that a rate of 0 or 1 gives an honest interval and never one of width zero.
"""

from __future__ import annotations

from statistics import NormalDist
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

    Limits = tuple[np.ndarray, np.ndarray]


def quantile(confidence: float, comparisons: int = 1) -> float:
    """Two-sided normal quantile; with several comparisons, Bonferroni's, so that all intervals hold together."""
    return NormalDist().inv_cdf(1 - (1 - confidence) / (2 * comparisons))


def wilson(successes: np.ndarray, trials: np.ndarray, z: float) -> tuple[np.ndarray, np.ndarray]:
    """Lower and upper limits of rates; nan where there are no trials."""
    import numpy as np

    with np.errstate(divide="ignore", invalid="ignore"):
        rate = successes / trials
        centre = (rate + z**2 / (2 * trials)) / (1 + z**2 / trials)
        half = z / (1 + z**2 / trials) * np.sqrt(rate * (1 - rate) / trials + z**2 / (4 * trials**2))
        # exact at the ends, where rounding would leave 1e-17
        low = np.where(successes == 0, 0.0, np.maximum(centre - half, 0.0))
        high = np.where(successes == trials, 1.0, np.minimum(centre + half, 1.0))
    none = trials == 0
    return np.where(none, np.nan, low), np.where(none, np.nan, high)


def difference_limits(
    first: np.ndarray, first_limits: Limits, second: np.ndarray, second_limits: Limits
) -> tuple[np.ndarray, np.ndarray]:
    """Limits of first - second from the limits of the single rates; shapes are broadcast against each other."""
    import numpy as np

    gap = first - second
    lower = gap - np.sqrt((first - first_limits[0]) ** 2 + (second_limits[1] - second) ** 2)
    upper = gap + np.sqrt((first_limits[1] - first) ** 2 + (second - second_limits[0]) ** 2)
    return lower, upper


def ratio_limits(
    first: np.ndarray, first_limits: Limits, second: np.ndarray, second_limits: Limits
) -> tuple[np.ndarray, np.ndarray]:
    """Limits of first / second, broadcast against each other; infinite where the second rate may be zero."""
    import numpy as np

    product = first * second
    first_low, first_high = (limit * (2 * first - limit) for limit in first_limits)
    second_low, second_high = (limit * (2 * second - limit) for limit in second_limits)
    with np.errstate(divide="ignore", invalid="ignore"):
        # the usual form multiplied out: it stays defined where high = 2 * rate
        lower = first_low / (product + np.sqrt(np.maximum(product**2 - first_low * second_high, 0)))
        upper = (product + np.sqrt(np.maximum(product**2 - first_high * second_low, 0))) / second_low
    lower = np.where((first_low == 0) & np.isfinite(second_low), 0.0, lower)
    upper = np.where((second_low <= 0) & np.isfinite(first_high), np.inf, upper)
    return lower, upper
