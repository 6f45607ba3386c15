"""A stream that is sent ten times what it can do, for two minutes: its memory, its lag, and how it comes out of it.

The step costs a fixed time a record, so that the capacity is known: the producer sends ten times as much. The stream
runs in a process of its own, whose resident memory is looked at every second; the lag is what `millrace stream status`
shows. Afterwards nothing more is sent and the step costs nothing, as with enough processes: the recovery is the time
from then until the lag is 0. In the end all outputs are read with read_committed and compared with what was sent.
"""

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from _platform import free_ports
from _report import report
from confluent_kafka import Consumer, KafkaError, Producer, TopicPartition

from millrace.kafka.broker import EmbeddedBroker
from millrace.kafka.clients import producer_config, reader_config
from millrace.kafka.lag import lag_of
from millrace.kafka.processor import Output, Result
from millrace.kafka.records import Record
from millrace.kafka.stream_loop import StreamLoop
from millrace.kafka.stream_options import StreamOptions
from millrace.kafka.topics import create_topics
from millrace.settings import Settings

PARTITIONS = 2
CAPACITY = 2_000
"""Records a second that the step can do."""
OVERLOAD = 10
PAYLOAD = "x" * 180
GROUP = "overload"
KEYS = 1_000


class Costly:
    """Copies records, each for a fixed time until it is told to hurry."""

    def __init__(self) -> None:
        self.hurry = threading.Event()

    def process(self, batch: Sequence[Record]) -> Sequence[Result]:
        """One output per record."""
        self.hurry.wait(len(batch) / CAPACITY)
        return [(Output("out", record.raw_value, record.key),) for record in batch]


def main() -> None:
    """Leaves results/overload.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("--child", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        _stream(Settings.model_validate(json.loads(options.child)))
        return
    with tempfile.TemporaryDirectory(prefix="millrace-bench-", ignore_cleanup_errors=True) as folder:
        ports = free_ports(2)
        told = {
            "MILLRACE_HOME": folder, "MILLRACE_KAFKA_PORT": ports[0], "MILLRACE_KAFKA_CONTROLLER_PORT": ports[1],
            "MILLRACE_TOPIC_PARTITIONS": PARTITIONS,
        }  # fmt: skip
        settings = Settings.model_validate(told)
        with EmbeddedBroker(settings):
            create_topics(settings, ["in", "in.dlq", "out"])
            child = subprocess.Popen([sys.executable, __file__, "--child", json.dumps(told)])
            try:
                figures = _overload(settings, child, options.seconds)
            finally:
                child.send_signal(signal.SIGTERM)
                status = child.wait(20)
            assert status == 0
    report("overload", figures, seed=None, command="python benchmarks/overload.py")


def _stream(settings: Settings) -> None:
    step, stop = Costly(), threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    signal.signal(signal.SIGUSR1, lambda *_: step.hurry.set())
    StreamLoop(settings, StreamOptions(group=GROUP, topics=("in",)), step).run(stop=stop)


def _overload(settings: Settings, child: "subprocess.Popen[bytes]", seconds: float) -> dict[str, Any]:
    producer, looks, sent = Producer(producer_config(settings, linger_ms=20)), [], 0
    began = looked = time.monotonic()
    while (now := time.monotonic()) - began < seconds:
        while sent < (now - began) * CAPACITY * OVERLOAD:
            producer.produce("in", f"{sent}:{PAYLOAD}", str(sent % KEYS))
            sent += 1
        producer.poll(0.005)
        if now - looked >= 1:
            looked = now
            looks.append((now - began, _resident_mb(child.pid), _lag(settings)))
    assert producer.flush(60) == 0
    most = _lag(settings)
    child.send_signal(signal.SIGUSR1)
    over, after = time.monotonic(), []
    while _lag(settings) > 0:
        after.append(_resident_mb(child.pid))
        assert time.monotonic() - over < 300, "the stream did not recover"
        time.sleep(0.05)
    recovery = time.monotonic() - over
    # the first quarter fills what the client reads ahead: the slope is of what comes after
    late = [(at, memory) for at, memory, _ in looks if at > seconds / 4]
    slope = statistics.linear_regression([at for at, _ in late], [memory for _, memory in late]).slope
    lost, doubled, disordered = _compared(settings, sent)
    return {
        "messages": sent,
        "seconds": round(seconds, 1),
        "capacity_per_second": CAPACITY,
        "sent_per_second": round(sent / seconds),
        "lag_after_half_records": looks[len(looks) // 2][2],
        "lag_at_the_end_records": most,
        "memory_at_a_quarter_mb": round(late[0][1], 1),
        "memory_at_the_end_mb": round(late[-1][1], 1),
        "memory_slope_per_minute_mb": round(60 * slope, 2),
        "peak_memory_mb": round(max(memory for _, memory, _ in looks), 1),
        "peak_memory_in_recovery_mb": round(max(after, default=0.0), 1),
        "recovery_seconds": round(recovery, 1),
        "lost": lost,
        "doubled": doubled,
        "out_of_order": disordered,
    }


def _lag(settings: Settings) -> int:
    return sum(one.records for one in lag_of(settings, GROUP, ["in"]))


def _resident_mb(pid: int) -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def _compared(settings: Settings, sent: int) -> tuple[int, int, int]:
    """Numbers that are not in the output, are there again, or come before a smaller one of their key."""
    consumer = Consumer(reader_config(settings, enable_partition_eof=True))
    consumer.assign([TopicPartition("out", partition, 0) for partition in range(PARTITIONS)])
    seen, last = bytearray(sent), dict.fromkeys(range(KEYS), -1)
    doubled = disordered = 0
    left = PARTITIONS
    while left:
        for message in consumer.consume(1_000, 1.0):
            if message.error() is not None:
                assert message.error().code() == KafkaError._PARTITION_EOF
                left -= 1
                continue
            number = int(message.value().partition(b":")[0])
            doubled += seen[number]
            seen[number] = 1
            disordered += number < last[number % KEYS]
            last[number % KEYS] = number
    consumer.close()
    return sent - sum(seen), doubled, disordered


if __name__ == "__main__":
    main()
