"""The backstop: a run that ended without telling anyone is told for."""

from dagster import (
    DagsterRunStatus,
    DefaultSensorStatus,
    RunStatusSensorContext,
    RunStatusSensorDefinition,
    run_status_sensor,
)

from assets.tags import ATTEMPT, PIPELINE, STAGE, request_from
from millrace.contracts.errors import NotFound
from resources.warehouse import WarehouseResource

MINIMUM_INTERVAL_SECONDS = 4
"""A backstop's pace: a tick costs an idle platform tens of milliseconds of a processor. It takes five runs unless
DAGSTER_RUN_STATUS_SENSOR_PROCESS_LIMIT says otherwise: Dagster's 30 s would let a night's failures queue for hours."""
PARTITION = "dagster/partition"


def _build_sensor(
    name: str, status: DagsterRunStatus, *, error_class: str, transient: bool, description: str
) -> RunStatusSensorDefinition:
    @run_status_sensor(
        name=name,
        run_status=status,
        minimum_interval_seconds=MINIMUM_INTERVAL_SECONDS,
        default_status=DefaultSensorStatus.RUNNING,
        description=description,
    )
    def evaluate(context: RunStatusSensorContext, warehouse: WarehouseResource) -> None:
        tags = context.dagster_run.tags
        if not {PIPELINE, ATTEMPT, STAGE, PARTITION} <= tags.keys():
            return
        from millrace.warehouse.stage_work import fail

        run_id = context.dagster_run.run_id
        stage = tags[STAGE]
        request = request_from(tags, partition_key=tags[PARTITION], run_id=run_id, stage=stage)  # type: ignore[arg-type]
        message = f"run {run_id} ended as {status.value}: {context.dagster_event.message or 'no message'}"
        try:
            recorded = fail(warehouse.open(), request, error_class=error_class, message=message, transient=transient)
        except NotFound as error:
            context.log.warning(f"run {run_id}: {error}")
            return
        if recorded:
            context.log.warning(f"{message}; its attempt is now failed")

    return evaluate


run_failure_sensor = _build_sensor(
    "run_failure_sensor",
    DagsterRunStatus.FAILURE,
    error_class="RunDied",
    transient=True,
    description="Marks the attempt of a run failed when the run died before it could: killed, out of memory, or "
    "never started.",
)
run_cancelled_sensor = _build_sensor(
    "run_cancelled_sensor",
    DagsterRunStatus.CANCELED,
    error_class="RunCancelled",
    transient=False,
    description="Marks the attempt of a run failed when a person ended the run in Dagster.",
)
