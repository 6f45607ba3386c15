"""The outbox relay: events per second, latency of a single event, and what 20 broker restarts lose (nothing).

Half of the restarts are crashes (SIGKILL), half are orderly; a writer keeps writing all the while. Events are then read
by a plain consumer and compared with the outbox: lost, sent twice (each with the id of the first), out of order.
"""

import argparse
import random
import statistics
import tempfile
import threading
import time
from collections import defaultdict
from pathlib import Path

from _platform import free_ports
from _report import report
from confluent_kafka import Consumer, TopicPartition
from sqlalchemy import select

from millrace.contracts.events import XaiTrigger
from millrace.kafka.broker import EmbeddedBroker
from millrace.kafka.clients import reader_config
from millrace.kafka.topics import create_topics
from millrace.settings import Settings
from millrace.warehouse.outbox import backlog, enqueue
from millrace.warehouse.relay import Relay
from millrace.warehouse.schema import Outbox
from millrace.warehouse.store import Warehouse, open_warehouse

SEED = 20_261_121
KEYS = 200
SINGLE_EVENTS = 100
WRITE_EVERY_SECONDS = 0.02


def main() -> None:
    """Runs the three parts and leaves results/relay.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=50_000)
    parser.add_argument("--restarts", type=int, default=20)
    options = parser.parse_args()
    draw = random.Random(SEED)
    with tempfile.TemporaryDirectory(prefix="millrace-bench-", ignore_cleanup_errors=True) as folder:
        ports = free_ports(2)
        settings = Settings.model_validate(
            {"MILLRACE_HOME": Path(folder), "MILLRACE_KAFKA_PORT": ports[0], "MILLRACE_KAFKA_CONTROLLER_PORT": ports[1]}
        )
        warehouse = open_warehouse(settings, migrate=True)
        with EmbeddedBroker(settings) as broker:
            create_topics(settings)
            stop = threading.Event()
            relay = threading.Thread(target=Relay(warehouse, settings).run, args=(stop,))
            figures = {"events": options.events, **_throughput(warehouse, options.events, relay)}
            figures |= _latency(warehouse, draw)
            figures |= _restarts(warehouse, broker, options.restarts, draw)
            figures |= _compare(warehouse, settings)
            stop.set()
            relay.join()
        warehouse.engine.dispose()
    assert figures["lost"] == figures["out_of_order"] == 0
    report("relay", figures, seed=SEED, command="python benchmarks/relay.py")


def _write(warehouse: Warehouse, count: int) -> None:
    with warehouse.transaction() as session:
        for number in range(count):
            event = XaiTrigger.write(
                user_id="bench", dataset_id=f"d{number % KEYS}", model_id="m", version="v1", level="expert"
            )
            enqueue(session, warehouse.topics, event)


def _drain(warehouse: Warehouse, *, every: float) -> None:
    while True:
        with warehouse.read() as session:
            if backlog(session).count == 0:
                return
        time.sleep(every)


def _throughput(warehouse: Warehouse, count: int, relay: threading.Thread) -> dict[str, float]:
    for begin in range(0, count, 5_000):
        _write(warehouse, min(5_000, count - begin))
    began = time.perf_counter()
    relay.start()
    _drain(warehouse, every=0.1)
    return {"events_per_second": round(count / (time.perf_counter() - began))}


def _latency(warehouse: Warehouse, draw: random.Random) -> dict[str, float]:
    # from the commit of the event to the mark that the broker has it, which comes a little later than it has
    seconds = []
    for _ in range(SINGLE_EVENTS):
        time.sleep(draw.uniform(0.02, 0.12))
        _write(warehouse, 1)
        began = time.perf_counter()
        _drain(warehouse, every=0.001)
        seconds.append(time.perf_counter() - began)
    cuts = statistics.quantiles(seconds, n=20)
    return {"single_event_p50_seconds": round(cuts[9], 4), "single_event_p95_seconds": round(cuts[18], 4)}


def _restarts(warehouse: Warehouse, broker: EmbeddedBroker, count: int, draw: random.Random) -> dict[str, float]:
    stop = threading.Event()

    def keep_writing() -> None:
        while not stop.wait(WRITE_EVERY_SECONDS):
            _write(warehouse, 5)

    writer = threading.Thread(target=keep_writing)
    writer.start()
    for number in range(count):
        time.sleep(draw.uniform(0.2, 1.0))
        (broker.kill if number % 2 else broker.stop)()
        time.sleep(draw.uniform(0.0, 1.0))
        broker.start().wait_ready()
    stop.set()
    writer.join()
    began = time.perf_counter()
    _drain(warehouse, every=0.05)
    return {"restarts": count, "drained_after_the_last_seconds": round(time.perf_counter() - began, 2)}


def _compare(warehouse: Warehouse, settings: Settings) -> dict[str, int]:
    written: dict[str, list[str]] = defaultdict(list)
    with warehouse.read() as session:
        for key, event_id in session.execute(select(Outbox.key, Outbox.event_id).order_by(Outbox.id)):
            written[key].append(event_id)
    arrived: dict[str, list[str]] = defaultdict(list)
    for key, event_id in _read(settings):
        arrived[key].append(event_id)
    first = {key: list(dict.fromkeys(ids)) for key, ids in arrived.items()}
    total = sum(map(len, written.values()))
    return {
        "written": total,
        "lost": total - sum(len(set(ids) & set(written[key])) for key, ids in arrived.items()),
        "sent_twice": sum(len(ids) - len(first[key]) for key, ids in arrived.items()),
        "out_of_order": sum(first.get(key, []) != ids for key, ids in written.items()),
    }


def _read(settings: Settings) -> list[tuple[str, str]]:
    consumer = Consumer(reader_config(settings))
    found = []
    for partition in range(settings.partitions):
        place = TopicPartition(settings.topics.xai_trigger, partition)
        low, high = consumer.get_watermark_offsets(place, timeout=20)
        consumer.assign([TopicPartition(place.topic, partition, low)])
        while low < high:
            for message in consumer.consume(1_000, timeout=20):
                headers = dict(message.headers())
                found.append((message.key().decode(), headers["millrace-event-id"].decode()))
                low = message.offset() + 1
    consumer.close()
    return found


if __name__ == "__main__":
    main()
