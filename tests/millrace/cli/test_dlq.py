import uuid

import pytest

from millrace.cli.dlq import escaped
from millrace.contracts.errors import BadInput
from millrace.contracts.task import Coordinates
from millrace.kafka.dead_letters import DeadLetters
from millrace.kafka.records import Record
from millrace.kafka.topics import create_topics, list_topics

VALUE = b"\x1b[31mred\xff\n" + b"x" * 5_000


@pytest.fixture
def topic(broker_settings, monkeypatch):
    """A topic with three dead letters of two causes, and the environment that leads the commands to its broker."""
    monkeypatch.setenv("MILLRACE_HOME", str(broker_settings.home))
    monkeypatch.setenv("MILLRACE_KAFKA_PORT", str(broker_settings.kafka_port))
    name, sender = f"test-{uuid.uuid4().hex[:10]}", DeadLetters(broker_settings)
    create_topics(broker_settings, [name, f"{name}.dlq"])
    for offset, problem in enumerate(("line 1 is bad", "line 2 is bad", "[bold]no model[/bold]")):
        # one key, so that all stand in one partition
        record = Record(Coordinates(name, "id", 0, offset), b"\x00k", VALUE, (("h", b"\x07"),), 1_000)
        sender.send(record, stage="scorer", error=BadInput(problem))
    return name


@pytest.mark.broker
def test_letters_are_listed_by_cause_shown_saved_and_replayed_once(millrace, topic, tmp_path):
    listed = millrace("dlq", "list", topic, "--json")
    assert listed.code == 0
    assert listed.last["letters"] == 3
    lines, other = listed.last["causes"]
    assert (lines["message"], lines["count"], lines["error"], lines["stage"]) == (
        "line # is bad", 2, "bad-input", "scorer",
    )  # fmt: skip
    assert "[bold]no model[/bold]" in millrace("dlq", "list").out.replace("\n", "")

    place, raw = other["example"], tmp_path / "payload"
    shown = millrace("dlq", "show", place, "--raw", str(raw))
    assert shown.code == 0
    assert "\x1b" not in shown.out
    assert r"\x1b[31mred\xff\n" in shown.out
    assert raw.read_bytes() == VALUE
    told = millrace("dlq", "show", place, "--json").last
    assert (told["key"], told["headers"], told["size_bytes"]) == (
        r"\x00k", [{"name": "h", "value": r"\x07"}], len(VALUE),
    )  # fmt: skip

    dry = millrace("dlq", "replay", topic, "--cause", lines["cause_id"], "--dry-run", "--json").last
    assert (dry["matched"], dry["sent"], dry["dry_run"]) == (2, 2, True)
    done = millrace("dlq", "replay", topic, "--cause", lines["cause_id"], "--json")
    assert (done.code, done.last["sent"]) == (0, 2)
    assert "3 letters: 1 sent, 2 were sent before" in millrace("dlq", "replay", topic).out
    causes = millrace("dlq", "list", topic, "--json").last["causes"]
    assert [one["replayed"] for one in causes] == [2, 1]


@pytest.mark.broker
def test_what_is_not_there_is_code_2(millrace, topic):
    assert millrace("dlq", "list", "no-such-topic", "--json").code == 2
    assert millrace("dlq", "show", f"{topic}.dlq/0/77", "--json").code == 2
    assert millrace("dlq", "show", "nonsense", "--json").last["field"] == "place"
    assert millrace("dlq", "replay", topic, "--to", "no-such-topic", "--json").last["field"] == "to"
    assert millrace("dlq", "replay", topic, "--rate", "0", "--json").last["field"] == "rate"


def test_a_broker_that_is_away_is_code_5(millrace, home, monkeypatch):
    monkeypatch.setitem(list_topics.__kwdefaults__, "timeout", 1.0)
    ran = millrace("dlq", "list", "--json")
    assert (ran.code, ran.last["field"]) == (5, "KAFKA_BOOTSTRAP")
    assert "millrace status" in ran.last["remedy"]


def test_what_a_terminal_would_act_on_is_written_as_an_escape():
    assert escaped("é\u202e\r\n".encode()) == "é\\u202e\\r\\n"
    assert escaped(b"\xff" * 3, most=2) == "\\xff\\xff … (1 more bytes)"
