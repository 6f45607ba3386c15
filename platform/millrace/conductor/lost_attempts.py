"""Fails attempts whose run died without a word; the word goes the usual way, as a stage event."""

import logging
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from sqlalchemy import select

from millrace.conductor.control import Runs
from millrace.conductor.lost import UNCLAIMED_SECONDS, Lost, lost_after_claim, lost_before_claim
from millrace.contracts.identifiers import DatasetKey
from millrace.contracts.stages import Level, TriggeredStage
from millrace.contracts.task import StageRequest
from millrace.warehouse.processes import is_gone
from millrace.warehouse.schema import Pipeline, StageAttempt
from millrace.warehouse.stage_work import OUTSIDE, fail
from millrace.warehouse.store import Warehouse

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Open:
    row: StageAttempt
    key: DatasetKey
    outside: bool

    @property
    def run_id(self) -> str:
        return str(self.row.dagster_run_id)


class LostAttempts:
    """The open attempts, and since when the processes of some are missing."""

    def __init__(self, warehouse: Warehouse, runs: Runs) -> None:
        self._warehouse = warehouse
        self._runs = runs
        self._dead_since: dict[int, datetime] = {}

    def once(self, at: datetime) -> None:
        """Fails every attempt that is lost.

        Raises:
            CannotReach: the warehouse or the orchestrator does not answer; dead processes are seen even so.
        """
        found = [one for one in self._open() if not one.outside]
        claimed = [one for one in found if one.row.state == "claimed"]
        gone = {one.row.id for one in claimed if is_gone((one.row.trigger or {}).get("process") or {})}
        self._dead_since = {one: self._dead_since.get(one, at) for one in gone}
        for one in claimed:
            self._fail(one, lost_after_claim(one.run_id, None, self._dead_seconds(one, at)))
        statuses = self._runs.statuses([one.run_id for one in claimed])
        for one in claimed:
            self._fail(one, lost_after_claim(one.run_id, statuses.get(one.run_id), None))
        for one in found:
            age = (at - one.row.requested_at).total_seconds()
            if one.row.state == "requested" and age >= UNCLAIMED_SECONDS:
                self._fail(one, lost_before_claim(age, self._runs.of_event(one.row.trigger_event_id)))

    def _open(self) -> list[_Open]:
        with self._warehouse.read() as session:
            rows = session.execute(
                select(StageAttempt, Pipeline.user_id, Pipeline.dataset_id, Pipeline.settings)
                .join(Pipeline, Pipeline.id == StageAttempt.pipeline_id)
                .where(StageAttempt.state.in_(("requested", "claimed")))
                .order_by(StageAttempt.id)
            ).all()
        return [_open(row[0], DatasetKey(row[1], row[2]), row[3]) for row in rows]

    def _dead_seconds(self, one: _Open, at: datetime) -> float | None:
        since = self._dead_since.get(one.row.id)
        return None if since is None else (at - since).total_seconds()

    def _fail(self, one: _Open, lost: Lost | None) -> None:
        if lost is None:
            return
        row = one.row
        request = StageRequest(
            key=one.key,
            stage=cast(TriggeredStage, row.stage),
            level=cast(Level, row.level) if row.level else None,
            run_id=lost.run_id,
            pipeline_id=row.pipeline_id,
            attempt=row.attempt,
        )
        failed = fail(
            self._warehouse, request, error_class=lost.error_class, message=lost.message, transient=lost.transient
        )
        if failed:
            log.warning(
                "conductor.lost_attempt pipeline=%s stage=%s level=%s attempt=%s error=%r",
                row.pipeline_id, row.stage, row.level or None, row.attempt, lost.message,
            )  # fmt: skip


def _open(row: StageAttempt, key: DatasetKey, settings: dict[str, Any]) -> _Open:
    assigned_outside = settings.get("executors", {}).get(row.stage) == "external"
    return _Open(row, key, outside=assigned_outside or (row.dagster_run_id or "").startswith(OUTSIDE))
