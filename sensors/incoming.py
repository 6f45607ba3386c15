"""An event of a trigger topic, read: what it asks for, or why it cannot be used."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Protocol, TypeVar

from pydantic import ValidationError

from millrace.contracts import topics as headers
from millrace.contracts.errors import BadInput, TooLarge
from millrace.contracts.events import MAX_EVENT_BYTES, AutomlTrigger, BiasTrigger, Event, XaiTrigger
from millrace.contracts.identifiers import DatasetKey, parse_model_version
from millrace.contracts.stages import TriggeredStage
from millrace.contracts.task import Coordinates, StageRequest

MAX_EVENT_ID = 160
"""Characters; the width of the column that remembers it."""
Trigger = BiasTrigger | AutomlTrigger | XaiTrigger
E = TypeVar("E", bound=Event)


class Incoming(Protocol):
    """An event as the reader hands it over."""

    @property
    def value(self) -> bytes:
        """The payload."""
        ...

    @property
    def headers(self) -> Mapping[str, str]:
        """Header name → value."""
        ...

    @property
    def coordinates(self) -> Coordinates:
        """Where it stands in Kafka."""
        ...


def read_payload(record: Incoming, kind: type[E]) -> E:
    """The payload.

    Raises:
        TooLarge: it is above the largest payload of ours.
        BadInput: it is not UTF-8, not JSON, or not such a payload; names the first field at fault.
    """
    if len(record.value) > MAX_EVENT_BYTES:
        raise TooLarge(
            f"{kind.__name__} event of {len(record.value)} bytes",
            field="payload",
            remedy=f"send at most {MAX_EVENT_BYTES} bytes",
        )
    try:
        return kind.model_validate_json(record.value)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        field = ".".join(str(part) for part in first["loc"]) or "payload"
        raise BadInput(
            f"{kind.__name__} event: {field}: {first['msg']}",
            field=field,
            remedy="send the payload that the topic's JSON Schema describes",
        ) from error


def event_id_of(record: Incoming, event: Event) -> str:
    """The id that makes the event the same when it comes again: of the header, of the payload, or its coordinates.

    Raises:
        BadInput: the id is too long to be remembered.
    """
    at = record.coordinates
    named = record.headers.get(headers.EVENT_ID) or getattr(event, "event_id", None)
    event_id = str(named or f"{at.topic}/{at.topic_id}/{at.partition}/{at.offset}")
    if len(event_id) > MAX_EVENT_ID:
        raise BadInput(
            f"event id of {len(event_id)} characters", field="event_id", remedy=f"use at most {MAX_EVENT_ID}"
        )
    return event_id


def is_external(record: Incoming) -> bool:
    """Whether an outside worker takes the event."""
    return record.headers.get(headers.EXECUTOR) == "external"


def request_of(record: Incoming, trigger: Trigger) -> StageRequest:
    """The work that the event asks for; its run is not known yet.

    Raises:
        BadInput: headers or payload contradict themselves.
    """
    pipeline_id, attempt = record.headers.get(headers.PIPELINE), record.headers.get(headers.ATTEMPT)
    if (pipeline_id is None) != (attempt is None):
        raise BadInput(
            f"headers {headers.PIPELINE} and {headers.ATTEMPT} go together",
            field=headers.ATTEMPT,
            remedy="send both, or neither",
        )
    if attempt is not None and not (attempt.isascii() and attempt.isdigit()):
        raise BadInput(f"attempt {attempt[:40]!r} is not a number", field=headers.ATTEMPT, remedy="send a number")
    common = StageRequest(
        key=DatasetKey(trigger.user_id, trigger.dataset_id),
        stage=_stage_of(trigger),
        run_id="",
        pipeline_id=pipeline_id,
        attempt=None if attempt is None else int(attempt),
        event_id=event_id_of(record, trigger),
        trigger=record.coordinates,
        trace_parent=record.headers.get(headers.TRACE_PARENT),
    )
    return _with_payload(common, trigger)


def _stage_of(trigger: Trigger) -> TriggeredStage:
    if isinstance(trigger, BiasTrigger):
        return "bias"
    return "automl" if isinstance(trigger, AutomlTrigger) else "xai"


def _with_payload(request: StageRequest, trigger: Trigger) -> StageRequest:
    if isinstance(trigger, XaiTrigger):
        if trigger.model_id != trigger.dataset_id:
            raise BadInput(
                f"model {trigger.model_id} is not the model of data set {trigger.dataset_id}",
                field="model_id",
                remedy="a model has the id of its data set",
            )
        return replace(request, level=trigger.level, model_version=parse_model_version(trigger.version))
    task = replace(request, target=trigger.target_column_name, task_type=trigger.task_type)
    return replace(task, time_budget=int(trigger.time_budget)) if isinstance(trigger, AutomlTrigger) else task
