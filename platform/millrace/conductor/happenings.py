"""What can happen to a pipeline: events of the warehouse, requests of people, and the clock."""

from dataclasses import dataclass
from datetime import datetime

from millrace.contracts.stages import Level, TriggeredStage
from millrace.contracts.task import Answers, PipelineSettings


@dataclass(frozen=True)
class Happening:
    """Base of everything that can happen."""


@dataclass(frozen=True)
class Request(Happening):
    """Asked by a person: refused with Conflict where the state does not allow it. Events are ignored there."""


@dataclass(frozen=True)
class DatasetSeen(Happening):
    """A version of a data set is stored. `answers` are there when they need no person; `why` says so or why not."""

    answers: Answers | None
    why: str
    newer_pipeline: str | None = None
    """Pipeline of a later version that was seen first."""


@dataclass(frozen=True)
class StageStarted(Happening):
    """A run has claimed the attempt."""

    stage: TriggeredStage
    level: Level | None
    attempt: int


@dataclass(frozen=True)
class StageFailed(Happening):
    """The attempt failed; `at` is when it was learnt."""

    stage: TriggeredStage
    level: Level | None
    attempt: int
    error_class: str
    message: str
    transient: bool
    at: datetime


@dataclass(frozen=True)
class BiasReported(Happening):
    """The bias report is saved."""

    attempt: int
    report_id: str


@dataclass(frozen=True)
class ModelUploaded(Happening):
    """The model is saved."""

    attempt: int
    version: int


@dataclass(frozen=True)
class XaiReported(Happening):
    """The explanation report of one level is saved."""

    level: Level
    attempt: int
    report_id: str


@dataclass(frozen=True)
class RetryDue(Happening):
    """The wait before the next attempt is over at that moment."""

    at: datetime


@dataclass(frozen=True)
class Superseded(Happening):
    """A newer version of the data set is stored."""

    by_pipeline: str
    version: int


@dataclass(frozen=True)
class RunsEnded(Happening):
    """No run of a pipeline that was stopped lives any more."""

    ended: tuple[str, ...] = ()
    """Runs that were told to end."""


@dataclass(frozen=True)
class Answered(Request):
    """A person gave the answers, with the settings that result."""

    answers: Answers
    settings: PipelineSettings
    proposed: bool = False
    """True when the answers are the conductor's own proposal, accepted."""


@dataclass(frozen=True)
class Approved(Request):
    """A person approved. `stage` None means whichever waits; `seen` is the content hash that was looked at."""

    stage: TriggeredStage | None = None
    seen: str | None = None
    note: str = ""


@dataclass(frozen=True)
class Rejected(Request):
    """A person refused to go on."""

    stage: TriggeredStage | None = None
    reason: str = ""


@dataclass(frozen=True)
class RetryAsked(Request):
    """A person wants the failed stage tried again."""


@dataclass(frozen=True)
class CancelAsked(Request):
    """A person wants the pipeline to end."""

    reason: str = ""
