"""`millrace stream …` on the session's broker, without the platform."""

import json
import uuid

import pytest
from typer.testing import CliRunner

from millrace.cli.main import app

pytestmark = pytest.mark.broker


@pytest.fixture
def stream(broker_settings, tmp_path, monkeypatch):
    """`stream("start", "--json")` gives exit code and, with --json, the object."""
    mark = uuid.uuid4().hex[:8]
    for name, value in {
        "MILLRACE_HOME": str(tmp_path / "home"), "MILLRACE_KAFKA_PORT": str(broker_settings.kafka_port),
        "MILLRACE_EVENTS_TOPIC": f"raw-{mark}", "MILLRACE_SCORED_TOPIC": f"out-{mark}", "MILLRACE_STREAM_PREFIX": mark,
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)

    def run(*words):
        done = CliRunner().invoke(app, ["stream", *words], env={"COLUMNS": "200"})
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        return done.exit_code, json.loads(done.stdout.splitlines()[-1]) if "--json" in words else done.stdout

    return run


def test_events_are_produced_by_number_and_seed_and_their_lag_is_seen(stream):
    code, told = stream("produce", "--count", "60", "--rate", "0", "--seed", "7", "--bad", "0.5", "--json")
    assert (code, told["good"] + sum(told["bad"].values()), told["seed"]) == (0, 60, 7)
    assert told["bad"]
    code, told = stream("status", "--json")
    assert (code, told["lag_records"], told["state"], told["wanted"]) == (0, 60, "STOPPED", 0)
    code, text = stream("status")
    assert "score_events: STOPPED" in text


def test_what_is_asked_for_is_kept_and_shown(stream):
    code, told = stream("start", "-n", "2", "--json")
    assert (code, told["wanted"], told["platform_up"]) == (0, 2, False)
    _, told = stream("list", "--json")
    (found,) = [one for one in told["streams"] if one["stream"] == "score_events"]
    assert (found["wanted"], found["changed_by"]) == (2, "cli:local")
    stream("produce", "--count", "1")
    # two are wanted and none runs
    assert stream("status", "--json")[0] == 5
    assert "no process wanted" in stream("stop")[1]
    assert "The platform is not up here" in stream("restart")[1]


@pytest.mark.parametrize(
    ("words", "field"),
    [
        (("start", "no-such"), "stream"), (("status", "no-such"), "stream"), (("start", "-n", "99"), "processes"),
        (("produce", "--bad", "1.5"), "bad"), (("produce", "--rate", "-3", "--count", "1"), "rate"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_with_the_field(stream, words, field):
    code, told = stream(*words, "--json")
    assert (code, told["field"]) == (2, field)
