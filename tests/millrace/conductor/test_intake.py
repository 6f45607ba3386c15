"""Events that cannot be used are refused whole: dead-lettered by the consumer loop, and the chain unharmed."""

import dataclasses
import json

import pytest

from millrace.contracts import topics as headers
from millrace.contracts.errors import BadInput, Conflict, NotFound, TerminalError, TooLarge
from millrace.contracts.task import Answers, Coordinates
from millrace.contracts.topics import Topics
from millrace.kafka.records import Record

ANSWERS = Answers(target="approved", task_type="classification", positive="yes", sensitive=("sex",))


def record(value: bytes | dict[str, object], *, topic: str = Topics.dataset, offset: int = 9000, **sent: str) -> Record:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    names = {"event_id": headers.EVENT_ID, "pipeline": headers.PIPELINE, "attempt": headers.ATTEMPT}
    return Record(
        coordinates=Coordinates(topic, "topic-1", 0, offset),
        key=b"ada.loans",
        raw_value=raw,
        raw_headers=tuple((names[name], text.encode()) for name, text in sent.items()),
    )


@pytest.mark.parametrize("topic", Topics().for_conductor())
@pytest.mark.parametrize(
    "value",
    [b"", b"{", b"\xff\xfe\x00", b"null", b"[]", b"{}", b'{"user_id": 1}', b'{"event_type": "dataset.uploaded"}'],
)
def test_what_is_no_payload_is_refused(make_bench, topic: str, value: bytes):
    with pytest.raises(BadInput):
        make_bench().conductor.on_event(record(value, topic=topic))


def test_two_megabytes_are_refused_without_being_read(make_bench):
    with pytest.raises(TooLarge):
        make_bench().conductor.on_event(record(b'{"a": "' + b"x" * 2_000_000 + b'"}'))


def test_an_event_of_a_data_set_that_does_not_exist_is_refused_and_the_next_one_taken(make_bench):
    bench = make_bench()
    bench.store()
    (known,) = bench.records()
    ghost = {**json.loads(known.value), "dataset_id": "ghost", "event_id": "up-ghost"}
    with pytest.raises(NotFound, match=r"ada\.ghost"):
        bench.conductor.on_event(record(ghost))
    with pytest.raises(NotFound, match="version 7"):
        bench.conductor.on_event(record({**json.loads(known.value), "version": 7, "event_id": "up-7"}))
    with pytest.raises(BadInput, match="hash"):
        bench.conductor.on_event(record({**json.loads(known.value), "sha256": "0" * 64, "event_id": "up-0"}))
    assert bench.conductor.on_event(known) == "acted"


def test_a_refused_event_is_taken_when_it_comes_again_and_its_data_set_is_there(make_bench):
    bench = make_bench()
    other = make_bench()
    other.store()
    (early,) = other.records()
    with pytest.raises(NotFound):
        bench.conductor.on_event(early)
    bench.store()
    assert bench.conductor.on_event(early) == "acted"


def test_a_nul_is_refused_before_it_reaches_the_database(bench):
    bench.store()
    payload = json.loads(bench.records()[0].value)
    for field in ("event_id", "name"):
        with pytest.raises(BadInput, match="NUL"):
            bench.conductor.on_event(record({**payload, field: "a\x00b"}))
    with pytest.raises(BadInput, match="NUL"):
        bench.conductor.on_event(record({**payload, "metadata": {"deep": ["\x00"]}}))
    with pytest.raises(BadInput, match="NUL"):
        bench.conductor.on_event(record(payload, event_id="a\x00b"))


def test_a_long_event_id_is_refused_or_fits(bench):
    bench.store()
    payload = json.loads(bench.records()[0].value)
    with pytest.raises(BadInput, match="event id"):
        bench.conductor.on_event(record(payload, event_id="x" * 161))
    assert bench.conductor.on_event(record(payload, event_id="x" * 160)) == "acted"
    assert bench.conductor.on_event(record(payload, event_id="x" * 160)) == "duplicate"


def test_an_event_without_any_id_is_known_by_its_place(make_bench):
    bench = make_bench()
    pipeline = bench.upload()
    bench.conductor.answer(pipeline, ANSWERS, actor="user:ada")
    bench.work(pipeline, "bias")
    reported = bench.records()[-1]
    bare = dataclasses.replace(
        reported, raw_headers=tuple(one for one in reported.raw_headers if one[0] != headers.EVENT_ID)
    )
    assert bench.conductor.on_event(bare) == "acted"
    assert bench.conductor.on_event(bare) == "duplicate"


@pytest.mark.parametrize("attempt", ["", "one", "2", "-1", "٣"])
def test_a_result_that_the_warehouse_knows_nothing_of_is_refused(make_bench, attempt: str):
    bench = make_bench()
    pipeline = bench.upload()
    bench.conductor.answer(pipeline, ANSWERS, actor="user:ada")
    payload = {
        "event_type": "bias.reported", "dataset_id": "loans", "user_id": "ada", "bias_report_id": "br-x",
        "has_transformation_report": False, "target_column_name": "approved", "task_type": "classification",
        "timestamp": "2026-01-01T00:00:00.000000",
    }  # fmt: skip
    with pytest.raises(TerminalError):
        bench.conductor.on_event(record(payload, topic=Topics.bias, pipeline=pipeline, attempt=attempt))
    with pytest.raises(Conflict, match="is requested in the warehouse"):
        bench.conductor.on_event(record(payload, topic=Topics.bias, pipeline=pipeline, attempt="1"))
    with pytest.raises(NotFound):
        bench.conductor.on_event(record(payload, topic=Topics.bias, pipeline="pl-ghost", attempt="1"))
    foreign = {**payload, "user_id": "eve"}
    with pytest.raises(BadInput, match="is not of data set"):
        bench.conductor.on_event(record(foreign, topic=Topics.bias, pipeline=pipeline, attempt="1"))
    assert bench.conductor.on_event(record(payload, topic=Topics.bias)) == "ignored"
    assert bench.state(pipeline) == ("queued", "bias")
