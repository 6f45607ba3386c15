"""Events that consumers of ours have acted on: a duplicate changes nothing."""

from sqlalchemy.orm import Session

from millrace.contracts.events import now
from millrace.contracts.task import Coordinates
from millrace.warehouse.schema import Consumed


def first_time(session: Session, *, consumer: str, event_id: str, at: Coordinates) -> bool:
    """Whether the event is new to the consumer; records it in the transaction of its effect when it is."""
    if session.get(Consumed, (consumer, event_id)) is not None:
        return False
    session.add(
        Consumed(
            consumer=consumer,
            event_id=event_id,
            topic=at.topic,
            topic_id=at.topic_id,
            partition=at.partition,
            offset=at.offset,
            at=now(),
        )
    )
    session.flush()
    return True


def seen_at(session: Session, *, consumer: str, event_id: str) -> Coordinates | None:
    """Where the consumer first saw the event, None when it has not."""
    row = session.get(Consumed, (consumer, event_id))
    return None if row is None else Coordinates(row.topic, row.topic_id, row.partition, row.offset)
