import json
import threading
import time

import pytest

from millrace.streams.run import Rhythm, run_stream
from millrace.streams.scoring.work import scoring_work
from millrace.text.vader import VaderScorer

pytestmark = pytest.mark.broker


class Watch:
    def __init__(self, on_beat=lambda: None):
        self.on_beat = on_beat
        self.checkpoints = []

    def beat(self):
        return self.on_beat()

    def checkpoint(self, found):
        self.checkpoints.append(found)


@pytest.fixture
def work(live):
    return scoring_work(live, VaderScorer(), slot=0)


QUICK = Rhythm(beat=0.2, checkpoint=0.5, longest=60)


def test_events_are_scored_once_each_and_checkpoints_say_so(live, work, send, read, make_event, wait_for):
    sent = send(*(make_event(n) for n in range(40)), b"no event")
    watch = Watch(lambda: "stopped by the test" if len(read(live.scored_topic)) >= 40 else None)
    ending = run_stream(live, work, watch, rhythm=QUICK)
    assert ending.why == "stopped by the test"
    assert (ending.totals.records, ending.totals.outputs, ending.totals.dead_letters) == (41, 40, 1)
    outputs = [json.loads(one.value()) for one in read(live.scored_topic)]
    assert sorted(one["event_id"] for one in outputs) == sorted(sent)
    assert {one["ai_model"] for one in outputs} == {"vader"}
    assert next(one for one in outputs if one["text"].startswith("This app"))["sentiment"] == "POSITIVE"
    assert [one.value() for one in read(f"{live.events_topic}.dlq")] == [b"no event"]
    last = watch.checkpoints[-1]
    assert sum(last.offsets.values()) == 41
    assert last.facts["model"] == "vader"
    assert sum(one.window.records for one in watch.checkpoints) == 41
    assert sum(one.times.end_to_end.count for one in watch.checkpoints) == 41


def test_a_checkpoint_tells_the_groups_lag(live, work, send, make_event, wait_for):
    send(*(make_event(n) for n in range(5)))
    watch = Watch()
    watch.on_beat = lambda: "enough" if len(watch.checkpoints) >= 3 else None
    run_stream(live, work, watch, rhythm=QUICK)
    assert (watch.checkpoints[2].lag_records, watch.checkpoints[2].lag_seconds) == (0, 0.0)
    assert watch.checkpoints[2].commit_age > 0


def test_after_its_time_a_stream_ends_for_its_successor(live, work):
    began = time.monotonic()
    ending = run_stream(live, work, Watch(), rhythm=Rhythm(beat=0.2, checkpoint=30, longest=1.0))
    assert ending.why == "its time was over"
    assert time.monotonic() - began < 15


def test_an_interrupt_drains_and_is_raised_again(live, work, send, read, make_event):
    sent = send(*(make_event(n) for n in range(30)))
    watch = Watch()

    class Interrupted(BaseException):
        pass

    def beat():
        if read(live.scored_topic):
            raise Interrupted
        return

    watch.on_beat = beat
    with pytest.raises(Interrupted):
        run_stream(live, work, watch, rhythm=QUICK)
    assert not [one for one in threading.enumerate() if one.name.startswith("loop-")]
    assert sum(watch.checkpoints[-1].offsets.values()) == watch.checkpoints[-1].totals.records > 0
    # the next one takes the rest
    wanted = Watch(lambda: "done" if len(read(live.scored_topic)) >= 30 else None)
    run_stream(live, scoring_work(live, VaderScorer(), slot=0), wanted, rhythm=QUICK)
    assert sorted(json.loads(one.value())["event_id"] for one in read(live.scored_topic)) == sorted(sent)


def test_what_ends_the_loop_is_raised(live, work, monkeypatch):
    def fail(batch):
        raise ZeroDivisionError

    monkeypatch.setattr(work.step, "process", fail)

    def produce_late():
        from confluent_kafka import Producer

        producer = Producer({"bootstrap.servers": live.bootstrap})
        producer.produce(live.events_topic, b"x")
        producer.flush(10)

    threading.Thread(target=produce_late).start()
    with pytest.raises(ZeroDivisionError):
        run_stream(live, work, Watch(), rhythm=QUICK)
