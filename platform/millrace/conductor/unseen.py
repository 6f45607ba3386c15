"""Events that were sent and never came: a broker that is recreated empty loses them, and the outbox still has them."""

import logging
from datetime import datetime, timedelta

from sqlalchemy import select

from millrace.conductor.intake import CONSUMER
from millrace.conductor.service import Conductor
from millrace.contracts.errors import TerminalError
from millrace.contracts.task import Coordinates
from millrace.contracts.topics import Topics
from millrace.kafka.records import Record
from millrace.warehouse.schema import Consumed, Outbox
from millrace.warehouse.store import Warehouse

OVERDUE = timedelta(minutes=1)
"""A sent event is seen within milliseconds; a conductor that was down for long catches up first, and what it takes from
here it later knows as a duplicate."""
OLDEST = timedelta(days=1)
AT_ONCE = 100

log = logging.getLogger(__name__)


class Unseen:
    """Sent events that the conductor has no record of."""

    def __init__(self, conductor: Conductor, warehouse: Warehouse, topics: Topics) -> None:
        self._conductor = conductor
        self._warehouse = warehouse
        self._topics = topics.for_conductor()
        self._refused: set[str] = set()

    def once(self, at: datetime) -> int:
        """Takes in those that are overdue, in their order, and gives how many.

        Raises:
            CannotReach: the warehouse does not answer.
        """
        overdue = [row for row in self._overdue(at) if row.event_id not in self._refused]
        for row in overdue:
            try:
                self._conductor.on_event(_record(row))
            except TerminalError as error:
                # the consumer loop has dead-lettered it, or will when it comes
                self._refused.add(row.event_id)
                log.warning("conductor.unseen_refused event_id=%s error=%r", row.event_id, error.message)
            else:
                log.warning("conductor.unseen_taken event_id=%s topic=%s", row.event_id, row.topic)
        return len(overdue)

    def _overdue(self, at: datetime) -> list[Outbox]:
        seen = select(Consumed.event_id).where(Consumed.consumer == CONSUMER, Consumed.event_id == Outbox.event_id)
        with self._warehouse.read() as session:
            return list(
                session.scalars(
                    select(Outbox)
                    .where(
                        Outbox.sent_at.between(at - OLDEST, at - OVERDUE),
                        Outbox.topic.in_(self._topics),
                        ~seen.exists(),
                    )
                    .order_by(Outbox.id)
                    .limit(AT_ONCE)
                )
            )


def _record(row: Outbox) -> Record:
    sent_to = row.sent_to or {}
    return Record(
        coordinates=Coordinates(
            row.topic, "outbox", int(sent_to.get("partition", -1)), int(sent_to.get("offset", row.id))
        ),
        key=row.key.encode(),
        raw_value=row.value,
        raw_headers=tuple((name, str(value).encode()) for name, value in row.headers.items()),
    )
