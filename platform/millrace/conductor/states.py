"""The states of a pipeline and what the machine knows of one."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, get_args

from millrace.contracts.stages import Level, TriggeredStage
from millrace.contracts.task import Answers, PipelineSettings

State = Literal[
    "waiting_for_answers",
    "queued",
    "running",
    "waiting_for_approval",
    "retrying",
    "completed",
    "failed",
    "rejected",
    "cancelled",
    "superseded",
]
AttemptState = Literal["requested", "claimed", "done", "failed", "cancelled"]

STATES: tuple[State, ...] = get_args(State)
TERMINAL: frozenset[State] = frozenset({"completed", "failed", "rejected", "cancelled", "superseded"})
"""States in which nothing more happens by itself; only `failed` can be left, by a person's retry."""
WAITING: frozenset[State] = frozenset({"waiting_for_answers", "waiting_for_approval"})
"""States in which the next step is a person's."""

_STAGE_NAMES: dict[TriggeredStage, str] = {
    "bias": "the bias report",
    "automl": "the model",
    "xai": "the explanation reports",
}
_TEXTS: dict[State, str] = {
    "waiting_for_answers": "waiting for answers",
    "queued": "queued: {stage}",
    "running": "running: {stage}",
    "waiting_for_approval": "waiting for approval of {stage}",
    "retrying": "will try {stage} again",
    "completed": "completed",
    "failed": "failed at {stage}",
    "rejected": "rejected before {stage}",
    "cancelled": "cancelled",
    "superseded": "superseded by a newer version of the data set",
}


def stage_name(stage: TriggeredStage) -> str:
    """The stage as a sentence names it, such as `the bias report`."""
    return _STAGE_NAMES[stage]


def state_text(state: State, stage: TriggeredStage | None) -> str:
    """The state in the words of a person, such as `waiting for approval of the model`."""
    return _TEXTS[state].format(stage=_STAGE_NAMES[stage] if stage else "the pipeline")


@dataclass(frozen=True)
class Attempt:
    """One try at a stage; `level` for explanations only."""

    stage: TriggeredStage
    level: Level | None
    number: int
    state: AttemptState

    @property
    def is_open(self) -> bool:
        """Whether its run may still start or save."""
        return self.state in ("requested", "claimed")


@dataclass(frozen=True)
class Snapshot:
    """All that a decision depends on. `state` is None before the pipeline exists."""

    pipeline_id: str
    state: State | None
    stage: TriggeredStage | None
    settings: PipelineSettings
    answers: Answers | None = None
    approvals: Mapping[str, str] = field(default_factory=dict)
    """Stage → content hash that a person approved."""
    shown: Mapping[str, str] = field(default_factory=dict)
    """Stage → content hash of what is there to be approved before it."""
    held: Mapping[str, str] = field(default_factory=dict)
    """Stage → why the bias policy holds it back until a person decides, whatever the settings say of approvals."""
    attempts: tuple[Attempt, ...] = ()
    retry_at: datetime | None = None
    ending_runs: bool = False

    def latest(self, stage: TriggeredStage, level: Level | None) -> Attempt | None:
        """The newest attempt at the stage (and level), if there is one."""
        mine = [one for one in self.attempts if one.stage == stage and one.level == level]
        return max(mine, key=lambda one: one.number, default=None)

    def open_attempts(self) -> tuple[Attempt, ...]:
        """Attempts whose runs may still start or save."""
        return tuple(one for one in self.attempts if one.is_open)
