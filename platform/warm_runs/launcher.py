"""The run launcher that `dagster.yaml` names.

```yaml
run_launcher:
  module: warm_runs.launcher
  class: WarmRunLauncher
```
"""

import sqlite3
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from dagster import DagsterInstance, DagsterRun, DagsterRunStatus, Field, StringSource
from dagster._core.launcher.base import CheckRunHealthResult, LaunchRunContext, WorkerStatus
from dagster._core.launcher.default_run_launcher import DefaultRunLauncher
from dagster._core.storage.tags import GRPC_INFO_TAG
from dagster._serdes import ConfigurableClassData, serialize_value

from warm_runs.interrupt import interrupt
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
        entry = Entry(
            run_id=run.run_id,
            state="pending",
            lane=run.tags.get(self._lane_tag, ""),
            origin=serialize_value(origin),
            instance=serialize_value(self._instance.get_ref()),
        )
        try:
            ledger = Ledger(self._ledger_path)
            ledger.add(entry)
        except (OSError, sqlite3.Error) as error:
            self._launch_cold(context, f"{self._ledger_path}: {error}")
            return
        try:
            ask(self._socket, {"op": "launch", "run_id": run.run_id}, timeout_s=ANSWER_TIMEOUT_S)
        except PoolUnreachable as error:
            # a pool that answers late finds it withdrawn; one that died after it had forked a child has launched it
            if ledger.withdraw(run.run_id):
                self._launch_cold(context, str(error))

    def terminate(self, run_id: str) -> bool:
        """Interrupts the run, through the pool or, where it cannot be reached, by what its ledger says."""
        run = self._instance.get_run_by_id(run_id)
        if run is None or run.is_finished:
            return False
        if self._recorded(run_id) is None:
            return bool(super().terminate(run_id))  # type: ignore[no-untyped-call]
        if run.status != DagsterRunStatus.CANCELING:
            self._instance.report_run_canceling(run)
        try:
            ask(self._socket, {"op": "terminate", "run_id": run_id}, timeout_s=ANSWER_TIMEOUT_S)
        except PoolUnreachable:
            self._terminate_alone(run_id)
        return True

    @property
    def supports_check_run_worker_health(self) -> bool:
        """True: run monitoring may ask for a run's process."""
        return True

    def check_run_worker_health(self, run: DagsterRun) -> CheckRunHealthResult:
        """RUNNING while the run waits, its process lives, or the pool reports its end; SUCCESS once it is finished.

        FAILED when its process has ended and no pool is there to say so, NOT_FOUND when nothing is known of it.
        """
        entry = self._recorded(run.run_id)
        if entry is None:
            now = self._instance.get_run_by_id(run.run_id)
            if now is None or now.is_finished:
                return CheckRunHealthResult(WorkerStatus.SUCCESS, "the run is finished")
            if GRPC_INFO_TAG in now.tags:
                # a run of the default launcher has no health check, there or here
                return CheckRunHealthResult(WorkerStatus.RUNNING, "the default launcher started it")
            return CheckRunHealthResult(WorkerStatus.NOT_FOUND, "no ledger knows a process of this run")
        if entry.process is None or entry.process.alive:
            return CheckRunHealthResult(WorkerStatus.RUNNING, entry.state)
        try:
            ask(self._socket, {"op": "status"}, timeout_s=ANSWER_TIMEOUT_S)
        except PoolUnreachable:
            return CheckRunHealthResult(WorkerStatus.FAILED, f"process {entry.process.pid} has ended")
        return CheckRunHealthResult(WorkerStatus.RUNNING, "the pool reports its end")

    @property
    def _socket(self) -> Path:
        return Path(self._socket_path or Path(self._instance.root_directory) / SOCKET_NAME)

    @property
    def _ledger_path(self) -> Path:
        return self._socket.with_suffix(".db")

    def _recorded(self, run_id: str) -> Entry | None:
        return Ledger(self._ledger_path).get(run_id) if self._ledger_path.exists() else None

    def _launch_cold(self, context: LaunchRunContext, why: str) -> None:
        self._instance.report_engine_event(
            f"The pool of preloaded processes cannot be reached ({why}); the default launcher starts this run",
            context.dagster_run,
            cls=type(self),
        )
        super().launch_run(context)

    def _terminate_alone(self, run_id: str) -> None:
        ledger = Ledger(self._ledger_path)
        ledger.end_by(run_id, time.time() + self._grace_s)
        # read only now: from here on nobody can claim it
        entry = ledger.get(run_id)
        instance: DagsterInstance = self._instance
        if entry is not None and entry.process is not None and interrupt(instance, run_id, entry.process):
            return
        run = instance.get_run_by_id(run_id)
        if run is not None and not run.is_finished:
            instance.report_run_canceled(run, "The run's process had ended, or had not begun.")
        ledger.remove(run_id)
