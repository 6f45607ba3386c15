"""The run launcher that `dagster.yaml` names.

```yaml
run_launcher:
  module: warm_runs.launcher
  class: WarmRunLauncher
```
"""

import signal
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from dagster import DagsterInstance, DagsterRun, DagsterRunStatus, Field, StringSource
from dagster._core.launcher.base import CheckRunHealthResult, LaunchRunContext, WorkerStatus
from dagster._core.launcher.default_run_launcher import DefaultRunLauncher
from dagster._core.storage.tags import GRPC_INFO_TAG
from dagster._serdes import ConfigurableClassData, serialize_value

from warm_runs.ledger import Entry, Ledger
from warm_runs.wire import SOCKET_NAME, PoolUnreachable, ask

ANSWER_TIMEOUT_S = 5.0
"""Longest wait for the pool; it answers in milliseconds and never forks before it answers."""


class WarmRunLauncher(DefaultRunLauncher):
    """Hands runs to the pool; falls back to Dagster's default launcher, and says so in the run's log."""

    def __init__(
        self,
        socket_path: str | None = None,
        lane_tag: str = "dagster/priority_lane",
        grace_s: float = 15.0,
        inst_data: ConfigurableClassData | None = None,
    ) -> None:
        super().__init__(inst_data=inst_data)
        self._socket_path = socket_path
        self._lane_tag = lane_tag
        self._grace_s = grace_s

    @classmethod
    def config_type(cls) -> Mapping[str, Any]:
        """Fields of `dagster.yaml`."""
        return {
            "socket_path": Field(
                StringSource,
                is_required=False,
                description=f"Unix socket that the pool serves (default {SOCKET_NAME} in DAGSTER_HOME).",
            ),
            "lane_tag": Field(
                str,
                is_required=False,
                default_value="dagster/priority_lane",
                description="Run tag that names a run's lane; waiting lanes take turns.",
            ),
            "grace_s": Field(
                float,
                is_required=False,
                default_value=15.0,
                description="Seconds from interrupt to kill, where the pool itself is not there to count them.",
            ),
        }

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData, config_value: Mapping[str, Any]) -> Self:
        """The launcher as configured."""
        return cls(inst_data=inst_data, **config_value)

    def launch_run(self, context: LaunchRunContext) -> None:
        """Hands the run to the pool; to the default launcher when nobody answers there."""
        run = context.dagster_run
        origin = run.job_code_origin
        if origin is None:
            super().launch_run(context)
            return
        message = {
            "op": "launch",
            "run_id": run.run_id,
            "origin": serialize_value(origin),
            "instance": serialize_value(self._instance.get_ref()),
            "lane": run.tags.get(self._lane_tag, ""),
        }
        try:
            ask(self._socket, message, timeout_s=ANSWER_TIMEOUT_S)
        except PoolUnreachable as error:
            if self._recorded(run.run_id) is not None:
                # the pool took the run and died before it answered: its successor launches it
                return
            self._instance.report_engine_event(
                f"The pool of preloaded processes cannot be reached ({error}); the default launcher starts this run",
                run,
                cls=type(self),
            )
            super().launch_run(context)

    def terminate(self, run_id: str) -> bool:
        """Interrupts the run, through the pool or, where it cannot be reached, by what its ledger says."""
        run = self._instance.get_run_by_id(run_id)
        if run is None or run.is_finished:
            return False
        try:
            known = ask(self._socket, {"op": "health", "run_id": run_id}, timeout_s=ANSWER_TIMEOUT_S)
        except PoolUnreachable:
            entry = self._recorded(run_id)
            if entry is not None:
                return self._terminate_alone(run, entry)
            return bool(super().terminate(run_id))  # type: ignore[no-untyped-call]
        if known["state"] == "unknown":
            return bool(super().terminate(run_id))  # type: ignore[no-untyped-call]
        self._canceling(run)
        answer = ask(self._socket, {"op": "terminate", "run_id": run_id}, timeout_s=ANSWER_TIMEOUT_S)
        return bool(answer["ok"])

    @property
    def supports_check_run_worker_health(self) -> bool:
        """True: run monitoring may ask for a run's process."""
        return True

    def check_run_worker_health(self, run: DagsterRun) -> CheckRunHealthResult:
        """RUNNING while the run's process lives or its end is being reported, FAILED when it is known to be gone."""
        try:
            state = ask(self._socket, {"op": "health", "run_id": run.run_id}, timeout_s=ANSWER_TIMEOUT_S)["state"]
        except PoolUnreachable:
            entry = self._recorded(run.run_id)
            state = "unknown" if entry is None else "recorded"
            if entry is not None and entry.process is not None and not entry.process.alive:
                return CheckRunHealthResult(WorkerStatus.FAILED, f"process {entry.process.pid} has ended")
        if state != "unknown" or GRPC_INFO_TAG in run.tags:
            # a run of the default launcher has no health check, there or here
            return CheckRunHealthResult(WorkerStatus.RUNNING, state)
        return CheckRunHealthResult(WorkerStatus.NOT_FOUND, "no pool and no ledger knows a process of this run")

    @property
    def _socket(self) -> Path:
        return Path(self._socket_path or Path(self._instance.root_directory) / SOCKET_NAME)

    def _recorded(self, run_id: str) -> Entry | None:
        path = self._socket.with_suffix(".db")
        return Ledger(path).get(run_id) if path.exists() else None

    def _canceling(self, run: DagsterRun) -> None:
        if run.status != DagsterRunStatus.CANCELING:
            self._instance.report_run_canceling(run)

    def _terminate_alone(self, run: DagsterRun, entry: Entry) -> bool:
        self._canceling(run)
        Ledger(self._socket.with_suffix(".db")).end_by(run.run_id, time.time() + self._grace_s)
        if entry.process is not None and entry.process.signal(signal.SIGINT):
            return True
        instance: DagsterInstance = self._instance
        instance.report_run_canceled(run, "The run's process had ended, or had not begun.")
        return True
