"""The step against the scripted server, without Kafka."""

import threading
import time

import pytest

from millrace.contracts.documents import LlmResult
from millrace.contracts.errors import BadInput, InsufficientStorage, IntegrityBroken
from millrace.contracts.task import Coordinates
from millrace.kafka.records import Record
from millrace.streams.documents.audit import anchor_path, trail_path
from millrace.streams.documents.audit_entries import read_head
from millrace.streams.documents.audit_verify import verify_trail
from millrace.streams.documents.blame import Blame
from millrace.streams.documents.errors import (
    DeadlineExceeded,
    GaveUp,
    Misconfigured,
    Overloaded,
    Rejected,
    ServerAway,
    ServerFailed,
    Stopping,
)
from millrace.streams.documents.statistics_store import read_windows, statistics_folder
from millrace.streams.documents.work import document_step


@pytest.fixture
def make_step(llm_settings):
    made = []

    def make(stop=None, **more):
        settings = llm_settings(**more)
        step, meter = document_step(settings, stop=stop or threading.Event())
        made.append(step)
        step.settings, step.meter = settings, meter
        return step

    yield make
    for one in made:
        one.close()


def record(number, name="Acme", key=b"k"):
    payload = f'{{"document_id": "d-{number}", "title": "{name}", "text": "Number {number} of {name}."}}'
    headers = (("traceparent", b"00-ab"), ("other", b"x"))
    return Record(Coordinates("docs", "id", 0, number), key, payload.encode(), headers)


def told(results):
    return [type(one) if isinstance(one, Exception) else "result" for one in results]


def test_results_come_in_order_with_the_key_the_trace_and_the_head_of_the_trail(server, make_step):
    step = make_step()
    results = step.process([record(0), record(1), record(2, key=None)])
    outputs = [one for (one,) in results]
    assert [LlmResult.model_validate_json(one.value).document_id for one in outputs] == ["d-0", "d-1", "d-2"]
    assert [(one.topic, one.key) for one in outputs] == [("llm-results", b"k"), ("llm-results", b"k"),
                                                         ("llm-results", b"d-2")]  # fmt: skip
    headers = dict(outputs[0].headers)
    assert (headers["traceparent"], "other" in headers) == (b"00-ab", False)
    head = read_head(headers["millrace-audit"].decode())
    found = verify_trail(trail_path(step.settings), anchor_path(step.settings), heads=[head])
    assert (found.failures, found.entries, head.seq) == ((), 3, 3)


def test_documents_are_asked_about_side_by_side(server, make_step):
    server.seconds = 0.2
    step = make_step(MILLRACE_LLM_CONCURRENCY=6)
    step.process([record(99)])
    began = time.monotonic()
    assert told(step.process([record(number) for number in range(12)])) == ["result"] * 12
    assert time.monotonic() - began < 1.2
    assert server.most_under_way == 6


def test_what_is_no_document_or_is_refused_by_the_server_is_its_own_fault(server, make_step):
    server.scripts |= {"Bad": ["400"], "Long": ["context"]}
    step = make_step()
    bad = Record(Coordinates("docs", "id", 0, 9), None, b"{}")
    results = step.process([record(0), bad, record(1, "Bad"), record(2, "Long")])
    assert told(results)[:3] == ["result", BadInput, Rejected]
    assert isinstance(results[3], Rejected)


def test_a_server_that_asks_for_less_is_not_sent_the_rest_of_the_batch(server, make_step):
    server.scripts["Acme"] = ["429"]
    server.retry_after = "7"
    step = make_step(MILLRACE_LLM_CONCURRENCY=2)
    results = step.process([record(number) for number in range(20)])
    assert told(results) == [Overloaded] * 20
    assert {one.retry_after for one in results} == {7.0}
    assert len(server.log) <= 2
    assert step.held_back


def test_a_server_that_is_away_never_makes_dead_letters(make_step):
    step = make_step(LLM_URL="http://127.0.0.1:9", MILLRACE_LLM_ATTEMPTS=1)
    for _ in range(3):
        assert told(step.process([record(0), record(1)])) == [ServerAway] * 2


