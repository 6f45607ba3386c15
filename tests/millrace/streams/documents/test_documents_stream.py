"""Documents through the real broker: each ends in the results or in the dead letters, with its cause."""

import json
import os
import random
import signal
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path

import httpx
import pytest
from confluent_kafka import Producer

from millrace.kafka.clients import producer_config
from millrace.streams.documents.audit import anchor_path, trail_path
from millrace.streams.documents.audit_entries import read_head
from millrace.streams.documents.audit_verify import verify_trail
from millrace.streams.documents.errors import Misconfigured
from millrace.streams.documents.producing import produce_documents
from millrace.streams.documents.samples import KINDS
from millrace.streams.documents.service import run_documents
from millrace.streams.documents.statistics_store import read_windows, statistics_folder

pytestmark = pytest.mark.broker

CHILD = Path(__file__).parent / "llm_child.py"


def send(settings, messages):
    """Sends (key, value) pairs, acknowledged."""
    producer = Producer(producer_config(settings))
    for key, value in messages:
        producer.produce(settings.topics.documents, value, key)
    assert producer.flush(20) == 0


def documents(names, *, start=0):
    return [
        (f"{name}-{number}".encode(),
         json.dumps({"document_id": f"{name}-{number}", "title": name, "text": f"Text {number}."}).encode())
        for number, name in enumerate(names, start=start)
    ]  # fmt: skip


FAULTS = {
    "Well": (["ok"], "ok"), "Limit": (["429", "429", "ok"], "ok"), "Busy": (["503", "ok"], "ok"),
    "Broke": (["500", "ok"], "ok"), "Hangs": (["hang", "ok"], "ok"), "Cut": (["cut", "ok"], "ok"),
    "Drips": (["drip", "ok"], "ok"), "Garbled": (["garbage", "ok"], "ok"), "Void": (["empty", "ok"], "ok"),
    "Repaired": (["prose", "ok"], "ok"), "Wrong": (["wrong"], "invalid"), "Long": (["truncated"], "truncated"),
    "Sorry": (["sorry"], "refused"), "Filtered": (["filter"], "refused"),
    "Poison": (["500"], "llm-gave-up"), "Stuck": (["hang"], "llm-gave-up"), "Trickle": (["drip"], "llm-gave-up"),
    "Noise": (["garbage"], "llm-gave-up"), "Torn": (["cut"], "llm-gave-up"),
    "Refused": (["400"], "llm-rejected"), "Odd": (["422"], "llm-rejected"),
    "Endless": (["context"], "llm-context-exceeded"),
}  # fmt: skip
"""Title of a document → what the server plays for it, and where it must end: a status, or a dead letter's error."""


@pytest.mark.slow
def test_every_fault_of_the_server_ends_in_a_result_or_a_dead_letter_with_its_cause(
    server, stream, results, letters, read
):
    settings = stream(llm_attempts=3, llm_concurrency=16)
    server.scripts |= {f"Title: {name}\n": list(plays) for name, (plays, _) in FAULTS.items()}
    sent = documents(FAULTS)
    bad = [(b"no-json", b"{"), (b"no-text", b'{"document_id": "x"}'), (b"no-utf-8", b"\xff"), (b"nothing", None)]
    send(settings, [*sent, *bad])
    totals = run_documents(settings, stop=threading.Event(), count=len(sent) + len(bad), timeout=90)
    assert totals.records == len(sent) + len(bad)
    made = {one["document_id"].encode(): one["status"] for one in results(settings)}
    dead = letters(settings)
    assert made.keys().isdisjoint(dead)
    wanted = {key: FAULTS[key.decode().split("-")[0]][1] for key, _ in sent} | {key: "bad-input" for key, _ in bad}
    assert made | dead == wanted
    assert totals.aborted == 0
    heads = [read_head(dict(one.headers())["millrace-audit"].decode())
             for one in read(settings, settings.topics.llm_results)]  # fmt: skip
    assert verify_trail(trail_path(settings), anchor_path(settings), heads=heads).failures == ()


