"""The code location as Dagster loads it: its graph is the public API."""

import json
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from dagster import AssetKey, DagsterInstance, Definitions, SensorDefinition

import definitions
from assets.governed import ASSETS
from assets.scoring_model import scoring_model
from assets.streams import STREAM_ASSETS
from jobs.governed import JOBS
from jobs.streams import STREAM_JOBS
from millrace.contracts.topics import Topics
from millrace.quality.checks import CHECKS
from millrace.streams.names import MOST_PROCESSES, STREAMS

ROOT = Path(definitions.__file__).parent
SNAPSHOT = Path(__file__).parent / "graph.json"
HEAVY = {
    "mlflow", "torch", "transformers", "peft", "shap", "pyspark", "great_expectations", "flaml", "sklearn", "scipy",
    "pandas", "numpy", "pyarrow", "duckdb", "matplotlib", "lightgbm", "xgboost", "fairlearn", "confluent_kafka",
    "dbt", "dagster_dbt", "dagster_k8s", "fastapi", "uvicorn",
}  # fmt: skip


def graph() -> dict[str, object]:
    nodes = definitions.defs.resolve_asset_graph()
    repository = definitions.defs.get_repository_def()
    return {
        "assets": {
            key.to_user_string(): {
                "deps": sorted(one.to_user_string() for one in nodes.get(key).parent_keys),
                "group": nodes.get(key).group_name,
                "kinds": sorted(nodes.get(key).kinds),
                "owners": sorted(nodes.get(key).owners),
                "partitions": nodes.get(key).partitions_def and nodes.get(key).partitions_def.name,
                "checks": {
                    check.name: "blocking" if nodes.get_check_spec(check).blocking else "warning"
                    for check in sorted(nodes.get(key).check_keys, key=lambda one: one.name)
                },
            }
            for key in sorted(nodes.materializable_asset_keys)
        },
        "external assets": {
            spec.key.to_user_string(): {
                "deps": sorted(one.asset_key.to_user_string() for one in spec.deps),
                "group": spec.group_name,
                "kinds": sorted(spec.kinds),
                "owners": sorted(spec.owners),
            }
            for spec in STREAM_ASSETS
        },
        "jobs": {
            job.name: sorted(
                key.to_user_string() for key in repository.get_job(job.name).asset_layer.executable_asset_keys
            )
            for job in JOBS
        },
        "job tags": {job.name: dict(job.tags or {}) for job in (*JOBS, *STREAM_JOBS)},
        "sensors": {
            one.name: {
                "status": one.default_status.value,
                "interval": one.minimum_interval_seconds,
                "targets": sorted(target.job_name for target in one.targets if target.job_name),
            }
            for one in repository.sensor_defs
        },
        "topics": {"triggers": list(Topics().triggers()), "registers": Topics().dataset},
    }


def test_the_graph_is_the_one_that_was_published():
    """After a wanted change: `python tests/test_definitions.py` writes the file anew."""
    assert graph() == json.loads(SNAPSHOT.read_text())


def test_everything_loads():
    Definitions.validate_loadable(definitions.defs)


def test_every_asset_has_a_sentence_an_owner_a_group_and_a_code_version():
    for spec in [*(spec for asset in (*ASSETS, scoring_model) for spec in asset.specs), *STREAM_ASSETS]:
        assert spec.description
        assert spec.description.endswith(".")
        assert spec.owners
        assert spec.group_name
        assert spec.code_version


def test_every_check_of_the_vocabulary_is_there_by_partition():
    nodes = definitions.defs.resolve_asset_graph()
    keys = nodes.get(AssetKey("data_quality")).check_keys
    assert {key.name for key in keys} == {check.name for check in CHECKS}
    assert all(nodes.get_check_spec(key).partitions_def is not None for key in keys)


