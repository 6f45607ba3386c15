"""A run before the first one: what a run imports and compiles on its way is there when a process is forked for it."""

import logging
import sys
import tempfile
from pathlib import Path

from dagster import (
    AssetMaterialization,
    DagsterInstance,
    JobDefinition,
    OpExecutionContext,
    in_process_executor,
    job,
    op,
    repository,
)
from dagster._cli.api import _execute_run_command_body
from dagster._core.code_pointer import ModuleCodePointer
from dagster._core.origin import DEFAULT_DAGSTER_ENTRY_POINT, JobPythonOrigin, RepositoryPythonOrigin

_INSTANCE = """
telemetry: {enabled: false}
storage:
  custom:
    module: warm_runs.sqlite
    class: WarmSqliteStorage
    config: {base_dir: %s}
"""


@op
def _materialise(context: OpExecutionContext) -> None:
    context.log_event(AssetMaterialization("rehearsed", metadata={"number": 1}))


@job(executor_def=in_process_executor)
def rehearsed() -> None:
    """One op that tells of an asset."""
    _materialise()


@repository
def location() -> list[JobDefinition]:
    """The code location of the rehearsal."""
    return [rehearsed]


def rehearse() -> None:
    """Executes a run as a child will, in an instance of its own that is gone afterwards.

    Raises:
        RuntimeError: the run did not succeed.
    """
    logging.disable(logging.CRITICAL)
    try:
        with tempfile.TemporaryDirectory() as folder:
            Path(folder, "dagster.yaml").write_text(_INSTANCE % folder)
            with DagsterInstance.from_config(folder) as instance:
                run = instance.create_run_for_job(rehearsed, job_code_origin=_origin())
                status = _execute_run_command_body(
                    run.run_id, instance, lambda event: None, set_exit_code_on_failure=True
                )
    finally:
        logging.disable(logging.NOTSET)
    if status != 0:
        raise RuntimeError("the run before the first one failed")


def _origin() -> JobPythonOrigin:
    pointer = ModuleCodePointer(__name__, "location", None)
    return JobPythonOrigin(
        rehearsed.name,
        RepositoryPythonOrigin(
            executable_path=sys.executable, code_pointer=pointer, container_image=None,
            entry_point=DEFAULT_DAGSTER_ENTRY_POINT, container_context=None,
        ),
    )  # fmt: skip
