"""What follows from a happening: the next state and commands, all as data."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from millrace.conductor.states import State
from millrace.contracts.stages import Level, TriggeredStage
from millrace.contracts.task import Answers, PipelineSettings


@dataclass(frozen=True)
class SendTrigger:
    """Open the attempt and send its trigger event."""

    stage: TriggeredStage
    level: Level | None
    attempt: int


@dataclass(frozen=True)
class CancelAttempts:
    """Close every open attempt, so that its run can save nothing more."""


@dataclass(frozen=True)
class EndRuns:
    """Have the runs of the pipeline ended, until none lives."""


@dataclass(frozen=True)
class StopEndingRuns:
    """No run lives any more: stop looking for them."""


@dataclass(frozen=True)
class ScheduleRetry:
    """Try again at that moment."""

    at: datetime


@dataclass(frozen=True)
class RecordAnswers:
    """Keep the answers and the settings that came with them."""

    answers: Answers
    settings: PipelineSettings | None = None


@dataclass(frozen=True)
class RecordApproval:
    """Keep the approval, bound to the content hash of what was seen."""

    stage: TriggeredStage
    sha256: str


@dataclass(frozen=True)
class VoidApprovals:
    """Forget the approvals: what they were given for has changed."""


@dataclass(frozen=True)
class RecordError:
    """Keep why the stage failed."""

    error: Mapping[str, Any]


@dataclass(frozen=True)
class RecordSuccessor:
    """Keep the pipeline that takes this one's place."""

    pipeline_id: str


Command = (
    SendTrigger
    | CancelAttempts
    | EndRuns
    | StopEndingRuns
    | ScheduleRetry
    | RecordAnswers
    | RecordApproval
    | VoidApprovals
    | RecordError
    | RecordSuccessor
)


@dataclass(frozen=True)
class Decision:
    """The state to go to, the commands to carry out, and the sentence for the history."""

    to_state: State
    stage: TriggeredStage | None
    message: str
    commands: tuple[Command, ...] = ()
    seen_sha256: str | None = None
    detail: Mapping[str, Any] = field(default_factory=dict)
    ignored: bool = False
    """True when nothing follows: no transition, no history entry."""
