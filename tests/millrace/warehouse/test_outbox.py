from datetime import timedelta

from sqlalchemy import select, update

from millrace.contracts.events import DatasetUploaded, StageEvent, XaiTrigger, now
from millrace.contracts.task import Coordinates
from millrace.warehouse.consumed import first_time, seen_at
from millrace.warehouse.outbox import backlog, enqueue, is_enqueued
from millrace.warehouse.schema import Outbox
from millrace.warehouse.store import Warehouse

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def _trigger() -> XaiTrigger:
    return XaiTrigger.write(user_id="ada", dataset_id="loans", model_id="loans", version="v1", level="expert")


def test_an_event_is_written_with_its_topic_key_and_headers(warehouse: Warehouse) -> None:
    with warehouse.transaction() as session:
        event_id = enqueue(
            session, warehouse.topics, _trigger(), event_id="e1", pipeline_id="pl-1", attempt=2, trace_parent=TRACE,
            content_sha256="f" * 64, executor="external",
        )  # fmt: skip

    with warehouse.read() as session:
        row = session.scalars(select(Outbox)).one()
    assert event_id == "e1"
    assert (row.topic, row.key, row.sent_at) == ("xai-trigger-events", "ada.loans", None)
    assert XaiTrigger.model_validate_json(row.value).level == "expert"
    assert row.headers == {
        "millrace-event-id": "e1",
        "millrace-schema-version": "1",
        "millrace-pipeline": "pl-1",
        "millrace-attempt": "2",
        "traceparent": TRACE,
        "content-sha256": "f" * 64,
        "millrace-executor": "external",
    }


def test_headers_that_say_nothing_are_left_out(warehouse: Warehouse) -> None:
    with warehouse.transaction() as session:
        enqueue(session, warehouse.topics, _trigger(), event_id="e1", executor="dagster")
    with warehouse.read() as session:
        assert set(session.scalars(select(Outbox.headers)).one()) == {"millrace-event-id", "millrace-schema-version"}


def test_the_event_id_is_the_payloads_own_or_a_new_one(warehouse: Warehouse) -> None:
    stage = StageEvent.write(
        user_id="ada", dataset_id="loans", event_type="stage.started", event_id="own", pipeline_id="pl-1",
        stage="bias", attempt=1,
    )  # fmt: skip
    with warehouse.transaction() as session:
        assert enqueue(session, warehouse.topics, stage) == "own"
        first, second = (enqueue(session, warehouse.topics, _trigger()) for _ in range(2))
        assert first != second
        assert is_enqueued(session, first)
        assert not is_enqueued(session, "other")


def test_topics_are_those_of_the_settings(make_settings, tmp_path) -> None:
    from millrace.warehouse.store import open_warehouse

    warehouse = open_warehouse(make_settings(tmp_path, KAFKA_XAI_TRIGGER_TOPIC="ours"), migrate=True)
    with warehouse.transaction() as session:
        enqueue(session, warehouse.topics, _trigger())
        assert session.scalars(select(Outbox.topic)).one() == "ours"
    warehouse.engine.dispose()


def test_the_backlog_counts_what_is_not_sent_and_knows_the_oldest(warehouse: Warehouse) -> None:
    with warehouse.read() as session:
        assert backlog(session).count == 0
        assert backlog(session).oldest_seconds is None
    with warehouse.transaction() as session:
        for number in range(3):
            enqueue(session, warehouse.topics, _trigger(), event_id=f"e{number}")
    with warehouse.transaction() as session:
        session.execute(update(Outbox).where(Outbox.event_id == "e0").values(sent_at=now()))
        session.execute(update(Outbox).where(Outbox.event_id == "e1").values(created_at=now() - timedelta(seconds=90)))
    with warehouse.read() as session:
        waiting = backlog(session)
    assert waiting.count == 2
    assert waiting.oldest_seconds is not None
    assert 90 <= waiting.oldest_seconds < 120


def test_every_field_of_a_payload_survives_the_outbox(warehouse: Warehouse) -> None:
    event = DatasetUploaded.write(
        user_id="ada", dataset_id="loans", event_id="e", name="Ünïcode \u2028 name", version=1, sha256="a" * 64,
        file_name='q"uote.csv', format="csv", size_bytes=2**40, record_count=3, column_count=2,
        metadata={"delimiter": "\t"},
    )  # fmt: skip
    with warehouse.transaction() as session:
        enqueue(session, warehouse.topics, event)
    with warehouse.read() as session:
        assert DatasetUploaded.model_validate_json(session.scalars(select(Outbox.value)).one()) == event


def test_a_consumer_acts_on_an_event_once(warehouse: Warehouse) -> None:
    at = Coordinates("bias-events", "uuid", 3, 42)
    again = Coordinates("bias-events", "uuid", 3, 43)
    with warehouse.transaction() as session:
        assert first_time(session, consumer="conductor", event_id="e", at=at)
    with warehouse.transaction() as session:
        assert not first_time(session, consumer="conductor", event_id="e", at=again)
        assert first_time(session, consumer="other", event_id="e", at=again)
        assert seen_at(session, consumer="conductor", event_id="e") == at
        assert seen_at(session, consumer="conductor", event_id="none") is None


def test_an_event_whose_effect_failed_is_new_again(warehouse: Warehouse) -> None:
    at = Coordinates("bias-events", "uuid", 0, 0)
    try:
        with warehouse.transaction() as session:
            assert first_time(session, consumer="conductor", event_id="e", at=at)
            raise RuntimeError
    except RuntimeError:
        pass
    with warehouse.transaction() as session:
        assert first_time(session, consumer="conductor", event_id="e", at=at)
