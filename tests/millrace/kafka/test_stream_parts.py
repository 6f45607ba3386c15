"""The loop's parts that know no broker: what may be committed, when is tried again, when is given up."""

import pickle
import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from millrace.contracts.errors import BadInput, CannotReach, TransientError
from millrace.contracts.task import Coordinates
from millrace.kafka.breaker import LONGEST_RETRY_AFTER_SECONDS, Breaker
from millrace.kafka.dead_letter_share import DeadLetterShare
from millrace.kafka.jobs import fresh_job, settle, work_on
from millrace.kafka.limits import LARGEST_MESSAGE_BYTES
from millrace.kafka.processor import Output
from millrace.kafka.records import Record
from millrace.kafka.stream_errors import TooManyDeadLetters
from millrace.kafka.stream_options import StreamOptions
from millrace.kafka.worker import Worker


class Step:
    """Gives each record the result that its payload asks for, and remembers what it was given."""

    def __init__(self, results):
        self.results = results
        self.seen = []

    def process(self, batch):
        self.seen.append([record.value for record in batch])
        return [self.results.get(record.value, (Output("out", record.value),)) for record in batch]


def _records(*places):
    return [
        Record(Coordinates("in", "id", partition, offset), b"k", f"{partition}/{offset}".encode())
        for partition, offset in places
    ]


def _job(records):
    ends = {}
    for record in records:
        ends["in", record.coordinates.partition] = record.coordinates.offset + 1
    return fresh_job(records, ends)


def _settle(job, step, most=None):
    done, progress = work_on(job, step, most=most)
    return settle(done, stage="s", code_version="9", progress=progress)


def test_a_batch_without_errors_is_committed_whole_and_in_order():
    settled = _settle(_job(_records((0, 5), (1, 7), (0, 6))), Step({}))
    assert [one.value for one in settled.outputs] == [b"0/5", b"1/7", b"0/6"]
    assert settled.ends == {("in", 0): 7, ("in", 1): 8}
    assert (settled.records, settled.dead_letters, settled.held) == (3, 0, None)


def test_a_terminal_error_becomes_a_dead_letter_at_its_place_among_the_outputs():
    settled = _settle(_job(_records((0, 5), (0, 6), (0, 7))), Step({b"0/6": BadInput("unreadable")}))
    assert [(one.topic, one.value) for one in settled.outputs] == [
        ("out", b"0/5"), ("in.dlq", b"0/6"), ("out", b"0/7"),
    ]  # fmt: skip
    assert (settled.dead_letters, settled.cause) == (1, "unreadable")
    assert dict(settled.outputs[1].headers)["millrace-dlq-stage"] == b"s"


def test_a_transient_error_holds_its_partition_from_there_on_and_only_what_failed_is_given_again():
    step = Step({b"0/6": CannotReach("away")})
    first = _settle(_job(_records((0, 5), (0, 6), (1, 1), (0, 7))), step)
    assert [one.value for one in first.outputs] == [b"0/5", b"1/1"]
    assert first.ends == {("in", 0): 6, ("in", 1): 2}
    assert [record.value for record in first.held.records] == [b"0/6", b"0/7"]
    step.results.clear()
    second = _settle(first.held, step)
    assert step.seen[1] == [b"0/6"]
    assert [one.value for one in second.outputs] == [b"0/6", b"0/7"]
    assert (second.ends, second.held) == ({("in", 0): 8}, None)


def test_a_probe_tries_one_record_and_commits_it_when_it_went_well():
    class Away:
        def process(self, batch):
            raise TransientError("away", retry_after=7)

    held = _settle(_job(_records((0, 5), (0, 6))), Away()).held
    assert [type(one) for one in held.results] == [TransientError] * 2
    probed = _settle(held, Step({}), most=1)
    assert [one.value for one in probed.outputs] == [b"0/5"]
    assert [record.value for record in probed.held.records] == [b"0/6"]


def test_an_output_that_is_too_large_for_kafka_is_a_dead_letter():
    large = (Output("out", b"x" * LARGEST_MESSAGE_BYTES),)
    settled = _settle(_job(_records((0, 0), (0, 1))), Step({b"0/0": large}))
    assert [one.topic for one in settled.outputs] == ["in.dlq", "out"]


def test_a_processor_that_gives_another_number_of_results_is_an_error():
    class Short:
        def process(self, batch):
            return []

    with pytest.raises(RuntimeError, match="0 results for 1"):
        work_on(_job(_records((0, 0))), Short())


