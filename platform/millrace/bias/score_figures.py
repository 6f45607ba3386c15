"""The figures that come of scores and of predicted numbers: calibration, ROC curves, binned scores, distributions."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Bin:
    """Rows whose score lies from `start` to below `stop`: mean score, rate of the outcome, its interval."""

    start: float
    stop: float
    rows: int
    score: float
    rate: float
    low: float
    high: float


@dataclass(frozen=True)
class Reliability:
    """Calibration of one group: expected calibration error with its interval, and the bins that hold rows."""

    group: str
    rows: int
    error: float
    low: float
    high: float
    bins: tuple[Bin, ...]


@dataclass(frozen=True)
class ScoreCounts:
    """Rows of one group by bin of the score: those without and those with the favourable outcome."""

    group: str
    unfavourable: tuple[int, ...]
    favourable: tuple[int, ...]


@dataclass(frozen=True)
class ScoreBins:
    """Scores counted: bin k holds scores from `starts[k]` to below `starts[k + 1]`, the last one all above."""

    starts: tuple[float, ...]
    groups: tuple[ScoreCounts, ...]


@dataclass(frozen=True)
class Abroca:
    """Area between the ROC curves of a group and of everyone else, 0 to 1; None where a curve does not exist."""

    group: str
    rows: int
    value: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Distribution:
    """Numbers of one group: quantiles of the residuals, and how far its predictions lie from everyone else's.

    In a report on a label both are of the target itself. `wasserstein` is in the target's unit, `deviations` in its
    standard deviations.
    """

    group: str
    rows: int
    quantiles: tuple[float, ...]
    """At 5%, 25%, 50%, 75% and 95% of the rows."""
    wasserstein: float | None
    low: float | None
    high: float | None
    deviations: float | None
