"""The sinks: every event is in both once and in its order, and what they keep of it can be relied on."""

import itertools
import os
import threading

import pytest

from millrace.contracts.errors import Conflict, IntegrityBroken
from millrace.streams.sinks import csv_sink, parquet_sink
from millrace.streams.sinks.csv_sink import COLUMNS, CsvSink, neutral
from millrace.streams.sinks.manifest import Part, part_named
from millrace.streams.sinks.parquet_sink import ParquetSink, compactable
from millrace.streams.sinks.run import run_sinks


def run(live, sinks, **options):
    done = run_sinks(live, sinks, stop=threading.Event(), until_end=True, **options)
    for sink in sinks:
        sink.close()
    return done


@pytest.mark.broker
def test_every_event_is_in_both_once_and_a_second_run_takes_only_what_is_new(
    live, put, open_sinks, tmp_path, read, scored, csv_rows, check_once
):
    put(*(scored(n) for n in range(250)), b"no event", b"{}")
    done = run(live, open_sinks())
    assert (done.rows, done.rejected) == (250, 2)
    assert len(read(f"{live.scored_topic}.dlq")) == 2
    check_once(tmp_path, 250)
    assert tuple(csv_rows(tmp_path / "out.csv")[0]) == COLUMNS
    put(*(scored(n) for n in range(250, 260)))
    assert run(live, open_sinks()).rows == 10
    check_once(tmp_path, 260)


@pytest.mark.parametrize(
    ("cell", "written"),
    [
        ("=1+1", "'=1+1"), ("+1", "'+1"), ("-1", "'-1"), ("@SUM(A1)", "'@SUM(A1)"), ("\t=1", "'\t=1"),
        ("\r=1", "'\r=1"), ("\n=1", "'\n=1"), ("a=1", "a=1"), ("", ""), ("\0=1", "'=1"), ("a\0b", "ab"),
    ],
)  # fmt: skip
def test_no_cell_begins_like_a_formula(cell, written):
    assert neutral(cell) == written


def test_any_text_comes_back_from_the_csv_as_it_went_in(tmp_path, row, csv_rows):
    texts = ['quotes " and, commas', "lines\r\nand\nmore", "\u2028 é 😀", "'", '"', "", " "]
    sink = CsvSink(tmp_path / "x.csv")
    sink.positions("t")
    sink.take([row(n, text=text) for n, text in enumerate(texts)], {0: len(texts)})
    sink.settle(whole=True)
    sink.close()
    assert [one["text"] for one in csv_rows(tmp_path / "x.csv")] == texts


def test_what_stands_behind_the_recorded_length_is_cut_off(tmp_path, row):
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


def test_a_recreated_topic_is_read_from_its_beginning_behind_what_is_there(tmp_path, row, csv_rows, parquet_rows):
    csv_one, parts = CsvSink(tmp_path / "x.csv"), ParquetSink(tmp_path / "p")
    for topic_id in ("before", "after"):
        for sink in (csv_one, parts):
            assert dict(sink.positions(topic_id)) == {}
            sink.take([row(0, event_id=topic_id)], {0: 1})
            sink.settle(whole=True)
    assert [one["event_id"] for one in csv_rows(tmp_path / "x.csv")] == ["before", "after"]
    assert sorted(one["event_id"] for one in parquet_rows(tmp_path / "p")) == ["after", "before"]
    csv_one.close()
    parts.close()


def test_small_parts_are_compacted_without_a_query_seeing_a_row_twice_or_not(tmp_path, row, parquet_rows):
    sink = ParquetSink(tmp_path / "p", roll_seconds=0.0, grace_seconds=0.0)
    sink.positions("t")
    for number in range(40):
        sink.take([row(number)], {0: number + 1})
        sink.settle(whole=False)
        assert [one["offset"] for one in parquet_rows(tmp_path / "p")] == list(range(number + 1))
    assert len(sink.manifest.parts) < 12
    sink.settle(whole=True)
    assert {path.name for path in (tmp_path / "p").glob("*.parquet")} == {part.name for part in sink.manifest.parts}
    sink.close()
    again = ParquetSink(tmp_path / "p")
    assert dict(again.positions("t")) == {0: 40}
    again.close()


def test_a_part_that_is_missing_is_told(tmp_path, row):
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
