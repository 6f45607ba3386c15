"""Calibration by group: reliability in bins of the score, and the expected calibration error.

ECE: M. Naeini, G. Cooper, M. Hauskrecht 2015, bins of equal width. Resamples are multinomial draws of the (bin, label)
counts; the mean score of a bin stays. ECE is never below 0, so chance alone lifts it, and more in small groups: the
interval begins at 0 where scores that are right in every bin would show as much.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from millrace.bias.intervals import quantile, wilson
from millrace.bias.resampling import distance_limits, resample
from millrace.bias.score_figures import Bin, Reliability

if TYPE_CHECKING:
    import numpy as np

    from millrace.bias.groups import Grouping
    from millrace.bias.policy import Policy

BINS = 10


def calibration_error(counts: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """ECE, shape (...), from (bin, label) counts of shape (..., bins, 2) and the mean score of each bin."""
    rows = counts.sum(axis=-1)
    away = abs(counts[..., 1] - rows * scores)
    found: np.ndarray = away.sum(axis=-1) / rows.sum(axis=-1)
    return found


def reliability_by_group(
    scores: np.ndarray, positive: np.ndarray, grouping: Grouping, chosen: np.ndarray, *, policy: Policy, seed: int
) -> tuple[Reliability, ...]:
    """Reliability and ECE of every chosen group; scores are chances of the favourable outcome, from 0 to 1."""
    import numpy as np

    places = np.minimum((scores * BINS).astype(np.int64), BINS - 1)
    keys = grouping.codes * BINS + places
    size = len(grouping.names) * BINS
    counts = np.bincount(keys * 2 + positive, minlength=size * 2).reshape(-1, BINS, 2)
    sums = np.bincount(keys, weights=scores, minlength=size).reshape(-1, BINS)
    rows = counts.sum(axis=-1)
    means = sums / np.maximum(rows, 1)
    where = np.flatnonzero(chosen)
    drawn = resample(counts[where], draws=policy.bootstraps, seed=seed)
    errors = calibration_error(counts[where], means[where])
    alike = _right(rows[where], means[where], draws=policy.bootstraps, seed=seed)
    low, high = distance_limits(calibration_error(drawn, means[where]), errors, policy.confidence, alike=alike)
    rate_low, rate_high = wilson(counts[..., 1], rows, quantile(policy.confidence))
    return tuple(
        Reliability(
            group=grouping.names[group],
            rows=int(rows[group].sum()),
            error=float(errors[place]),
            low=float(low[place]),
            high=float(high[place]),
            bins=tuple(
                Bin(
                    start=bin_ / BINS,
                    stop=(bin_ + 1) / BINS,
                    rows=int(rows[group, bin_]),
                    score=float(means[group, bin_]),
                    rate=float(counts[group, bin_, 1] / rows[group, bin_]),
                    low=float(rate_low[group, bin_]),
                    high=float(rate_high[group, bin_]),
                )
                for bin_ in range(BINS)
                if rows[group, bin_]
            ),
        )
        for place, group in enumerate(where.tolist())
    )


def _right(rows: np.ndarray, means: np.ndarray, *, draws: int, seed: int) -> np.ndarray:
    """ECE of scores that are right in every bin, shape (draws, groups)."""
    import numpy as np

    # a mean of sums may lie a last digit beyond 0 to 1
    hits = np.random.default_rng(seed).binomial(rows, np.clip(means, 0.0, 1.0), size=(draws, *rows.shape))
    return calibration_error(np.stack([rows - hits, hits], axis=-1), means)
