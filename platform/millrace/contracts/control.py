"""Protocols that two rooms need and neither owns."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True)
class LiveRun:
    """A run of the orchestrator that has not ended. `status` is the orchestrator's own word."""

    run_id: str
    status: str


class RunControl(Protocol):
    """Finds and ends the runs of a pipeline."""

    def live_runs(self, pipeline_id: str) -> Sequence[LiveRun]:
        """Runs of the pipeline that have not ended.

        Raises:
            CannotReach: the orchestrator does not answer.
        """
        ...

    def terminate(self, run_ids: Sequence[str]) -> None:
        """Asks that the runs end; ending one that has ended changes nothing.

        Raises:
            CannotReach: the orchestrator does not answer.
        """
        ...


class Predictor(Protocol):
    """A fitted model that takes raw rows (a data frame with the columns it was trained on, unencoded)."""

    def predict(self, rows: Any) -> Any:
        """Labels or values, shape (n,)."""
        ...
