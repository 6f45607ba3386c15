"""Scored events, the sinks that take them, and what is in their files afterwards, row by row."""

import csv
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import duckdb
import pytest
from confluent_kafka import Producer

from millrace.kafka.clients import producer_config
from millrace.settings import Settings
from millrace.streams.sinks.csv_sink import COLUMNS, CsvSink
from millrace.streams.sinks.parquet_sink import ParquetSink
from millrace.streams.sinks.sink import Row, Sink

FACTS = (*COLUMNS, "model_version")


def scored_event(number: int, **changes: object) -> dict:
    return {
        "event_id": f"e{number}", "ts": "2026-01-01T00:00:00Z", "user_id": str(number % 5), "channel": "web",
        "lang": "en", "text": f"text {number}", "sentiment": "POSITIVE", "sentiment_score": 0.5, "ai_model": "vader",
        "ai_ts": "2026-01-01T00:00:01Z", "label_scores": {"POSITIVE": 0.5}, "score_kind": "proportion",
        "model_version": "1", "source": {"topic": "t", "topic_id": "i", "partition": 0, "offset": number}, **changes,
    }  # fmt: skip


@pytest.fixture
def scored() -> Callable[..., dict]:
    """`scored(3, text="…")` is the third scored event, with changes."""
    return scored_event


@pytest.fixture
def row() -> Callable[..., Row]:
    """`row(3, text="…")` is the same as a sink takes it."""

    def make(number: int, **changes: object) -> Row:
        facts = {name: scored_event(number)[name] for name in FACTS} | changes
        return Row(**{"partition": 0, "offset": number, **facts})

    return make


@pytest.fixture
def put(live: Settings) -> Callable[..., None]:
    """`put(events)` sends scored events, or bytes as they are, in one transaction a hundred: offsets have gaps."""

    producer = Producer(producer_config(live, transactional_id=f"put-{live.scored_topic}"))
    producer.init_transactions(20)

    def send(*events: dict | bytes) -> None:
        for start in range(0, len(events), 100):
            producer.begin_transaction()
            for one in events[start : start + 100]:
                value = one if isinstance(one, bytes) else json.dumps(one)
                key = "bad" if isinstance(one, bytes) else one["user_id"]
                producer.produce(live.scored_topic, value, key)
            producer.commit_transaction(20)

    return send


@pytest.fixture
def open_sinks(tmp_path: Path) -> Iterator[Callable[..., list[Sink]]]:
    """`open_sinks()` is a CSV sink on `out.csv` and a Parquet sink on `parts`, closed in the end."""
    opened: list[Sink] = []

    def make(**options: object) -> list[Sink]:
        made: list[Sink] = [
            CsvSink(tmp_path / "out.csv"), ParquetSink(tmp_path / "parts", grace_seconds=0.0, **options)
        ]  # fmt: skip
        opened.extend(made)
        return made

    yield make
    for one in opened:
        one.close()


def read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as source:
        return list(csv.DictReader(source))


@pytest.fixture
def csv_rows() -> Callable[[Path], list[dict[str, str]]]:
    """`csv_rows(path)`: the file's rows in their order."""
    return read_csv


def read_parts(folder: Path) -> list[dict[str, object]]:
    with duckdb.connect() as connection:
        connection.execute(f"SET VARIABLE parts = (SELECT list(path) FROM '{folder}/manifest.json')")
        found = connection.execute('SELECT * FROM read_parquet(getvariable(\'parts\')) ORDER BY "partition", "offset"')
        names = [column[0] for column in found.description]
        return [dict(zip(names, values, strict=True)) for values in found.fetchall()]


@pytest.fixture
def parquet_rows() -> Callable[[Path], list[dict[str, object]]]:
    """`parquet_rows(folder)`: the rows of the parts in the manifest, by partition and offset."""
    return read_parts


@pytest.fixture
def check_once() -> Callable[[Path, int], None]:
    """`check_once(folder, 250)`: both files hold events 0 to 249, each once, whole, and each user's in their order."""

    def check(folder: Path, count: int) -> None:
        wanted = {f"e{number}": {name: scored_event(number)[name] for name in FACTS} for number in range(count)}
        lines, parts = read_csv(folder / "out.csv"), read_parts(folder / "parts")
        assert len({(one["partition"], one["offset"]) for one in parts}) == len(parts)
        as_text = {key: {name: str(facts[name]) for name in COLUMNS} for key, facts in wanted.items()}
        stored = [{name: one[name] for name in FACTS} for one in parts]
        for rows, expected in ((lines, as_text), (stored, wanted)):
            ids = [one["event_id"] for one in rows]
            assert len(ids) == len(set(ids)), f"{len(ids) - len(set(ids))} doubled"
            assert set(ids) == set(expected), f"{len(set(expected) - set(ids))} lost"
            assert all(one == expected[one["event_id"]] for one in rows)
            for user in range(5):
                found = [one["event_id"] for one in rows if one["user_id"] == str(user)]
                assert found == [f"e{number}" for number in range(count) if number % 5 == user]

    return check
