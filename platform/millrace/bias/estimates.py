"""Metrics that are averages or made of averages: by group with intervals, and the distances between groups.

Distances are compared in Welch's way (B. L. Welch 1947: unequal variances, Satterthwaite's degrees of freedom).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from millrace.bias.figures import Disparity, GroupValue, Measure, Unit
from millrace.bias.groups import Grouping
from millrace.bias.policy import better as direction
from millrace.bias.summaries import summarise
from millrace.bias.verdicts import judge
from millrace.bias.wording import reason

if TYPE_CHECKING:
    import numpy as np

    from millrace.bias.policy import Policy

Kind = Literal["difference", "standardised_difference", "ratio"]
_UNITS: dict[Kind, Unit] = {"difference": "target", "standardised_difference": "deviations", "ratio": "ratio"}


@dataclass(frozen=True)
class Estimates:
    """One metric by group with its standard error; nan where it cannot be had."""

    metric: str
    unit: Unit
    values: np.ndarray
    errors: np.ndarray
    rows: np.ndarray


def compared(estimates: Estimates, grouping: Grouping, policy: Policy) -> np.ndarray:
    """Which groups take part in the comparison: named, large enough, with a value and a standard error."""
    import numpy as np

    chosen: np.ndarray = (
        np.array(grouping.comparable, dtype=bool)
        & (estimates.rows >= policy.minimum_group)
        & np.isfinite(estimates.values)
        & np.isfinite(estimates.errors)
    )
    return chosen


def measure_estimates(estimates: Estimates, grouping: Grouping, policy: Policy, *, overall: float) -> Measure:
    """The metric of every group with its own interval (Student's t); `overall` is that of all rows together."""
    import numpy as np
    from scipy import stats

    t = stats.t.ppf((1 + policy.confidence) / 2, np.maximum(estimates.rows - 1, 1))
    low, high = estimates.values - t * estimates.errors, estimates.values + t * estimates.errors
    chosen = compared(estimates, grouping, policy)
    values = tuple(
        GroupValue(
            group=name,
            value=_finite(estimates.values[index]),
            low=_finite(low[index]),
            high=_finite(high[index]),
            rows=int(estimates.rows[index]),
            count=None,
            compared=bool(chosen[index]),
        )
        for index, name in enumerate(grouping.names)
    )
    return Measure(estimates.metric, None, estimates.unit, values, summarise(estimates.values[chosen], overall))


def estimate_disparity(
    estimates: Estimates,
    grouping: Grouping,
    *,
    kind: Kind,
    policy: Policy,
    scale: float = 1.0,
) -> Disparity:
    """The distance between the groups, judged when the policy draws a line.

    `scale` is the unit of a standardised difference (the target's standard deviation, taken as known).
    """
    import numpy as np

    metric = f"{estimates.metric}_{kind}"
    line, better = policy.line(metric), direction(metric)
    where = np.flatnonzero(compared(estimates, grouping, policy))
    values, errors, rows = estimates.values[where], estimates.errors[where], estimates.rows[where]
    defined = len(where) >= 2 and scale > 0 and not (kind == "ratio" and bool((values <= 0).any()))
    value = low = high = None
    if defined:
        value, low, high = _limits(values, errors, rows, kind=kind, confidence=policy.confidence)
        if kind != "ratio":
            value, low, high = value / scale, low / scale, high / scale
    unit = "share" if kind == "difference" and estimates.unit == "share" else _UNITS[kind]
    verdict = None if line is None else judge(low, high, line=line, better=better)
    if len(where) < 2:
        why = f"Fewer than two groups have {policy.minimum_group} rows or more to compare."
    else:
        why = reason(verdict, line=line, better=better, unit=unit)
    return Disparity(
        metric=metric,
        outcome=None,
        unit=unit,
        value=value,
        low=low,
        high=high,
        lowest=grouping.names[where[int(np.argmin(values))]] if defined else None,
        highest=grouping.names[where[int(np.argmax(values))]] if defined else None,
        better=better,
        line=line,
        verdict=verdict,
        reason=why,
    )


def _limits(
    values: np.ndarray, errors: np.ndarray, rows: np.ndarray, *, kind: Kind, confidence: float
) -> tuple[float, float, float]:
    import numpy as np
    from scipy import stats

    if kind == "ratio":
        # on the log scale, where the limits of a ratio are symmetric (delta method)
        errors, values = errors / values, np.log(values)
    pairs = len(values) * (len(values) - 1) // 2
    parts = errors**2
    spread = parts[:, None] + parts[None, :]
    with np.errstate(divide="ignore", invalid="ignore"):
        freedom = spread**2 / ((parts**2 / (rows - 1))[:, None] + (parts**2 / (rows - 1))[None, :])
    # two groups without any spread differ for certain
    freedom = np.where(spread > 0, freedom, np.inf)
    half = stats.t.ppf(1 - (1 - confidence) / (2 * pairs), freedom) * np.sqrt(spread)
    gap = values[:, None] - values[None, :]
    others = ~np.eye(len(values), dtype=bool)
    widest = float(gap.max())
    low = max(0.0, float((gap - half)[others].max()))
    high = max(widest, float((gap + half)[others].max()))
    low = min(low, widest)
    if kind == "ratio":
        return float(np.exp(-widest)), float(np.exp(-high)), float(np.exp(-low))
    return widest, low, high


def _finite(value: float) -> float | None:
    import math

    return float(value) if math.isfinite(value) else None
