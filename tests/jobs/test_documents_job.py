"""The job of process_documents as Dagster runs it, in this process, against a server that answers or hangs."""

import json
import os
import signal
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from dagster import AssetKey

import definitions
from assets.tags import EPOCH, SLOT
from millrace import settings as environment
from millrace.kafka.lag import lag_of
from millrace.kafka.topics import create_topics
from millrace.streams.documents.producing import produce_documents
from millrace.streams.documents.statistics_store import read_windows, statistics_folder
from millrace.streams.members import members_of
from millrace.streams.names import group_of
from millrace.streams.wanted import start, stop, wanted_of

pytestmark = pytest.mark.broker

STREAM = "process_documents"
ANSWER = {"summary": "It did well.", "sentiment": "positive", "key_points": [], "risks": []}


class Handler(BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        if self.server.play == "hang":
            self.server.asked.set()
            self.server.over.wait(60)
            return
        body = json.dumps({
            "model": "m-1", "usage": {"prompt_tokens": 7, "completion_tokens": 3},
            "choices": [{"message": {"content": json.dumps(ANSWER)}, "finish_reason": "stop"}],
        }).encode()  # fmt: skip
        self.send_response(401 if self.server.play == "refuse" else 200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def model():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.play, server.asked, server.over = "answer", threading.Event(), threading.Event()
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.over.set()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def documents(live, model, monkeypatch):
    """Settings with topics of documents of the test's own, and the model's server."""
    mark = live.stream_prefix
    values = {"INPUT_TOPIC": f"docs-{mark}", "OUTPUT_TOPIC": f"said-{mark}", "LLM_TIMEOUT": "60",
              "LLM_URL": f"http://127.0.0.1:{model.server_port}"}  # fmt: skip
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    settings = environment.load()
    create_topics(settings, settings.topics.for_documents())
    return settings


@pytest.fixture
def execute(instance):
    def run():
        job = definitions.defs.get_job_def(STREAM)
        return job.execute_in_process(instance=instance, tags={SLOT: "0", EPOCH: "1"}, raise_on_error=False)

    return run


@pytest.fixture
def later(wait_for):
    threads = []

    def when(condition, act):
        def work():
            try:
                wait_for(condition)
            finally:
                act()

        threads.append(threading.Thread(target=work))
        threads[-1].start()

    yield when
    for thread in threads:
        thread.join(60)


def observations(instance):
    records = instance.fetch_observations(AssetKey("llm_results"), limit=100, ascending=True).records
    return [record.event_log_entry.asset_observation for record in records]


def done(settings):
    return sum(one.records for one in lag_of(settings, group_of(settings, STREAM), [settings.topics.documents])) == 0


def test_checkpoints_tell_the_model_the_outcomes_and_the_head_of_the_trail(
    documents, warehouse, instance, execute, later
):
    produce_documents(documents, count=20, bad_share=0.2)
    start(warehouse, STREAM, processes=1, actor="a")
    later(lambda: members_of(warehouse, STREAM) and done(documents), lambda: stop(warehouse, STREAM, actor="ada"))
    assert execute().success
    last = {name: value.value for name, value in observations(instance)[-1].metadata.items()}
    assert last["records in all"] == 20
    assert last["outputs in all"] + last["dead letters in all"] == 20
    assert last["results ok"] == last["outputs in all"]
    assert (last["model version"], last["prompt tokens"]) == ("m-1", 7 * last["outputs in all"])
    assert last["audit head"].startswith(f"{last['outputs in all']}:")
    assert sum(one.documents for one in read_windows(statistics_folder(documents)).values()) == last["outputs in all"]


def test_an_interrupt_ends_requests_that_hang_and_the_run_within_ten_seconds(
    documents, warehouse, instance, execute, later, model, wait_for
):
    model.play = "hang"
    produce_documents(documents, count=4)
    start(warehouse, STREAM, processes=1, actor="a")
    moment = []

    def interrupt():
        moment.append(time.monotonic())
        os.kill(os.getpid(), signal.SIGINT)

    later(model.asked.is_set, interrupt)
    assert not execute().success
    assert time.monotonic() - moment[0] < 10
    # the loop has ended, and was not only left
    wait_for(lambda: not [one for one in threading.enumerate() if one.name.startswith("loop-")], seconds=1)
    (member,) = members_of(warehouse, STREAM)
    assert member.outcome.startswith("interrupted")
    assert observations(instance)[-1].metadata["records in all"].value == 0


def test_a_server_that_refuses_everything_halts_the_stream_and_says_why(documents, warehouse, instance, execute, model):
    model.play = "refuse"
    produce_documents(documents, count=4)
    start(warehouse, STREAM, processes=1, actor="a")
    result = execute()
    assert not result.success
    assert "LLM_API_KEY" in wanted_of(warehouse, STREAM).halted
    failure = next(one for one in result.all_events if one.is_step_failure).event_specific_data.user_failure_data
    assert failure.metadata["error"].value == "llm-misconfigured"
