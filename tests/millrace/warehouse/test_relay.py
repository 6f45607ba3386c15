import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import Any, cast

import pytest
from confluent_kafka import Message, Producer
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, NewTopic, ResourceType
from sqlalchemy import select, update

from millrace.contracts.errors import CannotReach
from millrace.contracts.events import XaiTrigger
from millrace.kafka.broker import EmbeddedBroker
from millrace.kafka.clients import admin_config, producer_config
from millrace.kafka.topics import create_topics
from millrace.settings import Settings
from millrace.warehouse.outbox import backlog, enqueue
from millrace.warehouse.relay import Relay
from millrace.warehouse.schema import Outbox
from millrace.warehouse.sender import Pending, Sender
from millrace.warehouse.store import Warehouse, open_warehouse

pytestmark = pytest.mark.broker


def _unsent(warehouse: Warehouse) -> list[str]:
    with warehouse.read() as session:
        return list(session.scalars(select(Outbox.event_id).where(Outbox.sent_at.is_(None)).order_by(Outbox.id)))


def test_events_arrive_once_in_order_with_their_headers(relayed: Warehouse, on_broker: Settings, write, look) -> None:
    write(relayed, 200)

    assert Relay(relayed, on_broker).relay_once() == 200

    found = look.read_all(on_broker, on_broker.topics.triggers())
    assert len(found) == 200
    assert look.in_order_of_first_arrival(found) == look.written(relayed)
    with relayed.read() as session:
        rows = {row.event_id: row for row in session.scalars(select(Outbox))}
    for one in found:
        row = rows[one.event_id]
        assert (one.value, one.headers, one.key) == (row.value, row.headers, row.key)
        assert row.sent_to == {"partition": one.partition, "offset": one.offset}


def test_a_second_pass_sends_nothing(relayed: Warehouse, on_broker: Settings, write) -> None:
    relay = Relay(relayed, on_broker)
    write(relayed, 5)
    assert (relay.relay_once(), relay.relay_once(), relay.sent) == (5, 0, 5)


def test_rows_written_while_it_runs_are_sent_soon(
    relayed: Warehouse, on_broker: Settings, write, look, relaying
) -> None:
    relaying(Relay(relayed, on_broker))
    write(relayed, 1)
    look.wait_until_sent(relayed)

    seconds = []
    for _ in range(5):
        started = time.monotonic()
        write(relayed, 1)
        look.wait_until_sent(relayed)
        seconds.append(time.monotonic() - started)

    # generous: the figure itself is benchmarks/relay.py's to watch
    assert min(seconds) < 1.0


def test_one_of_two_relays_works_and_the_other_takes_over(
    relayed: Warehouse, on_broker: Settings, write, look, relaying
) -> None:
    relays = [Relay(relayed, on_broker), Relay(relayed, on_broker)]
    stops = [relaying(relay) for relay in relays]
    for _ in range(10):
        write(relayed, 20)
        time.sleep(0.02)
    look.wait_until_sent(relayed)
    leader = 0 if relays[0].sent else 1
    with pytest.raises(CannotReach, match="another relay"):
        Relay(relayed, on_broker).relay_once(seconds=0.3)
    stops[leader]()
    write(relayed, 50)
    look.wait_until_sent(relayed)
    stops[1 - leader]()

    assert (relays[leader].sent, relays[1 - leader].sent) == (200, 50)
    found = look.read_all(on_broker, on_broker.topics.triggers())
    assert len(found) == 250
    assert look.in_order_of_first_arrival(found) == look.written(relayed)


_RELAY = """
import sys, threading
from millrace.settings import Settings
from millrace.warehouse.relay import Relay
from millrace.warehouse.store import open_warehouse
settings = Settings.model_validate_json(sys.stdin.read())
print("begun", flush=True)
Relay(open_warehouse(settings), settings).run(threading.Event())
"""


