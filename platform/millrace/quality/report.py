"""The result of the checks. Nothing in it depends on the time."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any

from millrace.contracts.canonical import sha256_json
from millrace.contracts.stages import TaskType
from millrace.quality.checks import CheckName

FORMAT = 1
"""Version of the document's shape."""


@dataclass(frozen=True)
class Outcome:
    """What one check found; the message names the columns and says what to do."""

    name: CheckName
    passed: bool
    blocking: bool
    message: str
    details: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class QualityReport:
    """Every check of the vocabulary, in its order, and the expectations that were validated for them."""

    target: str
    task_type: TaskType
    rows: int
    columns: int
    outcomes: tuple[Outcome, ...]
    expectations: tuple[dict[str, Any], ...]
    """Results of Great Expectations: type, column, limits, success and what was observed."""

    @property
    def blocked(self) -> tuple[Outcome, ...]:
        """Blocking checks that failed; when there is one, the stage ends."""
        return tuple(outcome for outcome in self.outcomes if outcome.blocking and not outcome.passed)

    @property
    def warnings(self) -> tuple[Outcome, ...]:
        """Other checks that failed."""
        return tuple(outcome for outcome in self.outcomes if not outcome.blocking and not outcome.passed)

    def to_document(self) -> dict[str, Any]:
        """The whole report as JSON."""
        return {
            "format": FORMAT,
            "target": self.target,
            "task_type": self.task_type,
            "rows": self.rows,
            "columns": self.columns,
            "outcomes": [asdict(outcome) for outcome in self.outcomes],
            "expectations": list(self.expectations),
        }

    @cached_property
    def report_hash(self) -> str:
        """SHA-256 of the document's canonical JSON."""
        return sha256_json(self.to_document())
