"""Looks at a model that an outside worker registered in MLflow: its files are hashed, and pickles refused."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from millrace.contracts.canonical import sha256_tree
from millrace.contracts.errors import UnsupportedFormat
from millrace.contracts.stages import TaskType
from millrace.warehouse.saves import TrainedModel

# what MLflow writes beside a scikit-learn model that skops saved: formats that hold data and no code
_DATA_SUFFIXES = frozenset({".skops", ".json", ".txt", ".yaml", ".yml", ".md"})
_DESCRIPTOR = "MLmodel"
_FRAMEWORKS = ("scikit-learn", "lightgbm", "xgboost")
_REMEDY = "log the fitted pipeline with mlflow.sklearn.log_model(..., serialization_format='skops')"


@dataclass(frozen=True)
class OutsideModel:
    """A registered model version that can be loaded without running code that came with it."""

    registered_name: str
    mlflow_run_id: str
    model_uri: str
    tree_sha256: str
    framework: str
    size_bytes: int

    def as_trained(
        self,
        *,
        version: int,
        task_type: TaskType,
        target_column: str,
        algorithm: str,
        metrics: dict[str, dict[str, float]],
        details: dict[str, Any],
    ) -> TrainedModel:
        """The model as the warehouse saves it."""
        return TrainedModel(
            version=version,
            registered_name=self.registered_name,
            mlflow_run_id=self.mlflow_run_id,
            model_uri=self.model_uri,
            tree_sha256=self.tree_sha256,
            framework=self.framework,
            task_type=task_type,
            algorithm=algorithm,
            target_column=target_column,
            size_bytes=self.size_bytes,
            metrics=metrics,
            details=details,
        )


def inspect(tracking_uri: str, name: str, version: int) -> OutsideModel:
    """The model version as MLflow serves it.

    Raises:
        NotFound: MLflow has no such version.
        UnsupportedFormat: it cannot be loaded without trusting code that came with it.
        CannotReach: MLflow does not answer.
    """
    from millrace.warehouse.tracking import downloaded, tree_files

    uri = f"models:/{name}/{version}"
    with downloaded(uri, tracking_uri) as folder:
        files = tree_files(folder)
        check_files(path for path, _, _ in files)
        from mlflow.models import Model

        described = Model.load(str(folder))
        check_flavours(described.flavors)
        return OutsideModel(
            registered_name=name,
            mlflow_run_id=described.run_id or "",
            model_uri=uri,
            tree_sha256=sha256_tree((path, digest) for path, digest, _ in files),
            framework="scikit-learn",
            size_bytes=sum(size for _, _, size in files),
        )


def check_files(paths: Iterable[str]) -> None:
    """Passes when every file is in a format that holds data and no code.

    Raises:
        UnsupportedFormat: one is a pickle, code, or in a format that is not known to be safe.
    """
    for path in paths:
        if path != _DESCRIPTOR and PurePosixPath(path).suffix.lower() not in _DATA_SUFFIXES:
            raise UnsupportedFormat(
                f"model file {path!r} is in no format that can be loaded safely; pickles are refused",
                field="version",
                remedy=_REMEDY,
            )


def check_flavours(flavours: Mapping[str, Any]) -> None:
    """Passes for a scikit-learn model saved by skops that asks to trust nothing that our own models do not need.

    Raises:
        UnsupportedFormat: anything else.
    """
    from millrace.automl.registry import trusted_types

    described = flavours.get("sklearn")
    if described is None or described.get("serialization_format") != "skops":
        raise UnsupportedFormat("the model is no scikit-learn model saved by skops", field="version", remedy=_REMEDY)
    known = {name for framework in _FRAMEWORKS for name in trusted_types(framework)}
    unknown = sorted(set(described.get("skops_trusted_types") or ()) - known)
    if unknown:
        raise UnsupportedFormat(
            f"the model asks to trust {', '.join(unknown)[:500]}",
            field="version",
            remedy=f"build it from these only, or from scikit-learn's own parts: {', '.join(sorted(known))}",
        )
