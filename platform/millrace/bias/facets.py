"""Clarify's metrics of each group against everyone else, with an interval each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from millrace.bias.catalogue import AFTER, BEFORE
from millrace.bias.contrasts import CONTRASTS, Contrast
from millrace.bias.distances import (
    DISTANCES,
    class_imbalance,
    conditional_disparity,
    distance,
    generalised_entropy,
    shares,
    whole_support,
)
from millrace.bias.division import clarify_divide, strict_divide
from millrace.bias.facet_intervals import contrast_interval, distance_interval, imbalance_interval
from millrace.bias.figures import Facet, MetricValue
from millrace.bias.flip_test import MOST_ROWS
from millrace.bias.resampling import percentiles, resample
from millrace.bias.weights import Weighted

if TYPE_CHECKING:
    import numpy as np

    from millrace.bias.facet_intervals import Found
    from millrace.bias.flip_test import Flips
    from millrace.bias.policy import Policy

NOTHING = "Clarify's rule for 0/0 or x/0: nothing was there to divide by"
ONE_SIDED = "only outcomes that both sides have are counted"
NO_STRATA = "could not check: no column of strata was named"
NO_FEATURES = "could not check: no features to find neighbours by"
NOT_DEFINED = "could not check: one side, or one outcome, has no rows"


@dataclass(frozen=True)
class FacetCounts:
    """Rows of every group by label and prediction, shape (groups, 2, 2); for labels alone the prediction is the label.

    `strata` has shape (groups, strata, 2, 2) and sums to `cells`; None when no column of strata was named.
    """

    cells: np.ndarray
    strata: np.ndarray | None
    flips: tuple[Flips | None, ...] | None
    """By group; None where predictions or features are not there."""
    predicted: bool
    weighted: Weighted | None = None
    """What stands behind `strata`, or `cells` with an axis of one stratum, where rows have weights."""

    @property
    def rows(self) -> np.ndarray:
        """Rows of every group."""
        cells = self.cells if self.weighted is None else self.weighted.over(1).rows
        found: np.ndarray = cells.sum(axis=(-1, -2))
        return found


def measure_facets(
    counts: FacetCounts, names: tuple[str, ...], chosen: np.ndarray, *, outcome: str | None, policy: Policy, seed: int
) -> tuple[Facet, ...]:
    """The metrics of every chosen group; the eight of the label, and with predictions the thirteen after training."""
    import numpy as np

    kept = counts.cells if counts.strata is None else counts.strata
    squares = None if counts.weighted is None else counts.weighted.squares.sum(axis=(1, 2, 3))
    drawn = resample(kept, draws=policy.bootstraps, seed=seed, squares=squares)
    where = np.flatnonzero(chosen)
    wanted = BEFORE + AFTER if counts.predicted else BEFORE
    found = {name: _values(name, counts, drawn, where, policy) for name in wanted}
    rows = counts.rows
    return tuple(
        Facet(
            group=names[group],
            outcome=outcome,
            rows=int(rows[group]),
            others=int(rows.sum() - rows[group]),
            metrics=tuple(found[name][place] for name in wanted),
        )
        for place, group in enumerate(where.tolist())
    )


def metric_values(name: str, cells: np.ndarray, strata: np.ndarray | None, *, strict: bool = False) -> np.ndarray:
    """One of Clarify's metrics for every group against all others, shape (…, groups), from counts (…, groups, 2, 2).

    nan where Clarify raises an error; with `strict` also where its edge rules for a division by zero were needed.

    Raises:
        KeyError: no such metric, or one that needs more than counts (FT) or strata that are not there.
    """
    import numpy as np

    a = cells.sum(axis=-3, keepdims=True) - cells
    divide = strict_divide if strict else clarify_divide
    if name in CONTRASTS:
        return CONTRASTS[name].value(a, cells, divide)
    if name == "CI":
        return class_imbalance(a.sum(axis=(-1, -2)), cells.sum(axis=(-1, -2)))
    if name == "GE":
        everyone = generalised_entropy(cells.sum(axis=-3, keepdims=True))
        return np.broadcast_to(everyone, cells.shape[:-2])
    if name in DISTANCES:
        return distance(DISTANCES[name], shares(a.sum(axis=-1)), shares(cells.sum(axis=-1)))
    if strata is None or name not in {"CDDL", "CDDPL"}:
        raise KeyError(name)
    by = strata.sum(axis=-1) if name == "CDDL" else strata.sum(axis=-2)
    return conditional_disparity(by.sum(axis=-3, keepdims=True) - by, by)


def _values(
    name: str, counts: FacetCounts, drawn: np.ndarray, where: np.ndarray, policy: Policy
) -> tuple[MetricValue, ...]:
    import numpy as np

    if name == "FT":
        return tuple(_flip(counts, int(group), policy) for group in where)
    if name in {"CDDL", "CDDPL"} and counts.strata is None:
        return tuple(MetricValue(name, None, None, None, "none", NO_STRATA) for _ in where)
    cells_drawn = drawn if counts.strata is None else drawn.sum(axis=2)
    strata_drawn = None if counts.strata is None else drawn
    values = metric_values(name, counts.cells, counts.strata)[where]
    defined = np.isfinite(metric_values(name, counts.cells, counts.strata, strict=True)[where])
    low, high, method = _limits(name, counts, where, policy)
    if method == "bootstrap":
        low, high = percentiles(metric_values(name, cells_drawn, strata_drawn)[:, where], policy.confidence)
    remarks = _remarks(name, counts.cells, values, defined, where)
    return tuple(
        MetricValue(
            metric=name,
            value=None if np.isnan(value) else float(value),
            low=float(below) if known and not np.isnan(below) else None,
            high=float(above) if known and not np.isnan(above) else None,
            method=method if known and not np.isnan(below) else "none",
            remark=remark,
        )
        for value, below, above, known, remark in zip(values, low, high, defined, remarks, strict=True)
    )


def _limits(name: str, counts: FacetCounts, where: np.ndarray, policy: Policy) -> Found:
    a, d = _sides(counts.cells, where)
    behind = None if counts.weighted is None else _sides(counts.weighted.over(1).squares, where)
    contrast: Contrast | None = CONTRASTS.get(name)
    if contrast is not None and contrast.rate.is_share:
        return contrast_interval(contrast, a, d, policy.confidence, squares=behind)
    if name == "CI":
        whole = None if behind is None else (behind[0] + behind[1]).sum(axis=(-1, -2))
        return imbalance_interval(a.sum(axis=(-1, -2)), d.sum(axis=(-1, -2)), policy.confidence, squares=whole)
    if name in DISTANCES:
        of_labels = None if behind is None else (behind[0].sum(axis=-1), behind[1].sum(axis=-1))
        return distance_interval(DISTANCES[name], a.sum(axis=-1), d.sum(axis=-1), policy.confidence, squares=of_labels)
    empty = d.sum(axis=(-1, -2)) * float("nan")
    return empty, empty, "bootstrap"


def _sides(cells: np.ndarray, where: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Everyone else and the facet, by facet."""
    d = cells[where]
    return cells.sum(axis=0) - d, d


