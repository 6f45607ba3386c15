"""The frame around every asset of a stage: claim the attempt, work, and leave a truthful record of a failure."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from dagster import AssetExecutionContext, Failure

from assets.tags import request_from
from millrace.contracts.errors import AttemptFenced, MillraceError
from millrace.contracts.stages import Level, TriggeredStage
from millrace.contracts.task import StageRequest

if TYPE_CHECKING:
    from millrace.warehouse.stage_work import StageWork
    from millrace.warehouse.store import Warehouse


def stage_request(context: AssetExecutionContext, name: TriggeredStage, *, level: Level | None = None) -> StageRequest:
    """What the run was asked for, from its partition and its tags.

    Raises:
        BadInput: the partition key names no data set.
    """
    return request_from(
        context.run.tags, partition_key=context.partition_key, run_id=context.run.run_id, stage=name, level=level
    )


@contextmanager
def stage(
    context: AssetExecutionContext, warehouse: "Warehouse", name: TriggeredStage, *, level: Level | None = None
) -> "Iterator[StageWork]":
    """The work of the run, claimed. An error inside marks the attempt failed, with its type, and fails the step.

    An interrupt (the run is being terminated) passes through untouched: whoever asked for it has recorded it, and the
    conductor finds an attempt whose run is gone.

    Raises:
        Failure: an error of ours, with its remedy as metadata; never retried by Dagster.
    """
    from millrace.warehouse.stage_work import claim

    with reported():
        request = stage_request(context, name, level=level)
        try:
            yield claim(warehouse, request)
        except AttemptFenced:
            # another run's attempt, or one that was cancelled: its record is complete without us
            raise
        except MillraceError as error:
            _record(context, warehouse, request, error, message=str(error), transient=error.transient)
            raise
        except Exception as error:
            _record(context, warehouse, request, error, message=f"{type(error).__name__}: {error}", transient=False)
            raise


@contextmanager
def reported() -> Iterator[None]:
    """Turns an error of ours into Dagster's Failure, with what happened and what to do.

    Raises:
        Failure: in the place of the error.
    """
    try:
        yield
    except MillraceError as error:
        facts = {name: str(value) for name, value in error.attrs().items()}
        raise Failure(description=str(error), metadata=facts, allow_retries=False) from error


def _record(
    context: AssetExecutionContext,
    warehouse: "Warehouse",
    request: StageRequest,
    error: Exception,
    *,
    message: str,
    transient: bool,
) -> None:
    from millrace.warehouse.stage_work import fail

    try:
        fail(warehouse, request, error_class=type(error).__name__, message=message, transient=transient)
    except MillraceError as unrecorded:
        # the step's own error is the one to raise; run_failure_sensor records the attempt once the database is back
        context.log.error(f"the failure could not be recorded yet: {unrecorded}")
