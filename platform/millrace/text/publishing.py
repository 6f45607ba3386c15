"""A chosen model in MLflow: its files, their hashes, the golden set's figures and the timing of the candidates."""

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from millrace import __version__
from millrace.contracts.errors import CannotReach
from millrace.text.registered import KIND as REGISTERED
from millrace.text.stored import lay_out
from millrace.text.vader import NAME as VADER
from millrace.warehouse.tracking import model_tree_sha256, open_run, tracking

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.models.signature import ModelSignature

_PARAMETERS = (
    "kind", "source", "follows", "revision", "model_tree_sha256", "column", "labels", "form", "files_sha256",
    "onnx_sha256", "version", "threads", "golden", "instead_of",
)  # fmt: skip
_FIGURES = ("texts_per_second", "accuracy", "agreement", "loss_points")
_LONGEST_PARAMETER = 500
"""Characters; MLflow takes 6,000, but nobody reads them."""


_PACKAGES = {
    VADER: ("vaderSentiment",),
    "transformer": ("transformers", "onnxruntime", "torch", "numpy"),
    REGISTERED: ("mlflow", "scikit-learn", "lightgbm", "skops", "pandas", "numpy"),
}


@dataclass(frozen=True)
class Published:
    """A version of the registered model that has the stream's name, as the server serves it."""

    version: int
    run_id: str
    tree_sha256: str


def publish(choice: Mapping[str, Any], *, uri: str, name: str) -> Published:
    """The choice as a new version of the registered model `name`; its MLflow run never stays open.

    Raises:
        CannotReach: the server does not answer, or does not take it.
    """
    with tracking(uri):
        from mlflow import MlflowClient
        from mlflow.exceptions import MlflowException

        client = MlflowClient(tracking_uri=uri)
        try:
            made, run_id = _register(client, choice, name)
            return Published(made, run_id, model_tree_sha256(f"models:/{name}/{made}", uri))
        except MlflowException as error:
            raise CannotReach(
                f"MLflow at {uri} did not record the model: {str(error).splitlines()[0]}",
                field="MLFLOW_TRACKING_URI",
                remedy="run `millrace status`, then choose the model again; nothing was changed",
            ) from error


def _register(client: "MlflowClient", choice: Mapping[str, Any], name: str) -> tuple[int, str]:
    from mlflow.exceptions import MlflowException

    tags = {"millrace/stream": name, "millrace/model-version": choice["version"]}
    with open_run(name, name=f"{choice['source']} {choice['version']}", tags=tags) as run_id:
        _log(client, run_id, choice)
    try:
        client.create_registered_model(name, description=f"What the stream {name} scores with, or did")
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    source = f"{client.get_run(run_id).info.artifact_uri}/model"
    # the server has it as soon as it answers
    made = client.create_model_version(name, source, run_id, tags=tags, await_creation_for=None)
    return int(made.version), run_id


def _log(client: "MlflowClient", run_id: str, choice: Mapping[str, Any]) -> None:
    for name in _PARAMETERS:
        if choice.get(name) is not None:
            client.log_param(run_id, name, str(choice[name])[:_LONGEST_PARAMETER])
    for one in choice.get("candidates", ()):
        for figure in _FIGURES:
            if one[figure] is not None:
                client.log_metric(run_id, f"{one['form']}.{figure}", one[figure])
    for figure, value in choice.get("holdout", {}).items():
        client.log_metric(run_id, f"holdout.{figure}", value)
    with tempfile.TemporaryDirectory(prefix="millrace-scoring-") as folder:
        _write(Path(folder), run_id, choice)
        client.log_artifacts(run_id, folder, "model")


def _write(folder: Path, run_id: str, choice: Mapping[str, Any]) -> None:
    import mlflow.pyfunc
    from mlflow.models import Model

    data = folder / "data"
    data.mkdir()
    lay_out(choice, data)
    described = Model(
        artifact_path="model", run_id=run_id, signature=_signature(), metadata={"millrace": choice["version"]}
    )
    mlflow.pyfunc.add_to_model(described, loader_module="millrace.text.pyfunc", data="data")
    described.save(str(folder / "MLmodel"))
    (folder / "requirements.txt").write_text("".join(f"{one}\n" for one in _requirements(choice)), encoding="utf-8")


def _signature() -> "ModelSignature":
    from mlflow.models.signature import ModelSignature
    from mlflow.types import ColSpec, DataType, Schema

    return ModelSignature(inputs=Schema([ColSpec(DataType.string, "text")]))


def _requirements(choice: Mapping[str, Any]) -> list[str]:
    packages = _PACKAGES[choice["kind"]]
    found = [f"millrace=={__version__}"]
    for package in packages:
        try:
            found.append(f"{package}=={version(package)}")
        except PackageNotFoundError:
            # onnxruntime has other names where it knows a GPU
            continue
    return found
