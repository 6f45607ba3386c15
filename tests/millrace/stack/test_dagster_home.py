import pytest
import yaml
from sqlalchemy import create_engine, inspect

from millrace.contracts.errors import BadInput
from millrace.settings import load
from millrace.stack.dagster_home import create_storage, install_dagster_home, source_file
from millrace.stack.environment import child_environment


def test_the_instance_file_is_the_repositorys_and_the_workspace_names_the_running_server(make_settings, tmp_path):
    settings = make_settings(tmp_path)
    install_dagster_home(settings)
    assert (settings.dagster_home / "dagster.yaml").read_text() == source_file("dagster.yaml").read_text()
    (entry,) = yaml.safe_load((settings.dagster_home / "workspace.yaml").read_text())["load_from"]
    assert entry == {
        "grpc_server": {"host": "127.0.0.1", "port": settings.code_server_port, "location_name": "definitions"}
    }


def test_without_warm_runs_nothing_of_them_is_left(make_settings, tmp_path):
    settings = make_settings(tmp_path, MILLRACE_WARM_RUNS="false")
    install_dagster_home(settings)
    written = yaml.safe_load((settings.dagster_home / "dagster.yaml").read_text())
    whole = yaml.safe_load(source_file("dagster.yaml").read_text())
    assert {name: part for name, part in whole.items() if name not in ("run_launcher", "storage")} == written


@pytest.mark.parametrize("url", ["postgresql://me:hidden@db/d", "postgresql+psycopg://me:hidden@db/d"])
def test_a_database_for_dagster_is_named_by_its_variable_and_opened_by_the_driver_it_is_written_for(
    make_settings, tmp_path, url
):
    config = {"postgres_url": {"env": "MILLRACE_DAGSTER_DATABASE_URL"}}
    for warm, storage in (
        ("true", {"custom": {"module": "warm_runs.postgres", "class": "WarmPostgresStorage", "config": config}}),
        ("false", {"postgres": config}),
    ):
        settings = make_settings(tmp_path, MILLRACE_DAGSTER_DATABASE_URL=url, MILLRACE_WARM_RUNS=warm)
        install_dagster_home(settings)
        text = (settings.dagster_home / "dagster.yaml").read_text()
        assert "hidden" not in text
        written = yaml.safe_load(text)
        assert written.pop("storage") == storage
        assert ("run_launcher" in written) is (warm == "true")
        whole = yaml.safe_load(source_file("dagster.yaml").read_text())
        assert written == {name: whole[name] for name in whole if name in written}
        child = child_environment(settings)
        assert child["MILLRACE_DAGSTER_DATABASE_URL"] == "postgresql+psycopg2://me:hidden@db/d"


def test_a_url_of_another_database_is_refused_with_the_variable_named(monkeypatch):
    monkeypatch.setenv("MILLRACE_DAGSTER_DATABASE_URL", "mysql://db/d")
    with pytest.raises(BadInput, match="MILLRACE_DAGSTER_DATABASE_URL"):
        load()


@pytest.mark.postgres
def test_dagsters_tables_are_made_once_in_each_database(make_settings, tmp_path, postgres_database):
    settings = make_settings(tmp_path, MILLRACE_DAGSTER_DATABASE_URL=postgres_database)
    install_dagster_home(settings)
    environment = child_environment(settings)
    # made for SQLite before
    (settings.dagster_home / ".storage-made").write_text("another database's")
    create_storage(settings, environment)
    engine = create_engine(postgres_database)
    assert {"runs", "event_logs", "instigators"} <= set(inspect(engine).get_table_names())
    engine.dispose()
    # nothing is started any more
    create_storage(settings, {"PATH": ""})


def test_installing_again_follows_the_settings_and_keeps_storage(make_settings, tmp_path):
    first = make_settings(tmp_path)
    install_dagster_home(first)
    (first.dagster_home / "history").mkdir()
    second = make_settings(tmp_path)
    install_dagster_home(second)
    assert str(second.code_server_port) in (second.dagster_home / "workspace.yaml").read_text()
    assert (second.dagster_home / "history").is_dir()
