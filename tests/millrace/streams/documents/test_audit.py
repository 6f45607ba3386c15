"""The audit trail: written by several, torn by crashes, and every tampering found."""

import fcntl
import json
import multiprocessing
import os
import resource
import signal
import threading
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from millrace.contracts.canonical import sha256_json
from millrace.contracts.errors import BadInput, InsufficientStorage, IntegrityBroken, NotFound
from millrace.streams.documents.audit import AuditTrail, read_anchor
from millrace.streams.documents.audit_entries import NOTHING, read_head
from millrace.streams.documents.audit_verify import verify_trail
from millrace.streams.documents.chat import Exchange


def exchange(number=1, **more):
    facts = {"about": f"docs/0/{number}", "request_sha256": "a" * 64, "response_sha256": "b" * 64, "status": 200}
    return Exchange(**facts | {"outcome": "completion", "seconds": 0.25} | more)


@pytest.fixture
def paths(tmp_path):
    return tmp_path / "llm" / "audit.jsonl", tmp_path / "anchors" / "head.json"


@pytest.fixture
def written(paths):
    """A sealed trail of ten entries."""
    with AuditTrail(*paths) as trail:
        for number in range(10):
            trail.add(exchange(number))
        trail.seal()
    return paths


def test_entries_are_chained_and_their_hashes_can_be_computed_by_anyone(written):
    entries = [json.loads(line) for line in written[0].read_text().splitlines()]
    assert [one["seq"] for one in entries] == list(range(1, 11))
    previous = NOTHING
    for one in entries:
        assert one["prev"] == previous
        previous = one.pop("hash")
        assert previous == sha256_json(one)
    found = verify_trail(*written)
    assert (found.entries, found.failures, found.head) == (10, (), f"10:{previous}")
    assert found.anchor == found.head
    found.require()


def test_another_process_goes_on_where_the_last_one_ended(written):
    with AuditTrail(*written) as trail:
        assert trail.head.seq == 10
        assert trail.add(exchange(response_sha256=None, status=None, outcome="llm-deadline")).seq == 11
    assert verify_trail(*written).entries == 11


@settings(max_examples=60, deadline=None)
@given(where=st.floats(0, 1, exclude_max=True), byte=st.integers(0, 255))
def test_one_changed_byte_anywhere_is_found(tmp_path_factory, where, byte):
    folder = tmp_path_factory.mktemp("trail")
    paths = folder / "audit.jsonl", folder / "head.json"
    with AuditTrail(*paths) as trail:
        for number in range(4):
            trail.add(exchange(number))
        trail.seal()
    data = bytearray(paths[0].read_bytes())
    at = int(where * len(data))
    changed = byte != data[at]
    data[at] = byte
    paths[0].write_bytes(data)
    assert bool(verify_trail(*paths).failures) == changed


@pytest.mark.parametrize("line", range(10))
def test_an_entry_that_was_removed_is_missed(written, line):
    lines = written[0].read_bytes().splitlines(keepends=True)
    written[0].write_bytes(b"".join(lines[:line] + lines[line + 1 :]))
    with pytest.raises(IntegrityBroken):
        verify_trail(*written).require()


def test_entries_that_changed_places_or_came_in_twice_are_found(written):
    lines = written[0].read_bytes().splitlines(keepends=True)
    for forged in ([*lines[:3], lines[4], lines[3], *lines[5:]], [*lines[:3], lines[2], *lines[3:]]):
        written[0].write_bytes(b"".join(forged))
        assert verify_trail(*written).failures


def test_an_entry_made_anew_with_all_behind_it_is_not_the_anchored_one(written, tmp_path):
    with AuditTrail(tmp_path / "forged.jsonl", tmp_path / "forged.json") as trail:
        for number in range(10):
            trail.add(exchange(number + 1))
        trail.seal()
    written[0].write_bytes((tmp_path / "forged.jsonl").read_bytes())
    assert [str(one) for one in verify_trail(*written).failures] == [
        "line 10: entry 10 is not the one that was anchored"
    ]


@pytest.mark.parametrize("kept", [0, 1, 9])
def test_a_cut_end_is_seen_and_nothing_is_appended_to_hide_it(written, kept):
    lines = written[0].read_bytes().splitlines(keepends=True)
    written[0].write_bytes(b"".join(lines[:kept]))
    assert "cut off" in str(verify_trail(*written).failures[-1])
    with pytest.raises(IntegrityBroken, match="llm verify"):
        AuditTrail(*written)


def test_a_missing_trail_or_anchor_is_broken_and_neither_is_not_found(written, tmp_path):
    trail, anchor = written
    kept = anchor.read_bytes()
    anchor.unlink()
    assert "anchor" in str(verify_trail(trail, anchor).failures[0])
    with pytest.raises(IntegrityBroken):
        AuditTrail(trail, anchor)
    anchor.write_bytes(kept)
    trail.unlink()
    assert verify_trail(trail, anchor).failures
    with pytest.raises(IntegrityBroken):
        AuditTrail(trail, anchor)
    with pytest.raises(NotFound):
        verify_trail(tmp_path / "none", tmp_path / "no")


def test_trail_and_anchor_forged_together_are_found_by_a_head_that_a_result_carries(written):
    head = read_head(verify_trail(*written).head)
    for path in written:
        path.unlink()
    with AuditTrail(*written) as trail:
        for number in range(12):
            trail.add(exchange(number + 7))
        trail.seal()
    assert verify_trail(*written).failures == ()
    assert verify_trail(*written, heads=[head]).failures


