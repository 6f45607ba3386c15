"""A trained model into MLflow's tracking and registry."""

import contextlib
import logging
import time
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from millrace.automl.preprocess import TRUSTED_TYPES
from millrace.automl.result import ModelCard, Training
from millrace.automl.signature import model_signature
from millrace.contracts.canonical import sha256_tree
from millrace.contracts.identifiers import DatasetKey
from millrace.warehouse.imports import import_skops
from millrace.warehouse.tracking import downloaded, load_predictor, model_tree_sha256, open_run, tracking, tree_files

if TYPE_CHECKING:
    from millrace.warehouse.saves import TrainedModel

__all__ = ["load_predictor", "model_tree_sha256", "publish", "register", "requirements", "trusted_types"]

logger = logging.getLogger(__name__)

_ESTIMATOR_TYPES = {
    "lightgbm": (
        "collections.OrderedDict",
        "lightgbm.basic.Booster",
        "lightgbm.sklearn.LGBMClassifier",
        "lightgbm.sklearn.LGBMRegressor",
    ),
    "xgboost": ("xgboost.core.Booster", "xgboost.sklearn.XGBClassifier", "xgboost.sklearn.XGBRegressor"),
    "scikit-learn": ("sklearn.tree._tree.Tree",),
}


def register(
    training: Training,
    *,
    tracking_uri: str,
    key: DatasetKey,
    dataset_sha256: str,
    tags: Mapping[str, str],
) -> "TrainedModel":
    """The facts of the model as MLflow now has it: one run, one logged model, one version under `user.dataset`.

    `tags` are those of the run (Dagster run, asset, partition, code version). The MLflow run ends FAILED or KILLED
    when registering does; it never stays RUNNING.

    Raises:
        CannotReach: the MLflow server does not answer.
    """
    from millrace.warehouse.saves import TrainedModel

    card = training.card
    name = key.partition_key
    published = publish(
        name,
        training.pipeline,
        card=card,
        tracking_uri=tracking_uri,
        labels=training.y_pred,
        example=_example(training),
        trusted=trusted_types(card.framework),
        run_name=f"{name} {card.family}",
        metrics=_metrics(training),
        parameters=_parameters(training),
        tags={**tags, "millrace/partition": name, "millrace/data-sha256": dataset_sha256},
        metadata={"data_sha256": dataset_sha256, "target": card.target},
        description=f"Models of the data set {name}",
    )
    return TrainedModel(
        version=published.version,
        registered_name=name,
        mlflow_run_id=published.run_id,
        model_uri=published.model_uri,
        tree_sha256=published.tree_sha256,
        framework=card.framework,
        task_type=card.task_type,
        algorithm=card.algorithm,
        target_column=card.target,
        size_bytes=published.size_bytes,
        metrics=training.metrics,
        details=card.model_dump(mode="json"),
    )


@dataclass(frozen=True)
class Published:
    """A version of a registered model, as the server serves it."""

    version: int
    run_id: str
    model_uri: str
    tree_sha256: str
    size_bytes: int


def publish(
    name: str,
    pipeline: Any,
    *,
    card: ModelCard,
    tracking_uri: str,
    labels: Any,
    example: Any,
    trusted: list[str],
    run_name: str,
    metrics: Mapping[str, float],
    parameters: Mapping[str, Any],
    tags: Mapping[str, str],
    metadata: Mapping[str, Any],
    description: str,
    alias: str | None = None,
) -> Published:
    """One run, one logged model and one version under the name; with `alias` that version has it from now on.

    The MLflow run ends FAILED or KILLED when this does; it never stays RUNNING.

    Raises:
        CannotReach: the MLflow server does not answer.
    """
    began = time.perf_counter()
    with tracking(tracking_uri), _quiet():
        import mlflow
        import mlflow.sklearn
        from mlflow.exceptions import MlflowException
        from mlflow.tracking import MlflowClient

        import_skops()
        with open_run(name, name=run_name, tags=tags) as run_id:
            mlflow.log_params(dict(parameters))
            mlflow.log_metrics(dict(metrics))
            mlflow.log_dict(card.model_dump(mode="json"), "model_card.json")
            logged = mlflow.sklearn.log_model(
                pipeline,
                name="model",
                serialization_format="skops",
                skops_trusted_types=trusted,
                pip_requirements=requirements(card),
                signature=model_signature(card, labels=labels),
                input_example=example,
                metadata={"millrace": dict(metadata)},
            )
            client = MlflowClient()
            try:
                client.create_registered_model(name, description=description)
            except MlflowException as error:
                if error.error_code != "RESOURCE_ALREADY_EXISTS":
                    raise
            version = client.create_model_version(
                name, source=logged.model_uri, run_id=run_id, model_id=logged.model_id, tags=dict(tags)
            )
            if alias is not None:
                client.set_registered_model_alias(name, alias, version.version)
    model_uri = f"models:/{name}/{version.version}"
    with downloaded(model_uri, tracking_uri) as folder:
        files = tree_files(folder)
    logger.info("model registered uri=%s seconds=%.1f", model_uri, time.perf_counter() - began)
    return Published(
        version=int(version.version),
        run_id=run_id,
        model_uri=model_uri,
        tree_sha256=sha256_tree((path, digest) for path, digest, _ in files),
        size_bytes=sum(size for _, _, size in files),
    )


def trusted_types(framework: str) -> list[str]:
    """What skops must be told to trust to load a model of ours with an estimator of that framework."""
    return [*TRUSTED_TYPES, "sklearn.utils._bunch.Bunch", *_ESTIMATOR_TYPES[framework]]


def requirements(card: ModelCard) -> list[str]:
    """Pinned packages that a process needs to load the model; stated, because inferring them takes MLflow 10 s."""
    names = ["numpy", "pandas", "scikit-learn", "scipy", "skops"]
    pins = [f"{name}=={card.versions[name]}" for name in names]
    if card.framework != "scikit-learn":
        pins.append(f"{card.framework}=={card.versions[card.framework]}")
    return [f"mlflow=={card.versions['mlflow']}", *pins]


def _parameters(training: Training) -> dict[str, Any]:
    card = training.card
    facts = {
        "target": card.target,
        "task_type": card.task_type,
        "family": card.family,
        "algorithm": card.algorithm,
        "seed": card.seed,
        "time_budget": card.ledger.budget,
        "features": len(card.features),
        "train_rows": card.splits.train,
        "holdout_rows": card.splits.test,
        "holdout_sha256": card.splits.holdout_sha256,
    }
    return facts | {f"config_{name}": value for name, value in card.best_config.items()}


def _metrics(training: Training) -> dict[str, float]:
    return {f"{split}_{name}": value for split, figures in training.metrics.items() for name, value in figures.items()}


def _example(training: Training) -> Any:
    import pandas as pd

    return pd.DataFrame(training.example)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    # MLflow warns about the absence of a git repository, of a conda file and of an autolog integration
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
