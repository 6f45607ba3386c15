"""What the conductor does by the clock: due retries, events that never came, runs to end, attempts that died."""

import logging
from collections.abc import Callable
from datetime import datetime, timedelta

from sqlalchemy import select

from millrace.conductor import happenings as h
from millrace.conductor.control import Runs
from millrace.conductor.endings import Endings
from millrace.conductor.lost_attempts import LostAttempts
from millrace.conductor.service import Conductor
from millrace.conductor.unseen import Unseen
from millrace.contracts.errors import CannotReach
from millrace.contracts.events import now
from millrace.warehouse.schema import Pipeline
from millrace.warehouse.store import Warehouse

LOST_EVERY = timedelta(seconds=5)
UNSEEN_EVERY = timedelta(seconds=15)

log = logging.getLogger(__name__)


class Sweep:
    """One look at everything that waits for the clock; call `once` every second or so."""

    def __init__(
        self, conductor: Conductor, warehouse: Warehouse, runs: Runs, *, clock: Callable[[], datetime] = now
    ) -> None:
        self._conductor = conductor
        self._warehouse = warehouse
        self._clock = clock
        self._endings = Endings(conductor, warehouse, runs)
        self._lost = LostAttempts(warehouse, runs)
        self._lost_due: datetime | None = None
        self._unseen = Unseen(conductor, warehouse, warehouse.topics)
        self._unseen_due: datetime | None = None
        self._reached = True

    def once(self) -> None:
        """Does all that is due. A part that does not answer is logged once and asked again the next time."""
        at = self._clock()
        try:
            # first what needs the warehouse only
            self._retry(at)
            if self._unseen_due is None or at >= self._unseen_due:
                self._unseen_due = at + UNSEEN_EVERY
                self._unseen.once(at)
            self._endings.once(at)
            if self._lost_due is None or at >= self._lost_due:
                self._lost_due = at + LOST_EVERY
                self._lost.once(at)
        except CannotReach as error:
            if self._reached:
                log.warning("conductor.sweep_waits error=%r", error.message)
            self._reached = False
        else:
            if not self._reached:
                log.info("conductor.sweep_goes_on")
            self._reached = True

    def _retry(self, at: datetime) -> None:
        with self._warehouse.read() as session:
            due = session.scalars(
                select(Pipeline.id).where(Pipeline.state == "retrying", Pipeline.retry_at <= at).order_by(Pipeline.id)
            ).all()
        for pipeline_id in due:
            self._conductor.advance(pipeline_id, h.RetryDue(at), cause="clock:retry")
