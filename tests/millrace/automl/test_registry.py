"""A registered model, on a real MLflow server."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from millrace.automl import registry as registry_module
from millrace.automl.plan import TrainingPlan
from millrace.automl.registry import load_predictor, model_tree_sha256, register
from millrace.automl.result import ModelCard, Training
from millrace.automl.train import train
from millrace.contracts.errors import CannotReach, IntegrityBroken, NotFound
from millrace.contracts.identifiers import DatasetKey
from millrace.examples import reviews

Make = Callable[..., pd.DataFrame]


def trained(frame: pd.DataFrame, task: str, family: str) -> Training:
    kind = "regression" if task == "regression" else "classification"
    asked = TrainingPlan(target="target", task_type=kind, families=(family,), max_trials=2, time_budget=60)
    return train(frame, asked, jobs=1)


CHECK = """
import sys
sys.modules["millrace"] = None
sys.modules["flaml"] = None
import mlflow.pyfunc, numpy, pandas
mlflow.set_tracking_uri(sys.argv[1])
for uri, folder in zip(sys.argv[2::2], sys.argv[3::2]):
    model = mlflow.pyfunc.load_model(uri)
    rows = pandas.read_parquet(f"{folder}/rows.parquet")
    answers = numpy.load(f"{folder}/answers.npy")
    given = model.predict(rows)
    assert given.dtype == answers.dtype and (given == answers).all(), uri
    odd = rows.head(2).assign(region=["never seen", None], amount=[None, 7], since=None)
    assert len(model.predict(odd)) == 2, uri
print("same")
"""


def test_a_clean_process_loads_the_models_and_predicts_the_same(
    make_table: Make, mlflow_url: str, run_clean: Callable[..., str], tmp_path: Path
) -> None:
    from mlflow.models import get_model_info

    told = [mlflow_url]
    wanted = [("binary", "lgbm"), ("multiclass", "xgboost"), ("regression", "rf"), ("binary", "lrl2")]
    for task, family in [*wanted, ("regression", "lgbm"), ("texts", "lrl2")]:
        frame = _texts() if task == "texts" else make_table(task, rows=300)
        training = trained(frame, task, family)
        key = DatasetKey("ann", f"{task}-{family}")
        model = register(training, tracking_uri=mlflow_url, key=key, dataset_sha256="ab" * 32, tags={})
        folder = tmp_path / key.dataset_id
        folder.mkdir()
        frame.drop(columns="target").to_parquet(folder / "rows.parquet")
        np.save(folder / "answers.npy", training.pipeline.predict(frame))
        told += [model.model_uri, str(folder)]
    assert run_clean(CHECK, *told).strip() == "same"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", mlflow_url)
        (column,) = get_model_info("models:/ann.texts-lrl2/1").signature.inputs.inputs
    assert (column.name, column.type.name) == (reviews.TEXT, "string")


def _texts() -> pd.DataFrame:
    return reviews.generate_reviews(rows=300).rename(columns={reviews.TARGET: "target"})


def test_the_run_says_where_the_model_comes_from(make_table: Make, mlflow_url: str) -> None:
    from mlflow.tracking import MlflowClient

    training = trained(make_table("binary", rows=300), "binary", "lgbm")
    key = DatasetKey("ann", "facts")
    first, second = (
        register(training, tracking_uri=mlflow_url, key=key, dataset_sha256="cd" * 32, tags={"dagster/run-id": "r-1"})
        for _ in range(2)
    )
    assert (first.version, second.version) == (1, 2)
    assert first.registered_name == "ann.facts"
    client = MlflowClient(mlflow_url, mlflow_url)
    run = client.get_run(first.mlflow_run_id)
    assert run.info.status == "FINISHED"
    assert run.data.tags["millrace/data-sha256"] == "cd" * 32
    assert run.data.tags["millrace/partition"] == "ann.facts"
    assert run.data.tags["dagster/run-id"] == "r-1"
    assert run.data.metrics["test_roc_auc"] == pytest.approx(training.metrics["test"]["roc_auc"])
    assert run.data.metrics["baseline_accuracy"] == pytest.approx(training.metrics["baseline"]["accuracy"])
    assert run.data.params["holdout_sha256"] == training.card.splits.holdout_sha256
    assert client.get_model_version("ann.facts", "1").run_id == first.mlflow_run_id
    assert ModelCard.model_validate(first.details) == training.card


def test_the_recorded_hash_is_that_of_the_served_files(make_table: Make, mlflow_url: str) -> None:
    training = trained(make_table("binary", rows=300), "binary", "lgbm")
    key = DatasetKey("ann", "hashes")
    model = register(training, tracking_uri=mlflow_url, key=key, dataset_sha256="ab" * 32, tags={})
    assert model_tree_sha256(model.model_uri, mlflow_url) == model.tree_sha256
    assert load_predictor(model.model_uri, mlflow_url, tree_sha256=model.tree_sha256).classes_.tolist() == [
        "approved",
        "refused",
    ]
    with pytest.raises(IntegrityBroken, match="recorded is"):
        load_predictor(model.model_uri, mlflow_url, tree_sha256="0" * 64)


def test_a_model_that_is_not_there_is_said_to_be_missing(mlflow_url: str) -> None:
    with pytest.raises(NotFound, match="has no model"):
        model_tree_sha256("models:/ann.nothing/1", mlflow_url)


def test_an_absent_server_is_told_at_once(make_table: Make) -> None:
    training = trained(make_table("binary", rows=300), "binary", "lgbm")
    with pytest.raises(CannotReach, match="does not answer"):
        register(
            training, tracking_uri="http://127.0.0.1:9", key=DatasetKey("a", "b"), dataset_sha256="ab" * 32, tags={}
        )


@pytest.mark.parametrize(("error", "status"), [(ValueError, "FAILED"), (KeyboardInterrupt, "KILLED")])
def test_a_run_that_is_broken_off_does_not_stay_open(
    make_table: Make,
    mlflow_url: str,
    monkeypatch: pytest.MonkeyPatch,
    error: type[BaseException],
    status: str,
) -> None:
    from mlflow.tracking import MlflowClient

    def broken(*_: object) -> None:
        raise error("broken off")

    training = trained(make_table("binary", rows=300), "binary", "lgbm")
    monkeypatch.setattr(registry_module, "requirements", broken)
    key = DatasetKey("ann", f"broken-{status.lower()}")
    with pytest.raises(error, match="broken off"):
        register(training, tracking_uri=mlflow_url, key=key, dataset_sha256="ab" * 32, tags={})
    client = MlflowClient(mlflow_url, mlflow_url)
    experiment = client.get_experiment_by_name(key.partition_key)
    assert experiment is not None
    assert [run.info.status for run in client.search_runs([experiment.experiment_id])] == [status]
