"""Keeps the wanted number of each stream's processes running."""

import time
from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

from dagster import (
    DagsterRunStatus,
    DefaultSensorStatus,
    RunRecord,
    RunRequest,
    RunsFilter,
    SensorDefinition,
    SensorEvaluationContext,
    SensorResult,
    sensor,
)
from dagster._core.launcher.base import WorkerStatus

from assets.tags import EPOCH, GENERATION, SLOT, STREAM
from jobs.streams import STREAM_JOBS
from millrace.contracts.events import now
from resources.warehouse import WarehouseResource
from sensors.scoring_models import unreported

if TYPE_CHECKING:
    from dagster import DagsterInstance, DagsterRun

    from millrace.streams.members import Member
    from millrace.streams.supervision import RunSeen, Start, State
    from millrace.streams.wanted import Wanted
    from millrace.warehouse.store import Warehouse

MINIMUM_INTERVAL_SECONDS = 4
"""A killed process is started again within this, the queue's second and the launch. Less would cost an idle platform
more than it brings."""
GONE = timedelta(minutes=3)
"""Without a beat for so long a process is gone: one that begins does not beat while it times the forms of a model."""
_NEWEST_RUNS = 100
_STATES: "dict[DagsterRunStatus, State]" = {
    DagsterRunStatus.SUCCESS: "ended",
    DagsterRunStatus.FAILURE: "failed",
    DagsterRunStatus.CANCELED: "cancelled",
}


def define_supervisor(stream: str) -> SensorDefinition:
    """The sensor that keeps this stream's processes running."""

    @sensor(
        name=f"{stream}_supervisor",
        # by name: with the job itself Dagster 1.13 rebuilds the sensor with a parameter that it warns of as beta
        job_name=stream,
        minimum_interval_seconds=MINIMUM_INTERVAL_SECONDS,
        default_status=DefaultSensorStatus.RUNNING,
        description="Starts the processes that are wanted and not there, and counts off those that a person has ended "
        "here. Nothing is wanted until `millrace stream start`, or a launch of the job.",
    )
    def evaluate(context: SensorEvaluationContext, warehouse: WarehouseResource) -> SensorResult:
        from millrace.streams.wanted import wanted_of

        store = warehouse.open()
        told = unreported(context.instance, store, stream, context.cursor)

        def skip(reason: str) -> SensorResult:
            return SensorResult(skip_reason=reason, asset_events=told.events, cursor=told.cursor)

        wanted = wanted_of(store, stream)
        if wanted.halted:
            return skip(f"halted: {wanted.halted}")
        if not wanted.running:
            return skip("no process is wanted")
        starts, waits = _look(context.instance, store, wanted)
        if not starts:
            return skip("; ".join(waits) or "all that is wanted runs")
        return SensorResult(
            run_requests=[_request(start) for start in starts], asset_events=told.events, cursor=told.cursor
        )

    return evaluate


def _look(instance: "DagsterInstance", store: "Warehouse", wanted: "Wanted") -> "tuple[Sequence[Start], Sequence[str]]":
    from millrace.streams.members import members_of
    from millrace.streams.supervision import ended_by_hand, plan
    from millrace.streams.wanted import ended_by_hand as record_ended

    records = instance.get_run_records(RunsFilter(tags={STREAM: wanted.stream}), limit=_NEWEST_RUNS)
    gone = _settle_gone(instance, records, {one.run_id: one for one in members_of(store, wanted.stream)})
    runs = [_seen(record, gone) for record in records]
    ended = ended_by_hand(wanted, runs)
    if ended:
        wanted = record_ended(store, wanted.stream, ended)
    made = plan(wanted, runs, now=time.time())
    return made.starts, made.waits


def _settle_gone(
    instance: "DagsterInstance", records: "Sequence[RunRecord]", members: "dict[str, Member]"
) -> frozenset[str]:
    """Runs that were said to run and whose processes are gone, marked failed: after a crash of the host nobody else
    does, where the launcher cannot tell. One that lives after all is fenced by its successor."""
    gone = set()
    for record in records:
        run = record.dagster_run
        member = members.get(run.run_id)
        if run.status is not DagsterRunStatus.STARTED or member is None or member.alive:
            continue
        if now() - member.beat_at < GONE:
            continue
        if _executes(instance, run):
            # run monitoring looks after it; a process that only cannot reach the warehouse goes on
            continue
        instance.report_run_failed(run, f"its process {member.pid} on {member.host} has not been heard of since "
                                        f"{member.beat_at:%Y-%m-%d %H:%M:%S} UTC")  # fmt: skip
        gone.add(run.run_id)
    return frozenset(gone)


def _executes(instance: "DagsterInstance", run: "DagsterRun") -> bool:
    launcher = instance.run_launcher
    return (
        launcher.supports_check_run_worker_health
        and launcher.check_run_worker_health(run).status is WorkerStatus.RUNNING
    )


def _seen(record: RunRecord, gone: frozenset[str]) -> "RunSeen":
    from millrace.streams.supervision import RunSeen

    run = record.dagster_run
    tags = run.tags
    return RunSeen(
        run_id=run.run_id,
        state="failed" if run.run_id in gone else _STATES.get(run.status, "live"),
        slot=int(tags[SLOT]) if SLOT in tags else None,
        epoch=int(tags.get(EPOCH, 0)),
        generation=int(tags.get(GENERATION, 0)),
        began=record.start_time or record.end_time or 0.0,
        ended=record.end_time or 0.0,
    )


def _request(start: "Start") -> RunRequest:
    return RunRequest(
        run_key=start.run_key,
        tags={SLOT: str(start.slot), EPOCH: str(start.epoch), GENERATION: str(start.generation)},
    )


SUPERVISORS = tuple(define_supervisor(job.name) for job in STREAM_JOBS)
