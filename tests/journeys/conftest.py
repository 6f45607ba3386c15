"""The whole platform, started once by its own command, and what a user holds in their hands to use it."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import httpx
import pytest

import definitions
from millrace.settings import Settings
from millrace.streams.members import members_of
from millrace.streams.wanted import wanted_of
from millrace.warehouse.store import Warehouse, open_warehouse

PORTS = (
    "MILLRACE_API_PORT",
    "MILLRACE_KAFKA_PORT",
    "MILLRACE_KAFKA_CONTROLLER_PORT",
    "MILLRACE_DAGSTER_PORT",
    "MILLRACE_CODE_SERVER_PORT",
    "MILLRACE_MLFLOW_PORT",
    "MILLRACE_CONDUCTOR_PORT",
)


@dataclass(frozen=True)
class Told:
    """What a command did."""

    code: int
    output: str
    errors: str

    def json(self) -> Any:
        """The object on the last line."""
        return json.loads(self.output.strip().splitlines()[-1])


@dataclass(frozen=True)
class Platform:
    """A running platform and the ways in. It runs from a copy of the code in `code`, which a test may change."""

    home: Path
    code: Path
    environment: dict[str, str]
    api: httpx.Client
    dagster_url: str
    bootstrap: str

    def command(self, *words: str, seconds: float = 240, text: str | None = None) -> Told:
        """Runs `millrace …` as a user would."""
        done = subprocess.run(
            [sys.executable, "-m", "millrace.cli.main", *words],
            env=self.environment, cwd=self.code, capture_output=True, text=True, timeout=seconds, check=False,
            input=text,
        )  # fmt: skip
        return Told(done.returncode, done.stdout, done.stderr)

    def upload(self, path: Path, user: str, dataset: str) -> dict[str, Any]:
        """Uploads as a browser's form does."""
        with path.open("rb") as stream:
            answer = self.api.post(
                "/datasets/upload",
                data={"user_id": user, "dataset_id": dataset, "name": dataset},
                files={"file": (path.name, stream)},
            )
        assert answer.status_code in (200, 201), answer.text
        body: dict[str, Any] = answer.json()
        return body

    def pipeline_of(self, user: str, dataset: str) -> dict[str, Any]:
        """The newest pipeline of a data set, once there is one."""
        found: list[dict[str, Any]] = []

        def there() -> bool:
            found[:] = self.api.get("/pipelines", params={"user_id": user, "dataset_id": dataset}).json()
            return bool(found)

        wait_for(there, f"a pipeline of {user}.{dataset}")
        return found[0]

    def pipeline(self, pipeline_id: str) -> dict[str, Any]:
        """The pipeline as it is now."""
        body: dict[str, Any] = self.api.get(f"/pipelines/{pipeline_id}").raise_for_status().json()
        return body

    def reaches(self, pipeline_id: str, *states: str, stage: str | None = None, seconds: float = 180) -> dict[str, Any]:
        """The pipeline once it is in one of the states; fails when it ends in another."""
        deadline = time.monotonic() + seconds
        while True:
            now = self.pipeline(pipeline_id)
            if now["state"] in states and (stage is None or now["stage"] == stage):
                return now
            ended = now["terminal"] and now["state"] not in states
            assert not ended, f"{now['state']}: {now['error']} {now['message']}"
            assert time.monotonic() < deadline, f"{now['state']} {now['stage']} after {seconds} s: {now['message']}"
            time.sleep(0.2)

    @cached_property
    def warehouse(self) -> Warehouse:
        """The platform's own, for tests that look often."""
        return open_warehouse(Settings.model_validate({"MILLRACE_HOME": self.home}))

    def member(self, stream: str) -> dict[str, Any]:
        """The stream's first process, and how many are wanted.

        Read where `millrace stream list` reads it: the command takes most of a second of a processor, and who waits
        asks ten times a second.
        """
        found = [vars(one) for one in members_of(self.warehouse, stream)]
        wanted = wanted_of(self.warehouse, stream).wanted
        return (found or [{"alive": False, "pid": None}])[0] | {"wanted": wanted}

    def graphql(self, query: str, **variables: Any) -> Any:
        """Dagster's answer."""
        answer = self.api.post(f"{self.dagster_url}/graphql", json={"query": query, "variables": variables})
        body = answer.raise_for_status().json()
        assert "errors" not in body, body
        return body["data"]


