"""Assets as a data scientist launches them: with nothing but a partition key, on a real MLflow server.

Above 300 lines because the chain takes most of a minute and is made once for all that is asked of it.
"""

import io
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from dagster import AssetKey, DagsterInstance, ExecuteInProcessResult
from sqlalchemy import select

import definitions
from assets.accounting import account_for_model
from millrace import settings as environment
from millrace.bias.policy import shipped_policy
from millrace.conductor.service import Conductor
from millrace.contracts.errors import IntegrityBroken
from millrace.contracts.identifiers import DatasetKey
from millrace.contracts.task import Answers
from millrace.examples.loans import generate_loans
from millrace.settings import Settings
from millrace.warehouse.models import get_model
from millrace.warehouse.reports import list_reports
from millrace.warehouse.schema import Outbox
from millrace.warehouse.statements import statements_of
from millrace.warehouse.store import Warehouse, open_warehouse
from millrace.warehouse.uploads import receive, store_upload

pytestmark = [
    pytest.mark.slow,
    # libraries of the stages warn about each other; their own tests hold them to silence
    pytest.mark.filterwarnings("default"),
]
KEY = DatasetKey("ada", "loans")


def _loans() -> pd.DataFrame:
    """Loans of which mostly women's have no decision."""
    frame = generate_loans(rows=1200, seed=11)
    chance = np.random.default_rng(1).random(len(frame))
    return frame.assign(approved=frame.approved.mask(chance < np.where(frame.sex == "female", 0.4, 0.05)))


LOANS = _loans()
ANSWERS = Answers(target="approved", task_type="classification", positive="yes", sensitive=("sex",))


