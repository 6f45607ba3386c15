"""Scored events through the CSV and the Parquet sink at once, from a topic that holds them all.

Counts what both have at the end: every event once. Memory is the process's highest, the reading client's buffers
included.
"""

import argparse
import json
import resource
import tempfile
import threading
import time
from pathlib import Path

from _platform import free_ports
from _report import report
from confluent_kafka import Producer

from millrace.kafka.broker import EmbeddedBroker
from millrace.kafka.clients import producer_config
from millrace.kafka.topics import create_topics
from millrace.settings import Settings
from millrace.streams.sinks.csv_sink import CsvSink
from millrace.streams.sinks.parquet_sink import ParquetSink
from millrace.streams.sinks.run import run_sinks

PARTITIONS = 4


def main() -> None:
    """Leaves results/sinks.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=1_000_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="millrace-bench-", ignore_cleanup_errors=True) as name:
        folder, ports = Path(name), free_ports(2)
        settings = Settings.model_validate(
            {
                "MILLRACE_HOME": folder / "home",
                "MILLRACE_KAFKA_PORT": ports[0],
                "MILLRACE_KAFKA_CONTROLLER_PORT": ports[1],
                "MILLRACE_TOPIC_PARTITIONS": PARTITIONS,
            }
        )
        with EmbeddedBroker(settings):
            create_topics(settings, [settings.scored_topic, f"{settings.scored_topic}.dlq"])
            _fill(settings, options.messages)
            rows, parts = CsvSink(folder / "out.csv"), ParquetSink(folder / "parts")
            began = time.perf_counter()
            run_sinks(settings, [rows, parts], stop=threading.Event(), until_end=True)
            spent = time.perf_counter() - began
            figures = {
                "messages": options.messages,
                "seconds": round(spent, 2),
                "rows_per_second": round(options.messages / spent),
                "csv_mb": round((folder / "out.csv").stat().st_size / 1e6, 1),
                "parquet_mb": round(sum(part.size_bytes for part in parts.manifest.parts) / 1e6, 1),
                "peak_memory_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
                "lost": options.messages - rows.rows,
                "lost_in_parquet": options.messages - sum(part.rows for part in parts.manifest.parts),
            }
            rows.close()
            parts.close()
    command = "python benchmarks/sinks.py"
    if options.messages != parser.get_default("messages"):
        command += f" --messages {options.messages}"
    report("sinks", figures, seed=None, command=command)


def _fill(settings: Settings, count: int) -> None:
    producer = Producer(producer_config(settings, linger_ms=20))
    for number in range(count):
        event = {
            "event_id": f"{number:016x}", "ts": "2026-01-01T00:00:00Z", "user_id": str(number % 1000),
            "channel": "web", "lang": "en", "text": f"This app is fantastic, says number {number}",
            "sentiment": "POSITIVE", "sentiment_score": 0.5574, "ai_model": "vader",
            "ai_ts": "2026-01-01T00:00:01Z", "label_scores": {"POSITIVE": 0.6, "NEUTRAL": 0.4},
            "score_kind": "proportion", "model_version": "3.3.2",
            "source": {"topic": "events.raw", "topic_id": "x", "partition": 0, "offset": number},
        }  # fmt: skip
        while True:
            try:
                producer.produce(settings.scored_topic, json.dumps(event), event["user_id"])
                break
            except BufferError:
                producer.poll(0.1)
    assert producer.flush(120) == 0


if __name__ == "__main__":
    main()