@pytest.mark.parametrize("text", ["", "1", "1:xyz", "x:" + "a" * 64, "1:" + "A" * 64, "1" * 30 + ":" + "a" * 64])
def test_a_head_that_is_none_is_refused(text):
    with pytest.raises(BadInput, match="millrace-audit"):
        read_head(text)


@pytest.mark.parametrize("torn", [b"{", b'{"about":"docs/0/9"', b"\x00" * 100])
def test_a_line_that_a_crash_left_unfinished_is_told_and_dropped_with_an_entry_about_it(written, torn):
    with written[0].open("ab") as file:
        file.write(torn)
    found = verify_trail(*written)
    assert (found.failures, found.torn_bytes) == ((), len(torn))
    with AuditTrail(*written) as trail:
        trail.add(exchange())
        trail.seal()
    found = verify_trail(*written)
    assert (found.failures, found.torn_bytes, found.entries) == ((), 0, 12)
    about = json.loads(written[0].read_text().splitlines()[10])
    assert (about["outcome"], about["status"]) == ("unfinished-line-dropped", len(torn))


def test_what_another_wrote_behind_the_last_entry_ends_the_work(written):
    with AuditTrail(*written) as trail:
        with written[0].open("ab") as file:
            file.write(b'{"seq": 11}\n')
        with pytest.raises(IntegrityBroken, match="no entry of its chain"):
            trail.add(exchange())


def _processes():
    # new processes, of which only the first imports what this file does
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    return context


def _append_many(trail, anchor, count):
    with AuditTrail(trail, anchor) as log:
        for number in range(count):
            log.add(exchange(number, about=f"{os.getpid()}/{number}"))
            if number % 10 == 0:
                log.seal()
        log.seal()


def _append_until_killed(trail, anchor):
    with AuditTrail(trail, anchor) as log:
        for number in range(10_000_000):
            log.add(exchange(number))
            if number == 500:
                os.kill(os.getpid(), signal.SIGKILL)


def test_processes_that_append_at_once_make_one_chain_and_one_that_is_killed_leaves_it_whole(paths):
    context = _processes()
    workers = [context.Process(target=_append_many, args=(*paths, 100)) for _ in range(3)]
    workers.append(context.Process(target=_append_until_killed, args=paths))
    for one in workers:
        one.start()
    for one in workers:
        one.join(60)
    assert [one.exitcode for one in workers] == [0, 0, 0, -signal.SIGKILL]
    found = verify_trail(*paths)
    assert (found.failures, found.entries) == ((), 801)
    writers = [json.loads(line)["about"].split("/")[0] for line in paths[0].read_text().splitlines()]
    assert len(set(writers)) == 4


def test_threads_of_one_process_make_one_chain(paths):
    with AuditTrail(*paths) as trail:

        def write():
            for number in range(100):
                trail.add(exchange(number))
                trail.seal_now_and_then()

        threads = [threading.Thread(target=write) for _ in range(4)]
        for one in threads:
            one.start()
        for one in threads:
            one.join()
        trail.seal()
    found = verify_trail(*paths)
    assert (found.failures, found.entries) == ((), 400)


def test_an_interrupt_while_another_process_writes_leaves_the_trail_usable(paths):
    class Interrupted(BaseException):
        pass

    def interrupt(*_):
        raise Interrupted

    before = signal.signal(signal.SIGUSR1, interrupt)
    try:
        with AuditTrail(*paths) as trail, paths[0].with_suffix(".lock").open() as other:
            fcntl.flock(other, fcntl.LOCK_EX)
            threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGUSR1)).start()
            with pytest.raises(Interrupted):
                trail.add(exchange())
            fcntl.flock(other, fcntl.LOCK_UN)
            assert trail.add(exchange()).seq == 1
            assert trail.seal().seq == 1
    finally:
        signal.signal(signal.SIGUSR1, before)


def _fill(trail, anchor, said):
    # a file that may not grow is a disk without room
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    with AuditTrail(trail, anchor) as log:
        log.add(exchange())
        log.seal()
        resource.setrlimit(resource.RLIMIT_FSIZE, (log.head.end + 100, resource.RLIM_INFINITY))
        try:
            log.add(exchange())
        except InsufficientStorage as error:
            said.put(str(error))
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        log.add(exchange(3))
        log.seal()


def test_a_full_disk_is_told_and_the_trail_goes_on_when_there_is_room(paths):
    context = _processes()
    said = context.Queue()
    child = context.Process(target=_fill, args=(*paths, said))
    child.start()
    assert "no result leaves without its entry" in said.get(timeout=30)
    child.join(30)
    assert child.exitcode == 0
    found = verify_trail(*paths)
    assert (found.failures, found.entries) == ((), 3)


def test_the_anchor_names_only_what_is_on_the_disk(paths):
    with AuditTrail(*paths) as trail:
        trail.add(exchange())
        assert trail.flush().seq == 1
        assert read_anchor(paths[1]).seq == 0
        trail.seal()
        assert read_anchor(paths[1]) == trail.head
        trail.add(exchange())
        trail.seal_now_and_then()
        assert read_anchor(paths[1]).seq == 2
        trail.add(exchange())
        trail.seal_now_and_then()
        assert read_anchor(paths[1]).seq == 2, "a second is not over"
        time.sleep(1.0)
        trail.seal_now_and_then()
        assert read_anchor(paths[1]).seq == 3
