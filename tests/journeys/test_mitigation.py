"""A mitigation as a data scientist launches it: real Dagster, real MLflow, the model that AutoML trained."""

import io
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from dagster import DagsterInstance, ExecuteInProcessResult, RunConfig
from sqlalchemy import select

import definitions
from assets.bias_mitigation import MitigationConfig
from millrace import settings as environment
from millrace.automl.candidates import candidate_name
from millrace.automl.registry import load_predictor, model_tree_sha256
from millrace.conductor.service import Conductor
from millrace.contracts.canonical import canonical_json
from millrace.contracts.errors import NotFound
from millrace.contracts.identifiers import DatasetKey
from millrace.contracts.task import Answers
from millrace.examples.loans import generate_loans
from millrace.lineage.naming import resolve
from millrace.lineage.verify import verify
from millrace.settings import Settings
from millrace.warehouse.datasets import get_version, read_table
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
KEY = DatasetKey("eve", "loans")
ANSWERS = Answers(target="approved", task_type="classification", positive="yes", sensitive=("region", "sex"))
Launch = Callable[..., ExecuteInProcessResult]


@pytest.fixture(scope="module")
def home(mlflow_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MILLRACE_HOME", str(tmp_path_factory.mktemp("home")))
        patch.setenv("MLFLOW_TRACKING_URI", mlflow_url)
        settings = environment.load()
        warehouse = open_warehouse(settings, migrate=True)
        text = generate_loans(rows=4_000, seed=11).to_csv(index=False)
        received = receive(io.BytesIO(text.encode()), file_name="loans.csv", settings=settings, warehouse=warehouse)
        store_upload(warehouse, settings, received, key=KEY, name="loans")
        quick = {"time_budget": 2, "seed": 5, "families": ["lgbm"]}
        Conductor(warehouse, settings).create(KEY, answers=ANSWERS, settings=quick, actor="user:eve")
        yield settings


@pytest.fixture(scope="module")
def warehouse(home: Settings) -> Warehouse:
    return open_warehouse(home)


@pytest.fixture(scope="module")
def instance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DagsterInstance]:
    with DagsterInstance.local_temp(str(tmp_path_factory.mktemp("dagster"))) as made:
        made.add_dynamic_partitions("datasets", [KEY.partition_key])
        yield made


@pytest.fixture(scope="module")
def launch(instance: DagsterInstance, home: Settings) -> Launch:
    def run(job: str, **options: Any) -> ExecuteInProcessResult:
        found = definitions.defs.get_repository_def().get_job(job)
        return found.execute_in_process(
            instance=instance, partition_key=KEY.partition_key, raise_on_error=False, **options
        )

    return run


def _config(**options: str) -> RunConfig:
    return RunConfig(ops={"model_bias": MitigationConfig(**options)})


@pytest.fixture(scope="module")
def done(launch: Launch) -> ExecuteInProcessResult:
    """Label report, model, and then the mitigation."""
    for job in ("bias_job", "automl_job"):
        assert launch(job).success
    result = launch("mitigation_job", run_config=_config(attribute="sex", candidate="reweighing"))
    assert result.success, [event.message for event in result.all_events if event.is_failure]
    return result


@pytest.fixture(scope="module")
def report(done: ExecuteInProcessResult, warehouse: Warehouse) -> ReportFacts:
    with warehouse.read() as session:
        found = find_report(session, KEY, kind="mitigation")
    assert found is not None
    return found


def test_every_method_starts_from_what_the_models_own_report_found(report, warehouse) -> None:
    document = json.loads(warehouse.artifacts.read_bytes(report.json_sha256))
    assert document["scope"]["classifier"] == "LGBMClassifier"
    assert [one["failed"] for one in document["results"]] == [None] * 4
    with warehouse.read() as session:
        own = find_report(session, KEY, kind="model_bias")
    assert own is not None
    found = json.loads(warehouse.artifacts.read_bytes(own.json_sha256))
    measured = {
        (attribute["attribute"], one["metric"]): (one["value"], one["low"], one["high"], one["verdict"])
        for attribute in (*found["attributes"], *found["crossings"])
        for one in attribute["disparities"]
    }
    for result in document["results"]:
        before = {
            (gap["attribute"], gap["metric"]): tuple(
                gap["before"][name] for name in ("value", "low", "high", "verdict")
            )
            for gap in result["gaps"]
        }
        assert before == measured
    page = warehouse.artifacts.read_bytes(str(report.html_sha256)).decode()
    assert document["recommendation"]["reason"] in page


def test_the_candidate_stands_beside_the_models_and_is_none_of_them(report, warehouse, home) -> None:
    import mlflow

    client = mlflow.MlflowClient(home.mlflow)
    version = client.get_model_version_by_alias(candidate_name(KEY), "candidate")
    assert version.tags["millrace/role"] == "candidate"
    assert version.tags["millrace/method"] == "reweighing"
    with warehouse.read() as session:
        assert get_model(session, KEY).version == 1
    assert len(client.search_model_versions(f"name = '{KEY.partition_key}'")) == 1


def test_the_candidate_answers_raw_rows_as_the_report_measured(report, warehouse, home) -> None:
    candidate = report.summary["candidate"]
    assert model_tree_sha256(candidate["uri"], home.mlflow) == candidate["sha256"]
    predictor = load_predictor(candidate["uri"], home.mlflow, tree_sha256=candidate["sha256"])
    with warehouse.read() as session:
        frame = read_table(warehouse, get_version(session, KEY))
        model = get_model(session, KEY)
    from millrace.automl.result import ModelCard
    from millrace.automl.split import holdout_positions

    unseen = frame.iloc[holdout_positions(frame, ModelCard.model_validate(model.details))]
    accuracy = float((predictor.predict(unseen) == unseen.approved).mean())
    document = json.loads(warehouse.artifacts.read_bytes(report.json_sha256))
    (result,) = [one for one in document["results"] if one["method"] == "reweighing"]
    told = next(one["after"]["value"] for one in result["qualities"] if one["metric"] == "accuracy")
    assert accuracy == pytest.approx(told)