@given(st.lists(st.tuples(st.integers(0, 2), st.sampled_from("gdt")), max_size=30))
def test_whatever_fails_nothing_is_lost_doubled_or_overtaken(kinds):
    offsets, places = {}, []
    for partition, _ in kinds:
        offsets[partition] = offsets.get(partition, -1) + 1
        places.append((partition, offsets[partition]))
    records = _records(*places)
    wants = {"d": BadInput("bad"), "t": CannotReach("away")}
    step = Step({record.value: wants[kind] for record, (_, kind) in zip(records, kinds, strict=True) if kind in wants})
    sent, committed, job = [], {}, _job(records)
    for _ in range(2):
        settled = _settle(job, step)
        sent += [one.value for one in settled.outputs]
        for place, end in settled.ends.items():
            assert end > committed.get(place, 0)
            committed[place] = end
        for partition in range(3):
            mine = [value for value in sent if value.startswith(b"%d/" % partition)]
            assert mine == [b"%d/%d" % (partition, offset) for offset in range(committed.get(("in", partition), 0))]
        job = settled.held
        if job is None:
            break
        step.results = {value: error for value, error in step.results.items() if isinstance(error, BadInput)}
    assert job is None
    assert sorted(sent) == sorted(record.value for record in records)


def test_waits_double_with_jitter_and_are_not_shorter_than_the_server_asked():
    breaker = Breaker(threshold=2, first_pause=1.0, draw=lambda: 0.0)
    assert [breaker.failed(0, tries=tries, progress=True) for tries in (1, 2, 3, 99)] == [0.5, 1.0, 2.0, 15.0]
    assert breaker.failed(10, tries=1, progress=True, retry_after=7) == 7
    assert breaker.due == 17
    assert breaker.failed(0, tries=1, progress=True, retry_after=1e9) == LONGEST_RETRY_AFTER_SECONDS
    assert Breaker(threshold=2, first_pause=1.0, draw=lambda: 1.0).failed(0, tries=1, progress=False) == 1.0


def test_the_breaker_opens_when_nothing_succeeds_and_closes_with_the_first_success():
    breaker = Breaker(threshold=2, first_pause=1.0, draw=lambda: 0.0)
    breaker.failed(0, tries=1, progress=False)
    assert not breaker.open
    breaker.failed(0, tries=2, progress=False)
    assert breaker.open
    breaker.succeeded()
    assert not breaker.open


def test_a_share_above_its_limit_stops_and_names_counts_and_remedy():
    share = DeadLetterShare(limit=0.5, window=100, minimum=10)
    share.admit(90, 0)
    share.admit(9, 9)
    with pytest.raises(TooManyDeadLetters, match=r"99 of the last 189.*50%.*not UTF-8") as raised:
        share.admit(90, 90, cause="not UTF-8")
    assert "millrace dlq list" in str(raised.value)


def test_a_few_bad_records_at_the_start_and_a_share_at_its_limit_are_no_alarm():
    share = DeadLetterShare(limit=0.5, window=100, minimum=10)
    share.admit(9, 9)
    share = DeadLetterShare(limit=0.5, window=100, minimum=10)
    for _ in range(20):
        share.admit(40, 20)
    assert (share.records, share.dead) == (120, 60)


def test_a_retry_after_survives_a_process_boundary():
    error = pickle.loads(pickle.dumps(CannotReach("away", field="f", remedy="r", retry_after=3.5)))
    assert (type(error), error.message, error.field, error.remedy) == (CannotReach, "away", "f", "r")
    assert error.retry_after == 3.5


def test_a_worker_gives_results_and_errors_to_who_waits():
    worker = Worker("test")
    worker.submit(lambda: 7)
    assert worker.wait(5)
    assert worker.take() == 7
    gate = threading.Event()
    worker.submit(lambda: gate.wait(5) and 1 // 0)
    assert not worker.wait(0.01)
    gate.set()
    assert worker.wait(5)
    with pytest.raises(ZeroDivisionError):
        worker.take()
    began = time.monotonic()
    assert not worker.wait(5)
    assert time.monotonic() - began < 1
    worker.close()


@pytest.mark.parametrize("wrong", [{"group": ""}, {"topics": ()}, {"slot": -1}, {"interval": 0}, {"batch_records": 0}])
def test_options_that_cannot_be_right_are_refused(wrong):
    with pytest.raises(BadInput):
        StreamOptions(**{"group": "g", "topics": ("in",), **wrong})
