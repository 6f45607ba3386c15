import sys
from pathlib import Path

from millrace.settings import Settings
from millrace.stack.environment import MARKER, child_environment, environment


def test_a_process_with_this_environment_has_the_same_settings(make_settings, tmp_path, monkeypatch):
    given = make_settings(
        tmp_path, MILLRACE_POLICY="autopilot", KAFKA_BIAS_TOPIC="other", MILLRACE_TIME_BUDGET=7,
        MILLRACE_API_TOKENS="ann=00", MILLRACE_BIAS_EXECUTOR="external",
    )  # fmt: skip
    for name, value in child_environment(given).items():
        monkeypatch.setenv(name, value)
    seen = Settings()
    # what was derived is now said
    assert seen.model_copy(update={"kafka_bootstrap": None, "mlflow_url": None}) == given
    assert (seen.bootstrap, seen.mlflow, seen.database) == (given.bootstrap, given.mlflow, given.database)


def test_what_is_printed_for_a_shell_holds_no_credentials_and_no_marker(make_settings, tmp_path):
    settings = make_settings(
        tmp_path, MILLRACE_MODE="KAFKA", KAFKA_BOOTSTRAP="k:1", API_KEY="the-name", API_SECRET="the-word",
        MILLRACE_API_TOKENS="ann=00",
    )  # fmt: skip
    shown = environment(settings)
    assert not {"API_KEY", "API_SECRET", "MILLRACE_API_TOKENS", MARKER} & shown.keys()
    assert {"API_KEY", "API_SECRET", "MILLRACE_API_TOKENS", MARKER} <= child_environment(settings).keys()
    assert shown["DAGSTER_HOME"] == str(settings.dagster_home)
    assert shown["KAFKA_BOOTSTRAP"] == "k:1"


def test_children_find_our_programs_and_no_proxy_stands_between_them(make_settings, tmp_path, monkeypatch):
    monkeypatch.setenv("NO_PROXY", "example.org")
    child = child_environment(make_settings(tmp_path))
    assert child["PATH"].startswith(str(Path(sys.executable).parent))
    assert child["NO_PROXY"] == child["no_proxy"] == "example.org,127.0.0.1,localhost"
