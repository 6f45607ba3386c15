"""The result: figures by group, disparities with intervals, verdicts. Nothing in it depends on the time."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, Literal

from millrace.bias.catalogue import CATALOGUE
from millrace.bias.figures import AttributeReport, RowWeights, SubgroupSearch
from millrace.bias.measures import DISTANCE_FORMULAS, MEASURES
from millrace.bias.parts import Part
from millrace.bias.policy import Policy
from millrace.bias.verdicts import worst
from millrace.contracts.canonical import sha256_json
from millrace.contracts.stages import TaskType, Verdict

Subject = Literal["label", "model"]
_DIGITS = 10
FORMAT = 4
"""Version of the document's shape."""


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
    crossings: tuple[AttributeReport, ...] = ()
    """Groups by several sensitive columns at once."""
    crossings_left_out: tuple[str, ...] = ()
    """Crossings that were not looked at."""
    searches: tuple[SubgroupSearch, ...] = ()
    parts: tuple[Part, ...] = ()
    """Findings of other modules."""
    weights: RowWeights | None = None
    """None where all rows count alike."""

    @property
    def verdict(self) -> Verdict | None:
        """The worst verdict of all; None when no sensitive column was given, which is never a pass."""
        return worst(item.verdict for item in (*self.attributes, *self.crossings))

    @property
    def holds_back(self) -> bool:
        """Whether a gate should stop here: the policy's severity is error and the verdict is anything but pass."""
        return self.policy.severity == "error" and self.verdict != "pass"

    @property
    def verdicts(self) -> list[dict[str, Any]]:
        """Every judged disparity of columns and crossings: attribute, metric, value, low, high, verdict."""
        return [
            {
                "attribute": attribute.attribute,
                "metric": item.name,
                "value": plain(item.value),
                "low": plain(item.low),
                "high": plain(item.high),
                "verdict": item.verdict,
            }
            for attribute in (*self.attributes, *self.crossings)
            for item in attribute.disparities
            if item.verdict is not None
        ]

    @property
    def summary(self) -> dict[str, Any]:
        """What lists, gates and the conductor need: verdict, whether it holds back, the policy, and every verdict."""
        policy = {"name": self.policy.name, "version": self.policy.version, "sha256": self.policy.sha256}
        return {
            "verdict": self.verdict,
            "holds_back": self.holds_back,
            "policy": policy | {"severity": self.policy.severity},
            "verdicts": self.verdicts,
        }

    def document(self) -> dict[str, Any]:
        """The whole report as JSON; what could not be measured is null, what is infinite is `Infinity` as text."""
        return {
            "format": FORMAT,
            "subject": self.subject,
            "task_type": self.task_type,
            "target": self.target,
            "positive": self.positive,
            "outcomes": list(self.outcomes),
            "rows": self.rows,
            "rows_without_target": self.rows_without_target,
            "weights": None if self.weights is None else plain(asdict(self.weights)),
            "verdict": self.verdict,
            "holds_back": self.holds_back,
            "verdicts": self.verdicts,
            "attributes": [_attribute(item) for item in self.attributes],
            "crossings": [_attribute(item) for item in self.crossings],
            "crossings_left_out": list(self.crossings_left_out),
            "searches": [plain(asdict(item)) for item in self.searches],
            "parts": {part.name: plain(part.document()) for part in self.parts},
            "formulas": {name: asdict(metric) for name, metric in (CATALOGUE | MEASURES).items()},
            "distances": DISTANCE_FORMULAS,
            "notes": list(self.notes),
            "policy": self.policy.document(),
            "seed": self.seed,
        }

    @cached_property
    def report_hash(self) -> str:
        """SHA-256 of the document's canonical JSON."""
        return sha256_json(self.document())


def _attribute(item: AttributeReport) -> dict[str, Any]:
    found: dict[str, Any] = plain(asdict(item))
    return found | {"verdict": item.verdict, "population": asdict(item.population)}


def plain(value: Any) -> Any:
    """A value as documents write it: ten digits of a float, null for nan, infinity as text, lists for tuples."""
    if isinstance(value, float):
        if math.isinf(value):
            return "Infinity" if value > 0 else "-Infinity"
        # the last digits of a sum depend on the machine
        return None if math.isnan(value) else float(f"{value:.{_DIGITS}g}")
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value
