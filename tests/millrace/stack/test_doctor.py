import socket
from types import SimpleNamespace

import pytest

from millrace.stack import doctor
from millrace.stack.doctor import examine
from millrace.warehouse.store import open_warehouse


def _found(settings, environment=None):
    return {one.name: one for one in examine(settings, environment=environment or {})}


def test_every_finding_that_is_not_well_says_what_to_do(make_settings, tmp_path):
    settings = make_settings(tmp_path, MILLRACE_HOST="0.0.0.0")
    with socket.create_server(("127.0.0.1", settings.api_port)):
        found = examine(settings, environment={"KAFKA_BROKERS": "elsewhere:9092"})
    for one in found:
        assert one.level == "ok" or one.remedy, one
    by_name = {one.name: one for one in found}
    assert {"packages", "java", "disk", "memory", "ports", "kafka address", "broker", "database", "access"} <= set(
        by_name
    )
    assert by_name["ports"].level == "fail"
    assert "MILLRACE_API_PORT" in by_name["ports"].remedy
    assert by_name["access"].level == "fail"


def test_the_kafka_variable_that_won_is_named(make_settings, tmp_path):
    both = {"KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1", "KAFKA_BROKERS": "other:2"}
    cluster = make_settings(tmp_path, MILLRACE_MODE="KAFKA", KAFKA_BOOTSTRAP="127.0.0.1:1")
    one = _found(cluster, both)["kafka address"]
    assert one.level == "warn"
    assert "from KAFKA_BOOTSTRAP_SERVERS, which goes before KAFKA_BROKERS" in one.seen
    ignored = _found(make_settings(tmp_path), both)["kafka address"]
    assert "KAFKA_BOOTSTRAP_SERVERS is not used" in ignored.seen
    assert "MILLRACE_MODE=KAFKA" in ignored.remedy


def test_the_database_is_looked_at_and_its_revision_compared(make_settings, tmp_path):
    settings = make_settings(tmp_path)
    assert "not there yet" in _found(settings)["database"].seen
    open_warehouse(settings, migrate=True).engine.dispose()
    assert _found(settings)["database"].level == "ok"
    other = make_settings(tmp_path / "other")
    open_warehouse(other).engine.connect().close()
    assert _found(other)["database"].level == "warn"


def test_a_database_that_does_not_answer_is_named_without_its_password(make_settings, tmp_path):
    url = f"postgresql+psycopg://me:hidden@127.0.0.1:{make_settings(tmp_path).api_port}/db"
    found = _found(make_settings(tmp_path, MILLRACE_DATABASE_URL=url))["database"]
    assert found.level == "fail"
    assert "hidden" not in found.seen
    assert "MILLRACE_DATABASE_URL" in found.remedy


@pytest.mark.postgres
def test_dagsters_database_is_looked_at_where_there_is_one(make_settings, tmp_path, postgres_url):
    assert "dagster database" not in _found(make_settings(tmp_path))
    url = f"postgresql://me:hidden@127.0.0.1:{make_settings(tmp_path).api_port}/db"
    found = _found(make_settings(tmp_path, MILLRACE_DAGSTER_DATABASE_URL=url))["dagster database"]
    assert found.level == "fail"
    assert "hidden" not in found.seen
    assert "MILLRACE_DAGSTER_DATABASE_URL" in found.remedy
    there = make_settings(tmp_path, MILLRACE_DAGSTER_DATABASE_URL=postgres_url)
    assert _found(there)["dagster database"].level == "ok"


def test_packages_that_every_process_compiles_again_are_found(make_settings, tmp_path, monkeypatch):
    settings, forbidden = make_settings(tmp_path), {"PYTHONDONTWRITEBYTECODE": "1"}
    spec = SimpleNamespace(cached=str(tmp_path / "none.pyc"))
    monkeypatch.setattr(doctor, "find_spec", lambda name: spec)
    assert _found(settings)["bytecode"].level == "ok"
    one = _found(settings, forbidden)["bytecode"]
    assert one.level == "warn"
    assert "compileall" in one.remedy
    (tmp_path / "none.pyc").touch()
    assert _found(settings, forbidden)["bytecode"].level == "ok"


@pytest.mark.parametrize(("free", "level"), [(10, "fail"), (3 << 30, "warn"), (1 << 40, "ok")])
def test_a_full_disk_is_found(make_settings, tmp_path, monkeypatch, free, level):
    usage = type("Usage", (), {"free": free})
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda place: usage)
    assert doctor._disk(make_settings(tmp_path)).level == level


def test_looking_changes_nothing(make_settings, tmp_path):
    settings = make_settings(tmp_path)
    examine(settings)
    assert not settings.home.exists()
