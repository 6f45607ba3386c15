from millrace.contracts.events import DatasetUploaded
from sensors.datasets import dataset_events_sensor


def uploaded(**changes) -> bytes:
    fields = {
        "user_id": "ada", "dataset_id": "loans", "event_id": "ev-1", "name": "Loans", "version": 1, "sha256": "a" * 64,
        "file_name": "f.csv", "format": "csv", "size_bytes": 10, "record_count": 4, "column_count": 1,
    }  # fmt: skip
    return DatasetUploaded.write(**fields | changes).to_bytes()


def test_an_upload_becomes_a_partition_and_a_materialisation(live, produce, store_version, evaluate, instance):
    store_version("ada", "loans")
    produce(live.dataset_topic, uploaded())
    found = evaluate(dataset_events_sensor)
    (event,) = found.asset_events
    assert event.asset_key.to_user_string() == "dataset"
    assert event.partition == "ada.loans"
    assert event.tags == {"dagster/data_version": "a" * 64}
    assert event.metadata["sha256"].value == "a" * 64
    assert event.metadata["rows"].value == 4
    assert event.metadata["trigger"].value["offset"] == 0
    assert event.metadata["page"].value.endswith("/datasets/ada/loans/versions/1")
    assert [one.partition_keys for one in found.dynamic_partitions_requests] == [["ada.loans"]]


def test_a_hostile_column_name_cannot_break_out_of_the_preview(live, produce, store_version, evaluate):
    store_version("ada", "loans")
    produce(live.dataset_topic, uploaded())
    preview = evaluate(dataset_events_sensor).asset_events[0].metadata["preview"].value
    assert "<b>" not in preview
    assert "&lt;b&gt;income&lt;/b&gt;&#124;x" in preview


def test_two_versions_add_their_partition_once(live, produce, store_version, evaluate):
    store_version("ada", "loans")
    store_version("ada", "loans", version=2, sha256="c" * 64)
    produce(live.dataset_topic, uploaded())
    produce(live.dataset_topic, uploaded(event_id="ev-2", version=2, sha256="c" * 64))
    found = evaluate(dataset_events_sensor)
    assert [event.tags["dagster/data_version"][0] for event in found.asset_events] == ["a", "c"]
    assert [one.partition_keys for one in found.dynamic_partitions_requests] == [["ada.loans"]]


def test_an_event_for_bytes_that_are_not_there_is_a_dead_letter(live, produce, store_version, evaluate, dead_letters):
    store_version("ada", "loans")
    produce(live.dataset_topic, uploaded(version=7))
    produce(live.dataset_topic, uploaded(sha256="d" * 64))
    found = evaluate(dataset_events_sensor)
    assert found.asset_events == []
    assert [letter.headers["millrace-dlq-error"] for letter in dead_letters(live.dataset_topic)] == [
        "not-found", "integrity-broken",
    ]  # fmt: skip