def wait_for(condition: Callable[[], object], what: str, *, seconds: float = 60) -> None:
    """Waits until the condition holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited {seconds} s for {what}"
        time.sleep(0.1)


@pytest.fixture(scope="session")
def waits() -> Callable[..., None]:
    """`wait_for`, for tests."""
    return wait_for


@pytest.fixture(scope="session")
def platform(broker_parts: None, tmp_path_factory: pytest.TempPathFactory, make_settings: Any) -> Iterator[Platform]:
    """The platform, up, with a broker of its own."""
    home, code = tmp_path_factory.mktemp("platform"), _copy_of_the_code(tmp_path_factory.mktemp("code"))
    # free, and out of the range of outgoing connections
    chosen = make_settings(home)
    ports = {name: getattr(chosen, name.removeprefix("MILLRACE_").lower()) for name in PORTS}
    environment = {
        **{
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("MILLRACE_", "KAFKA_", "DAGSTER", "LLM_"))
        },
        "MILLRACE_HOME": str(home),
        "PYTHONPATH": os.pathsep.join((str(code / "platform"), str(code))),
        # a model's server is a test's own, on this port
        "LLM_URL": f"http://127.0.0.1:{chosen.llm_port}",
        "LLM_TIMEOUT": "5",
        **{name: str(port) for name, port in ports.items()},
    }
    with httpx.Client(base_url=f"http://127.0.0.1:{ports['MILLRACE_API_PORT']}", timeout=30) as api:
        made = Platform(
            home,
            code,
            environment,
            api,
            f"http://127.0.0.1:{ports['MILLRACE_DAGSTER_PORT']}",
            f"127.0.0.1:{ports['MILLRACE_KAFKA_PORT']}",
        )
        up = made.command("up", "--detach", "--json")
        assert up.code == 0, up.errors + up.output
        yield made
        made.warehouse.engine.dispose()
        down = made.command("down")
        assert down.code == 0, down.errors


def _copy_of_the_code(folder: Path) -> Path:
    root = Path(definitions.__file__).parent
    for name in ("platform", "assets", "jobs", "sensors", "resources"):
        shutil.copytree(root / name, folder / name, ignore=shutil.ignore_patterns("node_modules"))
    for name in ("definitions.py", "dagster.yaml"):
        shutil.copy2(root / name, folder)
    return folder


@pytest.fixture(scope="session")
def loans(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small file of loan applications."""
    from millrace.examples.loans import generate_loans

    path = tmp_path_factory.mktemp("data") / "loans.csv"
    generate_loans(rows=3000, seed=11).to_csv(path, index=False)
    return path


@pytest.fixture(scope="session")
def unfair_loans() -> Any:
    """Loans that men get and women do not, nine times in ten: any model repeats it, however shortly it was searched."""
    import numpy as np

    from millrace.examples.loans import generate_loans

    frame = generate_loans(rows=4000, seed=11)
    # a seed that the loans were not drawn with: their first draws are the sexes
    kept = np.random.default_rng(12).random(len(frame)) < 0.9
    frame["approved"] = np.where((frame["sex"] == "male") == kept, "yes", "no")
    return frame


ANSWERS = {"target": "approved", "task_type": "classification", "positive": "yes", "sensitive": ["sex"]}
QUICK = {"time_budget": 2, "levels": ["beginner", "intermediate", "expert"]}


@pytest.fixture(scope="session")
def answers() -> dict[str, Any]:
    """Answers about the loans."""
    return dict(ANSWERS)


@pytest.fixture(scope="session")
def quick() -> dict[str, Any]:
    """Settings of a short pipeline."""
    return dict(QUICK)
