"""The relay: sends the outbox to Kafka, in order per key, at least once, whatever dies in between."""

import logging
import threading
import time
from collections.abc import Sequence
from contextlib import closing
from typing import Final

from sqlalchemy import bindparam, select, update
from sqlalchemy.exc import DBAPIError

from millrace.contracts.errors import CannotReach
from millrace.contracts.events import now
from millrace.settings import Settings
from millrace.warehouse.leadership import Leadership, leadership_of
from millrace.warehouse.looks import Looks, looks_at
from millrace.warehouse.schema import Outbox
from millrace.warehouse.sender import Delivered, Pending, Sender
from millrace.warehouse.store import Warehouse

log = logging.getLogger(__name__)

POLL_SECONDS: Final = 0.02
"""How often an idle relay looks for rows; its share of an event's latency is half of that. A look costs 0.5 ms of a
processor, and 3 µs where nothing was committed since the last one."""
BATCH_ROWS: Final = 500
MAX_IN_FLIGHT: Final = 2_000
STANDBY_SECONDS: Final = 0.5
"""How often a relay that is not the leader tries to become it."""
TURN_SECONDS: Final = 0.1
"""How often a relay that works once looks whether the leader is gone."""
STOP_SECONDS: Final = 3.0
"""How long a relay that is stopped waits for the broker's last answers; below supervisor's 10 s before it kills."""


class Relay:
    """Sends what the outbox holds. Any number may run on one database; one works, the others stand by."""

    def __init__(self, warehouse: Warehouse, settings: Settings) -> None:
        self._warehouse = warehouse
        self._leadership: Leadership = leadership_of(warehouse.engine)
        self._sender = Sender(settings)
        self._wake = threading.Event()
        self.sent = 0
        """Events sent since the relay was made."""

    def wake(self) -> None:
        """Says that a row was written by this process; the relay looks at once instead of at its next look."""
        self._wake.set()

    def run(self, stop: threading.Event) -> None:
        """Relays until stopped; the broker or the database being away only delays it."""
        try:
            while not stop.is_set():
                try:
                    if not self._leadership.acquire():
                        stop.wait(STANDBY_SECONDS)
                        continue
                    log.info("relay.leading")
                    with closing(looks_at(self._warehouse.engine)) as looks:
                        self._lead(stop, looks)
                except (CannotReach, DBAPIError) as error:
                    log.warning("relay.database_away reason=%s", error)
                    self._sender.abandon()
                    stop.wait(STANDBY_SECONDS)
            self._finish()
        finally:
            self._leadership.release()

    def relay_once(self, *, seconds: float = 10.0) -> int:
        """Sends what is there, waits that long for its turn and the answers, and gives the number of events sent.

        A relay that was killed may stay the leader for a moment: PostgreSQL ends what it had begun for it first.

        Raises:
            CannotReach: another relay is at work on this database all the time, or the database does not answer.
        """
        before, deadline = self.sent, time.monotonic() + seconds
        while not self._leadership.acquire():
            if time.monotonic() >= deadline:
                raise CannotReach("another relay is at work on this database", remedy="leave it to that one")
            time.sleep(TURN_SECONDS)
        try:
            while (self._sender.send(self._next()) or self._sender.in_flight()) and time.monotonic() < deadline:
                self._sender.poll(POLL_SECONDS)
                self._mark()
            self._finish()
        finally:
            self._leadership.release()
        return self.sent - before

    def _lead(self, stop: threading.Event, looks: Looks) -> None:
        self._sender.warm()
        checked, idle = time.monotonic(), False
        while not stop.is_set():
            if time.monotonic() - checked > STANDBY_SECONDS:
                # a look at least this often, whatever the database says of itself
                checked, idle = time.monotonic(), False
                if not self._leadership.holds():
                    log.warning("relay.leadership_lost")
                    self._sender.abandon()
                    return
            self._mark()
            self._wake.clear()
            # asked before the look: what is committed during it is seen by the next one
            sent = 0
            if looks.due() or not idle:
                rows = self._next()
                sent = self._sender.send(rows)
                idle = not rows and not self._sender.busy_keys()
            if self._sender.in_flight():
                self._sender.poll(POLL_SECONDS)
            elif not sent:
                self._wake.wait(POLL_SECONDS)

    def _next(self) -> list[Pending]:
        room = MAX_IN_FLIGHT - self._sender.in_flight()
        return [] if room <= 0 else self._unsent(self._sender.busy_keys(), limit=min(room, BATCH_ROWS))

    def _unsent(self, busy: Sequence[str], *, limit: int) -> list[Pending]:
        wanted = (
            select(Outbox.id, Outbox.event_id, Outbox.topic, Outbox.key, Outbox.value, Outbox.headers)
            .where(Outbox.sent_at.is_(None))
            .order_by(Outbox.id)
            .limit(limit)
        )
        if busy:
            wanted = wanted.where(Outbox.key.not_in(busy))
        with self._warehouse.read() as session:
            return [Pending(row[0], row[1], row[2], row[3], row[4], row[5]) for row in session.execute(wanted)]

    def _mark(self) -> None:
        delivered = self._sender.delivered
        if not delivered:
            return
        at = now()
        # synchronize_session off: plain rows, no objects of the session
        change = (
            update(Outbox.__table__)  # type: ignore[arg-type]
            .where(Outbox.id == bindparam("row_id"))
            .values(sent_at=at, sent_to=bindparam("where_to"))
        )
        with self._warehouse.transaction() as session:
            session.connection().execute(change, [_marked(one) for one in delivered])
        # only now: had the database been away, they would be marked later, and not be sent twice
        self._sender.delivered = []
        self.sent += len(delivered)

    def _finish(self) -> None:
        self._sender.flush(STOP_SECONDS)
        self._mark()
        self._sender.abandon()


def _marked(one: Delivered) -> dict[str, object]:
    return {"row_id": one.id, "where_to": {"partition": one.partition, "offset": one.offset}}
