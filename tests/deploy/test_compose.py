"""The compose file, without Docker: what it names is there, and what must agree agrees."""

import re
import shlex
from pathlib import Path

import pytest
import typer
import yaml
from pydantic import AliasChoices

from millrace.cli.main import app
from millrace.settings import Settings

ROOT = Path(__file__).parent.parent.parent
FOLDER = ROOT / "platform" / "deploy" / "compose"


@pytest.fixture(scope="module")
def compose():
    return yaml.safe_load((FOLDER / "compose.yaml").read_text())


def filled(value):
    """The value with variables of the shell replaced by their defaults."""
    return re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", str(value))


def variables():
    found = set()
    for field in Settings.model_fields.values():
        alias = field.validation_alias
        found |= set(map(str, alias.choices)) if isinstance(alias, AliasChoices) else {str(alias)}
    return found


def test_every_variable_of_the_processor_is_a_setting_and_its_value_is_one(compose):
    for name in ("processor", "tools"):
        told = {key: filled(value) for key, value in compose["services"][name]["environment"].items()}
        assert told.keys() <= variables()
        settings = Settings.model_validate(told)
        assert (settings.mode, settings.bootstrap, settings.llm_url) == ("KAFKA", "kafka:9092", "http://vllm:8000")


def test_the_defaults_are_the_settings_own(compose):
    told, model = compose["services"]["processor"]["environment"], Settings.model_fields
    assert filled(told["MODEL_NAME"]) == model["llm_model"].default
    assert int(filled(told["MILLRACE_LLM_CONTEXT"])) == model["llm_context"].default
    assert (told["INPUT_TOPIC"], told["OUTPUT_TOPIC"]) == (
        model["llm_input_topic"].default, model["llm_output_topic"].default,
    )  # fmt: skip
    vllm = compose["services"]["vllm"]["command"]
    assert f"--model={told['MODEL_NAME']}" in vllm
    assert f"--max-model-len={told['MILLRACE_LLM_CONTEXT']}" in vllm


def test_services_wait_for_services_that_are_there_and_say_when_they_are_healthy(compose):
    services = compose["services"]
    for service in services.values():
        for name, wanted in service.get("depends_on", {}).items():
            assert wanted == {"condition": "service_healthy"}
            assert services[name]["healthcheck"]["test"][0] == "CMD"
        for volume in service.get("volumes", []):
            assert volume.split(":")[0] in compose["volumes"]


def test_the_broker_advertises_what_the_processor_is_given(compose):
    kafka = compose["services"]["kafka"]["environment"]
    listeners = dict(one.split("://") for one in kafka["KAFKA_ADVERTISED_LISTENERS"].split(","))
    assert listeners["PLAINTEXT"] == compose["services"]["processor"]["environment"]["KAFKA_BROKERS"]
    named = {one.split("://")[0] for one in kafka["KAFKA_LISTENERS"].split(",")}
    assert named == {one.split(":")[0] for one in kafka["KAFKA_LISTENER_SECURITY_PROTOCOL_MAP"].split(",")}
    # the exactly-once loop needs transactions, and there is one broker
    assert kafka["KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR"] == kafka["KAFKA_TRANSACTION_STATE_LOG_MIN_ISR"] == 1


def test_images_are_pinned_and_ports_stay_on_this_machine(compose):
    for service in compose["services"].values():
        if "image" in service:
            assert re.fullmatch(r"[\w./-]+:v?\d+\.\d+\.\d+", service["image"])
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))


def test_health_page_and_grace_agree_with_the_settings(compose):
    processor = compose["services"]["processor"]
    port = Settings.model_fields["llm_port"].default
    assert processor["ports"] == [f"127.0.0.1:{port}:{port}"]
    assert f":{port}/health/live" in processor["healthcheck"]["test"][-1]
    assert int(processor["stop_grace_period"].removesuffix("s")) > 10


def test_every_command_is_one_of_ours(compose):
    commands = typer.main.get_command(app).commands["llm"].commands
    assert compose["services"]["processor"]["command"] == ["llm", "run"]
    assert compose["services"]["tools"]["entrypoint"] == ["millrace", "llm"]
    text = (FOLDER / "compose.yaml").read_text()
    shown = [shlex.split(line) for line in re.findall(r"run --rm tools (.+)", text) if not line.startswith("COMMAND")]
    assert len(shown) == 2
    for words in [*shown, *([one] for one in ("run", "doctor", "statistics", "verify"))]:
        known = {option for one in commands[words[0]].params for option in one.opts}
        assert {word for word in words[1:] if word.startswith("-")} <= known


def test_the_image_is_built_from_what_is_there():
    text = (FOLDER / "Dockerfile").read_text()
    (base,) = re.findall(r"^FROM (\S+)$", text, flags=re.MULTILINE)
    assert base == "python:3.12-slim"
    assert (ROOT / "constraints.txt").exists()
    assert "USER millrace" in text
    assert text.index("USER millrace") < text.index("ENTRYPOINT")
    ignored = (ROOT / ".dockerignore").read_text().split()
    assert {".git", ".venv", ".millrace"} <= set(ignored)
