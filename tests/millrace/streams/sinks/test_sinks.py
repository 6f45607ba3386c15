"""The sinks on the session's broker: killed at every step, every event is in both once and in its order."""

import csv
import itertools
import json
import os
import random
import signal
import subprocess
import sys
import threading
from pathlib import Path

import duckdb
import pytest
from confluent_kafka import Producer

from millrace.contracts.errors import Conflict, IntegrityBroken
from millrace.kafka.clients import producer_config
from millrace.streams.sinks import csv_sink, parquet_sink
from millrace.streams.sinks.csv_sink import COLUMNS, CsvSink, neutral
from millrace.streams.sinks.manifest import Part, part_named
from millrace.streams.sinks.parquet_sink import ParquetSink, compactable
from millrace.streams.sinks.run import run_sinks
from millrace.streams.sinks.sink import Row

CHILD = Path(__file__).with_name("sink_child.py")
SEED = 20_261_127
STEPS = (
    "csv.appended", "csv.recorded", "parquet.drafted", "parquet.renamed", "parquet.recorded",
    "compact.drafted", "compact.renamed", "compact.recorded",
)  # fmt: skip


def scored(number, **changes):
    return {
        "event_id": f"e{number}", "ts": "2026-01-01T00:00:00Z", "user_id": str(number % 5), "channel": "web",
        "lang": "en", "text": f"text {number}", "sentiment": "POSITIVE", "sentiment_score": 0.5, "ai_model": "vader",
        "ai_ts": "2026-01-01T00:00:01Z", "label_scores": {"POSITIVE": 0.5}, "score_kind": "proportion",
        "model_version": "1", "source": {"topic": "t", "topic_id": "i", "partition": 0, "offset": number}, **changes,
    }  # fmt: skip


def row(number, **changes):
    names = ("event_id", "ts", "user_id", "channel", "lang", "text", "sentiment", "sentiment_score", "ai_model",
             "ai_ts", "model_version")  # fmt: skip
    facts = {name: scored(number)[name] for name in names} | changes
    return Row(**{"partition": 0, "offset": number, **facts})


@pytest.fixture
def put(live):
    """`put(events)` sends scored events, or bytes as they are, in one transaction a hundred: offsets have gaps."""

    def send(*events):
        producer = Producer(producer_config(live, transactional_id=f"put-{live.scored_topic}"))
        producer.init_transactions(20)
        for start in range(0, len(events), 100):
            producer.begin_transaction()
            for one in events[start : start + 100]:
                value = one if isinstance(one, bytes) else json.dumps(one)
                key = "bad" if isinstance(one, bytes) else one["user_id"]
                producer.produce(live.scored_topic, value, key)
            producer.commit_transaction(20)

    return send


@pytest.fixture
def open_sinks(tmp_path):
    opened = []

    def make(**options):
        made = [CsvSink(tmp_path / "out.csv"), ParquetSink(tmp_path / "parts", grace_seconds=0.0, **options)]
        opened.extend(made)
        return made

    yield make
    for one in opened:
        one.close()


def run(live, sinks, **options):
    done = run_sinks(live, sinks, stop=threading.Event(), until_end=True, **options)
    for sink in sinks:
        sink.close()
    return done


def csv_rows(path):
    with path.open(newline="", encoding="utf-8") as source:
        return list(csv.DictReader(source))


def parquet_rows(folder):
    with duckdb.connect() as connection:
        connection.execute(f"SET VARIABLE parts = (SELECT list(path) FROM '{folder}/manifest.json')")
        found = connection.execute(
            'SELECT event_id, "partition", "offset", user_id FROM read_parquet(getvariable(\'parts\')) ORDER BY 2, 3'
        )
        return found.fetchall()


def check_once(folder, count):
    ids = [one["event_id"] for one in csv_rows(folder / "out.csv")]
    parts = parquet_rows(folder / "parts")
    wanted = {f"e{number}" for number in range(count)}
    for found in (ids, [one[0] for one in parts]):
        assert len(found) == len(set(found)), "doubled"
        assert set(found) == wanted, f"{len(wanted - set(found))} lost"
    for user in range(5):
        expected = [f"e{number}" for number in range(count) if number % 5 == user]
        assert [one["event_id"] for one in csv_rows(folder / "out.csv") if one["user_id"] == str(user)] == expected
        assert [one[0] for one in parts if one[3] == str(user)] == expected


