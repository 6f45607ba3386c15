"""Where a pipeline's time went: the stages' own work, waiting for a person, and everything between."""

from collections.abc import Sequence
from datetime import datetime

from pydantic import BaseModel, ConfigDict

from millrace.conductor.states import TERMINAL, WAITING
from millrace.warehouse.schema import History, StageAttempt

Interval = tuple[datetime, datetime]


class Seconds(BaseModel):
    """Seconds so far. `overhead` is what is left of `total` without the stages and the waiting for a person."""

    model_config = ConfigDict(frozen=True)

    total: float
    stages: dict[str, float]
    waiting: float
    overhead: float


def time_spent(
    created_at: datetime, attempts: Sequence[StageAttempt], history: Sequence[History], *, moment: datetime
) -> Seconds:
    """The seconds until the pipeline ended, or until `moment` while it goes on."""
    end = _end(history, moment)
    total = max((end - created_at).total_seconds(), 0.0)
    stages = {}
    working: list[Interval] = []
    for stage in ("bias", "automl", "xai"):
        spans = [
            (one.claimed_at, min(one.finished_at or end, end))
            for one in attempts
            if one.stage == stage and one.claimed_at is not None
        ]
        if spans:
            stages[stage] = round(_covered(spans), 3)
            working += spans
    waits = [
        (entry.at, following.at if following else end)
        for entry, following in zip(history, [*history[1:], None], strict=True)
        if entry.to_state in WAITING
    ]
    waiting = _covered(waits)
    overhead = max(total - _covered([*working, *waits]), 0.0)
    return Seconds(total=round(total, 3), stages=stages, waiting=round(waiting, 3), overhead=round(overhead, 3))


def _end(history: Sequence[History], moment: datetime) -> datetime:
    if not history or history[-1].to_state not in TERMINAL:
        return moment
    # entries after the end (runs that were ended) do not prolong the pipeline
    last = history[-1]
    for entry in reversed(history):
        if entry.to_state != history[-1].to_state:
            break
        last = entry
    return last.at


def _covered(spans: Sequence[Interval]) -> float:
    """Seconds that at least one of the spans covers."""
    covered, reached = 0.0, None
    for start, stop in sorted(spans):
        begin = start if reached is None else max(start, reached)
        if stop > begin:
            covered += (stop - begin).total_seconds()
        reached = stop if reached is None else max(reached, stop)
    return covered
