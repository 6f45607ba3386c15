"""Closed intervals of Clarify's metrics, where there is one.

Contrasts of proportions: Newcombe 1998 (method 10) and Donner and Zou 2012, as in `intervals`. Class imbalance: Wilson
limits of the facet's share. Distances of two-class distributions are functions of the difference in label rates δ at
a given overall rate, increasing in |δ|: their limits are the distances at the limits of |δ|. A percentile bootstrap
would never reach 0, where all of them lie when there is no bias.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from millrace.bias.distances import Distance, distance
from millrace.bias.division import strict_divide
from millrace.bias.intervals import difference_limits, quantile, ratio_limits, wilson
from millrace.bias.weights import sample

if TYPE_CHECKING:
    import numpy as np

    from millrace.bias.contrasts import Contrast
    from millrace.bias.figures import Method

    Limits = tuple[np.ndarray, np.ndarray]
    Found = tuple[np.ndarray, np.ndarray, Method]
    Squares = tuple[np.ndarray, np.ndarray] | None


def contrast_interval(
    contrast: Contrast, a: np.ndarray, d: np.ndarray, confidence: float, *, squares: Squares = None
) -> Found:
    """Limits of a contrast of two proportions, by facet, from counts of shape (facets, 2, 2).

    `squares` are the sums of squared weights of both sides, like `a` and `d`, where counts are sums of weights.
    """
    others, facet = (
        _with_limits(contrast.rate.counts(side), confidence, None if of is None else contrast.rate.counts(of)[1])
        for side, of in zip((a, d), squares or (None, None), strict=True)
    )
    if contrast.how == "d / a":
        return (*ratio_limits(*facet, *others), "Donner-Zou")
    first, second = (others, facet) if contrast.how == "a - d" else (facet, others)
    return (*difference_limits(*first, *second), "Newcombe")


def imbalance_interval(
    a_rows: np.ndarray, d_rows: np.ndarray, confidence: float, *, squares: np.ndarray | None = None
) -> Found:
    """Limits of the class imbalance 1 - 2 n_d / n, by facet; `squares` of both sides together."""
    _, (low, high) = _with_limits((d_rows, a_rows + d_rows), confidence, squares)
    return 1 - 2 * high, 1 - 2 * low, "Wilson"


def distance_interval(
    kind: Distance, a: np.ndarray, d: np.ndarray, confidence: float, *, squares: Squares = None
) -> Found:
    """Limits of a distance of two-class label distributions, by facet, from label counts of shape (facets, 2)."""
    import numpy as np

    a_rows, d_rows = a.sum(axis=-1), d.sum(axis=-1)
    others, facet = (
        _with_limits((side[..., 1], side.sum(axis=-1)), confidence, None if of is None else of.sum(axis=-1))
        for side, of in zip((a, d), squares or (None, None), strict=True)
    )
    low, high = difference_limits(*others, *facet)
    rate = strict_divide(a[..., 1] + d[..., 1], a_rows + d_rows)
    weight = strict_divide(d_rows, a_rows + d_rows)
    nearest = np.where((low <= 0) & (high >= 0), 0.0, np.where(low > 0, low, high))
    farthest = np.where(np.abs(low) > np.abs(high), low, high)

    def at(gap: np.ndarray) -> np.ndarray:
        # kept inside the open interval: a side without one of the outcomes has no divergence
        pair = np.clip([rate + weight * gap, rate - (1 - weight) * gap], 1e-12, 1 - 1e-12)
        first, second = (np.stack([1 - side, side], axis=-1) for side in pair)
        return distance(kind, first, second)

    return at(nearest), at(farthest), "profile"


def _with_limits(
    counts: tuple[np.ndarray, np.ndarray], confidence: float, squares: np.ndarray | None
) -> tuple[np.ndarray, Limits]:
    worth = counts if squares is None else sample(*counts, squares)
    return strict_divide(*counts), wilson(*worth, quantile(confidence))
