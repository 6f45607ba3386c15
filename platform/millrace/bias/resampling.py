"""The stratified bootstrap on counts: a resample is a multinomial draw of each group's cells.

Rows of a group that fall in the same cell are alike, so drawing rows with replacement and counting them has the
multinomial distribution (B. Efron, R. Tibshirani 1993, chapter 8: strata are resampled apart). No row is touched.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

UNDEFINED_LIMIT = 0.05
"""Share of resamples without a value above which there is no interval: the figure often cannot be computed."""


def resample(counts: np.ndarray, *, draws: int, seed: int) -> np.ndarray:
    """Resampled counts, shape (draws, groups, …), of counts of shape (groups, …); each group keeps its rows."""
    import numpy as np

    groups = counts.shape[0]
    flat = counts.reshape(groups, int(np.prod(counts.shape[1:]))).astype(np.int64)
    rows = flat.sum(axis=1)
    weights = flat / np.maximum(rows, 1)[:, None]
    # a group without rows draws nothing, but its weights must still sum to one
    weights[rows == 0, 0] = 1.0
    drawn = np.random.default_rng(seed).multinomial(rows, weights, size=(draws, groups))
    return drawn.reshape(draws, *counts.shape)


def percentiles(draws: np.ndarray, confidence: float) -> tuple[np.ndarray, np.ndarray]:
    """Lower and upper limits over axis 0; nan where too many resamples have no value. Limits may be infinite."""
    import numpy as np

    tail = (1 - confidence) / 2
    missing = np.isnan(draws)
    # sorted as largest: left out of the order statistics by counting only what is there
    order = np.sort(np.where(missing, np.inf, draws), axis=0)
    there = (~missing).sum(axis=0)
    last = np.maximum(there - 1, 0)
    low = np.take_along_axis(order, np.floor(tail * last).astype(int)[None], axis=0)[0]
    high = np.take_along_axis(order, np.ceil((1 - tail) * last).astype(int)[None], axis=0)[0]
    unknown = missing.mean(axis=0) > UNDEFINED_LIMIT
    return np.where(unknown, np.nan, low), np.where(unknown, np.nan, high)
