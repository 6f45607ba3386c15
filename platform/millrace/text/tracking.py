"""A chosen text model in MLflow: its files' hashes, the golden set's figures and the timing of the candidates."""

import json
from pathlib import Path
from typing import Any

from millrace.contracts.errors import CannotReach


def record(chosen: dict[str, Any], *, uri: str, name: str) -> dict[str, Any]:
    """What was chosen with the run and the registered version that record it.

    Raises:
        CannotReach: the server does not answer.
    """
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    client = MlflowClient(tracking_uri=uri)
    try:
        found = client.get_experiment_by_name(name)
        experiment = found.experiment_id if found else client.create_experiment(name)
        run = client.create_run(experiment, tags={"millrace/model-version": chosen["version"]})
        _log(client, run.info.run_id, chosen)
        client.set_terminated(run.info.run_id)
        if not client.search_registered_models(f"name = '{name}'"):
            client.create_registered_model(name)
        made = client.create_model_version(
            name, source=f"{run.info.artifact_uri}/model", run_id=run.info.run_id, tags={"version": chosen["version"]}
        )
    except MlflowException as error:
        raise CannotReach(
            f"MLflow at {uri} did not record the model: {str(error).splitlines()[0]}",
            field="MLFLOW_TRACKING_URI",
            remedy="run `millrace status`, then choose the model again; nothing was changed",
        ) from error
    return {**chosen, "mlflow_run_id": run.info.run_id, "mlflow_version": f"{name}/{made.version}"}


def _log(client: Any, run_id: str, chosen: dict[str, Any]) -> None:
    for name in ("kind", "source", "form", "files_sha256", "onnx_sha256", "version", "threads", "golden"):
        if chosen.get(name) is not None:
            client.log_param(run_id, name, chosen[name])
    for one in chosen.get("candidates", ()):
        for figure in ("texts_per_second", "accuracy", "agreement", "loss_points"):
            if one[figure] is not None:
                client.log_metric(run_id, f"{one['form']}.{figure}", one[figure])
    client.log_text(run_id, json.dumps(chosen, indent=2), "model/chosen.json")
    if chosen.get("onnx"):
        client.log_artifact(run_id, chosen["onnx"], "model")
    if chosen.get("folder"):
        for path in sorted(Path(chosen["folder"]).glob("*.json")):
            client.log_artifact(run_id, str(path), "model")
