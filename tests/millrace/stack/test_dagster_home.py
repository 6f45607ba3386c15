import yaml

from millrace.stack.dagster_home import install_dagster_home, source_file


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


def test_installing_again_follows_the_settings_and_keeps_storage(make_settings, tmp_path):
    first = make_settings(tmp_path)
    install_dagster_home(first)
    (first.dagster_home / "history").mkdir()
    second = make_settings(tmp_path)
    install_dagster_home(second)
    assert str(second.code_server_port) in (second.dagster_home / "workspace.yaml").read_text()
    assert (second.dagster_home / "history").is_dir()
