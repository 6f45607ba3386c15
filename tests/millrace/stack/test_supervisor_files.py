import configparser
import shlex
from pathlib import Path

import pytest
from supervisor.options import ServerOptions

from millrace.contracts.errors import BadInput
from millrace.stack.programs import Program, programs
from millrace.stack.supervisor_files import Exits, Places, configuration_text, unasked_exits

LOG = """\
2026-11-21 08:50:01,001 INFO supervisord started with pid 7
2026-11-21 08:50:02,001 INFO spawned: 'api' with pid 8
2026-11-21 08:50:02,500 WARN exited: api (exit status 3; not expected)
2026-11-21 08:50:03,001 INFO spawned: 'api' with pid 9
2026-11-21 08:50:06,001 INFO success: api entered RUNNING state, process has stayed up for > than 3 seconds (startsecs)
2026-11-21 08:50:07,001 WARN exited: api (terminated by SIGKILL; not expected)
2026-11-21 08:50:08,001 INFO exited: daemon (exit status 0; expected)
2026-11-21 08:50:09,001 INFO waiting for broker to stop
2026-11-21 08:50:09,201 INFO stopped: broker (exit status 143)
2026-11-21 08:50:10,001 WARN killing 'mlflow' (11) with SIGKILL
2026-11-21 08:50:10,201 WARN stopped: mlflow (terminated by SIGKILL)
"""


def test_ends_that_nobody_asked_for_are_counted_and_the_others_not():
    assert unasked_exits(LOG) == {
        "api": Exits(2, "terminated by SIGKILL", "2026-11-21 08:50:07"),
        "daemon": Exits(1, "exit status 0", "2026-11-21 08:50:08"),
    }


def test_supervisord_reads_what_was_meant(tmp_path: Path, monkeypatch):
    run = tmp_path / "a home with 100% and spaces"
    places = Places(run, run / "logs", run / "s.sock")
    for folder in (run, places.logs):
        folder.mkdir(parents=True)
    command = ("/bin/echo", "two words", "50%", 'quo"te', "semi; colon", "apo'strophe")
    places.configuration.write_text(configuration_text([Program("one", "x", command)], places))
    monkeypatch.chdir(run)
    options = ServerOptions()
    options.realize(["-c", str(places.configuration)])
    (group,) = options.process_group_configs
    (process,) = group.process_configs
    assert tuple(shlex.split(process.command)) == command
    assert Path(process.stdout_logfile).resolve() == places.log_of("one")
    assert (process.stopasgroup, process.killasgroup, process.autostart) == (True, True, False)
    assert Path(options.logfile).resolve() == places.log


def test_every_program_is_described_on_loopback_ports_of_the_settings(make_settings, tmp_path):
    settings = make_settings(tmp_path)
    found = {one.name: one for one in programs(settings, broker=["java"])}
    assert list(found) == ["broker", "api", "conductor", "code-server", "mlflow", "runs", "webserver", "daemon"]
    ports = {port.setting: port.number for one in found.values() for port in one.ports}
    assert ports == {
        "MILLRACE_KAFKA_PORT": settings.kafka_port,
        "MILLRACE_KAFKA_CONTROLLER_PORT": settings.kafka_controller_port,
        "MILLRACE_API_PORT": settings.api_port,
        "MILLRACE_CONDUCTOR_PORT": settings.conductor_port,
        "MILLRACE_CODE_SERVER_PORT": settings.code_server_port,
        "MILLRACE_DAGSTER_PORT": settings.dagster_port,
        "MILLRACE_MLFLOW_PORT": settings.mlflow_port,
    }
    assert all(
        "127.0.0.1" in one.command for name, one in found.items() if name in ("code-server", "mlflow", "webserver")
    )


def test_parts_that_are_elsewhere_are_not_started(make_settings, tmp_path):
    settings = make_settings(
        tmp_path, MILLRACE_MODE="KAFKA", KAFKA_BOOTSTRAP="kafka:9092", MLFLOW_TRACKING_URI="http://mlflow:5000"
    )
    assert [one.name for one in programs(settings, broker=None)] == [
        "api", "conductor", "code-server", "runs", "webserver", "daemon",
    ]  # fmt: skip


def test_a_path_that_supervisord_cannot_be_told_is_refused(tmp_path):
    with pytest.raises(BadInput, match="cannot be given"):
        configuration_text([Program("one", "x", ("/bin/echo", "/a ;b"))], Places(tmp_path, tmp_path, tmp_path / "s"))


def test_the_text_is_an_ini_file(tmp_path):
    parser = configparser.RawConfigParser()
    parser.read_string(configuration_text([], Places(tmp_path, tmp_path, tmp_path / "s")))
    assert parser["unix_http_server"]["chmod"] == "0600"
