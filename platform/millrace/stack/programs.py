"""What runs on the machine: each program's command, port, and how one knows that it is ready."""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from millrace.settings import Settings

_THREADLESS = {"OPENBLAS_NUM_THREADS": "1", "JE_ARROW_MALLOC_CONF": "background_thread:false"}
"""Libraries that start threads when they are imported could not be there before a run is forked. Trees are grown on all
cores all the same: that is OpenMP's."""

Phase = Literal[1, 2, 3]
"""Phase 2 is started when Dagster has its storage; phase 3 when broker and code server are ready too: those programs
look for the others once, and then a minute later."""


@dataclass(frozen=True)
class Port:
    """A loopback port that a program takes, and the variable that moves it."""

    number: int
    setting: str


@dataclass(frozen=True)
class Program:
    """A supervised process. `answers` is the URL that gives 200 when it is ready; without one, its first port
    accepts connections; `pool` is a socket whose pool has a preloaded process; without any, it stays alive."""

    name: str
    does: str
    command: tuple[str, ...]
    ports: tuple[Port, ...] = ()
    answers: str | None = None
    pool: Path | None = None
    shown: str = ""
    phase: Phase = 1
    stop_seconds: int = 6
    """Time between SIGTERM and SIGKILL: enough for a run to report its end, and all stop at once, so that `down` takes
    at most this and a little more."""
    environment: Mapping[str, str] = field(default_factory=dict)


def programs(settings: Settings, *, broker: list[str] | None) -> list[Program]:
    """The platform's programs; `broker` is the command of our own broker, None where a cluster is used."""
    found = [] if broker is None else [_broker(settings, broker)]
    found += [_api(settings), _conductor(settings), _code_server(settings)]
    if settings.mlflow_url is None:
        found.append(_mlflow(settings))
    if settings.warm_runs:
        found.append(_runs(settings))
    return [*found, _webserver(settings), _daemon(settings)]


def _broker(settings: Settings, command: list[str]) -> Program:
    return Program(
        "broker", "Kafka broker", tuple(command),
        (Port(settings.kafka_port, "MILLRACE_KAFKA_PORT"),
         Port(settings.kafka_controller_port, "MILLRACE_KAFKA_CONTROLLER_PORT")),
        shown=settings.bootstrap,
    )  # fmt: skip


def _api(settings: Settings) -> Program:
    return Program(
        "api", "API and pages", (sys.executable, "-m", "millrace.api.main"),
        (Port(settings.api_port, "MILLRACE_API_PORT"),),
        answers=f"{settings.api_url}/health/live", shown=settings.api_url,
    )  # fmt: skip


def _conductor(settings: Settings) -> Program:
    base = f"http://127.0.0.1:{settings.conductor_port}"
    return Program(
        "conductor", "pipelines, outbox relay", (sys.executable, "-m", "millrace.conductor.main"),
        (Port(settings.conductor_port, "MILLRACE_CONDUCTOR_PORT"),),
        answers=f"{base}/health/live", shown=base,
    )  # fmt: skip


def _code_server(settings: Settings) -> Program:
    # `dagster code-server start` would keep a second process that does not bring a killed inner server back
    command = (
        sys.executable, "-m", "dagster", "api", "grpc", "--host", "127.0.0.1", "--port", str(settings.code_server_port),
        "--module-name", "definitions", "--location-name", "definitions", "--use-python-environment-entry-point",
        "--log-format", "json",
    )  # fmt: skip
    return Program(
        "code-server", "Dagster code location, runs", command,
        (Port(settings.code_server_port, "MILLRACE_CODE_SERVER_PORT"),),
        shown=f"127.0.0.1:{settings.code_server_port}",
    )  # fmt: skip


def _webserver(settings: Settings) -> Program:
    command = (
        _beside("dagster-webserver"), "-h", "127.0.0.1", "-p", str(settings.dagster_port),
        "-w", str(settings.dagster_home / "workspace.yaml"), "--log-format", "json",
    )  # fmt: skip
    return Program(
        "webserver", "Dagster pages and GraphQL", command, (Port(settings.dagster_port, "MILLRACE_DAGSTER_PORT"),),
        answers=f"{settings.dagster_url}/server_info", shown=settings.dagster_url, phase=3,
    )  # fmt: skip


def _daemon(settings: Settings) -> Program:
    workspace = str(settings.dagster_home / "workspace.yaml")
    return Program(
        "daemon", "Dagster sensors and run queue",
        (sys.executable, "-m", "warm_runs.daemon", "run", "-w", workspace, "--log-format", "json"), phase=3,
    )  # fmt: skip


def _runs(settings: Settings) -> Program:
    return Program(
        "runs", "preloaded processes for runs",
        # as many as dagster.yaml lets run at once, or streams could hold every place and a stage would wait for ever
        (sys.executable, "-m", "warm_runs.service", "--code", "definitions:defs", "--max-children", "24"),
        pool=settings.dagster_home / "warm_runs.sock", phase=2,
        # what somebody has set is inherited
        environment={name: value for name, value in _THREADLESS.items() if name not in os.environ},
    )  # fmt: skip


def _mlflow(settings: Settings) -> Program:
    folder = settings.home / "mlflow"
    command = (
        sys.executable, "-m", "millrace.stack.mlflow_server", "server", "--host", "127.0.0.1",
        "--port", str(settings.mlflow_port), "--workers", "1",
        "--backend-store-uri", f"sqlite:///{folder / 'mlflow.db'}",
        "--artifacts-destination", (folder / "artifacts").as_uri(),
    )  # fmt: skip
    return Program(
        "mlflow", "MLflow tracking and models", command, (Port(settings.mlflow_port, "MILLRACE_MLFLOW_PORT"),),
        answers=f"{settings.mlflow}/health", shown=settings.mlflow,
    )  # fmt: skip


def _beside(name: str) -> str:
    # works without an activated environment
    return str(Path(sys.executable).parent / name)
