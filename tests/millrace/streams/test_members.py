from datetime import timedelta

from millrace.contracts.events import now
from millrace.streams.members import SILENT_SECONDS, beat, claim, leave, members_of
from millrace.streams.wanted import halt, restart, start, stop
from millrace.warehouse.schema import StreamMember

STREAM = "score_events"


def _go_silent(warehouse, slot):
    with warehouse.transaction() as session:
        row = session.get_one(StreamMember, (STREAM, slot))
        row.beat_at = now() - timedelta(seconds=SILENT_SECONDS + 1)


def test_a_member_that_is_wanted_goes_on_and_its_checkpoint_is_kept(warehouse):
    start(warehouse, STREAM, processes=1, actor="a")
    member = claim(warehouse, STREAM, "r1", slot=0)
    assert beat(warehouse, member, checkpoint={"rate": 1.5}) == (None, None)
    assert beat(warehouse, member)[0] is None
    (kept,) = members_of(warehouse, STREAM)
    assert (kept.alive, kept.checkpoint, kept.run_id) == (True, {"rate": 1.5}, "r1")


def test_after_a_stop_every_member_is_told_to_end(warehouse):
    start(warehouse, STREAM, processes=2, actor="a")
    members = [claim(warehouse, STREAM, f"r{slot}", slot=slot) for slot in (0, 1)]
    stop(warehouse, STREAM, actor="cli:ada")
    for member in members:
        reason, _ = beat(warehouse, member)
        assert reason == "0 processes are wanted by cli:ada"


def test_with_fewer_wanted_those_with_the_lowest_slots_stay(warehouse):
    start(warehouse, STREAM, processes=3, actor="a")
    epoch = restart(warehouse, STREAM, actor="a").epoch
    members = {slot: claim(warehouse, STREAM, f"r{slot}", slot=slot) for slot in (0, 1, 2)}
    leave(warehouse, members[0], outcome="killed", checkpoint=None)
    with warehouse.transaction() as session:
        from millrace.warehouse.schema import Stream

        session.get_one(Stream, STREAM).wanted = 1
    assert members[1].epoch == epoch
    assert beat(warehouse, members[1])[0] is None
    assert "1 processes are wanted" in beat(warehouse, members[2])[0]


def test_a_restart_replaces_the_members_of_before(warehouse):
    start(warehouse, STREAM, processes=1, actor="a")
    member = claim(warehouse, STREAM, "r1", slot=0)
    restart(warehouse, STREAM, actor="cli:bob")
    assert beat(warehouse, member)[0] == "replaced by a new process, as cli:bob asked"
    assert beat(warehouse, claim(warehouse, STREAM, "r2", slot=0))[0] is None


def test_a_halt_ends_the_others(warehouse):
    start(warehouse, STREAM, processes=1, actor="a")
    member = claim(warehouse, STREAM, "r1", slot=0)
    halt(warehouse, STREAM, reason="bad deployment", actor="b")
    assert beat(warehouse, member)[0] == "the stream is halted: bad deployment"


def test_who_lost_the_slot_is_told_and_cannot_close_it_for_its_successor(warehouse):
    start(warehouse, STREAM, processes=1, actor="a")
    older = claim(warehouse, STREAM, "r1", slot=0)
    claim(warehouse, STREAM, "r2", slot=0)
    assert beat(warehouse, older)[0] == "slot 0 was given to another process"
    leave(warehouse, older, outcome="fenced", checkpoint={})
    (kept,) = members_of(warehouse, STREAM)
    assert (kept.run_id, kept.ended_at) == ("r2", None)


def test_by_hand_the_first_slot_is_taken_that_nobody_lives_in(warehouse):
    assert [claim(warehouse, STREAM, f"r{n}", slot=None).slot for n in range(3)] == [0, 1, 2]
    _go_silent(warehouse, 1)
    assert claim(warehouse, STREAM, "r3", slot=None).slot == 1


def test_one_that_does_not_beat_is_not_alive(warehouse):
    claim(warehouse, STREAM, "r0", slot=None)
    _go_silent(warehouse, 0)
    (member,) = members_of(warehouse, STREAM)
    assert (member.alive, member.ended_at) == (False, None)
