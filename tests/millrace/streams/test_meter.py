import time

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from millrace.contracts.task import Coordinates
from millrace.kafka.records import Record
from millrace.kafka.stream_options import Step, Totals
from millrace.streams.checkpoint import Checkpoints
from millrace.streams.meter import Meter, percentiles


class Slow:
    def process(self, batch):
        time.sleep(0.05)
        return [()] * len(batch)


def records(count, *, age):
    stamp = int((time.time() - age) * 1000)
    return [Record(Coordinates("t", "i", 0, n), None, b"", (), stamp) for n in range(count)]


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=200))
def test_percentiles_are_the_nearest_ranks(samples):
    found = percentiles(samples)
    expected = np.percentile(samples, [50, 95, 99], method="inverted_cdf")
    assert [found.p50, found.p95, found.p99] == list(expected)
    assert found.count == len(samples)


def test_waiting_the_step_and_the_whole_way_are_told_apart():
    meter = Meter(Slow())
    meter.process(records(10, age=2.0))
    time.sleep(0.1)
    meter.on_step(Step.PROCESSED)
    assert meter._end_to_end == []
    meter.on_step(Step.COMMITTED)
    times = meter.take()
    assert 2.0 <= times.queue.p50 < 2.1
    assert 0.05 <= times.step.p50 < 0.1
    assert 2.15 <= times.end_to_end.p50 < 2.4
    assert meter.take().queue.count == 0


def test_a_large_batch_is_sampled_and_records_without_a_timestamp_are_left_out():
    meter = Meter(Slow())
    meter.process(records(10_000, age=1.0))
    meter.process([Record(Coordinates("t", "i", 0, 0), None, b"")])
    assert 100 <= meter.take().queue.count <= 400


def test_a_checkpoints_window_begins_with_the_one_before():
    made = Checkpoints()
    meter = Meter(Slow())
    arguments = {"facts": {"model": "m"}, "lag": None, "commit_age": None}
    made.make(Totals(records=10, outputs=9, dead_letters=1), {("t", 0): 10}, meter.take(), **arguments)
    time.sleep(0.1)
    second = made.make(Totals(records=25, outputs=24, dead_letters=1), {("t", 0): 25}, meter.take(), **arguments)
    assert (second.window.records, second.window.outputs, second.window.dead_letters) == (15, 15, 0)
    assert 50 < second.rate <= 150
    told = second.to_json()
    assert told["offsets"] == {"t/0": 25}
    assert (told["lag_records"], told["facts"]) == (None, {"model": "m"})
