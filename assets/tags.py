"""Tags of a run: what its trigger said, so that a run knows its work without asking Kafka again."""

import json
from collections.abc import Mapping
from typing import Any

from millrace.contracts.identifiers import parse_partition_key
from millrace.contracts.stages import Level, TriggeredStage
from millrace.contracts.task import Coordinates, StageRequest

PIPELINE = "millrace/pipeline"
ATTEMPT = "millrace/attempt"
EVENT_ID = "millrace/event-id"
TRIGGER = "millrace/trigger"
STAGE = "millrace/stage"
LEVEL = "millrace/level"
PAYLOAD = "millrace/payload"
LANE = "millrace/lane"
TRACE_PARENT = "traceparent"

STREAM = "millrace/stream"
SLOT = "millrace/slot"
EPOCH = "millrace/epoch"
GENERATION = "millrace/generation"

STAGES_LANE = {LANE: "stages"}
"""Tag of runs that count against the limit of stages in dagster.yaml."""
STREAMS_LANE = {LANE: "streams"}
"""Tag of runs that count against the limit of streams in dagster.yaml."""


def tags_of(request: StageRequest) -> dict[str, str]:
    """The tags that say all of the request but its run id and its partition."""
    payload = {
        name: value
        for name, value in (
            ("target", request.target),
            ("task_type", request.task_type),
            ("time_budget", request.time_budget),
            ("model_version", request.model_version),
        )
        if value is not None
    }
    tags = {
        STAGE: request.stage,
        LEVEL: request.level,
        PIPELINE: request.pipeline_id,
        ATTEMPT: None if request.attempt is None else str(request.attempt),
        EVENT_ID: request.event_id,
        TRIGGER: None if request.trigger is None else json.dumps(request.trigger.to_json()),
        PAYLOAD: json.dumps(payload) if payload else None,
        TRACE_PARENT: request.trace_parent,
    }
    return {name: value for name, value in tags.items() if value is not None}


def request_from(
    tags: Mapping[str, str], *, partition_key: str, run_id: str, stage: TriggeredStage, level: Level | None = None
) -> StageRequest:
    """What a run with these tags was asked for. Without tags it is a launch by hand: data set and stage alone.

    `level` is that of the asset; a run's level tag stands in where an asset has none of its own.

    Raises:
        BadInput: the partition key names no data set.
    """
    payload: dict[str, Any] = json.loads(tags[PAYLOAD]) if PAYLOAD in tags else {}
    tagged: Any = tags.get(LEVEL)
    return StageRequest(
        key=parse_partition_key(partition_key),
        stage=stage,
        run_id=run_id,
        level=level or tagged,
        pipeline_id=tags.get(PIPELINE),
        attempt=int(tags[ATTEMPT]) if ATTEMPT in tags else None,
        event_id=tags.get(EVENT_ID),
        trigger=Coordinates(**json.loads(tags[TRIGGER])) if TRIGGER in tags else None,
        target=payload.get("target"),
        task_type=payload.get("task_type"),
        time_budget=payload.get("time_budget"),
        model_version=payload.get("model_version"),
        trace_parent=tags.get(TRACE_PARENT),
    )
