"""The MLflow server: is it there, what does it serve, and a run that never stays open."""

import contextlib
import io
import os
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from millrace.contracts.canonical import sha256_file, sha256_tree
from millrace.contracts.errors import CannotReach, IntegrityBroken, NotFound
from millrace.warehouse.imports import import_skops

_ADDED_BY_DOWNLOAD = "registered_model_meta"
"""MLflow's client writes this file beside the model's own when it downloads a registered model."""
_ANSWER_SECONDS = 10


@contextlib.contextmanager
def tracking(uri: str) -> Iterator[None]:
    """MLflow pointed at the server for the length of the block.

    Raises:
        CannotReach: the server does not answer. Asked first, because MLflow's client itself retries for minutes.
    """
    import httpx

    try:
        # certificate authorities, 24 ms of a processor to read, are not needed for http
        tls = not uri.startswith("http:")
        httpx.get(f"{uri.rstrip('/')}/health", timeout=_ANSWER_SECONDS, verify=tls).raise_for_status()
    except httpx.HTTPError as error:
        raise CannotReach(
            f"the MLflow server at {uri} does not answer ({type(error).__name__})",
            field="MLFLOW_TRACKING_URI",
            remedy="see `millrace status`; start the platform with `millrace up`",
        ) from error
    import mlflow

    # the setter writes this variable for child processes; None takes it away again
    before = os.environ.get("MLFLOW_TRACKING_URI")
    mlflow.set_tracking_uri(uri)
    try:
        yield
    finally:
        mlflow.set_tracking_uri(before)


@contextlib.contextmanager
def open_run(experiment: str, *, name: str, tags: Mapping[str, str]) -> Iterator[str]:
    """The id of a new MLflow run, made current; it ends FINISHED, FAILED, or KILLED when the block is interrupted."""
    import mlflow

    run = mlflow.start_run(experiment_id=experiment_id(experiment), run_name=name, tags=dict(tags))
    status = "KILLED"
    try:
        yield run.info.run_id
        status = "FINISHED"
    except Exception:
        status = "FAILED"
        raise
    finally:
        # MLflow prints where the run can be seen
        with contextlib.redirect_stdout(io.StringIO()):
            mlflow.end_run(status)


def experiment_id(experiment: str) -> str:
    """The id of the experiment of this name, made where there is none."""
    import mlflow
    from mlflow.exceptions import MlflowException

    found = mlflow.get_experiment_by_name(experiment)
    if found is not None:
        return str(found.experiment_id)
    try:
        return str(mlflow.create_experiment(experiment))
    except MlflowException:
        # another process was first
        found = mlflow.get_experiment_by_name(experiment)
        if found is None:
            raise
        return str(found.experiment_id)


@contextlib.contextmanager
def downloaded(model_uri: str, tracking_uri: str) -> Iterator[Path]:
    """A folder with the model's files as the server serves them, gone after the block.

    Raises:
        CannotReach: the server does not answer.
        NotFound: the server has no such model.
    """
    with tracking(tracking_uri), tempfile.TemporaryDirectory(prefix="millrace-model-") as folder:
        from mlflow.artifacts import download_artifacts
        from mlflow.exceptions import MlflowException

        try:
            yield Path(download_artifacts(artifact_uri=model_uri, dst_path=folder))
        except MlflowException as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
            raise NotFound(
                f"the MLflow server at {tracking_uri} has no model {model_uri}",
                field="model",
                remedy="train the model again, or point MLFLOW_TRACKING_URI at the server that has it",
            ) from error


def tree_files(folder: Path) -> list[tuple[str, str, int]]:
    """(relative path, SHA-256, bytes) of every file of a downloaded model."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and path.name != _ADDED_BY_DOWNLOAD]
    return [(path.relative_to(folder).as_posix(), sha256_file(path), path.stat().st_size) for path in files]


def model_tree_sha256(model_uri: str, tracking_uri: str) -> str:
    """`sha256_tree` of the model's files as the server serves them.

    Raises:
        CannotReach: the server does not answer.
        NotFound: the server has no such model.
    """
    with downloaded(model_uri, tracking_uri) as folder:
        return sha256_tree((path, digest) for path, digest, _ in tree_files(folder))


def load_predictor(model_uri: str, tracking_uri: str, *, tree_sha256: str | None = None) -> Any:
    """The scikit-learn pipeline behind a registered model; with `tree_sha256` only if its files have that hash.

    Raises:
        CannotReach: the server does not answer.
        NotFound: the server has no such model.
        IntegrityBroken: the files are not those that were recorded.
    """
    with downloaded(model_uri, tracking_uri) as folder:
        import mlflow.sklearn

        import_skops()
        if tree_sha256 is not None:
            found = sha256_tree((path, digest) for path, digest, _ in tree_files(folder))
            if found != tree_sha256:
                raise IntegrityBroken(
                    f"the files of model {model_uri} hash to {found}, recorded is {tree_sha256}",
                    field="model",
                    remedy="see `millrace lineage verify`; train the model again",
                )
        return mlflow.sklearn.load_model(str(folder))