@pytest.mark.broker
def test_every_event_is_in_both_once_and_a_second_run_takes_only_what_is_new(live, put, open_sinks, tmp_path, read):
    put(*(scored(n) for n in range(250)), b"no event", b"{}")
    done = run(live, open_sinks())
    assert (done.rows, done.rejected) == (250, 2)
    assert len(read(f"{live.scored_topic}.dlq")) == 2
    check_once(tmp_path, 250)
    assert tuple(csv_rows(tmp_path / "out.csv")[0]) == COLUMNS
    put(*(scored(n) for n in range(250, 260)))
    assert run(live, open_sinks()).rows == 10
    check_once(tmp_path, 260)


@pytest.mark.broker
@pytest.mark.parametrize("step", STEPS)
def test_a_kill_at_any_step_loses_and_doubles_nothing(live, put, open_sinks, tmp_path, step):
    put(*(scored(n) for n in range(900)))
    assert _child(live, tmp_path, step=step, time=2 if step.startswith(("csv", "parquet")) else 1) == -signal.SIGKILL
    assert _child(live, tmp_path) == 0
    check_once(tmp_path, 900)


@pytest.mark.broker
@pytest.mark.slow
def test_random_kills_lose_and_double_nothing(live, put, open_sinks, tmp_path):
    draw, sent = random.Random(SEED), 0
    for _ in range(5):
        put(*(scored(n) for n in range(sent, sent + 200)))
        sent += 200
        _child(live, tmp_path, step=draw.choice(STEPS), time=draw.randint(1, 4))
    assert _child(live, tmp_path) == 0
    check_once(tmp_path, sent)


def _child(live, folder, **told):
    told |= {"home": str(live.home), "port": live.kafka_port, "topic": live.scored_topic, "folder": str(folder)}
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    done = subprocess.run(
        [sys.executable, str(CHILD), json.dumps(told)], env=environment, capture_output=True, timeout=60, check=False
    )
    assert done.returncode in (0, -signal.SIGKILL), done.stderr.decode()
    return done.returncode


@pytest.mark.parametrize(
    ("cell", "written"),
    [
        ("=1+1", "'=1+1"), ("+1", "'+1"), ("-1", "'-1"), ("@SUM(A1)", "'@SUM(A1)"), ("\t=1", "'\t=1"),
        ("\r=1", "'\r=1"), ("\n=1", "'\n=1"), ("a=1", "a=1"), ("", ""), ("\0=1", "'=1"), ("a\0b", "ab"),
    ],
)  # fmt: skip
def test_no_cell_begins_like_a_formula(cell, written):
    assert neutral(cell) == written


def test_any_text_comes_back_from_the_csv_as_it_went_in(tmp_path):
    texts = ['quotes " and, commas', "lines\r\nand\nmore", "\u2028 é 😀", "'", '"', "", " "]
    sink = CsvSink(tmp_path / "x.csv")
    sink.positions("t")
    sink.take([row(n, text=text) for n, text in enumerate(texts)], {0: len(texts)})
    sink.settle(whole=True)
    sink.close()
    assert [one["text"] for one in csv_rows(tmp_path / "x.csv")] == texts


def test_what_stands_behind_the_recorded_length_is_cut_off(tmp_path):
    path = tmp_path / "x.csv"
    sink = CsvSink(path)
    sink.positions("t")
    sink.take([row(0)], {0: 1})
    sink.settle(whole=True)
    sink.close()
    whole = path.read_bytes()
    path.write_bytes(whole + b"e1,2026,half a li")
    again = CsvSink(path)
    assert path.read_bytes() == whole
    assert dict(again.positions("t")) == {0: 1}
    again.close()


