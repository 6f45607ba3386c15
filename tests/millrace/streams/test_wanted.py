import pytest

from millrace.contracts.errors import BadInput, NotFound
from millrace.streams.members import claim
from millrace.streams.wanted import all_wanted, ended_by_hand, halt, restart, start, stop, wanted_of
from millrace.warehouse.scoring_models import stream_row

STREAM = "score_events"


def test_nothing_is_wanted_until_someone_asks(warehouse):
    assert {one.stream: one.running for one in all_wanted(warehouse)}[STREAM] == 0
    assert wanted_of(warehouse, STREAM).epoch == 0


def test_each_start_is_an_epoch_of_its_own_and_a_stop_is_none(warehouse):
    first = start(warehouse, STREAM, processes=2, actor="cli:ada")
    assert (first.wanted, first.epoch, first.changed_by) == (2, 1, "cli:ada")
    assert stop(warehouse, STREAM, actor="cli:ada").running == 0
    assert start(warehouse, STREAM, processes=1, actor="cli:ada").epoch == 2
    assert restart(warehouse, STREAM, actor="cli:bob").epoch == 3
    assert wanted_of(warehouse, STREAM).wanted == 1


def test_a_halt_keeps_the_number_and_ends_with_the_next_start(warehouse):
    start(warehouse, STREAM, processes=3, actor="a")
    halted = halt(warehouse, STREAM, reason="too many dead letters", actor="dagster:r1")
    assert (halted.wanted, halted.running, halted.halted) == (3, 0, "too many dead letters")
    assert restart(warehouse, STREAM, actor="a").running == 3


def test_a_run_that_a_person_ended_is_counted_off_once_however_often_it_is_seen(warehouse):
    start(warehouse, STREAM, processes=2, actor="a")
    assert ended_by_hand(warehouse, STREAM, ["r1"]).wanted == 1
    assert ended_by_hand(warehouse, STREAM, ["r1"]).wanted == 1
    assert ended_by_hand(warehouse, STREAM, ["r1", "r2", "r3"]).wanted == 0


def test_a_launch_by_hand_is_one_more_and_forgets_what_was_ended_before_it(warehouse):
    start(warehouse, STREAM, processes=1, actor="a")
    stop(warehouse, STREAM, actor="a")
    member = claim(warehouse, STREAM, "by-hand", slot=None)
    now = wanted_of(warehouse, STREAM)
    assert (now.wanted, now.epoch, member.epoch) == (1, 2, 2)
    claim(warehouse, STREAM, "another", slot=None)
    assert (wanted_of(warehouse, STREAM).wanted, wanted_of(warehouse, STREAM).epoch) == (2, 2)


def test_what_is_pinned_stays_over_starts(warehouse):
    with warehouse.transaction() as session:
        stream_row(session, STREAM).pinned = {"model": "vader"}
    start(warehouse, STREAM, processes=1, actor="a")
    assert wanted_of(warehouse, STREAM).pinned == {"model": "vader"}


@pytest.mark.parametrize("processes", [0, -1, 17])
def test_a_number_that_cannot_be_is_refused(warehouse, processes):
    with pytest.raises(BadInput, match=f"{processes} processes") as caught:
        start(warehouse, STREAM, processes=processes, actor="a")
    assert caught.value.field == "processes"
    assert wanted_of(warehouse, STREAM).wanted == 0


def test_a_stream_that_there_is_not_is_refused_by_name(warehouse):
    with pytest.raises(NotFound, match="score_event'"):
        start(warehouse, "score_event", processes=1, actor="a")
