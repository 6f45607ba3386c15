"""Numbers by group as whole distributions: quantiles of the residuals, and the Wasserstein distance of the predictions.

The distance is the first Wasserstein distance (earth mover's) between a group and everyone else: how far the numbers
of the one would have to be moved, on average, to lie like those of the other. It is never below 0, so chance alone
lifts it, and more in small groups. Its interval is that of resampled counts in quantile bins.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from millrace.bias.resampling import distance_limits, resample, resample_alike
from millrace.bias.score_figures import Distribution

if TYPE_CHECKING:
    import numpy as np

    from millrace.bias.groups import Grouping
    from millrace.bias.policy import Policy

BINS = 200
"""Bins of about equal size that resamples are counted in."""
SHARES = (0.05, 0.25, 0.5, 0.75, 0.95)
MOST_DRAWS = 500


def wasserstein(first: np.ndarray, second: np.ndarray) -> float:
    """The first Wasserstein distance of two samples, in their unit; nan when one is empty."""
    import numpy as np
    from scipy.stats import wasserstein_distance

    if not len(first) or not len(second):
        return float("nan")
    return float(wasserstein_distance(np.asarray(first, dtype=float), np.asarray(second, dtype=float)))


def distributions_by_group(
    numbers: np.ndarray,
    residuals: np.ndarray,
    grouping: Grouping,
    chosen: np.ndarray,
    *,
    deviation: float,
    policy: Policy,
    seed: int,
) -> tuple[Distribution, ...]:
    """Every chosen group: quantiles of `residuals`, and the distance of `numbers` to everyone else's.

    `deviation` is the standard deviation of the target over all rows.
    """
    import numpy as np

    starts = np.unique(np.quantile(numbers, np.arange(BINS) / BINS, method="inverted_cdf"))
    places = np.searchsorted(starts, numbers, side="right") - 1
    bins = len(starts)
    table = np.bincount(grouping.codes * bins + places, minlength=len(grouping.names) * bins).reshape(-1, bins)
    middles = np.bincount(places, weights=numbers, minlength=bins) / np.maximum(np.bincount(places, minlength=bins), 1)
    found = []
    for group in np.flatnonzero(chosen).tolist():
        inside = grouping.codes == group
        value = wasserstein(numbers[inside], numbers[~inside])
        low = high = float("nan")
        if np.isfinite(value):
            sides = np.stack([table[group], table.sum(axis=0) - table[group]])
            draws, there = min(policy.bootstraps, MOST_DRAWS), np.array([value])
            away, alike = (
                _binned(drawn(sides, draws=draws, seed=seed), middles)[:, None] for drawn in (resample, resample_alike)
            )
            limits = distance_limits(away, there, policy.confidence, alike=alike)
            low, high = (float(limit[0]) for limit in limits)
        known = bool(np.isfinite(value))
        found.append(
            Distribution(
                group=grouping.names[group],
                rows=int(inside.sum()),
                quantiles=tuple(float(one) for one in np.quantile(residuals[inside], SHARES)),
                wasserstein=value if known else None,
                low=low if known else None,
                high=high if known else None,
                deviations=value / deviation if known and deviation > 0 else None,
            )
        )
    return tuple(found)


def _binned(counts: np.ndarray, middles: np.ndarray) -> np.ndarray:
    """Distances, shape (draws,), of counts of shape (draws, 2, bins) whose bins lie at `middles`."""
    import numpy as np

    shares = counts.cumsum(axis=-1) / counts.sum(axis=-1, keepdims=True)
    away: np.ndarray = np.abs(shares[:, 0, :-1] - shares[:, 1, :-1]) @ np.diff(middles)
    return away
