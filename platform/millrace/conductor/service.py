"""The conductor's operations. Each is one warehouse transaction, and doing it again changes nothing."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from millrace.conductor import happenings as h
from millrace.conductor.answers import GivenAnswers, checked_answers, complete
from millrace.conductor.decisions import Decision
from millrace.conductor.intake import Result, take_in
from millrace.conductor.machine import decide
from millrace.conductor.opening import Opening, open_pipeline
from millrace.conductor.plan import merge_settings
from millrace.conductor.proposals import Proposals
from millrace.conductor.states import Snapshot
from millrace.conductor.store import Cause, locked_pipeline, snapshot_of, write
from millrace.contracts.errors import BadInput
from millrace.contracts.events import now
from millrace.contracts.identifiers import DatasetKey, new_id
from millrace.contracts.stages import TriggeredStage
from millrace.contracts.task import Answers
from millrace.kafka.records import Record
from millrace.settings import Settings
from millrace.warehouse.datasets import get_version
from millrace.warehouse.schema import Pipeline
from millrace.warehouse.store import Warehouse

MAX_NOTE = 2_000
"""Characters of a note or reason that are kept."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Outcome:
    """Where the pipeline is after an operation; `changed` is False when the operation found its effect there."""

    pipeline_id: str
    state: str
    stage: str | None
    message: str
    changed: bool