def test_a_server_that_comes_back_gets_what_waited_and_nothing_is_a_dead_letter(
    server, make_server, stream, background, wait_for, results, letters
):
    settings = stream(llm_attempts=1)
    port = server.server_port
    server.end()
    send(settings, documents(["Well"] * 20))
    done = threading.Event()

    def work(stop):
        try:
            run_documents(settings, stop=stop, count=20, timeout=60)
        finally:
            done.set()

    background(work)
    # some tries fail meanwhile
    done.wait(2.5)
    assert not done.is_set()
    # on a busy machine the first of them comes later
    ready = f"http://127.0.0.1:{settings.llm_port}/health/ready"
    wait_for(lambda: httpx.get(ready).json()["parts"]["llm"] is False)
    assert not done.is_set()
    make_server(port)
    assert done.wait(60)
    assert Counter(one["status"] for one in results(settings)) == {"ok": 20}
    assert letters(settings) == {}


def test_a_server_that_refuses_everything_ends_the_stream_and_commits_nothing_of_the_batch(
    server, stream, results, letters
):
    settings = stream()
    server.scripts[""] = ["401"]
    send(settings, documents(["Well"] * 3))
    with pytest.raises(Misconfigured):
        run_documents(settings, stop=threading.Event(), timeout=30)
    assert (results(settings), letters(settings)) == ([], {})
    server.scripts.clear()
    assert run_documents(settings, stop=threading.Event(), count=3, timeout=30).outputs == 3


def test_health_and_metrics_are_told_while_it_runs_and_statistics_are_kept(
    server, stream, background, wait_for, results
):
    settings = stream()
    made = produce_documents(settings, count=24, seed=7)
    assert (made.sent, made.bad) == (24, 0)
    background(lambda stop: run_documents(settings, stop=stop))
    wait_for(lambda: len(results(settings)) == 24)
    base = f"http://127.0.0.1:{settings.llm_port}"
    assert httpx.get(f"{base}/health/live").status_code == 200
    assert httpx.get(f"{base}/health/ready").json()["parts"] == {"broker": True, "llm": True}
    wait_for(lambda: 'millrace_llm_documents_total{status="ok"} 24.0' in httpx.get(f"{base}/metrics").text)
    told = httpx.get(f"{base}/metrics").text
    assert 'millrace_llm_requests_total{outcome="completion"} 24.0' in told
    assert "millrace_llm_dead_letters_total 0.0" in told
    wait_for(lambda: sum(one.documents for one in read_windows(statistics_folder(settings)).values()) == 24)
    kinds = sum((one.types for one in read_windows(statistics_folder(settings)).values()), Counter())
    assert kinds == dict.fromkeys(KINDS, 3)


def test_both_topics_are_compressed(stream, server, broker_settings):
    from confluent_kafka.admin import AdminClient, ConfigResource

    from millrace.kafka.clients import admin_config

    settings = stream()
    admin = AdminClient(admin_config(settings))
    for name in (settings.topics.documents, settings.topics.llm_results):
        (future,) = admin.describe_configs([ConfigResource(ConfigResource.Type.TOPIC, name)]).values()
        assert future.result()["compression.type"].value == "gzip"


def environment(settings):
    """What leads a process to the same broker, topics and server."""
    return os.environ | {
        "MILLRACE_HOME": str(settings.home), "MILLRACE_KAFKA_PORT": str(settings.kafka_port),
        "LLM_URL": settings.llm_url, "LLM_TIMEOUT": "5", "INPUT_TOPIC": settings.llm_input_topic,
        "OUTPUT_TOPIC": settings.llm_output_topic, "MILLRACE_LLM_PORT": str(settings.llm_port), "MODEL_NAME": "tiny",
        "MILLRACE_TOPIC_PARTITIONS": str(settings.partitions), "MILLRACE_STREAM_PREFIX": settings.stream_prefix,
    }  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("step", ["PROCESSED", "OFFSETS_SENT", "COMMITTING"])
