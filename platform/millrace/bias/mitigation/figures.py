"""The figures of a mitigation report."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from millrace.bias.figures import Unit
from millrace.bias.mitigation.names import Constraint, Method
from millrace.bias.verdicts import Better
from millrace.contracts.stages import Verdict

Direction = Literal["closed", "opened", "unclear", "could not check"]
"""Of a change whose whole interval is on the good side of 0, on the bad side, or on both."""


@dataclass(frozen=True)
class Value:
    """A figure with its interval; None where it could not be measured."""

    value: float | None
    low: float | None
    high: float | None
    verdict: Verdict | None = None


@dataclass(frozen=True)
class Quality:
    """How good the answers are: accuracy, AUC or calibration error of all hold-out rows."""

    metric: str
    before: Value
    after: Value
    change: Value
    """Paired: both models on the same resampled rows. No value where only the two intervals are known."""


@dataclass(frozen=True)
class Gap:
    """One distance between groups of one column or crossing, before and after."""

    attribute: str
    metric: str
    outcome: str | None
    unit: Unit
    better: Better
    before: Value
    after: Value
    change: Value
    direction: Direction


@dataclass(frozen=True)
class Result:
    """One method on the hold-out."""

    method: Method
    failed: str | None
    """Why the method could not be used; everything else is then empty."""
    redrawn: float | None
    qualities: tuple[Quality, ...]
    gaps: tuple[Gap, ...]
    warnings: tuple[str, ...]
    """A sentence for each gap that it opens for certain, and for each verdict that gets worse."""

    def gap(self, attribute: str, metric: str) -> Gap | None:
        """The gap of that name; None when it is not there."""
        return next((one for one in self.gaps if (one.attribute, one.metric) == (attribute, metric)), None)

    def moved(self, direction: Direction) -> int:
        """How many gaps went this way."""
        return sum(gap.direction == direction for gap in self.gaps)


@dataclass(frozen=True)
class Point:
    """A model in the plane of one gap and accuracy."""

    label: str
    gap: Value
    accuracy: Value
    front: bool
    """Whether no other model has both a smaller gap and a higher accuracy."""


@dataclass(frozen=True)
class Plane:
    """All models by one gap of the treated attribute and accuracy."""

    metric: str
    points: tuple[Point, ...]


@dataclass(frozen=True)
class Recommendation:
    """The method whose model becomes the candidate, or None, and why."""

    method: Method | None
    reason: str


@dataclass(frozen=True)
class Scope:
    """What was mitigated."""

    target: str
    positive: str
    attribute: str
    """The treated column, or columns joined by ` × `."""
    groups: tuple[str, ...]
    """Groups as the methods saw them."""
    constraint: Constraint
    train_rows: int
    test_rows: int
    classifier: str
    """Class name of the classifier that every method trains."""
    seed: int
