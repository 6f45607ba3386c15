"""What a run of a stage works on: it claims its attempt first, or finds the settings of a launch by hand."""

from dataclasses import dataclass
from typing import Any, Final, Literal

from sqlalchemy.orm import Session

from millrace.contracts.errors import NotFound
from millrace.contracts.events import now
from millrace.contracts.task import Answers, PipelineSettings, StageRequest
from millrace.warehouse.attempts import MAX_MESSAGE, announce, fail_attempt, fenced, locked_attempt, trace_parent_of
from millrace.warehouse.by_hand import SettingsSource, found_settings
from millrace.warehouse.datasets import VersionFacts, get_version
from millrace.warehouse.processes import this_process
from millrace.warehouse.schema import Pipeline, StageAttempt
from millrace.warehouse.statements import Origin
from millrace.warehouse.store import Warehouse

OUTSIDE: Final = "external:"
"""What the run id of an outside worker begins with."""
OPEN: tuple[Literal["requested"], Literal["claimed"]] = ("requested", "claimed")


@dataclass(frozen=True)
class StageWork:
    """A stage's data, answers and settings, and where they come from."""

    request: StageRequest
    version: VersionFacts
    answers: Answers
    settings: PipelineSettings
    settings_source: SettingsSource
    approval: str
    """`pipeline:<id>`, or `none` for a stage that no pipeline asked for."""
    trace_parent: str | None

    @property
    def fenced(self) -> bool:
        """Whether the work belongs to an attempt, which every save is checked against."""
        return is_fenced(self.request)

    def origin(self, code_version: str) -> Origin:
        """What statements say of this work."""
        return Origin(
            code_version=code_version,
            approval=self.approval,
            trigger=self.request.trigger,
            dagster_run_id=self.request.run_id,
            pipeline_id=self.request.pipeline_id if self.fenced else None,
            attempt=self.request.attempt if self.fenced else None,
        )


def is_fenced(request: StageRequest) -> bool:
    """Whether the request names an attempt of a pipeline."""
    return request.pipeline_id is not None and request.attempt is not None


def claim(warehouse: Warehouse, request: StageRequest) -> StageWork:
    """The work of the run. Claiming again by the same run gives the same work and sends no second event.

    Raises:
        AttemptFenced: the attempt is cancelled, over, or another run's.
        NotFound: the data set, the pipeline or the attempt does not exist.
        Conflict: launched by hand, and nothing is known of the data set's target yet.
    """
    with warehouse.transaction() as session:
        if is_fenced(request):
            return _claim_attempt(warehouse, session, request)
        found = found_settings(session, request)
        return StageWork(
            request=request,
            version=found.version,
            answers=found.answers,
            settings=found.settings,
            settings_source=found.source,
            approval="none",
            trace_parent=request.trace_parent,
        )


def _claim_attempt(warehouse: Warehouse, session: Session, request: StageRequest) -> StageWork:
    pipeline = session.get(Pipeline, request.pipeline_id)
    if pipeline is None or (pipeline.user_id, pipeline.dataset_id) != tuple(request.key):
        raise NotFound(
            f"data set {request.key.partition_key} has no pipeline {request.pipeline_id}",
            field="pipeline_id",
            remedy="list yours with `millrace pipeline list`",
        )
    attempt = locked_attempt(session, request)
    trace_parent = trace_parent_of(request, trace_id=pipeline.trace_id, event_id=attempt.trigger_event_id)
    if attempt.state == "requested":
        _take(attempt, request)
        announce(
            session, warehouse.topics, attempt, request,
            what="started", at=now(), trace_parent=trace_parent,
        )  # fmt: skip
    elif attempt.state != "claimed" or attempt.dagster_run_id != request.run_id:
        raise fenced(attempt, request)
    else:
        # the next process of the same run has taken over
        attempt.trigger = _trigger(request)
    return StageWork(
        request=request,
        version=get_version(session, request.key, pipeline.version),
        answers=Answers.model_validate(pipeline.answers),
        settings=PipelineSettings.model_validate(pipeline.settings),
        settings_source="pipeline",
        approval=f"pipeline:{pipeline.id}",
        trace_parent=trace_parent,
    )


def _take(attempt: StageAttempt, request: StageRequest) -> None:
    attempt.state = "claimed"
    attempt.dagster_run_id = request.run_id
    attempt.trigger = _trigger(request)
    attempt.claimed_at = now()


def _trigger(request: StageRequest) -> dict[str, Any] | None:
    trigger = {} if request.trigger is None else request.trigger.to_json()
    if not request.run_id.startswith(OUTSIDE):
        # the conductor fails the attempt when this process is gone; an outside worker's is not on this machine
        trigger["process"] = this_process()
    return trigger or None


def fail(warehouse: Warehouse, request: StageRequest, *, error_class: str, message: str, transient: bool) -> bool:
    """Marks the attempt failed and tells it; False when there is no attempt, or it is over or another run's."""
    if not is_fenced(request):
        return False
    with warehouse.transaction() as session:
        attempt = locked_attempt(session, request)
        if attempt.state not in OPEN or attempt.dagster_run_id not in (None, request.run_id):
            return False
        attempt.dagster_run_id = request.run_id
        error = {"error_class": error_class, "message": message[:MAX_MESSAGE], "transient": transient}
        fail_attempt(attempt, error=error)
        pipeline = session.get_one(Pipeline, attempt.pipeline_id)
        trace_parent = trace_parent_of(request, trace_id=pipeline.trace_id, event_id=attempt.trigger_event_id)
        announce(
            session, warehouse.topics, attempt, request,
            what="failed", at=now(), trace_parent=trace_parent, error=error,
        )  # fmt: skip
        return True
