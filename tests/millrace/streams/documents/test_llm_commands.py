"""`millrace llm …` from sending documents to the verified trail, on the real broker and the scripted server."""

import json
import os
import signal
import subprocess
import sys
import time
import uuid
from itertools import islice

import pytest
from typer.testing import CliRunner

from millrace.cli import output
from millrace.cli.llm_settings import llm_settings
from millrace.cli.llm_watch import panel
from millrace.cli.main import app
from millrace.streams.documents.document import read_document
from millrace.streams.documents.samples import KINDS, bad_message, sample


@pytest.fixture
def millrace():
    def run(*arguments):
        output.console.cache_clear()
        output.errors.cache_clear()
        done = CliRunner(env={"COLUMNS": "160"}).invoke(app, ["llm", *arguments])
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        return done

    return run


@pytest.fixture
def environment(broker_settings, server, tmp_path, free_port, monkeypatch):
    """Variables that lead the commands to the session's broker, topics of their own and the scripted server."""
    name = f"docs-{uuid.uuid4().hex[:8]}"
    variables = {
        "MILLRACE_HOME": str(tmp_path / "home"), "MILLRACE_KAFKA_PORT": str(broker_settings.kafka_port),
        "LLM_URL": server.url, "MODEL_NAME": "scripted", "INPUT_TOPIC": name, "OUTPUT_TOPIC": f"{name}-results",
        "MILLRACE_LLM_PORT": str(free_port), "MILLRACE_TOPIC_PARTITIONS": "1", "LLM_TIMEOUT": "5",
        "MILLRACE_STREAM_PREFIX": name,
    }  # fmt: skip
    for variable, value in variables.items():
        monkeypatch.setenv(variable, value)
    return variables


def last(done):
    return json.loads(done.stdout.strip().splitlines()[-1])


@pytest.mark.broker
def test_documents_are_sent_processed_watched_counted_and_their_trail_verified(server, environment, millrace):
    assert "8 documents" in millrace("produce", "--count", "8").output
    sent = last(millrace("produce", "--count", "8", "--seed", "1", "--bad", "1", "--json"))
    assert (sent["sent"], sent["bad"]) == (8, 8)
    server.scripts["Rating action"] = ["sorry"]

    done = millrace("run", "--count", "16", "--timeout", "60", "--json")
    assert done.exit_code == 0
    assert (last(done)["outputs"], last(done)["dead_letters"]) == (8, 8)
    log = (f"{environment['MILLRACE_HOME']}/logs/llm-0.log", "stream.started", "llm.up")
    with open(log[0]) as file:
        text = file.read()
    assert all(event in text for event in log[1:])

    shown = millrace("watch", "--from-beginning", "--count", "8", "--timeout", "30")
    assert shown.exit_code == 0
    assert all(kind in shown.output for kind in KINDS)
    assert "Revenue rose." in shown.output
    assert "refused rating_action-0-6" in shown.output
    assert "tokens" in shown.output
    lines = millrace("watch", "--from-beginning", "--count", "8", "--timeout", "30", "--json").stdout.splitlines()
    assert {json.loads(line)["status"] for line in lines} == {"ok", "refused"}

    (window,) = last(millrace("statistics", "--json"))["windows"]
    assert (window["documents"], window["refusal_rate"]) == (8, 1 / 8)
    assert "12 %" in millrace("statistics").output
    verified = last(millrace("verify", "--json"))
    assert (verified["intact"], verified["entries"]) == (True, 8)

    healthy = millrace("doctor", "--json")
    assert healthy.exit_code == 0
    assert {one["name"]: one["level"] for one in last(healthy)["findings"]} == {
        "broker": "ok", "topics": "ok", "server": "ok", "model": "ok", "trial": "ok", "audit trail": "ok",
    }  # fmt: skip