def _relay_process(settings: Settings) -> "subprocess.Popen[str]":
    process = subprocess.Popen([sys.executable, "-c", _RELAY], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(settings.model_dump_json(by_alias=True))
    process.stdin.close()
    assert process.stdout.readline() == "begun\n"
    process.stdout.close()
    return process


@pytest.mark.slow
def test_killed_at_any_point_every_event_arrives_in_order(relayed: Warehouse, on_broker: Settings, write, look) -> None:
    # from before it leads to deep in its work
    for milliseconds in (300, 600, 900):
        write(relayed, 2_000, keys=40)
        process = _relay_process(on_broker)
        time.sleep(milliseconds / 1000)
        process.kill()
        process.wait()

    Relay(relayed, on_broker).relay_once(seconds=60)

    assert _unsent(relayed) == []
    found = look.read_all(on_broker, on_broker.topics.triggers())
    assert look.in_order_of_first_arrival(found) == look.written(relayed)


@pytest.mark.slow
def test_the_broker_being_away_delays_events_and_loses_none(
    light_settings: Settings, broker_factory: Callable[[], EmbeddedBroker], write, look, relaying, own_topics
) -> None:
    broker = broker_factory().start().wait_ready()
    settings = own_topics(light_settings, broker)
    warehouse = open_warehouse(settings, migrate=True)
    stop = relaying(Relay(warehouse, settings))
    write(warehouse, 50)
    broker.kill()
    write(warehouse, 50)
    time.sleep(0.3)
    with warehouse.read() as session:
        assert backlog(session).count >= 50
    broker.start().wait_ready()
    look.wait_until_sent(warehouse)

    found = look.read_all(settings, settings.topics.triggers())
    assert look.in_order_of_first_arrival(found) == look.written(warehouse)

    # a broker that begins anew, with the same address and none of its topics
    broker.stop()
    broker.wipe()
    broker.start().wait_ready()
    create_topics(settings)
    before = {event_id for ids in look.written(warehouse).values() for event_id in ids}
    write(warehouse, 50)
    look.wait_until_sent(warehouse)
    after = {one.event_id for one in look.read_all(settings, settings.topics.triggers())}
    assert after == {event_id for ids in look.written(warehouse).values() for event_id in ids} - before
    stop()
    warehouse.engine.dispose()


def test_an_event_that_an_empty_cluster_would_take_for_another_producers_arrives(
    light_settings: Settings,
    broker_factory: Callable[[], EmbeddedBroker],
    write,
    look,
    relaying,
    own_topics,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("millrace.warehouse.sender.SILENCE_SECONDS", 0.0)
    broker = broker_factory().start().wait_ready()
    settings = own_topics(light_settings, broker)
    warehouse = open_warehouse(settings, migrate=True)
    stop = relaying(Relay(warehouse, settings))
    # one event to the topic of AutoML: the relay's producer is the cluster's first, and has nothing in the other topic
    write(warehouse, 1)
    look.wait_until_sent(warehouse)

    broker.stop()
    broker.wipe()
    broker.start().wait_ready()
    create_topics(settings)
    # the new cluster's first producer: it has the relay's id, and its first record the number of the relay's next
    stranger = Producer(producer_config(settings))
    for partition in range(settings.partitions):
        headers: list[tuple[str, str | bytes | None]] = [("millrace-event-id", b"stranger")]
        stranger.produce(settings.topics.xai_trigger, value=b"", partition=partition, headers=headers)
    assert stranger.flush(20) == 0
    write(warehouse, 1)
    look.wait_until_sent(warehouse)

    found = {one.event_id for one in look.read_all(settings, [settings.topics.xai_trigger])}
    assert found == {"e000001", "stranger"}
    stop()
    warehouse.engine.dispose()


class _Placeless:
    """An answer as librdkafka gives it for a record that the broker calls a repetition."""

    def partition(self) -> int:
        return 0

    def offset(self) -> None:
        return None


def test_a_row_that_is_said_to_be_there_already_is_sent_again(on_broker: Settings) -> None:
    sender = Sender(on_broker)
    row = Pending(1, "e1", on_broker.topics.xai_trigger, "ada.d0", b"{}", {})
    sender._answered(row, None, cast("Message", _Placeless()))
    sender.poll(0)
    assert (sender.delivered, sender.busy_keys()) == ([], [])
    assert sender.send([row]) == 1
    sender.flush(20)
    assert [one.id for one in sender.delivered] == [1]


def test_a_row_that_is_refused_holds_back_its_own_key_only(
    light_settings: Settings, broker_settings: Settings, look, relaying, own_topics
) -> None:
    settings = own_topics(light_settings, broker_settings)
    # made with the limit: a limit that is set later holds from some later moment on
    small = f"small-{settings.topics.xai_trigger}"
    new = NewTopic(small, num_partitions=1, replication_factor=1, config={"max.message.bytes": "1000"})
    admin = AdminClient(admin_config(settings))
    admin.create_topics([new])[small].result(20)
    settings = settings.model_copy(update={"xai_trigger_topic": small})
    warehouse = open_warehouse(settings, migrate=True)
    add: dict[str, Any] = {"model_id": "m", "version": "v1", "level": "expert"}
    with warehouse.transaction() as session:
        for number, dataset in enumerate(("bad", "bad", "bad", "good", "good")):
            event = XaiTrigger.write(user_id="ada", dataset_id=dataset, **add)
            enqueue(session, warehouse.topics, event, event_id=f"e{number}")
    with warehouse.transaction() as session:
        # bytes that no compression makes smaller
        large = random.Random(1).randbytes(20_000)
        session.execute(update(Outbox).where(Outbox.event_id == "e1").values(value=large))
    stop = relaying(Relay(warehouse, settings))

    deadline = time.monotonic() + 30
    while _unsent(warehouse) != ["e1", "e2"]:
        assert time.monotonic() < deadline, _unsent(warehouse)
        time.sleep(0.05)

    _allow_large_messages(admin, small)
    look.wait_until_sent(warehouse)
    found = look.read_all(settings, [settings.topics.xai_trigger])
    assert look.in_order_of_first_arrival(found) == look.written(warehouse)
    stop()
    warehouse.engine.dispose()


def _allow_large_messages(admin: AdminClient, topic: str) -> None:
    entry = ConfigEntry("max.message.bytes", "1000000", incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[entry])
    for future in admin.incremental_alter_configs([resource]).values():
        future.result(20)


def test_a_relay_without_a_broker_stops_when_asked(light_settings: Settings, write) -> None:
    warehouse = open_warehouse(light_settings, migrate=True)
    write(warehouse, 3)
    stop = threading.Event()
    thread = threading.Thread(target=Relay(warehouse, light_settings).run, args=(stop,))
    thread.start()
    time.sleep(0.5)
    started = time.monotonic()
    stop.set()
    thread.join(30)

    assert time.monotonic() - started < 10
    assert len(_unsent(warehouse)) == 3
    warehouse.engine.dispose()


def test_a_topic_that_is_missing_holds_back_only_its_own_keys(relayed: Warehouse, on_broker: Settings, look) -> None:
    add: dict[str, Any] = {"user_id": "ada", "model_id": "m", "version": "v1", "level": "expert"}
    with relayed.transaction() as session:
        enqueue(session, relayed.topics, XaiTrigger.write(dataset_id="lost", **add), event_id="e1")
    with relayed.transaction() as session:
        session.execute(update(Outbox).values(topic=f"missing-{on_broker.topics.xai}"))
        enqueue(session, relayed.topics, XaiTrigger.write(dataset_id="lost", **add), event_id="e2")
        enqueue(session, relayed.topics, XaiTrigger.write(dataset_id="found", **add), event_id="e3")

    assert Relay(relayed, on_broker).relay_once(seconds=1.5) == 1

    assert _unsent(relayed) == ["e1", "e2"]