def test_a_clean_process_loads_the_candidate_without_our_code(report, home, tmp_path) -> None:
    code = (
        "import mlflow.sklearn, pandas as pd, sys\n"
        f"model = mlflow.sklearn.load_model({report.summary['candidate']['uri']!r})\n"
        "print(model.predict(pd.DataFrame([{name: None for name in model.feature_names_in_}]))[0])\n"
        "assert not any(name.startswith(('millrace', 'fairlearn')) for name in sys.modules)\n"
    )
    clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, "-P", "-c", code], cwd=tmp_path, env=clean | {"MLFLOW_TRACKING_URI": home.mlflow},
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().splitlines()[-1] in ("yes", "no")


def test_the_event_says_that_there_is_a_transformation_report_from_now_on(report, warehouse, launch) -> None:
    assert launch("bias_job").success
    with warehouse.read() as session:
        rows = session.scalars(select(Outbox).where(Outbox.topic == "bias-events").order_by(Outbox.id)).all()
    told = [json.loads(row.value) for row in rows]
    assert [one["has_transformation_report"] for one in told] == [False, True, True]
    assert told[1]["bias_report_id"] == report.report_id


def test_the_statement_names_the_model_it_came_from_and_the_candidate_it_left(report, warehouse, home) -> None:
    with warehouse.read() as session:
        (statement,) = [one for one in statements_of(session, KEY) if one.asset == "bias_mitigation"]
    assert [one["ref"] for one in statement.inputs] == ["dataset:eve.loans@v1", "model:eve.loans@v1"]
    assert [one["part"] for one in statement.outputs[:2]] == ["json", "html"]
    assert statement.outputs[2]["ref"] == "model:eve.loans.candidate@v1"
    assert statement.parameters["candidate"] == "reweighing"
    assert statement.approval == "none"
    assert canonical_json(statement.parameters)


def test_lineage_holds_and_an_altered_candidate_is_found(report, warehouse, home) -> None:
    from sqlalchemy import update

    from millrace.warehouse.schema import Report

    def failures() -> list[str]:
        found = verify(warehouse, mlflow_url=home.mlflow)
        assert not found.unchecked
        return [f"{one.what} {one.ref}" for one in found.failures]

    assert failures() == []
    changed = {**report.summary, "candidate": {**report.summary["candidate"], "sha256": "0" * 64}}
    for summary, expected in ((changed, ["record differs model:eve.loans.candidate@v1"]), (report.summary, [])):
        with warehouse.transaction() as session:
            session.execute(update(Report).where(Report.report_id == report.report_id).values(summary=summary))
        assert failures() == expected


def test_the_candidate_can_be_asked_for_by_name(report, warehouse, home) -> None:
    found = verify(warehouse, ref="model:eve.loans.candidate@v1", mlflow_url=home.mlflow)
    assert (found.failures, found.gaps) == ((), ())
    assert found.checked.models == 2
    with warehouse.read() as session:
        assert resolve(session, "model:eve.loans.candidate").ref == "model:eve.loans.candidate@v1"
        with pytest.raises(NotFound, match="no candidate"):
            resolve(session, "model:eve.loans.candidate@v9")


def test_a_second_run_with_a_method_of_ones_own_is_the_next_candidate(done, launch, home, warehouse) -> None:
    import mlflow

    config = _config(methods="correlation-remover", attribute="sex", candidate="correlation-remover")
    result = launch("mitigation_job", run_config=config)
    assert result.success, [event.message for event in result.all_events if event.is_failure]
    version = mlflow.MlflowClient(home.mlflow).get_model_version_by_alias(candidate_name(KEY), "candidate")
    assert (version.version, version.tags["millrace/method"]) == ("2", "correlation-remover")
    predictor = load_predictor(f"models:/{candidate_name(KEY)}/2", home.mlflow)
    with warehouse.read() as session:
        frame = read_table(warehouse, get_version(session, KEY))
    assert set(predictor.predict(frame.head(50))) <= {"yes", "no"}


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"methods": "prayer"}, "there is no mitigation"),
        ({"candidate": "threshold-optimizer"}, "cannot become the candidate"),
        ({"attribute": "income"}, "none of the sensitive columns"),
    ],
)
def test_what_cannot_be_meant_fails_with_the_remedy(done, launch, options, error) -> None:
    result = launch("mitigation_job", run_config=_config(**options))
    assert not result.success
    failure = result.failure_data_for_node("model_bias")
    assert failure is not None
    assert failure.user_failure_data is not None
    assert error in str(failure.user_failure_data.description)
    assert failure.user_failure_data.metadata["remedy"].value


def test_nothing_but_the_partition_key_is_enough(report, launch) -> None:
    assert launch("mitigation_job").success


def test_the_same_rows_give_the_same_report(report, launch) -> None:
    again = launch("mitigation_job", run_config=_config(attribute="sex", candidate="none"))
    (made,) = [event.materialization for event in again.get_asset_materialization_events()]
    assert made.metadata["report hash"].value == report.report_hash
    assert made.metadata["candidate"].value == "none"
