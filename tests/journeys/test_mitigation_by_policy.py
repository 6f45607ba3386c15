"""A policy that asks for mitigation: the run that trains the model mitigates it too, and replaces nothing by it."""

import io
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from dagster import AssetKey, DagsterInstance, ExecuteInProcessResult
from sqlalchemy import select

import definitions
from millrace import settings as environment
from millrace.automl.candidates import candidate_name
from millrace.conductor.service import Conductor
from millrace.contracts.identifiers import DatasetKey
from millrace.contracts.task import Answers
from millrace.lineage.verify import verify
from millrace.settings import Settings
from millrace.warehouse.models import get_model
from millrace.warehouse.reports import ReportFacts, find_report
from millrace.warehouse.schema import Outbox
from millrace.warehouse.statements import statements_of
from millrace.warehouse.store import Warehouse, open_warehouse
from millrace.warehouse.uploads import receive, store_upload

pytestmark = [
    pytest.mark.slow,
    # libraries of the stages warn about each other; their own tests hold them to silence
    pytest.mark.filterwarnings("default"),
]
KEY = DatasetKey("eve", "strict")
ANSWERS = Answers(target="approved", task_type="classification", positive="yes", sensitive=("sex",))
Launch = Callable[..., ExecuteInProcessResult]


@pytest.fixture(scope="module")
def home(mlflow_url: str, unfair_loans: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MILLRACE_HOME", str(tmp_path_factory.mktemp("home")))
        patch.setenv("MLFLOW_TRACKING_URI", mlflow_url)
        settings = environment.load()
        warehouse = open_warehouse(settings, migrate=True)
        text = unfair_loans.to_csv(index=False)
        received = receive(io.BytesIO(text.encode()), file_name="loans.csv", settings=settings, warehouse=warehouse)
        store_upload(warehouse, settings, received, key=KEY, name="loans")
        asked = {"time_budget": 2, "seed": 5, "families": ["lgbm"], "bias_policy": "strict"}
        Conductor(warehouse, settings).create(KEY, answers=ANSWERS, settings=asked, actor="user:eve")
        yield settings


@pytest.fixture(scope="module")
def warehouse(home: Settings) -> Warehouse:
    return open_warehouse(home)


@pytest.fixture(scope="module")
def launch(home: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Launch]:
    with DagsterInstance.local_temp(str(tmp_path_factory.mktemp("dagster"))) as instance:
        instance.add_dynamic_partitions("datasets", [KEY.partition_key])

        def run(job: str, **options: Any) -> ExecuteInProcessResult:
            found = definitions.defs.get_repository_def().get_job(job)
            result = found.execute_in_process(
                instance=instance, partition_key=KEY.partition_key, raise_on_error=False, **options
            )
            assert result.success, [event.message for event in result.all_events if event.is_failure]
            return result

        yield run


@pytest.fixture(scope="module")
def trained(launch: Launch) -> ExecuteInProcessResult:
    """One run: model, its bias report, and the mitigation that the policy asks for."""
    return launch("automl_job")


def _report(warehouse: Warehouse, kind: Any) -> tuple[ReportFacts, dict[str, Any]]:
    with warehouse.read() as session:
        found = find_report(session, KEY, kind=kind)
    assert found is not None
    return found, json.loads(warehouse.artifacts.read_bytes(found.json_sha256))


def test_one_run_makes_the_model_its_report_and_the_mitigation(trained, warehouse) -> None:
    made = {event.asset_key.to_user_string() for event in trained.get_asset_materialization_events() if event.asset_key}
    assert made == {"model", "model_bias_report", "bias_mitigation"}
    found, document = _report(warehouse, "mitigation")
    assert document["scope"]["attribute"] == "sex"
    assert found.summary["asked_by"] == "policy"
    assert document["policy"]["mitigation"]["when"] == "fail"


def test_the_models_report_shows_the_mitigation_and_links_to_it(trained, warehouse) -> None:
    found, document = _report(warehouse, "mitigation")
    report, twin = _report(warehouse, "model_bias")
    section = twin["parts"]["mitigation"]
    assert (section["report_hash"], section["could_not"]) == (found.report_hash, None)
    assert section["recommended"] == document["recommendation"]["method"]
    page = warehouse.artifacts.read_bytes(str(report.html_sha256)).decode()
    assert f'<a href="/bias-reports/{found.report_id}/view">' in page
    with warehouse.read() as session:
        statements = {one.asset: one for one in statements_of(session, KEY)}
    assert {"ref": f"report:{found.report_id}", "sha256": found.json_sha256} in [
        {"ref": one["ref"], "sha256": one["sha256"]} for one in statements["model_bias_report"].inputs
    ]
    assert statements["bias_mitigation"].parameters["asked_by"] == "policy"


def test_the_event_says_so_and_the_model_stays_what_it_was(trained, warehouse, home) -> None:
    import mlflow

    found, document = _report(warehouse, "mitigation")
    with warehouse.read() as session:
        (row,) = session.scalars(select(Outbox).where(Outbox.topic == "bias-events")).all()
        model = get_model(session, KEY)
    told = json.loads(row.value)
    assert (told["has_transformation_report"], told["bias_report_id"]) == (True, found.report_id)
    client = mlflow.MlflowClient(home.mlflow)
    assert [one.version for one in client.search_model_versions(f"name = '{KEY.partition_key}'")] == ["1"]
    assert model.version == 1
    candidates = client.search_model_versions(f"name = '{candidate_name(KEY)}'")
    assert [one.tags["millrace/asked-by"] for one in candidates] == ["policy"] * (
        document["recommendation"]["method"] is not None
    )
    assert verify(warehouse, mlflow_url=home.mlflow).failures == ()


def test_the_report_measured_again_without_the_mitigation_tells_of_the_one_that_is_there(
    trained, launch, warehouse
) -> None:
    before, _ = _report(warehouse, "model_bias")
    alone = launch("automl_job", asset_selection=[AssetKey("model_bias_report")])
    assert len(alone.get_asset_materialization_events()) == 1
    after, _ = _report(warehouse, "model_bias")
    assert after.report_id != before.report_id
    assert after.report_hash == before.report_hash
