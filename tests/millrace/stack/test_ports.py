import os
import socket

import pytest

from millrace.contracts.errors import BadInput
from millrace.stack.ports import check_ports, holder, taken
from millrace.stack.programs import Port, programs


@pytest.mark.parametrize("address", ["127.0.0.1", "0.0.0.0"])
def test_a_taken_port_names_its_setting_and_who_holds_it(make_settings, tmp_path, address):
    settings = make_settings(tmp_path)
    with socket.create_server((address, settings.dagster_port)), pytest.raises(BadInput) as caught:
        check_ports(programs(settings, broker=[]))
    assert caught.value.field == "MILLRACE_DAGSTER_PORT"
    assert str(settings.dagster_port) in caught.value.message
    assert f"pid {os.getpid()}" in caught.value.message
    assert "webserver" in caught.value.message


def test_free_ports_pass(make_settings, tmp_path):
    check_ports(programs(make_settings(tmp_path), broker=[]))


def test_a_port_given_twice_is_refused(make_settings, tmp_path):
    port = make_settings(tmp_path).api_port
    settings = make_settings(tmp_path, MILLRACE_API_PORT=port, MILLRACE_MLFLOW_PORT=port)
    with pytest.raises(BadInput, match="wanted twice, by MILLRACE_API_PORT and MILLRACE_MLFLOW_PORT"):
        check_ports(programs(settings, broker=[]))


def test_a_port_whose_last_connection_is_still_closing_is_free():
    with socket.create_server(("127.0.0.1", 0)) as server:
        number = server.getsockname()[1]
        with socket.create_connection(("127.0.0.1", number)):
            served, _ = server.accept()
            served.close()
    assert not taken(Port(number, "X"))


def test_who_holds_nothing_is_unknown(make_settings, tmp_path):
    assert holder(make_settings(tmp_path).api_port) == "another process"