class Conductor:
    """Takes data sets from upload to reports, with the person in the loop."""

    def __init__(self, warehouse: Warehouse, settings: Settings, *, clock: Callable[[], datetime] = now) -> None:
        self._warehouse = warehouse
        self._settings = settings
        self._clock = clock

    def create(
        self,
        key: DatasetKey,
        *,
        version: int | None = None,
        answers: Answers | GivenAnswers | None = None,
        settings: Mapping[str, Any] | None = None,
        actor: str,
        request_id: str | None = None,
        trace_parent: str | None = None,
    ) -> str:
        """Id of a new pipeline on bytes that are there already; the same `request_id` gives the same pipeline.

        Raises:
            NotFound: the data set or version does not exist.
            BadInput: answers or settings that cannot work.
        """
        cause_id = f"request:{key.user_id}:{request_id or new_id('rq')}"
        opening = Opening(
            key=key,
            version=version,
            cause_event_id=cause_id,
            given=answers,
            settings=dict(settings or {}),
            trace_parent=trace_parent,
        )
        cause = Cause(actor=actor, cause=cause_id, at=self._clock())

        def work() -> str:
            with self._warehouse.transaction() as session:
                return open_pipeline(session, self._settings, opening, cause).id

        try:
            return work()
        except IntegrityError:
            # the same request was made at the same moment elsewhere and won: its pipeline is there now
            return work()

    def answer(
        self,
        pipeline_id: str,
        answers: Answers | GivenAnswers | None,
        *,
        settings: Mapping[str, Any] | None = None,
        actor: str,
    ) -> Outcome:
        """Answers the questions; None accepts the proposal, and parts left out are completed from it.

        Raises:
            NotFound: there is no such pipeline.
            BadInput: answers or settings that cannot work; names the field and the remedy.
            Conflict: the pipeline does not wait for answers.
        """

        def happening(session: Session, row: Pipeline, snapshot: Snapshot) -> h.Happening:
            chosen = self._answers(session, row, answers)
            plan = merge_settings(self._settings, row.settings, settings or {})
            return h.Answered(chosen, plan, proposed=answers is None)

        return self._ask(pipeline_id, happening, actor=actor, request="answer")

    def approve(
        self,
        pipeline_id: str,
        *,
        stage: TriggeredStage | None = None,
        actor: str,
        note: str = "",
        seen_sha256: str | None = None,
    ) -> Outcome:
        """Approves the stage that waits; bound to the content hash of what is shown.

        Raises:
            NotFound: there is no such pipeline.
            Conflict: nothing (or another stage) waits for approval, or what was seen has changed since.
        """
        asked = h.Approved(stage=stage, seen=seen_sha256, note=_plain(note))
        return self._ask(pipeline_id, lambda *_: asked, actor=actor, request="approve")

    def reject(self, pipeline_id: str, *, stage: TriggeredStage | None = None, actor: str, reason: str = "") -> Outcome:
        """Ends the pipeline before the stage that waits for approval.

        Raises:
            NotFound: there is no such pipeline.
            Conflict: nothing (or another stage) waits for approval.
        """
        asked = h.Rejected(stage=stage, reason=_plain(reason))
        return self._ask(pipeline_id, lambda *_: asked, actor=actor, request="reject")

    def retry(self, pipeline_id: str, *, actor: str) -> Outcome:
        """Tries the failed stage again with a new attempt; of explanations, only the levels that are missing.

        Raises:
            NotFound: there is no such pipeline.
            Conflict: nothing has failed.
        """
        return self._ask(pipeline_id, lambda *_: h.RetryAsked(), actor=actor, request="retry")

    def cancel(self, pipeline_id: str, *, actor: str, reason: str = "") -> Outcome:
        """Ends the pipeline: its attempts can save nothing more, and its runs are ended.

        Raises:
            NotFound: there is no such pipeline.
            Conflict: the pipeline has ended otherwise.
        """
        asked = h.CancelAsked(reason=_plain(reason))
        return self._ask(pipeline_id, lambda *_: asked, actor=actor, request="cancel")

    def on_event(self, record: Record) -> Result:
        """Acts on one event of the topics that the conductor reads; gives what became of it.

        Raises:
            TerminalError: the event cannot be used; it belongs on the dead-letter topic.
            TransientError: the warehouse does not answer; the event is to be given again.
        """
        return take_in(self._warehouse, self._settings, record, at=self._clock())

    def advance(self, pipeline_id: str, happening: h.Happening, *, cause: str) -> Outcome:
        """Lets the machine decide on something that the conductor found out by itself.

        Raises:
            NotFound: there is no such pipeline.
        """
        return self._transition(pipeline_id, lambda *_: happening, actor="conductor", cause=cause)

    def _ask(
        self,
        pipeline_id: str,
        happening: Callable[[Session, Pipeline, Snapshot], h.Happening],
        *,
        actor: str,
        request: str,
    ) -> Outcome:
        return self._transition(pipeline_id, happening, actor=actor, cause=f"request:{request}")

    def _transition(
        self,
        pipeline_id: str,
        happening: Callable[[Session, Pipeline, Snapshot], h.Happening],
        *,
        actor: str,
        cause: str,
    ) -> Outcome:
        with self._warehouse.transaction() as session:
            row = locked_pipeline(session, pipeline_id)
            snapshot = snapshot_of(session, row)
            decision = decide(snapshot, happening(session, row, snapshot))
            write(session, self._settings.topics, row, decision, Cause(actor=actor, cause=cause, at=self._clock()))
            outcome = _outcome(row, decision)
        log.info(
            "pipeline.%s pipeline=%s state=%s stage=%s changed=%s",
            cause, pipeline_id, outcome.state, outcome.stage, outcome.changed,
        )  # fmt: skip
        return outcome

    def _answers(self, session: Session, row: Pipeline, given: Answers | GivenAnswers | None) -> Answers:
        profile = get_version(session, DatasetKey(row.user_id, row.dataset_id), row.version).profile
        proposals = Proposals.model_validate(row.proposals)
        if given is None:
            if proposals.answers is None:
                raise BadInput(
                    "there is no proposal to accept: " + "; ".join(proposals.doubts),
                    field="target",
                    remedy=f"name the target with `millrace pipeline answer {row.id} --target COLUMN`",
                )
            return checked_answers(proposals.answers, profile)
        if isinstance(given, GivenAnswers):
            given = complete(given, profile=profile, proposals=proposals)
        return checked_answers(given, profile)


def _outcome(row: Pipeline, decision: Decision) -> Outcome:
    return Outcome(row.id, row.state, row.stage, decision.message, changed=not decision.ignored)


def _plain(text: str) -> str:
    # no text of PostgreSQL can hold a NUL; histories are read in lists
    return text.replace("\x00", "")[:MAX_NOTE]
