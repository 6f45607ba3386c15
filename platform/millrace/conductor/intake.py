"""Turns an event into what it means for a pipeline, once per event id, in one transaction."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from pydantic import ValidationError
from sqlalchemy.orm import Session

from millrace.conductor import happenings as h
from millrace.conductor.machine import decide
from millrace.conductor.newest import newest_model
from millrace.conductor.opening import Opening, open_pipeline
from millrace.conductor.store import Cause, attempts_of, locked_pipeline, snapshot_of, write
from millrace.contracts import topics as headers
from millrace.contracts.errors import BadInput, Conflict, TooLarge
from millrace.contracts.events import (
    MAX_EVENT_BYTES,
    BiasReported,
    DatasetUploaded,
    Event,
    ModelUploaded,
    StageEvent,
    XaiReported,
)
from millrace.contracts.identifiers import DatasetKey, parse_model_version
from millrace.contracts.stages import Level, TriggeredStage
from millrace.kafka.records import Record
from millrace.settings import Settings
from millrace.warehouse import consumed
from millrace.warehouse.datasets import get_version
from millrace.warehouse.schema import Pipeline, StageAttempt
from millrace.warehouse.store import Warehouse

CONSUMER = "conductor"
"""Name under which the warehouse records what the conductor has acted on."""
MAX_EVENT_ID = 160

log = logging.getLogger(__name__)
Result = Literal["acted", "ignored", "duplicate"]


@dataclass(frozen=True)
class Taken:
    """What became of an event, of which pipeline, and why."""

    result: Result
    pipeline: Pipeline | None = None
    why: str = ""


def take_in(warehouse: Warehouse, settings: Settings, record: Record, *, at: datetime) -> Result:
    """What became of the event, in a word: `acted`, `ignored` or `duplicate`.

    Raises:
        TerminalError: the event cannot be used; it belongs on the dead-letter topic.
        TransientError: the warehouse does not answer.
    """
    topics = settings.topics
    event = _parse(record, {topics.dataset: DatasetUploaded, topics.bias: BiasReported, topics.automl: ModelUploaded,
                            topics.xai: XaiReported, topics.stage: StageEvent})  # fmt: skip
    event_id = event_id_of(record, event)
    with warehouse.transaction() as session:
        if not consumed.first_time(session, consumer=CONSUMER, event_id=event_id, at=record.coordinates):
            taken = Taken("duplicate")
        elif isinstance(event, DatasetUploaded):
            taken = _dataset(session, settings, record, event, event_id, Cause("conductor", f"event:{event_id}", at))
        else:
            taken = _stage(session, settings, record, event, Cause("conductor", f"event:{event_id}", at))
    row = taken.pipeline
    log.info(
        "conductor.event type=%s event_id=%s result=%s key=%s.%s pipeline=%s state=%s stage=%s trace_id=%s why=%r",
        getattr(event, "event_type", None), event_id, taken.result, event.user_id, event.dataset_id,
        row and row.id, row and row.state, row and row.stage, row and row.trace_id, taken.why,
    )  # fmt: skip
    return taken.result


def event_id_of(record: Record, event: Event) -> str:
    """The id that makes the event the same when it comes again: of the header, of the payload, or its coordinates."""
    at = record.coordinates
    named = record.headers.get(headers.EVENT_ID) or getattr(event, "event_id", None)
    event_id = str(named or f"{at.topic}/{at.topic_id}/{at.partition}/{at.offset}")
    if len(event_id) > MAX_EVENT_ID:
        raise BadInput(
            f"event id of {len(event_id)} characters", field="event_id", remedy=f"use at most {MAX_EVENT_ID}"
        )
    return event_id


def _parse(record: Record, types: Mapping[str, type[Event]]) -> Event:
    kind = types[record.coordinates.topic]
    if len(record.value) > MAX_EVENT_BYTES:
        raise TooLarge(
            f"{kind.__name__} event of {len(record.value)} bytes",
            field="payload",
            remedy=f"send at most {MAX_EVENT_BYTES} bytes",
        )
    try:
        event = kind.model_validate_json(record.value)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        field = ".".join(str(part) for part in first["loc"]) or "payload"
        raise BadInput(
            f"{kind.__name__} event: {field}: {first['msg']}",
            field=field,
            remedy="send the payload that the topic's JSON Schema describes",
        ) from error
    if _has_nul([event.model_dump(), record.headers]):
        # no text of PostgreSQL can hold one
        raise BadInput(f"{kind.__name__} event holds a NUL character", field="payload", remedy="leave it out")
    return event


def _has_nul(value: Any) -> bool:
    if isinstance(value, dict):
        return any(_has_nul(part) for pair in value.items() for part in pair)
    if isinstance(value, list | tuple):
        return any(_has_nul(part) for part in value)
    return isinstance(value, str) and "\x00" in value


def _dataset(
    session: Session, settings: Settings, record: Record, event: DatasetUploaded, event_id: str, cause: Cause
) -> Taken:
    key = DatasetKey(event.user_id, event.dataset_id)
    stored = get_version(session, key, event.version)
    if stored.sha256 != event.sha256:
        raise BadInput(
            f"the event says that {key.partition_key} v{event.version} has hash {event.sha256[:12]}…, "
            f"the warehouse has {stored.sha256[:12]}…",
            field="sha256",
            remedy="send the event of the bytes that were stored",
        )
    row = open_pipeline(
        session,
        settings,
        Opening(
            key=key,
            version=event.version,
            cause_event_id=event_id,
            trace_parent=record.headers.get(headers.TRACE_PARENT),
            asked_for=False,
        ),
        cause,
    )
    return Taken("acted", row)


def _stage(session: Session, settings: Settings, record: Record, event: Event, cause: Cause) -> Taken:
    pipeline_id = event.pipeline_id if isinstance(event, StageEvent) else record.headers.get(headers.PIPELINE)
    if pipeline_id is None:
        # a stage launched by hand or by a third party: its result stands, and no pipeline moves
        return Taken("ignored", why="is of no pipeline")
    row = locked_pipeline(session, pipeline_id)
    if (row.user_id, row.dataset_id) != (event.user_id, event.dataset_id):
        raise BadInput(
            f"pipeline {pipeline_id} is not of data set {event.user_id}.{event.dataset_id}",
            field="dataset_id",
            remedy="send the event with the pipeline it belongs to",
        )
    happening = _happening(session, row, record, event, cause.at)
    if happening is None:
        return Taken("ignored", row, why="says nothing new")
    decision = decide(snapshot_of(session, row), happening)
    write(session, settings.topics, row, decision, cause)
    return Taken("ignored" if decision.ignored else "acted", row, why=decision.message)


def _happening(session: Session, row: Pipeline, record: Record, event: Event, at: datetime) -> h.Happening | None:
    match event:
        case StageEvent(event_type="stage.started"):
            _attempt(session, row, event.stage, event.level, event.attempt, ("claimed", "done", "failed", "cancelled"))
            return h.StageStarted(event.stage, event.level, event.attempt)
        case StageEvent(event_type="stage.failed"):
            _attempt(session, row, event.stage, event.level, event.attempt, ("failed", "cancelled"))
            return h.StageFailed(
                event.stage,
                event.level,
                event.attempt,
                error_class=event.error_class or "unknown",
                message=event.error_message or "no message was left",
                transient=event.transient,
                at=at,
            )
        case BiasReported():
            number = _attempt_number(record)
            _attempt(session, row, "bias", None, number, ("done", "cancelled"))
            return h.BiasReported(number, event.bias_report_id)
        case ModelUploaded():
            number = _attempt_number(record)
            _attempt(session, row, "automl", None, number, ("done", "cancelled"))
            model = newest_model(session, row.id)
            version = parse_model_version(event.version)
            if model is None or model.version != version:
                raise Conflict(
                    f"pipeline {row.id} has no model {event.version} in the warehouse",
                    field="version",
                    remedy="save the model first: the event follows by itself",
                )
            return h.ModelUploaded(number, version)
        case XaiReported():
            number = _attempt_number(record)
            _attempt(session, row, "xai", event.level, number, ("done", "cancelled"))
            return h.XaiReported(event.level, number, event.xai_report_id)
    return None


def _attempt_number(record: Record) -> int:
    text = record.headers.get(headers.ATTEMPT, "")
    if not (text.isascii() and text.isdigit()):
        raise BadInput(
            f"header {headers.ATTEMPT} is {text[:40]!r}", field=headers.ATTEMPT, remedy="give the attempt's number"
        )
    return int(text)


def _attempt(
    session: Session,
    row: Pipeline,
    stage: TriggeredStage,
    level: Level | None,
    number: int,
    states: tuple[str, ...],
) -> StageAttempt:
    """The attempt the event is about. The warehouse is the truth: an event that contradicts it is no news."""
    for one in attempts_of(session, row.id):
        if (one.stage, one.level, one.attempt) == (stage, level or "", number):
            if one.state not in states:
                raise Conflict(
                    f"attempt {number} at {stage} of pipeline {row.id} is {one.state} in the warehouse, "
                    f"which is not what the event says",
                    field="attempt",
                    remedy=f"look at it with `millrace pipeline show {row.id}`",
                )
            return one
    raise Conflict(
        f"pipeline {row.id} has no attempt {number} at {stage}{f' ({level})' if level else ''}",
        field="attempt",
        remedy=f"look at it with `millrace pipeline show {row.id}`",
    )
