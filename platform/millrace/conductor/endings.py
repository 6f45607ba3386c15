"""Ends the runs of pipelines that were cancelled, rejected or superseded, until none lives."""

import logging
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import select

from millrace.conductor import happenings as h
from millrace.conductor.control import Runs
from millrace.conductor.service import Conductor
from millrace.warehouse.processes import is_gone
from millrace.warehouse.schema import Pipeline, StageAttempt
from millrace.warehouse.store import Warehouse

SETTLE = timedelta(seconds=3)
"""For so long after a stop, runs are looked for even when none lives: a trigger may be turning into one. One that comes
later still finds its attempt cancelled when it claims it."""
ASK_AGAIN = timedelta(seconds=4)
"""A run that was told to end and still lives is told again; twice within the 10 s that it has."""
FORCE = timedelta(seconds=6)
"""After so long, a run that Dagster takes for live although its process is gone is recorded as cancelled."""

log = logging.getLogger(__name__)


@dataclass
class _Ending:
    since: datetime
    told: dict[str, datetime] = field(default_factory=dict)


class Endings:
    """The pipelines whose runs are being ended."""

    def __init__(self, conductor: Conductor, warehouse: Warehouse, runs: Runs) -> None:
        self._conductor = conductor
        self._warehouse = warehouse
        self._runs = runs
        self._endings: dict[str, _Ending] = {}

    def once(self, at: datetime) -> None:
        """Tells every run to end that should.

        Raises:
            CannotReach: the warehouse or the orchestrator does not answer.
        """
        with self._warehouse.read() as session:
            stopped = session.execute(
                select(Pipeline.id, Pipeline.updated_at).where(Pipeline.ending_runs.is_(True))
            ).all()
        self._endings = {
            pipeline_id: self._endings.get(pipeline_id, _Ending(updated_at)) for pipeline_id, updated_at in stopped
        }
        for pipeline_id, ending in self._endings.items():
            self._end(pipeline_id, ending, at)

    def _end(self, pipeline_id: str, ending: _Ending, at: datetime) -> None:
        live = self._runs.live_runs(pipeline_id)
        if not live:
            if at - ending.since >= SETTLE:
                told = tuple(sorted(ending.told))
                self._conductor.advance(pipeline_id, h.RunsEnded(told), cause="clock:runs-ended")
            return
        tell = [
            run.run_id
            for run in live
            if run.status != "CANCELING" and at - ending.told.get(run.run_id, at - ASK_AGAIN) >= ASK_AGAIN
        ]
        if tell:
            log.info("conductor.end_runs pipeline=%s runs=%s", pipeline_id, ",".join(tell))
            self._runs.terminate(tell)
            ending.told.update(dict.fromkeys(tell, at))
        gone = self._without_process(pipeline_id, [run.run_id for run in live]) if at - ending.since >= FORCE else []
        if gone:
            log.warning("conductor.mark_cancelled pipeline=%s runs=%s", pipeline_id, ",".join(gone))
            self._runs.mark_cancelled(gone)

    def _without_process(self, pipeline_id: str, run_ids: list[str]) -> list[str]:
        # a run is never recorded as cancelled while its process may live: it would go on unseen
        with self._warehouse.read() as session:
            claimed = session.scalars(
                select(StageAttempt).where(
                    StageAttempt.pipeline_id == pipeline_id, StageAttempt.dagster_run_id.in_(run_ids)
                )
            ).all()
        marks = {one.dagster_run_id: (one.trigger or {}).get("process") for one in claimed}
        return [run_id for run_id in run_ids if (mark := marks.get(run_id)) and is_gone(mark)]