def test_a_document_that_fails_at_a_server_that_answers_others_is_given_up_after_its_attempts(server, make_step):
    server.scripts["Crash"] = ["500"]
    step = make_step(MILLRACE_LLM_ATTEMPTS=3)
    batch = [record(0), record(1, "Crash"), record(2)]
    assert told(step.process(batch)) == ["result", ServerFailed, "result"]
    # alone, the server is asked whether it answers anything
    assert told(step.process(batch[1:2])) == [ServerFailed]
    (last,) = step.process(batch[1:2])
    assert isinstance(last, GaveUp)
    assert "scripted 500" in str(last)
    assert "probe" in trail_path(step.settings).read_text()


@pytest.mark.parametrize("play", ["500", "hang", "cut", "garbage", "drip"])
def test_a_server_that_answers_nobody_makes_no_dead_letters_and_is_not_sent_everything(server, make_step, play):
    server.scripts[""] = [play]
    step = make_step(MILLRACE_LLM_ATTEMPTS=1, MILLRACE_LLM_CONCURRENCY=2, LLM_TIMEOUT=0.3)
    results = step.process([record(number) for number in range(20)])
    assert set(told(results)) <= {ServerFailed, DeadlineExceeded}
    assert len(server.log) <= 5


def test_a_server_that_refuses_everything_ends_the_stream_and_is_told_at_once(server, make_step):
    server.scripts |= {"Acme": ["401"], "Slow": ["hang"]}
    step = make_step(LLM_TIMEOUT=20)
    with pytest.raises(Misconfigured, match="LLM_API_KEY"):
        step.process([record(0, "Slow"), record(1)])


def test_a_stop_brings_the_step_back_with_what_is_done(server, make_step):
    server.scripts["Slow"] = ["hang"]
    stop = threading.Event()
    step = make_step(stop, MILLRACE_LLM_CONCURRENCY=2, LLM_TIMEOUT=60)
    threading.Timer(0.3, stop.set).start()
    began = time.monotonic()
    results = step.process([record(0), record(1, "Slow"), record(2, "Slow"), record(3)])
    assert 4.5 < time.monotonic() - began < 7
    assert told(results) == ["result", Stopping, Stopping, Stopping]


def test_an_altered_trail_ends_the_stream(server, make_step):
    step = make_step()
    step.process([record(0)])
    path = trail_path(step.settings)
    path.write_bytes(path.read_bytes() + b'{"seq": 1}\n')
    with pytest.raises(IntegrityBroken):
        step.process([record(1)])


def test_without_room_for_the_trail_documents_wait(server, make_step, monkeypatch):
    step = make_step()

    def full(_, __):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("millrace.streams.documents.audit.os.write", full)
        assert told(step.process([record(0), record(1)])) == [InsufficientStorage] * 2
    assert told(step.process([record(0), record(1)])) == ["result"] * 2
    assert verify_trail(trail_path(step.settings), anchor_path(step.settings)).failures == ()


def test_only_what_is_committed_is_counted_and_once(server, make_step):
    step = make_step()
    batch = [record(number) for number in range(4)]
    step.process(batch)
    assert step.facts()["model_version"] == "tiny@scripted"
    assert "results_ok" not in step.facts()
    # rewound: the same documents once more
    step.process(batch)
    step.meter.committed({("docs", 0): 3})
    step.meter.committed({("docs", 0): 3})
    assert step.facts()["results_ok"] == 3
    step.meter.committed({("docs", 0): 4})
    step.close()
    (window,) = read_windows(statistics_folder(step.settings)).values()
    assert window.documents == 4


def test_failures_at_a_server_that_answers_nobody_are_no_documents(make_step):
    blame = Blame(attempts=2)
    assert not any(blame.failed("a", server_answers=False) for _ in range(10))
    assert not blame.failed("a", server_answers=True)
    blame.done("a")
    assert [blame.failed("a", server_answers=True) for _ in range(2)] == [False, True]
