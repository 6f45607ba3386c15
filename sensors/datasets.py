"""The sensor of dataset-events: an upload becomes a partition and a materialisation of `dataset`."""

import time
from typing import TYPE_CHECKING, Any

from dagster import (
    AssetMaterialization,
    DefaultSensorStatus,
    MetadataValue,
    SensorEvaluationContext,
    SensorResult,
    sensor,
)

from assets.dataset import dataset_metadata
from assets.partitions import DATASETS
from millrace.contracts.errors import IntegrityBroken
from millrace.contracts.events import DatasetUploaded
from millrace.contracts.identifiers import DatasetKey
from resources.kafka import KafkaResource
from resources.pages import PagesResource
from resources.warehouse import WarehouseResource
from sensors.incoming import Incoming, event_id_of, read_payload
from sensors.tick import take_events
from sensors.triggers import MINIMUM_INTERVAL_SECONDS

if TYPE_CHECKING:
    from millrace.warehouse.datasets import VersionFacts
    from millrace.warehouse.store import Warehouse

NAME = "dataset_events_sensor"
DATA_VERSION_TAG = "dagster/data_version"


@sensor(
    name=NAME,
    asset_selection=["dataset"],
    minimum_interval_seconds=MINIMUM_INTERVAL_SECONDS,
    default_status=DefaultSensorStatus.RUNNING,
    description="Registers each upload: adds the data set's partition and records the version, without a run. An "
    "upload is there already, so that there is nothing to execute.",
)
def dataset_events_sensor(
    context: SensorEvaluationContext, kafka: KafkaResource, warehouse: WarehouseResource, pages: PagesResource
) -> SensorResult:
    """The partitions and materialisations of the uploads since the last tick."""
    began = time.monotonic()
    store = warehouse.open()
    taken = take_events(
        kafka,
        store,
        sensor=NAME,
        topic=warehouse.settings().topics.dataset,
        cursor=context.cursor,
        read=lambda record: _read(record, store),
        began=began,
    )
    for note in taken.notes:
        context.log.warning(note)
    if not taken.accepted:
        return SensorResult(skip_reason="; ".join(taken.notes) or "no new events", cursor=taken.cursor)
    keys = dict.fromkeys(version.key.partition_key for version, _ in taken.accepted)
    missing = [key for key in keys if not context.instance.has_dynamic_partition(str(DATASETS.name), key)]
    return SensorResult(
        asset_events=[materialisation(version, pages, trigger) for version, trigger in taken.accepted],
        dynamic_partitions_requests=[DATASETS.build_add_request(missing)] if missing else [],
        cursor=taken.cursor,
    )


def materialisation(version: "VersionFacts", pages: PagesResource, trigger: dict[str, Any]) -> AssetMaterialization:
    """The record of an upload in Dagster; seen twice, it says the same twice."""
    return AssetMaterialization(
        asset_key="dataset",
        partition=version.key.partition_key,
        metadata={**dataset_metadata(version, pages), "trigger": MetadataValue.json(trigger)},
        tags={DATA_VERSION_TAG: version.sha256},
    )


def _read(record: Incoming, store: "Warehouse") -> "tuple[str, tuple[VersionFacts, dict[str, Any]]]":
    from millrace.warehouse.datasets import get_version

    event = read_payload(record, DatasetUploaded)
    with store.read() as session:
        version = get_version(session, DatasetKey(event.user_id, event.dataset_id), event.version)
    if version.sha256 != event.sha256:
        raise IntegrityBroken(
            f"the event says that {version.key.partition_key} v{event.version} has hash {event.sha256}, the "
            f"warehouse has {version.sha256}",
            field="sha256",
            remedy="send the event of the bytes that were stored",
        )
    return event_id_of(record, event), (version, record.coordinates.to_json())
