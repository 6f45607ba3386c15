"""The six payloads of the upload-to-explanation flow, field for field, and how ours are read and written."""

import json
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from millrace.contracts.events import (
    EVENTS,
    AutomlTrigger,
    BiasReported,
    BiasTrigger,
    DatasetUploaded,
    Event,
    ModelUploaded,
    StageEvent,
    XaiReported,
    XaiTrigger,
)
from millrace.contracts.topics import Topics

BIAS_TRIGGER = """
{
  "event_type": "bias-trigger.reported",
  "dataset_id": "dataset123",
  "user_id": "user123",
  "target_column_name": "target",
  "task_type": "classification",
  "timestamp": "2025-10-10T12:00:00.000000",
  "metadata": {"encoding": "utf-8", "delimiter": ","},
  "record_count": 1000
}
"""
BIAS_REPORTED = """
{
  "event_type": "bias.reported",
  "dataset_id": "dataset123",
  "user_id": "user123",
  "bias_report_id": "report_id",
  "has_transformation_report": false,
  "target_column_name": "target",
  "task_type": "classification",
  "timestamp": "2025-10-10T12:00:00.000000"
}
"""
AUTOML_TRIGGER = """
{
  "event_type": "automl-trigger.reported",
  "dataset_id": "dataset123",
  "user_id": "user123",
  "target_column_name": "target",
  "task_type": "classification",
  "time_budget": "10",
  "timestamp": "2025-10-10T12:00:00.000000"
}
"""
MODEL_UPLOADED = """
{
  "event_type": "model.uploaded",
  "event_id": "model_uploaded_model123_1728561234",
  "timestamp": "2025-10-10T12:00:00.000000",
  "user_id": "user123",
  "model_id": "model123",
  "dataset_id": "dataset123",
  "version": "v1",
  "framework": "sklearn",
  "model_type": "classification",
  "algorithm": "RandomForest",
  "model_size_mb": 25.5,
  "training_accuracy": 0.95,
  "validation_accuracy": 0.93,
  "test_accuracy": 0.92
}
"""
XAI_TRIGGER = """
{
  "event_type": "xai-trigger.reported",
  "user_id": "user123",
  "dataset_id": "dataset123",
  "model_id": "model123",
  "version": "v1",
  "level": "beginner",
  "timestamp": "2025-10-10T12:00:00.000000"
}
"""
XAI_REPORTED = """
{
  "event_type": "xai.reported",
  "event_id": "xai_reported_model123_1728561234",
  "timestamp": "2025-10-10T12:00:00.000000",
  "user_id": "user123",
  "dataset_id": "dataset123",
  "model_id": "model123",
  "report_type": "model_explanation",
  "level": "beginner",
  "xai_report_id": "report_id"
}
"""
EXAMPLES = [
    pytest.param(BiasTrigger, BIAS_TRIGGER, id="bias-trigger"),
    pytest.param(BiasReported, BIAS_REPORTED, id="bias"),
    pytest.param(AutomlTrigger, AUTOML_TRIGGER, id="automl-trigger"),
    pytest.param(ModelUploaded, MODEL_UPLOADED, id="automl"),
    pytest.param(XaiTrigger, XAI_TRIGGER, id="xai-trigger"),
    pytest.param(XaiReported, XAI_REPORTED, id="xai"),
]


@pytest.mark.parametrize(("kind", "text"), EXAMPLES)
def test_the_example_is_read_and_written_field_for_field(kind: type[Event], text: str):
    assert json.loads(kind.model_validate_json(text).to_bytes()) == json.loads(text)


@pytest.mark.parametrize(("kind", "text"), EXAMPLES)
def test_a_reader_ignores_fields_it_does_not_know(kind: type[Event], text: str):
    extended = {**json.loads(text), "added_later": {"by": "someone"}}
    assert kind.model_validate(extended) == kind.model_validate_json(text)


@pytest.mark.parametrize(("kind", "text"), EXAMPLES)
def test_a_writer_refuses_fields_it_does_not_know(kind: type[Event], text: str):
    with pytest.raises(ValueError, match="has no field added_later"):
        kind.write(**json.loads(text), added_later=1)


@pytest.mark.parametrize(("kind", "text"), EXAMPLES)
def test_every_field_but_those_with_a_default_is_needed(kind: type[Event], text: str):
    fields = json.loads(text)
    for name in fields:
        shorter = {key: value for key, value in fields.items() if key != name}
        if kind.model_fields[name].is_required():
            with pytest.raises(ValidationError, match=name):
                kind.model_validate(shorter)
        else:
            kind.model_validate(shorter)


