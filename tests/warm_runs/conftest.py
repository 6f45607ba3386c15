"""A real Dagster instance, a real code server and a real pool, shared by the tests, which may break and mend them."""

import importlib.util
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from dagster import DagsterInstance
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import GrpcServerTarget

HERE = Path(__file__).parent


def _load(name: str) -> ModuleType:
    # the tests are no package: a module beside them is loaded by its path
    spec = importlib.util.spec_from_file_location(f"warm_runs_tests_{name}", HERE / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


_ground = _load("ground")
_storages = _load("storages")


@pytest.fixture
def open_instance(tmp_path: Path) -> Iterator[Callable[[str], DagsterInstance]]:
    """Opens instances with a home of their own and this storage; the end of the test closes them."""
    made: list[DagsterInstance] = []

    def open_with(storage: str) -> DagsterInstance:
        home = tmp_path / f"home{len(made)}"
        home.mkdir()
        (home / "dagster.yaml").write_text("telemetry: {enabled: false}\n" + storage)
        made.append(DagsterInstance.from_config(str(home)))
        return made[-1]

    yield open_with
    for one in made:
        one.dispose()


@pytest.fixture
def check_that_it_goes_on() -> Callable[[DagsterInstance, DagsterInstance, Any], None]:
    """`check_that_it_goes_on(writer, reader, makes)`: with what the other class of the storage has written."""
    return _storages.check_that_it_goes_on


@pytest.fixture(scope="session")
def shared_ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """One instance and one code server; the pool is started by the tests that need it."""
    folder = tmp_path_factory.mktemp("warm")
    home, code = folder / "home", folder / "code"
    home.mkdir()
    (folder / "out").mkdir()
    shutil.copytree(HERE / "code", code, ignore=shutil.ignore_patterns("__pycache__"))
    (code / "words.yaml").write_text("first")
    (code / "target").mkdir()
    (code / "target" / "manifest.json").write_text("first")
    (code / ".env").write_text("WARM_TEST_WORD=first\n")
    (home / "dagster.yaml").write_text(
        f"""
telemetry: {{enabled: false}}
storage: {{custom: {{module: warm_runs.sqlite, class: WarmSqliteStorage, config: {{base_dir: {home}}}}}}}
run_coordinator: {{module: dagster._core.run_coordinator, class: DefaultRunCoordinator}}
run_monitoring: {{enabled: true, poll_interval_seconds: 1}}
run_launcher:
  module: warm_runs.launcher
  class: WarmRunLauncher
  config: {{socket_path: {folder / "pool.sock"}, lane_tag: lane, grace_s: 1.0}}
"""
    )
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("OMP_", "OPENBLAS_"))},
        "DAGSTER_HOME": str(home),
        "WARM_TEST_OUT": str(folder / "out"),
        "PYTHONPATH": os.pathsep.join([str(code), os.environ.get("PYTHONPATH", "")]),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    server = subprocess.Popen(
        [sys.executable, "-m", "dagster", "api", "grpc", "--socket", str(folder / "code.sock"), "-m", "warm_location",
         "--use-python-environment-entry-point", "--inject-env-vars-from-instance"],
        cwd=code, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        _ground.wait_for((folder / "code.sock").exists, "the code server", seconds=60)
        target = GrpcServerTarget(host="localhost", port=None, socket=str(folder / "code.sock"), location_name="here")
        with (
            DagsterInstance.from_config(str(home)) as instance,
            WorkspaceProcessContext(instance, target) as workspace,
        ):
            made = _ground.Ground(folder, instance, workspace, environment)
            yield made
            made.stop_pool()
    finally:
        # left alone, a process outlives the session and fails it
        server.send_signal(signal.SIGKILL)
        server.wait(30)


@pytest.fixture
def ground(shared_ground: Any) -> Iterator[Any]:
    """The shared ground without a promise of a pool; runs that the test leaves are ended, a stopped pool is not."""
    yield shared_ground
    shared_ground.end_runs()


@pytest.fixture
def warm(ground: Any) -> Any:
    """The ground with a pool whose code is loaded, or is being loaded again after another test's change."""
    ground.ensure_pool()
    return ground
