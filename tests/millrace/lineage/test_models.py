"""Against a real MLflow server: the files of a model are hashed as the server gives them out."""

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from millrace.contracts.references import Ref
from millrace.lineage.contents import altered_models, contents_of
from millrace.lineage.loading import Step
from millrace.lineage.verification import Failure
from millrace.lineage.verify import _hash_model
from millrace.warehouse.schema import Statement

pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class Served:
    url: str
    root: Path


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("mlflow")
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        port = held.getsockname()[1]
    command = [
        sys.executable, "-m", "millrace.stack.mlflow_server", "server",
        "--workers", "1", "--host", "127.0.0.1", "--port", str(port),
        "--backend-store-uri", f"sqlite:///{folder}/mlflow.db", "--artifacts-destination", str(folder / "artifacts"),
    ]  # fmt: skip
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            command, cwd=folder, stdout=log, stderr=log, start_new_session=True, env=os.environ | {"PYTHONWARNINGS": ""}
        )
    url = f"http://127.0.0.1:{port}"
    try:
        _wait(url)
        _register(url, folder)
        yield Served(url, folder / "artifacts")
    finally:
        os.killpg(process.pid, 9)
        process.wait()


@pytest.fixture
def recorded(served: Served) -> dict[str, str]:
    """Version → hash of the model's files before anybody touched them."""
    hash_model = _hash_model(served.url)
    return {version: hash_model(f"models:/ada.loans/{version}") for version in ("1", "2")}


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
    assert (missing.ref, missing.what) == ("model:ada.loans@v9", "model missing")


def _verify(served: Served, recorded: dict[str, str]) -> list[Failure]:
    steps = [
        Step(Statement(id=7), (), (Ref(f"model:ada.loans@v{version}", sha256, kind="model"),))
        for version, sha256 in recorded.items()
    ]
    found = [*altered_models(contents_of(steps).models, _hash_model(served.url), lambda _: None)]
    assert all(isinstance(one, Failure) for one in found), found
    return [one for one in found if isinstance(one, Failure)]


def _register(url: str, folder: Path) -> None:
    import mlflow
    from mlflow.tracking import MlflowClient

    client: Any = MlflowClient(tracking_uri=url, registry_uri=url)
    client.create_registered_model("ada.loans")
    experiment = client.create_experiment("ada.loans")
    for number in (1, 2):
        local = folder / f"model-{number}"
        local.mkdir()
        (local / "MLmodel").write_text("flavors: {}\n")
        (local / "weights.bin").write_bytes(bytes(range(number, number + 32)))
        run = client.create_run(experiment)
        client.log_artifacts(run.info.run_id, str(local), "model")
        client.create_model_version("ada.loans", f"{run.info.artifact_uri}/model", run.info.run_id)
        client.set_terminated(run.info.run_id)
    assert mlflow.active_run() is None


def _wait(url: str) -> None:
    deadline = time.monotonic() + 240
    while time.monotonic() < deadline:
        try:
            if httpx.get(f"{url}/health", timeout=2, verify=False).status_code == 200:
                return
        except httpx.HTTPError:
            time.sleep(0.3)
    pytest.fail("the MLflow server did not answer within 240 s")
