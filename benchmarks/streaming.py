"""The exactly-once loop against a bare consume-produce loop on the same broker, with a step that only copies.

A bare loop produces what it reads, without offsets or transactions, and finishes with everything acknowledged. Three
are measured: one with the same client settings as ours that reads a thousand messages at a time; one with the same
settings that reads one at a time, as examples do; and the first with the consumer's fetching as the client comes, which
waits a second before it fetches again whenever its queue is full. Rounds are interleaved, and each ratio is the median
of the rounds' ratios, against the first bare loop where nothing else is said. Time counts from the first message to the
last acknowledgement; of the exactly-once loop, which tells of its first batch only when it is complete, the longest
time of gathering is added: with a million messages 1 %.
"""

import argparse
import itertools
import random
import statistics
import tempfile
import time
import uuid
from collections.abc import Sequence
from pathlib import Path

from _platform import free_ports
from _report import report
from confluent_kafka import Consumer, Producer

from millrace.kafka.broker import EmbeddedBroker
from millrace.kafka.clients import consumer_config, producer_config
from millrace.kafka.processor import Output, Result
from millrace.kafka.records import Record
from millrace.kafka.stream_loop import StreamLoop
from millrace.kafka.stream_options import Step, StreamOptions
from millrace.kafka.topics import create_topics
from millrace.settings import Settings

SEED = 20_261_125
KEYS = 1_000
PAYLOAD_BYTES = 200
CHUNK = 1_000
INTERVALS = {"100_ms": 0.1, "10_ms": 0.01}
BARE: dict[str, dict[str, int]] = {
    "bare": {},
    "bare_one_at_a_time": {"chunk": 1},
    "bare_as_the_client_comes": {"fetch_queue_backoff_ms": 1_000},
}
BUDGETS = {"100_ms": 0.9, "10_ms": 0.5}


class Copy:
    """The step that does nothing: each record becomes one output with its key and payload."""

    def process(self, batch: Sequence[Record]) -> Sequence[Result]:
        """One output per record."""
        return [(Output("out", record.raw_value, record.key),) for record in batch]


def main() -> None:
    """Runs the rounds and leaves results/streaming.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="millrace-bench-", ignore_cleanup_errors=True) as folder:
        ports = free_ports(2)
        settings = Settings.model_validate(
            {
                "MILLRACE_HOME": Path(folder),
                "MILLRACE_KAFKA_PORT": ports[0],
                "MILLRACE_KAFKA_CONTROLLER_PORT": ports[1],
                "MILLRACE_TOPIC_PARTITIONS": 1,
            }
        )
        with EmbeddedBroker(settings):
            create_topics(settings, ["in", "in.dlq", "out"])
            _fill(settings, options.messages)
            _bare(settings, options.messages)
            rounds = [_round(settings, options.messages, number) for number in range(options.rounds)]
    report("streaming", _figures(rounds, options.messages), seed=SEED, command="python benchmarks/streaming.py")


def _fill(settings: Settings, count: int) -> None:
    producer, draw = Producer(producer_config(settings)), random.Random(SEED)
    for number in range(count):
        while True:
            try:
                producer.produce("in", draw.randbytes(PAYLOAD_BYTES), key=str(number % KEYS))
                break
            except BufferError:
                producer.poll(0.1)
    assert producer.flush(60) == 0


def _round(settings: Settings, count: int, number: int) -> dict[str, tuple[float, float]]:
    """(messages a second, median seconds between two commits) by name; the order turns from round to round."""
    names = [*BARE, *INTERVALS]
    found = {}
    for name in names[number % len(names) :] + names[: number % len(names)]:
        if name in INTERVALS:
            found[name] = _exactly_once(settings, count, INTERVALS[name])
        else:
            found[name] = _bare(settings, count, **BARE[name]), 0.0
        print(f"round {number}: {name} {found[name][0]:,.0f} messages a second", flush=True)
    return found


def _bare(settings: Settings, count: int, *, chunk: int = CHUNK, **consumer_settings: int) -> float:
    consumer = Consumer(consumer_config(settings, group=uuid.uuid4().hex, **consumer_settings))
    producer = Producer(producer_config(settings, linger_ms=5))
    consumer.subscribe(["in"])
    done, began = 0, 0.0
    while done < count:
        if chunk == 1:
            message = consumer.poll(0.1)
            messages = [] if message is None else [message]
        else:
            messages = consumer.consume(chunk, 0.1)
        if messages and not began:
            began = time.perf_counter()
        for message in messages:
            while True:
                try:
                    producer.produce("out", message.value(), message.key())
                    break
                except BufferError:
                    producer.poll(0.05)
        producer.poll(0)
        done += len(messages)
    assert producer.flush(60) == 0
    spent = time.perf_counter() - began
    consumer.close()
    return count / spent


def _exactly_once(settings: Settings, count: int, interval: float) -> tuple[float, float]:
    first: list[float] = []
    commits: list[float] = []

    def on_step(step: Step) -> None:
        if step is Step.CONSUMED and not first:
            first.append(time.perf_counter() - interval)
        elif step is Step.COMMITTED:
            commits.append(time.perf_counter())

    options = StreamOptions(group=uuid.uuid4().hex, topics=("in",), interval=interval)
    totals = StreamLoop(settings, options, Copy(), on_step=on_step).run(count=count, timeout=120)
    assert totals.records == totals.outputs == count
    gaps = [after - before for before, after in itertools.pairwise(commits)]
    return count / (commits[-1] - first[0]), statistics.median(gaps)


def _figures(rounds: list[dict[str, tuple[float, float]]], count: int) -> dict[str, float | str | dict[str, float]]:
    figures: dict[str, float | str | dict[str, float]] = {
        "messages": count,
        "rounds": len(rounds),
    }
    for name in BARE:
        figures[name] = {"messages_per_second": round(statistics.median(one[name][0] for one in rounds))}
    for name in INTERVALS:
        ratios = [one[name][0] / one["bare"][0] for one in rounds]
        figures[f"transactions_of_up_to_{name}"] = {
            "ratio": round(statistics.median(ratios), 2),
            "lowest_ratio": round(min(ratios), 2),
            "highest_ratio": round(max(ratios), 2),
            "against_one_at_a_time_ratio": _median_ratio(rounds, name, "bare_one_at_a_time"),
            "against_the_client_as_it_comes_ratio": _median_ratio(rounds, name, "bare_as_the_client_comes"),
            "messages_per_second": round(statistics.median(one[name][0] for one in rounds)),
            "between_commits_p50_seconds": round(statistics.median(one[name][1] for one in rounds), 4),
        }
    figures |= {f"budget_{name}_ratio": budget for name, budget in BUDGETS.items()}
    return figures


def _median_ratio(rounds: list[dict[str, tuple[float, float]]], name: str, against: str) -> float:
    return round(statistics.median(one[name][0] / one[against][0] for one in rounds), 2)


if __name__ == "__main__":
    main()