def test_stages_run_in_one_process_and_are_never_retried_by_dagster():
    repository = definitions.defs.get_repository_def()
    for job in (*JOBS, *STREAM_JOBS):
        resolved = repository.get_job(job.name)
        assert resolved.executor_def.name == "in_process"
        assert resolved.op_retry_policy is None
        assert all(node.definition.retry_policy is None for node in resolved.nodes)
    assert repository.get_implicit_global_asset_job_def().executor_def.name == "in_process"


def test_sensors_start_running_and_those_of_events_are_looked_at_every_time():
    for sensor in definitions.defs.get_repository_def().sensor_defs:
        assert isinstance(sensor, SensorDefinition)
        assert sensor.default_status.value == "RUNNING"
        # zero means thirty seconds to Dagster; supervisors and backstops answer for restarts and deaths, not for events
        for_events = sensor.name.endswith(("_trigger_sensor", "_events_sensor"))
        assert sensor.minimum_interval_seconds == (1 if for_events else 4)


def test_each_stream_is_known_to_the_command_line_and_has_a_job_in_the_lane_of_streams():
    assert {job.name for job in STREAM_JOBS} == set(STREAMS)
    assert all(job.tags["millrace/lane"] == "streams" for job in STREAM_JOBS)


def test_definitions_stay_short():
    assert len((ROOT / "definitions.py").read_text().splitlines()) <= 60


def test_web_pages_daemon_and_dg_load_the_same_module():
    workspace = yaml.safe_load((ROOT / "workspace.yaml").read_text())
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["dg"]["project"]
    assert workspace == {"load_from": [{"python_module": "definitions"}]}
    assert project["code_location_target_module"] == "definitions"


def test_importing_the_code_location_brings_no_heavy_library():
    found = imported("definitions") & HEAVY
    assert not found, f"{sorted(found)}: run `python -X importtime -c 'import definitions'` to see who imports them"


def test_the_heavy_import_test_can_fail():
    assert "numpy" in imported("definitions, numpy")


def imported(modules: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", f"import {modules}"],
        capture_output=True, text=True, check=True, cwd=ROOT,
    )  # fmt: skip
    return {line.rpartition("|")[2].strip().partition(".")[0] for line in done.stderr.splitlines()}


@pytest.fixture
def instance(tmp_path, monkeypatch):
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    (tmp_path / "dagster.yaml").write_text((ROOT / "dagster.yaml").read_text())
    with DagsterInstance.from_config(str(tmp_path)) as made:
        yield made


def test_the_instance_gives_every_kafka_sensor_a_thread(instance):
    sensors = instance.get_settings("sensors")
    assert sensors["use_threads"]
    assert sensors["num_workers"] >= max(8, len(definitions.defs.get_repository_def().sensor_defs))
    assert sensors["num_submit_workers"] >= 4


def test_the_instance_watches_runs_and_does_not_retry_them(instance):
    assert instance.run_monitoring_enabled
    assert instance.run_monitoring_poll_interval_seconds <= 10
    assert not instance.run_retries_enabled
    assert not instance.telemetry_enabled


def test_the_instance_takes_runs_from_the_queue_at_once_with_lanes_of_their_own(instance):
    coordinator = instance.run_coordinator
    assert coordinator.dequeue_interval_seconds == 1
    assert coordinator.dequeue_use_threads
    lanes = instance.get_concurrency_config().run_queue_config.tag_concurrency_limits
    assert {lane["value"] for lane in lanes} == {"stages", "streams"}
    # the three levels of an explanation run side by side
    assert next(lane["limit"] for lane in lanes if lane["value"] == "stages") >= 3
    assert next(lane["limit"] for lane in lanes if lane["value"] == "streams") >= MOST_PROCESSES
    assert all(job.tags["millrace/lane"] == "stages" for job in JOBS)


def test_the_instance_forgets_old_ticks(instance):
    days = instance.get_settings("retention")["sensor"]["purge_after_days"]
    assert set(days) == {"skipped", "failure", "success"}
    assert all(value > 0 for value in days.values())


if __name__ == "__main__":
    SNAPSHOT.write_text(json.dumps(graph(), indent=2) + "\n")
