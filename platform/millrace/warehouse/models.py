"""Models as the warehouse knows them; the bytes are in the MLflow registry."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from millrace.contracts.errors import NotFound
from millrace.contracts.identifiers import DatasetKey
from millrace.warehouse.schema import Model


@dataclass(frozen=True)
class ModelFacts:
    """One version of a data set's model."""

    key: DatasetKey
    version: int
    dataset_version: int
    registered_name: str
    mlflow_run_id: str
    model_uri: str
    tree_sha256: str
    framework: str
    task_type: str
    algorithm: str
    target_column: str
    size_bytes: int
    metrics: dict[str, Any]
    details: dict[str, Any]
    pipeline_id: str | None
    created_at: datetime


@dataclass(frozen=True)
class TrainedModel:
    """A model that is in the MLflow registry and not yet in the warehouse."""

    version: int
    registered_name: str
    mlflow_run_id: str
    model_uri: str
    tree_sha256: str
    framework: str
    task_type: str
    algorithm: str
    target_column: str
    size_bytes: int
    metrics: dict[str, dict[str, float]]
    """train, validation, test and baseline: metric name → value."""
    details: dict[str, Any]


def get_model(session: Session, key: DatasetKey, version: int | None = None) -> ModelFacts:
    """That version of the data set's model, or the newest.

    Raises:
        NotFound: there is no such model.
    """
    wanted = (
        select(Model)
        .where(Model.user_id == key.user_id, Model.dataset_id == key.dataset_id)
        .order_by(Model.version.desc())
        .limit(1)
    )
    if version is not None:
        wanted = wanted.where(Model.version == version)
    row = session.scalars(wanted).one_or_none()
    if row is None:
        what = f"model of data set {key.partition_key}" + ("" if version is None else f" with version v{version}")
        raise NotFound(f"there is no {what}", field="model_id", remedy="train one, or list them with GET /ai-models")
    return facts_of(row)


def list_models(session: Session, user_id: str | None = None, *, dataset_id: str | None = None) -> list[ModelFacts]:
    """Models (of the user, of the data set), the newest first."""
    wanted = select(Model).order_by(Model.id.desc())
    if user_id is not None:
        wanted = wanted.where(Model.user_id == user_id)
    if dataset_id is not None:
        wanted = wanted.where(Model.dataset_id == dataset_id)
    return [facts_of(row) for row in session.scalars(wanted)]


def facts_of(row: Model) -> ModelFacts:
    """The facts of a row of `models`."""
    return ModelFacts(
        key=DatasetKey(row.user_id, row.dataset_id),
        version=row.version,
        dataset_version=row.dataset_version,
        registered_name=row.registered_name,
        mlflow_run_id=row.mlflow_run_id,
        model_uri=row.model_uri,
        tree_sha256=row.tree_sha256,
        framework=row.framework,
        task_type=row.task_type,
        algorithm=row.algorithm,
        target_column=row.target_column,
        size_bytes=row.size_bytes,
        metrics=row.metrics,
        details=row.details,
        pipeline_id=row.pipeline_id,
        created_at=row.created_at,
    )