@pytest.mark.parametrize(("kind", "text"), EXAMPLES)
def test_an_event_of_another_type_is_refused(kind: type[Event], text: str):
    with pytest.raises(ValidationError, match="event_type"):
        kind.model_validate({**json.loads(text), "event_type": "dataset.deleted"})


@pytest.mark.parametrize("budget", ["ten", "-1", "0", "", "1.5", "+5", "86401", "999999", "٣", " 10", "1e3", None, 10])
def test_a_time_budget_that_is_no_whole_number_of_seconds_is_refused(budget: object):
    with pytest.raises(ValidationError, match="time_budget"):
        AutomlTrigger.model_validate({**json.loads(AUTOML_TRIGGER), "time_budget": budget})


@pytest.mark.parametrize("budget", ["1", "10", "86400"])
def test_a_time_budget_stays_the_string_it_was(budget: str):
    event = AutomlTrigger.model_validate({**json.loads(AUTOML_TRIGGER), "time_budget": budget})
    assert json.loads(event.to_bytes())["time_budget"] == budget


@pytest.mark.parametrize("bad", ["", "a/b", "..", "a|b", "a\x00b", "x" * 65, "🙂", "-a", "a\n", "a.b"])
def test_a_payload_with_an_identifier_that_is_none_is_refused(bad: str):
    with pytest.raises(ValidationError, match="user_id"):
        XaiTrigger.model_validate({**json.loads(XAI_TRIGGER), "user_id": bad})


@pytest.mark.parametrize("version", ["1", "v0", "v01", "V1", "v-1", "v1.0", "vv1"])
def test_a_model_version_is_v_and_a_number(version: str):
    with pytest.raises(ValidationError, match="version"):
        ModelUploaded.model_validate({**json.loads(MODEL_UPLOADED), "version": version})


@given(st.datetimes(min_value=datetime(1970, 1, 2), max_value=datetime(2200, 1, 1)), st.integers(-14, 14))
def test_timestamps_are_utc_whatever_the_offset_was(moment: datetime, hours: int):
    aware = moment.replace(tzinfo=timezone(timedelta(hours=hours)))
    event = XaiTrigger.model_validate({**json.loads(XAI_TRIGGER), "timestamp": aware.isoformat()})
    written = json.loads(event.to_bytes())["timestamp"]
    assert datetime.fromisoformat(written).replace(tzinfo=UTC) == aware
    assert len(written) == len("2025-10-10T12:00:00.000000")


def test_a_timestamp_without_an_offset_is_read_as_utc():
    event = XaiTrigger.model_validate_json(XAI_TRIGGER)
    assert event.timestamp == datetime(2025, 10, 10, 12, tzinfo=UTC)


def test_a_written_event_without_a_timestamp_says_the_present_moment():
    before = datetime.now(UTC)
    event = XaiTrigger.write(user_id="u", dataset_id="d", model_id="d", version="v1", level="expert")
    assert before <= event.timestamp <= datetime.now(UTC)


def test_the_data_set_event_carries_every_field_of_the_contract():
    assert set(DatasetUploaded.model_fields) == {
        "event_type", "event_id", "timestamp", "user_id", "dataset_id", "name", "version", "sha256", "file_name",
        "format", "size_bytes", "record_count", "column_count", "metadata",
    }  # fmt: skip


def test_a_stage_event_tells_started_failed_and_cancelled_apart():
    common = {"user_id": "u", "dataset_id": "d", "event_id": "e", "pipeline_id": "p", "stage": "bias", "attempt": 1}
    for word in ("started", "failed", "cancelled"):
        assert StageEvent.write(event_type=f"stage.{word}", **common).event_type == f"stage.{word}"
    with pytest.raises(ValidationError, match="event_type"):
        StageEvent.write(event_type="stage.done", **common)


def test_every_payload_has_a_topic_of_its_own():
    topics = Topics()
    assert len({getattr(topics, event.topic_field) for event in EVENTS}) == len(EVENTS)
    assert {getattr(topics, event.topic_field) for event in EVENTS} == {*topics.for_conductor(), *topics.triggers()}


@given(st.binary(max_size=200))
def test_bytes_that_are_no_payload_are_refused_and_nothing_else_happens(data: bytes):
    for kind in EVENTS:
        with pytest.raises(ValidationError):
            kind.model_validate_json(data)
