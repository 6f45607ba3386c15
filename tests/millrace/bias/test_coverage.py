"""Coverage by simulation: intervals of 95% hold the truth in 93% to 97% of the tables that a known world makes."""

from functools import cache

import numpy as np
import pytest

from millrace.bias.contrasts import CONTRASTS
from millrace.bias.distances import DISTANCES
from millrace.bias.facet_intervals import contrast_interval, distance_interval, imbalance_interval
from millrace.bias.facets import metric_values
from millrace.bias.resampling import percentiles, resample

TABLES, DRAWS = 1_500, 300
ROWS = (1_200, 600)
WORLD = np.array([[[0.35, 0.15], [0.12, 0.38]], [[0.42, 0.10], [0.20, 0.28]]])
"""Chance of [label, prediction] for everyone else and for the facet, the same in both strata."""
STRATA = np.array([0.6, 0.4])
CLOSED = tuple(name for name, contrast in CONTRASTS.items() if contrast.rate.is_share)
RESAMPLED = ("DCA", "DCR", "TE", "GE", "CDDL", "CDDPL")


@cache
def _simulated() -> np.ndarray:
    """Shape (tables, sides, strata, 2, 2)."""
    rng = np.random.default_rng(12)
    cells = (STRATA[None, :, None, None] * WORLD[:, None]).reshape(2, -1)
    sides = [rng.multinomial(rows, chance, size=TABLES) for rows, chance in zip(ROWS, cells, strict=True)]
    return np.stack(sides, axis=1).reshape(TABLES, 2, 2, 2, 2)


def _truth(name: str) -> float:
    # the values of a table that has exactly the world's shares
    exact = np.array(ROWS)[:, None, None, None] * STRATA[None, :, None, None] * WORLD[:, None]
    return float(metric_values(name, exact.sum(axis=1), exact)[1])


def _share(low: np.ndarray, high: np.ndarray, truth: float) -> float:
    return float(((low <= truth) & (truth <= high)).mean())


@pytest.mark.parametrize("name", CLOSED)
def test_closed_intervals_of_contrasts(name: str) -> None:
    a, d = _simulated().sum(axis=2).swapaxes(0, 1)
    low, high, _ = contrast_interval(CONTRASTS[name], a, d, 0.95)
    assert 0.93 <= _share(low, high, _truth(name)) <= 0.97


@pytest.mark.parametrize("name", DISTANCES)
def test_intervals_of_distances(name: str) -> None:
    a, d = _simulated().sum(axis=(2, 4)).swapaxes(0, 1)
    low, high, _ = distance_interval(DISTANCES[name], a, d, 0.95)
    assert 0.93 <= _share(low, high, _truth(name)) <= 0.97


@pytest.mark.parametrize("name", DISTANCES)
def test_intervals_of_distances_reach_zero_when_there_is_no_bias(name: str) -> None:
    rng = np.random.default_rng(7)
    a, d = (np.stack([rows - hits, hits], axis=1) for rows in ROWS for hits in [rng.binomial(rows, 0.4, 3_000)])
    low, _, _ = distance_interval(DISTANCES[name], a, d, 0.95)
    assert 0.93 <= (low == 0).mean() <= 0.97


def test_intervals_of_class_imbalance() -> None:
    d = np.random.default_rng(4).binomial(1_000, 0.2, 4_000)
    low, high, _ = imbalance_interval(1_000 - d, d, 0.95)
    assert 0.93 <= _share(low, high, 0.6) <= 0.97


@cache
def _resampled() -> np.ndarray:
    """Shape (draws, tables, sides, strata, 2, 2)."""
    flat = _simulated().reshape(TABLES * 2, 2, 2, 2)
    return resample(flat, draws=DRAWS, seed=5).reshape(DRAWS, TABLES, 2, 2, 2, 2)


@pytest.mark.parametrize("name", [*RESAMPLED, "DPL", "RD", "DI"])
def test_intervals_from_resampled_counts(name: str) -> None:
    drawn = _resampled()
    low, high = percentiles(metric_values(name, drawn.sum(axis=3), drawn)[..., 1], 0.95)
    assert 0.93 <= _share(low, high, _truth(name)) <= 0.97
