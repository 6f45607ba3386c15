"""Against a real MLflow server: the files of a model are hashed as the server gives them out."""

import shutil
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from millrace.contracts.references import Ref
from millrace.lineage.contents import altered_models, contents_of
from millrace.lineage.loading import Step
from millrace.lineage.verification import Failure
from millrace.lineage.verify import _hash_model
from millrace.warehouse.schema import Statement

NAME = f"ada.loans-{uuid.uuid4().hex[:8]}"


@dataclass(frozen=True)
class Served:
    url: str
    root: Path


@pytest.fixture(scope="module")
def served(mlflow_served: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Served:
    experiment = _register(mlflow_served["url"], tmp_path_factory.mktemp("models"))
    # of this experiment alone: other tests write beside it
    return Served(mlflow_served["url"], Path(mlflow_served["artifacts"]) / experiment)


@pytest.fixture
def recorded(served: Served) -> dict[str, str]:
    """Version → hash of the model's files before anybody touched them."""
    hash_model = _hash_model(served.url)
    return {version: hash_model(f"models:/{NAME}/{version}") for version in ("1", "2")}


def test_a_flipped_byte_and_a_lost_file_in_a_model_name_the_model(served: Served, recorded: dict[str, str]) -> None:
    assert _verify(served, recorded) == []
    first, second = sorted(served.root.rglob("weights.bin"))
    data = bytearray(first.read_bytes())
    data[3] ^= 1
    first.write_bytes(data)
    (altered,) = _verify(served, recorded)
    assert (altered.what, altered.statement_id) == ("model altered", 7)
    data[3] ^= 1
    first.write_bytes(data)
    assert _verify(served, recorded) == []
    second.unlink()
    (altered,) = _verify(served, recorded)
    assert altered.what == "model altered"
    shutil.rmtree(first.parent)
    assert len(_verify(served, recorded)) == 2


def test_a_version_that_the_registry_does_not_have_is_missing(served: Served) -> None:
    (missing,) = _verify(served, {"9": "0" * 64})
    assert (missing.ref, missing.what) == (f"model:{NAME}@v9", "model missing")


def _verify(served: Served, recorded: dict[str, str]) -> list[Failure]:
    steps = [
        Step(Statement(id=7), (), (Ref(f"model:{NAME}@v{version}", sha256, kind="model"),))
        for version, sha256 in recorded.items()
    ]
    found = [*altered_models(contents_of(steps).models, _hash_model(served.url), lambda _: None)]
    assert all(isinstance(one, Failure) for one in found), found
    return [one for one in found if isinstance(one, Failure)]


def _register(url: str, folder: Path) -> str:
    import mlflow
    from mlflow.tracking import MlflowClient

    client: Any = MlflowClient(tracking_uri=url, registry_uri=url)
    client.create_registered_model(NAME)
    experiment = str(client.create_experiment(NAME))
    for number in (1, 2):
        local = folder / f"model-{number}"
        local.mkdir()
        (local / "MLmodel").write_text("flavors: {}\n")
        (local / "weights.bin").write_bytes(bytes(range(number, number + 32)))
        run = client.create_run(experiment)
        client.log_artifacts(run.info.run_id, str(local), "model")
        client.create_model_version(NAME, f"{run.info.artifact_uri}/model", run.info.run_id)
        client.set_terminated(run.info.run_id)
    assert mlflow.active_run() is None
    return experiment
