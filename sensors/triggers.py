"""The sensors of the trigger topics: one event, one run."""

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from dagster import (
    AddDynamicPartitionsRequest,
    AssetKey,
    DefaultSensorStatus,
    RunRequest,
    SensorDefinition,
    SensorEvaluationContext,
    SensorResult,
    SkipReason,
    sensor,
)

from assets.explanation import KEY as EXPLANATION
from assets.partitions import DATASETS
from assets.tags import tags_of
from assets.xai_report import level_key
from jobs.governed import STAGE_JOBS
from millrace.contracts.events import AutomlTrigger, BiasTrigger, XaiTrigger
from millrace.contracts.stages import TriggeredStage
from millrace.contracts.task import StageRequest
from millrace.contracts.topics import Topics
from millrace.kafka.plan import run_key
from resources.kafka import KafkaResource
from resources.warehouse import WarehouseResource
from sensors.incoming import Incoming, Trigger, is_external, read_payload, request_of
from sensors.tick import take_events

if TYPE_CHECKING:
    from dagster import DagsterInstance

    from millrace.warehouse.store import Warehouse

MINIMUM_INTERVAL_SECONDS = 1
"""Least time between the beginnings of two ticks; 0 would mean Dagster's default of 30."""
_LINGER_SECONDS: dict[TriggeredStage, float] = {"bias": 0.0, "automl": 0.0, "xai": 0.1}
"""The triggers of three levels are sent together and should start together."""

_PAYLOADS: dict[TriggeredStage, type[Trigger]] = {"bias": BiasTrigger, "automl": AutomlTrigger, "xai": XaiTrigger}
_TOPICS: dict[TriggeredStage, Callable[[Topics], str]] = {
    "bias": lambda topics: topics.bias_trigger,
    "automl": lambda topics: topics.automl_trigger,
    "xai": lambda topics: topics.xai_trigger,
}


def _build_sensor(stage: TriggeredStage) -> SensorDefinition:
    name = f"{stage}_trigger_sensor"

    @sensor(
        name=name,
        job=STAGE_JOBS[stage],
        minimum_interval_seconds=MINIMUM_INTERVAL_SECONDS,
        default_status=DefaultSensorStatus.RUNNING,
        description=f"Starts a run of the {stage} stage for each event that asks for one, within milliseconds.",
    )
    def evaluate(
        context: SensorEvaluationContext, kafka: KafkaResource, warehouse: WarehouseResource
    ) -> SensorResult | SkipReason:
        began = time.monotonic()
        store = warehouse.open()
        taken = take_events(
            kafka,
            store,
            sensor=name,
            topic=_TOPICS[stage](warehouse.settings().topics),
            cursor=context.cursor,
            read=lambda record: _read(record, stage, store),
            began=began,
            linger=_LINGER_SECONDS[stage],
        )
        for note in taken.notes:
            context.log.warning(note)
        if not taken.accepted:
            return SensorResult(skip_reason="; ".join(taken.notes) or "no new events", cursor=taken.cursor)
        return SensorResult(
            run_requests=[run_request(request) for request in taken.accepted],
            dynamic_partitions_requests=new_keys(context.instance, taken.accepted),
            cursor=taken.cursor,
        )

    return evaluate


def run_request(request: StageRequest) -> RunRequest:
    """The run of the event; the same for the same event, however often it is seen.

    Raises:
        ValueError: the request did not come from Kafka.
    """
    at = request.trigger
    if at is None:
        raise ValueError("a run request needs the coordinates of its event")
    selection = None
    if request.level is not None:
        selection = [AssetKey(EXPLANATION), level_key(request.level)]
    return RunRequest(
        run_key=run_key(topic=at.topic, topic_id=at.topic_id, partition=at.partition, offset=at.offset),
        partition_key=request.key.partition_key,
        asset_selection=selection,
        tags=tags_of(request),
    )


def new_keys(instance: "DagsterInstance", requests: tuple[StageRequest, ...]) -> list[AddDynamicPartitionsRequest]:
    """A request to add the partition keys that are not there yet; a run for an unknown key fails the whole tick."""
    keys = dict.fromkeys(request.key.partition_key for request in requests)
    missing = [key for key in keys if not instance.has_dynamic_partition(str(DATASETS.name), key)]
    return [DATASETS.build_add_request(missing)] if missing else []


def _read(record: Incoming, stage: TriggeredStage, store: "Warehouse") -> tuple[str, StageRequest] | None:
    from millrace.warehouse.datasets import get_version

    if is_external(record):
        return None
    request = request_of(record, read_payload(record, _PAYLOADS[stage]))
    with store.read() as session:
        get_version(session, request.key)
    return str(request.event_id), request


bias_trigger_sensor = _build_sensor("bias")
automl_trigger_sensor = _build_sensor("automl")
xai_trigger_sensor = _build_sensor("xai")
