"""The stratified bootstrap on counts: a resample is a multinomial draw of each group's cells.

Rows of a group that fall in the same cell are alike, so drawing rows with replacement and counting them has the
multinomial distribution (B. Efron, R. Tibshirani 1993, chapter 8: strata are resampled apart). No row is touched.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from millrace.bias.weights import effective

if TYPE_CHECKING:
    import numpy as np

UNDEFINED_LIMIT = 0.05
"""Share of resamples without a value above which there is no interval: the figure often cannot be computed."""


def resample(counts: np.ndarray, *, draws: int, seed: int, squares: np.ndarray | None = None) -> np.ndarray:
    """Resampled counts, shape (draws, groups, …), of counts of shape (groups, …); each group keeps its rows.

    Where counts are sums of weights, `squares` are those of the squared weights by group: as many effective rows are
    drawn, and every draw has the group's weight.
    """
    import numpy as np

    groups = counts.shape[0]
    flat = counts.reshape(groups, int(np.prod(counts.shape[1:])))
    if squares is not None:
        return _weighted(flat, squares, draws, seed).reshape(draws, *counts.shape)
    flat = flat.astype(np.int64)
    rows = flat.sum(axis=1)
    weights = flat / np.maximum(rows, 1)[:, None]
    # a group without rows draws nothing, but its weights must still sum to one
    weights[rows == 0, 0] = 1.0
    drawn = np.random.default_rng(seed).multinomial(rows, weights, size=(draws, groups))
    return drawn.reshape(draws, *counts.shape)


def _weighted(flat: np.ndarray, squares: np.ndarray, draws: int, seed: int) -> np.ndarray:
    import numpy as np

    total = flat.sum(axis=1)
    # a draw needs whole rows, and one row at least
    rows = np.maximum(effective(total, squares).astype(np.int64), 1)
    shares = np.divide(flat, total[:, None], out=np.zeros(flat.shape), where=total[:, None] > 0)
    shares[total == 0, 0] = 1.0
    # rounding must not carry a sum above one
    shares /= shares.sum(axis=1, keepdims=True)
    drawn = np.random.default_rng(seed).multinomial(rows, shares, size=(draws, len(flat)))
    found: np.ndarray = drawn * (total / rows)[:, None]
    return found


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


def resample_alike(counts: np.ndarray, *, draws: int, seed: int) -> np.ndarray:
    """Counts as they would be if all sides were alike, shape (draws, sides, …, bins), of counts (sides, …, bins).

    Every side keeps its rows of each kind; they lie in the bins as those of all sides together do.
    """
    import numpy as np

    together = counts.sum(axis=0)
    rows = together.sum(axis=-1, keepdims=True)
    shares = together / np.maximum(rows, 1)
    # a kind without rows draws nothing, but its shares must still sum to one
    shares[..., 0] += rows[..., 0] == 0
    totals = counts.sum(axis=-1).astype(np.int64)
    return np.random.default_rng(seed).multinomial(totals, shares, size=(draws, *totals.shape))


def distance_limits(
    draws: np.ndarray, values: np.ndarray, confidence: float, *, alike: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Limits over axis 0 for what is never below 0, such as an area between curves; nan where `percentiles` has it.

    Chance alone lifts such a figure: resamples lie higher than the rows they are drawn from, and those about as much
    higher than where they come from. The lower limit is the percentile less twice that step, and 0 where figures drawn
    without any difference (`alike`) are as large.
    """
    import numpy as np

    low, high = percentiles(draws, confidence)
    known = ~np.isnan(draws)
    mean = np.where(known, draws, 0.0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    lower = np.clip(low - 2 * np.maximum(mean - values, 0.0), 0.0, values)
    by_chance = percentiles(alike, confidence)[1]
    return np.where(values <= by_chance, np.where(np.isnan(low), np.nan, 0.0), lower), np.maximum(high, values)