def test_a_kill_at_any_step_loses_and_doubles_no_result_and_leaves_the_trail_whole(
    server, stream, background, wait_for, step, results, letters, read
):
    settings = stream(partitions=1, llm_concurrency=4)
    send(settings, documents(["Well"] * 40))
    told = json.dumps({"step": step, "batch": 3})
    killed = subprocess.run(
        [sys.executable, str(CHILD), told], env=environment(settings), capture_output=True, timeout=90
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr[-2000:]
    background(lambda stop: run_documents(settings, stop=stop))
    wait_for(lambda: len(results(settings)) >= 40)
    made = results(settings)
    assert sorted(one["source"]["offset"] for one in made) == list(range(40))
    assert letters(settings) == {}
    heads = [read_head(dict(one.headers())["millrace-audit"].decode())
             for one in read(settings, settings.topics.llm_results)]  # fmt: skip
    assert verify_trail(trail_path(settings), anchor_path(settings), heads=heads).failures == ()


def fuzzed(rng):
    """A message that is no document."""
    good = {"document_id": "x", "text": "y"}
    wrong = [
        rng.randbytes(rng.randrange(1, 500)), b"", None, b"null", b"[]", b'"text"', b"1e999", b"[" * 20_000,
        b'{"a":' * 5_000, json.dumps(good).encode("utf-16"), json.dumps(good)[:-1].encode(), b"\xef\xbb\xbf",
        json.dumps(good | {"text": rng.choice([None, 1, [], {}, "", "   ", True])}).encode(),
        json.dumps(good | {"document_id": rng.choice([None, 1, [], "", "i" * 300])}).encode(),
        json.dumps(good | {"title": "t" * 2_000}).encode(), b'{"document_id": "a", "text": "\\udfff"}',
        b'{"document_id": "a", "text": NaN}', b'{"n": ' + b"9" * 6_000 + b"}",
        json.dumps(good | {"document_type": "k" * 65}).encode(), b"{" + b"x" * 1_000_000,
    ]  # fmt: skip
    return rng.choice(wrong)


@pytest.mark.slow
def test_fuzzed_messages_are_dead_letters_with_a_cause_and_all_documents_between_them_are_done(
    server, stream, results, letters
):
    settings = stream(llm_concurrency=32)
    rng = random.Random(20261127)
    good = documents(["Well"] * 900)
    bad = [(f"bad-{number}".encode(), fuzzed(rng)) for number in range(300)]
    messages = [*good, *bad]
    rng.shuffle(messages)
    send(settings, messages)
    totals = run_documents(settings, stop=threading.Event(), count=1_200, timeout=120)
    assert (totals.records, totals.outputs, totals.dead_letters) == (1_200, 900, 300)
    assert {one["document_id"].encode() for one in results(settings)} == {key for key, _ in good}
    assert letters(settings) == {key: "bad-input" for key, _ in bad}


def test_a_stop_in_the_middle_commits_what_is_done_and_the_next_start_does_the_rest(
    server, stream, background, wait_for, results
):
    settings = stream(llm_timeout=30.0, llm_concurrency=4)
    server.scripts["Title: Slow\n"] = ["hang", "ok"]
    send(settings, documents(["Well"] * 10 + ["Slow"]))
    ended = threading.Event()

    def work(stop):
        run_documents(settings, stop=stop)
        ended.set()

    stop = background(work)
    wait_for(lambda: ("Title: Slow\n", "hang") in server.log)
    stop.set()
    assert ended.wait(10)
    left = 11 - len(results(settings))
    assert 1 <= left <= 8
    run_documents(settings, stop=threading.Event(), count=left, timeout=30)
    assert Counter(one["status"] for one in results(settings)) == {"ok": 11}
