"""ABROCA: the area between the ROC curves of a group and of everyone else.

J. Gardner, C. Brooks, R. Baker 2019, "Evaluating the fairness of predictive student models through slicing analysis".
It is never below 0, so chance alone lifts it, and more in small groups.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from millrace.bias.resampling import distance_limits, resample, resample_alike
from millrace.bias.score_bins import count_scores
from millrace.bias.score_figures import Abroca

if TYPE_CHECKING:
    import numpy as np

    from millrace.bias.groups import Grouping
    from millrace.bias.policy import Policy

    Curve = tuple[np.ndarray, np.ndarray]

MOST_DRAWS = 500
"""Resamples of a curve; their percentiles are steady by then."""
POINTS = 400
"""False positive rates at which resampled curves are compared: the area is exact to about a thousandth."""


def roc(scores: np.ndarray, positive: np.ndarray) -> Curve:
    """False and true positive rates from (0, 0) to (1, 1), a point for each score; nan without either outcome."""
    import numpy as np

    order = np.argsort(-scores, kind="stable")
    return _of_sorted(scores[order], positive[order])


def area_between(first: Curve, second: Curve) -> float:
    """∫ |TPR of the first - TPR of the second| over the false positive rate, the curves being straight between points.

    0 to 1; nan where a curve does not exist.
    """
    import numpy as np

    if not (np.isfinite(first[0]).all() and np.isfinite(second[0]).all()):
        return float("nan")
    knots = np.union1d(first[0], second[0])
    left, width = knots[:-1], np.diff(knots)
    # from inside each segment, where vertical steps leave no doubt
    early, late = (
        np.interp(left + share * width, *first) - np.interp(left + share * width, *second) for share in (0.25, 0.75)
    )
    start, stop = 1.5 * early - 0.5 * late, 1.5 * late - 0.5 * early
    size = np.abs(start) + np.abs(stop)
    crosses = start * stop < 0
    height = np.where(crosses, (start**2 + stop**2) / np.where(size > 0, 2 * size, 1), size / 2)
    return float((height * width).sum())


def abroca_by_group(
    scores: np.ndarray,
    positive: np.ndarray,
    grouping: Grouping,
    chosen: np.ndarray,
    *,
    chances: bool,
    policy: Policy,
    seed: int,
) -> tuple[Abroca, ...]:
    """Every chosen group against everyone else, with the interval of resampled counts of binned scores."""
    import numpy as np

    bins = count_scores(scores, positive, grouping, chances=chances)
    table = np.array([[group.unfavourable, group.favourable] for group in bins.groups])
    order = np.argsort(-scores, kind="stable")
    ranked, hits, codes = scores[order], positive[order], grouping.codes[order]
    found = []
    for group in np.flatnonzero(chosen).tolist():
        inside = codes == group
        value = area_between(*(_of_sorted(ranked[side], hits[side]) for side in (inside, ~inside)))
        low = high = float("nan")
        if np.isfinite(value):
            sides = np.stack([table[group], table.sum(axis=0) - table[group]])
            draws, there = min(policy.bootstraps, MOST_DRAWS), np.array([value])
            areas, alike = (
                binned_areas(drawn(sides, draws=draws, seed=seed))[:, None] for drawn in (resample, resample_alike)
            )
            limits = distance_limits(areas, there, policy.confidence, alike=alike)
            low, high = (float(limit[0]) for limit in limits)
        known = np.isfinite(value)
        found.append(
            Abroca(
                group=grouping.names[group],
                rows=int(inside.sum()),
                value=value if known else None,
                low=low if known and np.isfinite(low) else None,
                high=high if known and np.isfinite(high) else None,
            )
        )
    return tuple(found)


def binned_areas(counts: np.ndarray) -> np.ndarray:
    """Areas between two curves, shape (draws,), of counts of shape (draws, 2 sides, 2 outcomes, bins).

    The integral is taken at `POINTS` false positive rates; nan where a side has no row of an outcome.
    """
    import numpy as np

    draws = len(counts)
    falling = counts[..., ::-1].cumsum(axis=-1)
    total = falling[..., -1:]
    rates = np.concatenate([np.zeros_like(total), falling], axis=-1) / np.maximum(total, 1)
    known = (total[..., 0] > 0).all(axis=(1, 2))
    # each draw has its own stretch of the axis, so that one call looks all of them up
    stretch = 2.0 * np.arange(draws)[:, None]
    at = (np.arange(POINTS) + 0.5) / POINTS + stretch
    found = [np.interp(at.ravel(), (rates[:, side, 0] + stretch).ravel(), rates[:, side, 1].ravel()) for side in (0, 1)]
    areas: np.ndarray = np.abs(found[0] - found[1]).reshape(draws, POINTS).mean(axis=1)
    return np.where(known, areas, np.nan)


def _of_sorted(scores: np.ndarray, positive: np.ndarray) -> Curve:
    import numpy as np

    if not len(scores):
        return np.array([np.nan]), np.array([np.nan])
    last = np.flatnonzero(np.append(np.diff(scores) != 0, True))
    return _curve(np.cumsum(~positive)[last], np.cumsum(positive)[last])


def _curve(false: np.ndarray, true: np.ndarray) -> Curve:
    import numpy as np

    with np.errstate(divide="ignore", invalid="ignore"):
        rates = [
            np.concatenate([[0.0], side / side[-1]]) if len(side) else np.array([np.nan]) for side in (false, true)
        ]
    both = np.isfinite(rates[0]).all() and np.isfinite(rates[1]).all()
    return (rates[0], rates[1]) if both else (np.array([np.nan]), np.array([np.nan]))