def _remarks(name: str, cells: np.ndarray, values: np.ndarray, defined: np.ndarray, where: np.ndarray) -> list[str]:
    import numpy as np

    labels = cells.sum(axis=-1)
    everyone = labels.sum(axis=0)
    whole = whole_support(everyone - labels[where], labels[where]) if name in DISTANCES else np.ones(len(where), bool)
    return [
        NOT_DEFINED if np.isnan(value) else NOTHING if not known else "" if both else ONE_SIDED
        for value, known, both in zip(values, defined, whole, strict=True)
    ]


def _flip(counts: FacetCounts, group: int, policy: Policy) -> MetricValue:
    import numpy as np

    flips = None if counts.flips is None else counts.flips[group]
    if flips is None:
        return MetricValue("FT", None, None, None, "none", NO_FEATURES)
    table = np.array([[flips.up, flips.down, flips.rows - flips.up - flips.down]])
    drawn = resample(table, draws=policy.bootstraps, seed=group)
    low, high = percentiles((drawn[:, 0, 0] - drawn[:, 0, 1]) / flips.rows, policy.confidence)
    remark = "neighbours taken as given"
    if flips.sampled:
        remark = f"drawn by lot: {flips.rows:,} of the group, at most {MOST_ROWS:,} others"
    return MetricValue("FT", flips.value, float(low), float(high), "bootstrap", remark)