@pytest.fixture(scope="module")
def home(mlflow_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """The environment of a home where the loans are uploaded and their target is answered."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MILLRACE_HOME", str(tmp_path_factory.mktemp("home")))
        patch.setenv("MLFLOW_TRACKING_URI", mlflow_url)
        settings = environment.load()
        warehouse = open_warehouse(settings, migrate=True)
        upload(warehouse, settings, KEY, LOANS.to_csv(index=False))
        conductor = Conductor(warehouse, settings)
        conductor.create(KEY, answers=ANSWERS, settings={"time_budget": 2, "seed": 5}, actor="user:ada")
        yield settings


@pytest.fixture(scope="module")
def warehouse(home: Settings) -> Warehouse:
    return open_warehouse(home)


@pytest.fixture(scope="module")
def instance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DagsterInstance]:
    with DagsterInstance.local_temp(str(tmp_path_factory.mktemp("dagster"))) as made:
        made.add_dynamic_partitions("datasets", ["ada.loans", "ada.flat"])
        yield made


Launch = Callable[..., ExecuteInProcessResult]


@pytest.fixture(scope="module")
def launch(instance: DagsterInstance, home: Settings) -> Launch:
    """`launch("bias_job", "ada.loans", …)` runs a job with nothing but a partition key (and tags, where given)."""

    def run(job: str, key: str = "ada.loans", **options: Any) -> ExecuteInProcessResult:
        return (
            definitions.defs.get_repository_def()
            .get_job(job)
            .execute_in_process(instance=instance, partition_key=key, raise_on_error=False, **options)
        )

    return run


def upload(warehouse: Warehouse, settings: Settings, key: DatasetKey, text: str) -> None:
    received = receive(io.BytesIO(text.encode()), file_name="loans.csv", settings=settings, warehouse=warehouse)
    store_upload(warehouse, settings, received, key=key, name=key.dataset_id)


def metadata(result: ExecuteInProcessResult, asset: str) -> dict[str, Any]:
    found = [
        event.materialization
        for event in result.get_asset_materialization_events()
        if event.materialization.asset_key.to_user_string() == asset
    ]
    assert len(found) == 1
    assert found[0].tags["dagster/data_version"]
    return {name: value.value for name, value in found[0].metadata.items()}


@pytest.fixture(scope="module")
def chain(launch: Launch) -> dict[str, ExecuteInProcessResult]:
    """Every stage, launched one after the other."""
    done = {}
    for job in ("dataset_job", "bias_job", "automl_job", "xai_job"):
        done[job] = launch(job)
        assert done[job].success, [event.message for event in done[job].all_events if event.is_failure]
    return done


def test_the_data_set_is_hashed_again(chain):
    facts = metadata(chain["dataset_job"], "dataset")
    assert facts["bytes checked"]
    assert facts["rows"] == 1200
    assert facts["first rows"].count("\n") == 6


def test_every_check_gives_a_result(chain):
    results = [one for job in ("bias_job", "automl_job") for one in chain[job].get_asset_check_evaluations()]
    specs = definitions.defs.resolve_asset_graph().asset_check_keys
    assert {one.asset_check_key for one in results} == specs
    assert not [one.check_name for one in results if not one.passed and one.severity.value == "ERROR"]


def test_a_materialisation_tells_what_went_in_and_how(chain, warehouse):
    facts = metadata(chain["bias_job"], "bias_report")
    assert facts["approval"] == "none"
    assert facts["seed"] == 5
    assert facts["rows in"] == 1200
    assert facts["parameters"]["target"] == "approved"
    assert facts["inputs"][0]["ref"] == "dataset:ada.loans@v1"
    assert facts["code version"] == warehouse.code_version
    assert "/bias-reports/br-" in facts["page"]
    assert facts["verdicts"].startswith("| attribute")


def test_the_model_bias_report_is_about_rows_that_training_never_saw(chain, warehouse):
    with warehouse.read() as session:
        model = get_model(session, KEY)
    facts = metadata(chain["automl_job"], "model_bias_report")
    assert facts["rows in"] == model.details["splits"]["test"]
    assert facts["model"] == f"v{model.version}"
    assert [(one["kind"], one["part"]) for one in facts["inputs"]] == [
        ("artifact", "table"), ("model", None), ("artifact", "accounting"),
    ]  # fmt: skip


def test_the_step_that_lost_mostly_women_is_named_in_both_reports(chain, warehouse):
    with warehouse.read() as session:
        model = get_model(session, KEY)
        reports = {one.kind: one for one in list_reports(session, "ada", dataset_id="loans")}
        (statement,) = [one for one in statements_of(session, KEY) if one.asset == "model"]
    documents = {
        kind: json.loads(warehouse.artifacts.read_bytes(reports[kind].json_sha256)) for kind in ("bias", "model_bias")
    }
    found = {kind: documents[kind]["parts"]["accounting"]["steps"] for kind in documents}
    steps = [step["step"] for step in found["model_bias"]]
    assert [step["step"] for step in found["bias"]] == ["reading", "quality", "target"] == steps[:3]
    assert steps[-3:] == ["training", "holdout", "imputation"]
    assert [step["rows_out"] for step in found["bias"]] == [1200, 1200, int(LOANS.approved.notna().sum())]
    lost = LOANS.approved.isna()
    for kind, steps in found.items():
        named = [
            (step["step"], group["group"])
            for step in steps
            for attribute in step["attributes"]
            for group in attribute["groups"]
            if group["finding"]
        ]
        assert named == [("target", "female")], kind
        groups = {one["group"]: one for one in steps[2]["attributes"][0]["groups"]}
        for name, inside in (("female", LOANS.sex == "female"), ("(missing)", LOANS.sex.isna())):
            assert groups[name]["rows_in"] == inside.sum()
            assert groups[name]["rows_out"] == (inside & ~lost).sum()
        page = warehouse.artifacts.read_bytes(str(reports[kind].html_sha256)).decode()
        assert page.count("Leaving out rows without a target</strong>") == 2
    chosen, held, filled = (
        {g["group"]: g for g in step["attributes"][0]["groups"]} for step in found["model_bias"][-3:]
    )
    measured = {one["name"]: one["rows"] for one in documents["model_bias"]["attributes"][0]["groups"]}
    assert {name: group["rows_out"] for name, group in held.items()} == measured
    assert sum(group["rows_out"] for group in chosen.values()) == model.details["splits"]["train"]
    columns = {one["column"] for one in found["model_bias"][-1]["filled"]}
    assert columns == {"sex", "marital_status", "income", "savings", "employment"}
    guessed = LOANS.income.isna() | LOANS.savings.isna()
    assert filled["female"]["rows_in"] - filled["female"]["kept"] == (guessed & ~lost & (LOANS.sex == "female")).sum()
    assert statement.outputs[1]["part"] == "accounting"
    assert statement.outputs[1]["sha256"] == model.details["accounting_sha256"]


def test_a_model_that_came_without_counts_leaves_the_section_unchecked(chain, warehouse):
    with warehouse.read() as session:
        model = get_model(session, KEY)
    trained = SimpleNamespace(
        store=warehouse, model=replace(model, details={}), policy=shipped_policy(),
        work=SimpleNamespace(version=SimpleNamespace(table_sha256="0" * 64), answers=ANSWERS),
    )  # fmt: skip
    assert account_for_model(trained) == ((), ())
    trained.model = model
    with pytest.raises(IntegrityBroken, match="another table"):
        account_for_model(trained)


@pytest.mark.parametrize(("kind", "rows"), [("bias", int(LOANS.approved.notna().sum())), ("model_bias", None)])
def test_both_bias_reports_tell_of_proxies_and_of_a_shift(chain, warehouse, kind, rows):
    with warehouse.read() as session:
        (report,) = list_reports(session, "ada", kind=kind)
        rows = rows or get_model(session, KEY).details["splits"]["test"]
    document = json.loads(warehouse.artifacts.read_bytes(report.json_sha256))
    (told,) = document["parts"]["proxies"]["attributes"]
    assert (document["parts"]["proxies"]["rows"], told["attribute"]) == (rows, "sex")
    assert told["chains_searched"] > 0
    assert told["removal"]["changed"] is not None
    assert {one["group"] for one in document["parts"]["shift"]["shifts"]} <= {"female", "male"}
    page = warehouse.artifacts.read_bytes(str(report.html_sha256)).decode()
    assert "/parts/proxies/attributes/0/removal" in page
    assert "grows by 10 points" in page


def test_every_level_has_its_page(chain, warehouse):
    with warehouse.read() as session:
        levels = {one.level: one for one in list_reports(session, "ada", kind="xai")}
    assert set(levels) == {"beginner", "intermediate", "expert"}
    for report in levels.values():
        assert warehouse.artifacts.read_bytes(str(report.html_sha256)).startswith(b"<!")


def test_one_statement_was_made_for_each_asset(chain, warehouse):
    with warehouse.read() as session:
        made = [statement.asset for statement in statements_of(session, KEY)]
    assert sorted(made) == sorted(
        ["dataset", "data_quality", "bias_report", "model", "model_bias_report", "explanation",
         "xai_report/beginner", "xai_report/intermediate", "xai_report/expert"]
    )  # fmt: skip


def test_the_same_inputs_give_the_same_report_hash(chain, launch):
    again = launch("bias_job")
    assert metadata(again, "bias_report")["report hash"] == metadata(chain["bias_job"], "bias_report")["report hash"]


def test_an_explanation_that_is_there_is_reused(chain, launch):
    assert metadata(chain["xai_job"], "explanation")["reused"] is False
    again = launch("xai_job", asset_selection=[*_keys("explanation"), *_keys("xai_report/expert")])
    assert again.success
    assert metadata(again, "explanation")["reused"] is True
    assert len(again.get_asset_materialization_events()) == 2


def test_a_level_alone_uses_the_explanation_that_is_there(chain, launch):
    alone = launch("xai_job", asset_selection=list(_keys("xai_report/beginner")))
    assert alone.success
    assert [one.asset_key.to_user_string() for one in alone.get_asset_materialization_events()] == [
        "xai_report/beginner"
    ]


def test_model_bias_alone_is_about_the_newest_model(chain, launch):
    alone = launch("automl_job", asset_selection=list(_keys("model_bias_report")))
    assert alone.success
    assert (
        metadata(alone, "model_bias_report")["report hash"]
        == (metadata(chain["automl_job"], "model_bias_report")["report hash"])
    )


def test_a_blocking_check_holds_back_the_bias_report(home, warehouse, launch):
    key = DatasetKey("ada", "flat")
    rows = "\n".join(f"{number},{number % 3},yes" for number in range(60))
    upload(warehouse, home, key, f"a,sex,approved\n{rows}\n")
    Conductor(warehouse, home).create(key, settings={"policy": "ask"}, actor="user:ada")
    tags = {"millrace/payload": json.dumps({"target": "approved", "task_type": "classification"})}
    result = launch("bias_job", "ada.flat", tags=tags)
    assert not result.success
    failed = {one.check_name for one in result.get_asset_check_evaluations() if not one.passed}
    assert "target_varies" in failed
    assert [one.asset_key.to_user_string() for one in result.get_asset_materialization_events()] == ["data_quality"]
    with warehouse.read() as session:
        assert [one.kind for one in list_reports(session, "ada", dataset_id="flat")] == ["quality"]


def test_a_data_set_that_is_not_there_fails_with_its_remedy(launch, instance):
    instance.add_dynamic_partitions("datasets", ["ada.gone"])
    result = launch("bias_job", "ada.gone")
    assert not result.success
    failure = result.failure_data_for_node("data_quality")
    assert failure.user_failure_data is not None
    assert failure.user_failure_data.metadata["error"].value == "not-found"
    assert "millrace run" in failure.user_failure_data.metadata["remedy"].value


def test_the_model_is_announced_once_after_its_bias_report_or_alone(chain, launch, warehouse):
    def announced() -> list[str]:
        with warehouse.read() as session:
            return [
                row.event_id
                for row in session.scalars(select(Outbox).order_by(Outbox.id))
                if row.topic == "automl-events"
            ]

    first = announced()
    assert len(first) == 1
    assert launch("automl_job", asset_selection=list(_keys("model"))).success
    assert len(announced()) == 2
    assert announced()[0] == first[0]
    with warehouse.read() as session:
        assert get_model(session, KEY).version == 2


def test_dg_launches_an_asset_with_only_its_partition_key(chain, instance, home, tmp_path):
    root = Path(definitions.__file__).parent
    done = subprocess.run(
        [Path(sys.executable).parent / "dg", "launch", "--assets", "bias_report", "--partition", "ada.loans"],
        cwd=root, env=os.environ | {"DAGSTER_HOME": str(instance.root_directory)}, capture_output=True, text=True,
        check=False, timeout=200,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "RUN_SUCCESS" in done.stdout + done.stderr


def _keys(name: str) -> Iterator[AssetKey]:
    yield AssetKey(name.split("/"))
