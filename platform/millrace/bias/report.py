"""The result: figures by group, disparities with intervals, verdicts. Nothing in it depends on the time."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, Literal

from millrace.bias.policy import Policy
from millrace.bias.verdicts import Better, worst
from millrace.contracts.canonical import sha256_json
from millrace.contracts.stages import TaskType, Verdict

Subject = Literal["label", "model"]
Unit = Literal["share", "target", "ratio", "deviations"]
"""What a figure is counted in: a share of 1, the target's own unit, a ratio, or standard deviations of the target."""

_DIGITS = 10
FORMAT = 1
"""Version of the document's shape."""


@dataclass(frozen=True)
class Group:
    """A group of people as counted: every row belongs to exactly one."""

    name: str
    rows: int
    share: float
    compared: bool
    remark: str = ""
    """Why the group is not compared."""


@dataclass(frozen=True)
class GroupValue:
    """One metric of one group. `rows` is what the metric is taken over, `count` how many of them count."""

    group: str
    value: float | None
    low: float | None
    high: float | None
    rows: int
    count: int | None
    compared: bool


@dataclass(frozen=True)
class Measure:
    """One metric by group, for one outcome of a classification target. The intervals are those of single groups."""

    metric: str
    outcome: str | None
    unit: Unit
    values: tuple[GroupValue, ...]


@dataclass(frozen=True)
class Disparity:
    """The distance between the groups in one metric, and its verdict when a line is drawn.

    A difference is the largest value minus the smallest, a ratio the smallest over the largest, as in fairlearn.
    `low` and `high` hold for all pairs of groups together. `bootstrap` is the percentile interval of resamples: a
    cross-check that no verdict rests on, because it is too narrow for small groups.
    """

    metric: str
    outcome: str | None
    unit: Unit
    value: float | None
    low: float | None
    high: float | None
    lowest: str | None
    highest: str | None
    better: Better
    line: float | None
    verdict: Verdict | None
    reason: str
    bootstrap: tuple[float, float] | None = None

    @property
    def name(self) -> str:
        """The metric, followed by the outcome when the report has several."""
        return self.metric if self.outcome is None else f"{self.metric}:{self.outcome}"


@dataclass(frozen=True)
class AttributeReport:
    """One sensitive column."""

    attribute: str
    grouping: str
    """How the groups were made, in words."""
    groups: tuple[Group, ...]
    measures: tuple[Measure, ...]
    disparities: tuple[Disparity, ...]

    @property
    def verdict(self) -> Verdict | None:
        """The worst verdict of the column's disparities."""
        return worst(item.verdict for item in self.disparities if item.verdict is not None)


@dataclass(frozen=True)
class BiasReport:
    """Bias of a label (`subject` label) or of a model's predictions (`subject` model)."""

    subject: Subject
    task_type: TaskType
    target: str
    positive: str | None
    """Favourable value as it stands in the data; None when none was given, and always for regression."""
    outcomes: tuple[str, ...]
    """Values of the target that are measured, each against all others."""
    rows: int
    """Rows measured: those with a target."""
    rows_without_target: int
    attributes: tuple[AttributeReport, ...]
    notes: tuple[str, ...]
    policy: Policy
    seed: int

    @property
    def verdict(self) -> Verdict | None:
        """The worst verdict of all; None when no sensitive column was given, which is never a pass."""
        return worst(item.verdict for item in self.attributes if item.verdict is not None)

    @property
    def verdicts(self) -> list[dict[str, Any]]:
        """Every judged disparity: attribute, metric, value, low, high, verdict."""
        return [
            {
                "attribute": attribute.attribute,
                "metric": item.name,
                "value": _plain(item.value),
                "low": _plain(item.low),
                "high": _plain(item.high),
                "verdict": item.verdict,
            }
            for attribute in self.attributes
            for item in attribute.disparities
            if item.verdict is not None
        ]

    def document(self) -> dict[str, Any]:
        """The whole report as JSON; what could not be measured is null."""
        return {
            "format": FORMAT,
            "subject": self.subject,
            "task_type": self.task_type,
            "target": self.target,
            "positive": self.positive,
            "outcomes": list(self.outcomes),
            "rows": self.rows,
            "rows_without_target": self.rows_without_target,
            "verdict": self.verdict,
            "verdicts": self.verdicts,
            "attributes": [_plain(asdict(item)) | {"verdict": item.verdict} for item in self.attributes],
            "notes": list(self.notes),
            "policy": self.policy.document(),
            "seed": self.seed,
        }

    @cached_property
    def report_hash(self) -> str:
        """SHA-256 of the document's canonical JSON."""
        return sha256_json(self.document())


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        # the last digits of a sum depend on the machine
        return float(f"{value:.{_DIGITS}g}") if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value