def test_a_file_that_was_shortened_or_is_not_ours_is_refused(tmp_path):
    path = tmp_path / "x.csv"
    CsvSink(path).close()
    path.write_bytes(b"")
    with pytest.raises(IntegrityBroken, match="0 bytes"):
        CsvSink(path)
    other = tmp_path / "mine.csv"
    other.write_text("a,b\n1,2\n")
    with pytest.raises(IntegrityBroken, match="nothing is recorded"):
        CsvSink(other)
    assert other.read_text() == "a,b\n1,2\n"


def test_two_writers_are_refused(tmp_path):
    first = CsvSink(tmp_path / "x.csv"), ParquetSink(tmp_path / "p")
    with pytest.raises(Conflict):
        CsvSink(tmp_path / "x.csv")
    with pytest.raises(Conflict):
        ParquetSink(tmp_path / "p")
    for one in first:
        one.close()


def test_a_recreated_topic_is_read_from_its_beginning_behind_what_is_there(tmp_path):
    csv_one, parts = CsvSink(tmp_path / "x.csv"), ParquetSink(tmp_path / "p")
    for topic_id in ("before", "after"):
        for sink in (csv_one, parts):
            assert dict(sink.positions(topic_id)) == {}
            sink.take([row(0, event_id=topic_id)], {0: 1})
            sink.settle(whole=True)
    assert [one["event_id"] for one in csv_rows(tmp_path / "x.csv")] == ["before", "after"]
    assert sorted(one[0] for one in parquet_rows(tmp_path / "p")) == ["after", "before"]
    csv_one.close()
    parts.close()


def test_small_parts_are_compacted_without_a_query_seeing_a_row_twice_or_not(tmp_path):
    sink = ParquetSink(tmp_path / "p", roll_seconds=0.0, grace_seconds=0.0)
    sink.positions("t")
    for number in range(40):
        sink.take([row(number)], {0: number + 1})
        sink.settle(whole=False)
        assert [one[2] for one in parquet_rows(tmp_path / "p")] == list(range(number + 1))
    assert len(sink.manifest.parts) < 12
    sink.settle(whole=True)
    assert {path.name for path in (tmp_path / "p").glob("*.parquet")} == {part.name for part in sink.manifest.parts}
    sink.close()
    again = ParquetSink(tmp_path / "p")
    assert dict(again.positions("t")) == {0: 40}
    again.close()


def test_a_part_that_is_missing_is_told(tmp_path):
    sink = ParquetSink(tmp_path / "p")
    sink.positions("t")
    sink.take([row(0)], {0: 1})
    sink.settle(whole=True)
    sink.close()
    next((tmp_path / "p").glob("*.parquet")).unlink()
    with pytest.raises(IntegrityBroken, match="1 parts"):
        ParquetSink(tmp_path / "p")


def test_runs_of_parts_follow_on_each_other_and_stay_below_the_limit():
    small = [Part("t", 0, n, n + 1, 10) for n in range(40)]
    assert [len(one) for one in compactable(small)] == [16, 16]
    assert compactable([part for part in small if part.start != 8][:16]) == []
    assert compactable([Part("t", n % 2, n, n + 1, 10) for n in range(40)]) == []
    large = [Part("t", 0, n, n + 1, parquet_sink.COMPACT_ROWS) for n in range(40)]
    assert compactable(large) == []


def test_a_parts_name_says_what_it_holds():
    part = Part("Ab/C+-_9", 7, 100, 250, 150)
    assert part.name == "Ab%2FC%2B-_9-p00007-00000000000000000100-00000000000000000250.parquet"
    found = part_named(part.name)
    assert (found.topic_id, found.partition, found.start, found.end) == ("Ab/C+-_9", 7, 100, 250)
    assert part_named("other.parquet") is None


def test_a_write_that_takes_only_a_part_goes_on(tmp_path):
    descriptor = os.open(tmp_path / "f", os.O_RDWR | os.O_CREAT)
    calls = itertools.count()

    def short(descriptor, data, at):
        next(calls)
        return os.pwrite(descriptor, data[:3], at)

    csv_sink._append(descriptor, b"0123456789", at=2, write=short)
    os.close(descriptor)
    assert (tmp_path / "f").read_bytes() == b"\0\0" + b"0123456789"
    assert next(calls) == 4
