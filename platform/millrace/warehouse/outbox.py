"""The outbox: an event is written in the transaction of the fact that it reports, and sent later by the relay."""

from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from millrace.contracts import topics as names
from millrace.contracts.events import Event, now
from millrace.contracts.identifiers import DatasetKey, new_id
from millrace.contracts.stages import Executor
from millrace.contracts.topics import Topics
from millrace.warehouse.schema import Outbox

PAYLOAD_SCHEMA_VERSION = "1"
"""Rises when a payload changes in a way that readers of the last one cannot take."""


@dataclass(frozen=True)
class Backlog:
    """Events that wait for the relay; `oldest_seconds` is None when there is none."""

    count: int
    oldest_seconds: float | None


def enqueue(
    session: Session,
    topics: Topics,
    event: Event,
    *,
    event_id: str | None = None,
    pipeline_id: str | None = None,
    attempt: int | None = None,
    trace_parent: str | None = None,
    content_sha256: str | None = None,
    executor: Executor | None = None,
) -> str:
    """Writes the event, keyed by its data set, and gives its id.

    The id is `event_id`, else the payload's own, else a new one.

    Raises:
        sqlalchemy.exc.IntegrityError: an event with this id is there already.
    """
    chosen = event_id or getattr(event, "event_id", None) or new_id("ev")
    headers = {
        names.EVENT_ID: chosen,
        names.SCHEMA_VERSION: PAYLOAD_SCHEMA_VERSION,
        names.PIPELINE: pipeline_id,
        names.ATTEMPT: None if attempt is None else str(attempt),
        names.TRACE_PARENT: trace_parent,
        names.CONTENT_SHA256: content_sha256,
        # only the outside worker's triggers are marked: sensors take all others
        names.EXECUTOR: executor if executor == "external" else None,
    }
    session.add(
        Outbox(
            event_id=chosen,
            topic=getattr(topics, event.topic_field),
            key=DatasetKey(event.user_id, event.dataset_id).partition_key,
            value=event.to_bytes(),
            headers={name: value for name, value in headers.items() if value is not None},
            created_at=now(),
        )
    )
    # at once: the order of ids within a transaction is then the order of the calls
    session.flush()
    return chosen


def is_enqueued(session: Session, event_id: str) -> bool:
    """Whether an event with this id was ever written."""
    return session.scalar(select(Outbox.id).where(Outbox.event_id == event_id)) is not None


def backlog(session: Session) -> Backlog:
    """Events that are written and not sent."""
    count, oldest = session.execute(
        select(func.count(), func.min(Outbox.created_at)).where(Outbox.sent_at.is_(None))
    ).one()
    return Backlog(count, None if oldest is None else max(0.0, (now() - oldest).total_seconds()))
