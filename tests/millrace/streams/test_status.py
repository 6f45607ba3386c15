import itertools

import pytest

from millrace.contracts.errors import BadInput, CannotReach
from millrace.examples.events import generate_events
from millrace.streams.members import beat, claim, leave
from millrace.streams.names import topics_of
from millrace.streams.producing import produce
from millrace.streams.run import Rhythm, run_stream
from millrace.streams.scoring.work import scoring_work
from millrace.streams.status import history_entry, remembered, status_of
from millrace.streams.wanted import start
from millrace.text.vader import VaderScorer

STREAM = "score_events"


class Until:
    def __init__(self, enough):
        self.enough = enough
        self.last = None

    def beat(self):
        return "enough" if self.enough(self) else None

    def checkpoint(self, found):
        self.last = found


@pytest.mark.broker
def test_what_nobody_reads_is_stopped_and_what_was_read_is_ok(live, warehouse, read):
    done = produce(live, live.events_topic, generate_events(seed=5, bad_share=0.1), count=120)
    assert done.count == 120
    before = status_of(live, warehouse, STREAM, topics_of(live, STREAM), samples=3, pause=0.05)
    assert (before.state, before.alive) == ("STOPPED", 0)
    assert sum(one.lag.records for one in before.partitions) == 120
    assert before.to_json()["lag_seconds"] > 0

    start(warehouse, STREAM, processes=1, actor="a")
    member = claim(warehouse, STREAM, "r", slot=0)
    watch = Until(lambda watch: watch.last and watch.last.totals.records == 120 and watch.last.lag_records == 0)
    work = scoring_work(live, VaderScorer(), slot=0)
    run_stream(live, work, watch, rhythm=Rhythm(beat=0.1, checkpoint=0.3, longest=30))
    checkpoint = {**watch.last.to_json(), "history": []}
    beat(warehouse, member, checkpoint=checkpoint)
    after = status_of(live, warehouse, STREAM, topics_of(live, STREAM), samples=1)
    assert (after.state, after.alive, after.dead_letters) == ("OK", 1, sum(done.bad.values()))
    assert after.commit_age is not None
    leave(warehouse, member, outcome="killed", checkpoint=checkpoint)
    gone = status_of(live, warehouse, STREAM, topics_of(live, STREAM), samples=1)
    assert gone.state == "STOPPED", "one is wanted and none lives"


def test_living_processes_remember_the_lag_and_dead_ones_do_not_count(warehouse):
    from millrace.kafka.lag import PartitionLag

    members = []
    for slot in (0, 1):
        member = claim(warehouse, STREAM, f"r{slot}", slot=None)
        lags = [PartitionLag("t", 0, 10 + slot, 0, 20, 10 - slot, 1.0)]
        beat(warehouse, member, checkpoint={"history": [history_entry(100.0 - slot, lags)]})
        members.append(member)
    from millrace.streams.members import members_of

    window = remembered(members_of(warehouse, STREAM))
    assert [(one.at, one.committed) for one in window[("t", 0)]] == [(99.0, 11), (100.0, 10)]
    leave(warehouse, members[0], outcome="gone", checkpoint=None)
    assert [one.at for one in remembered(members_of(warehouse, STREAM))[("t", 0)]] == [99.0]


@pytest.mark.broker
def test_the_rate_is_kept(live):
    done = produce(live, live.events_topic, generate_events(seed=1), rate=100, count=51)
    assert 0.5 <= done.seconds < 2


@pytest.mark.broker
def test_a_stop_ends_it_with_what_was_acknowledged(live, read):
    import threading

    stop = threading.Event()
    progress = []
    done = produce(
        live, live.events_topic, generate_events(seed=1), stop=stop,
        on_progress=lambda so_far: (progress.append(so_far.count), stop.set() if so_far.count > 300 else None),
    )  # fmt: skip
    assert done.count == len(read(live.events_topic)) > 300


@pytest.mark.parametrize("options", [{"rate": 0}, {"rate": -1}, {"count": -1}])
def test_numbers_that_cannot_be_are_refused(make_settings, tmp_path, options):
    with pytest.raises(BadInput):
        produce(make_settings(tmp_path), "t", iter(()), **options)


@pytest.mark.broker
def test_a_topic_that_is_not_there_is_told(live, monkeypatch):
    from millrace.streams import producing

    monkeypatch.setattr(producing, "_FLUSH_SECONDS", 1.0)
    messages = itertools.islice(generate_events(seed=1), 3)
    with pytest.raises(CannotReach, match="3 of 3 messages were not taken by no-such-topic"):
        produce(live, "no-such-topic", messages)
