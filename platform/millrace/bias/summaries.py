"""One metric over all groups: the aggregates of fairlearn's MetricFrame (fairlearn 0.15, metrics/_metric_frame.py)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from millrace.bias.figures import Summary

if TYPE_CHECKING:
    import numpy as np


def summarise(values: np.ndarray, overall: float) -> Summary | None:
    """The aggregates over the values of the compared groups; None without any.

    `overall` is the metric of all rows together. A ratio is None where it would divide by zero or change sign.
    """
    import numpy as np

    if not len(values) or not np.isfinite(values).all() or not np.isfinite(overall):
        return None
    smallest, largest = float(values.min()), float(values.max())
    positive = largest > 0 and smallest >= 0
    against = None
    if positive and overall > 0:
        ratios = values / overall
        against = float(np.minimum(ratios, np.divide(1, ratios, out=np.ones_like(ratios), where=ratios > 1)).min())
    return Summary(
        overall=float(overall),
        group_min=smallest,
        group_max=largest,
        difference=largest - smallest,
        difference_to_overall=float(np.abs(values - overall).max()),
        ratio=smallest / largest if positive else None,
        ratio_to_overall=against,
    )