@pytest.mark.broker
def test_the_doctor_names_what_is_wrong(server, environment, millrace, monkeypatch):
    monkeypatch.setenv("MODEL_NAME", "absent")
    server.scripts[""] = ["prose"]
    found = {one["name"]: one for one in last(millrace("doctor", "--json"))["findings"]}
    assert found["topics"]["level"] == "warn"
    assert "MODEL_NAME" in found["model"]["remedy"]
    assert "larger model" in found["trial"]["remedy"]
    server.scripts[""] = ["400"]
    assert "MILLRACE_LLM_GUIDED=false" in millrace("doctor").output
    monkeypatch.setenv("MILLRACE_API_PORT", str(server.server_port))
    server.end()
    done = millrace("doctor")
    assert done.exit_code == 5
    assert "Millrace's own API" in done.output
    monkeypatch.setenv("MILLRACE_KAFKA_PORT", "9")
    assert "127.0.0.1:9" in millrace("doctor").output


@pytest.mark.broker
def test_a_process_that_is_told_to_end_commits_and_goes_within_ten_seconds(server, environment):
    command = [sys.executable, "-m", "millrace.cli.main", "llm"]
    with subprocess.Popen([*command, "run"], env=os.environ | environment, stderr=subprocess.PIPE) as process:
        try:
            made = subprocess.run([*command, "produce", "-n", "3"], env=os.environ | environment, capture_output=True)
            assert made.returncode == 0, made.stderr
            watched = subprocess.run(
                [*command, "watch", "--from-beginning", "--count", "3", "--timeout", "60", "--json"],
                env=os.environ | environment, capture_output=True, timeout=90,
            )  # fmt: skip
            assert len(watched.stdout.splitlines()) == 3, watched.stderr
            began = time.monotonic()
            process.send_signal(signal.SIGTERM)
            _, told = process.communicate(timeout=15)
        finally:
            process.kill()
    assert time.monotonic() - began < 10
    assert process.returncode == 0, told
    assert b"stream.stopped" in told


def test_brokers_of_the_environment_are_used_unless_the_mode_says_otherwise(environment, monkeypatch):
    monkeypatch.setenv("KAFKA_BROKERS", "elsewhere:9092")
    assert llm_settings().bootstrap == "elsewhere:9092"
    monkeypatch.setenv("MILLRACE_MODE", "LOCAL_SIM")
    assert llm_settings().bootstrap.startswith("127.0.0.1")


def test_samples_are_documents_of_eight_kinds_the_same_for_the_same_seed(at):
    from millrace.contracts.canonical import canonical_json
    from millrace.contracts.errors import BadInput
    from millrace.kafka.records import Record

    made = [sample(3, number) for number in range(80)]
    assert made == [sample(3, number) for number in range(80)]
    assert {one.document_type for one in made} == set(KINDS)
    assert len({one.text for one in made}) > 70
    for one in made:
        told = read_document(Record(at, None, canonical_json(one._asdict()).encode()))
        assert (told.document_id, told.text) == (one.document_id, one.text)
    for number in islice(range(1_000), 60):
        with pytest.raises(BadInput):
            read_document(Record(at, None, bad_message(3, number)))


def test_a_hostile_result_is_shown_and_not_acted_upon():
    from rich.console import Console

    hostile = {
        "document_id": "[red]x[/red]\x1b]0;title\x07", "status": "ok", "document_type": None, "chunks": 3,
        "answer": {"summary": "\x1b[2J[bold]" + "s" * 5_000, "sentiment": ["x"], "key_points": "none", "risks": [1]},
    }  # fmt: skip
    console = Console(width=100, record=True, file=open(os.devnull, "w"))  # noqa: SIM115
    console.print(panel(hostile))
    console.print(panel({"unreadable": "t/0/1"}))
    console.print(panel({}))
    text = console.export_text()
    console.file.close()
    assert "\x1b" not in text
    assert "[red]x[/red]" in text
    assert "[bold]" in text
    assert "3 parts" in text
    assert len(text) < 4_000
