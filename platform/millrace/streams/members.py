"""The processes of a stream: each has a slot, beats while it lives, and hears from its beat whether it is wanted."""

import os
import socket
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from millrace.contracts.events import now
from millrace.streams.names import known
from millrace.streams.wanted import one_more
from millrace.warehouse.schema import Stream, StreamMember
from millrace.warehouse.store import Warehouse

BEAT_SECONDS = 2.0
"""Between two beats; `stop` and `restart` are heard within this time."""
SILENT_SECONDS = 30.0
"""Without a beat a process is taken for gone: fifteen beats, for a database that is locked for a while."""


@dataclass(frozen=True)
class Member:
    """A process, or the last one that had the slot. `alive` means that it has not ended and beat lately."""

    stream: str
    slot: int
    run_id: str
    epoch: int
    pid: int
    host: str
    started_at: datetime
    beat_at: datetime
    ended_at: datetime | None
    outcome: str | None
    checkpoint: dict[str, Any] | None
    alive: bool


def claim(warehouse: Warehouse, stream: str, run_id: str, *, slot: int | None) -> Member:
    """The slot is this run's. Without one it was launched by hand: it takes the first free slot, and is wanted.

    Raises:
        NotFound: there is no such stream.
    """
    known(stream)
    with warehouse.transaction() as session:
        if slot is None:
            one_more(session, stream, actor=f"dagster:{run_id}")
            taken = {one.slot for one in _members(session, stream) if one.alive}
            slot = next(number for number in range(len(taken) + 1) if number not in taken)
        epoch = session.scalars(select(Stream.epoch).where(Stream.name == stream)).one()
        row = session.get(StreamMember, (stream, slot)) or StreamMember(stream=stream, slot=slot)
        row.run_id, row.epoch, row.pid, row.host = run_id, epoch, os.getpid(), socket.gethostname()[:255]
        row.started_at = row.beat_at = now()
        row.ended_at = row.outcome = row.checkpoint = None
        session.add(row)
        session.flush()
        return _facts(row, row.beat_at)


def beat(
    warehouse: Warehouse, member: Member, *, checkpoint: dict[str, Any] | None = None
) -> tuple[str | None, dict[str, Any] | None]:
    """Says that the process lives. Gives why it should end, None to go on, and what is pinned for the stream."""
    with warehouse.transaction() as session:
        stream = session.get_one(Stream, member.stream)
        row = session.get(StreamMember, (member.stream, member.slot))
        if row is None or row.run_id != member.run_id:
            return f"slot {member.slot} was given to another process", stream.pinned
        row.beat_at = now()
        if checkpoint is not None:
            row.checkpoint = checkpoint
        return _reason(stream, row, _members(session, member.stream)), stream.pinned


def leave(warehouse: Warehouse, member: Member, *, outcome: str, checkpoint: dict[str, Any] | None) -> None:
    """The process has ended; a slot that is another's by now stays as it is."""
    with warehouse.transaction() as session:
        row = session.get(StreamMember, (member.stream, member.slot))
        if row is None or row.run_id != member.run_id:
            return
        row.ended_at, row.outcome = now(), outcome
        if checkpoint is not None:
            row.checkpoint = checkpoint


def members_of(warehouse: Warehouse, stream: str) -> list[Member]:
    """The processes by slot, those that have ended included.

    Raises:
        NotFound: there is no such stream.
    """
    known(stream)
    with warehouse.read() as session:
        return _members(session, stream)


def leads(warehouse: Warehouse, member: Member) -> bool:
    """Whether no living process of the stream has a lower slot."""
    with warehouse.read() as session:
        return not any(one.alive and one.slot < member.slot for one in _members(session, member.stream))


def _reason(stream: Stream, row: StreamMember, members: list[Member]) -> str | None:
    if stream.halted:
        return f"the stream is halted: {stream.halted}"
    if row.epoch < stream.epoch and stream.wanted:
        return f"replaced by a new process, as {stream.changed_by} asked"
    # those with the lowest slots stay
    before = sum(one.slot < row.slot for one in members if one.alive)
    return None if before < stream.wanted else f"{stream.wanted} processes are wanted by {stream.changed_by}"


def _members(session: Session, stream: str) -> list[Member]:
    at = now()
    rows = session.scalars(select(StreamMember).where(StreamMember.stream == stream).order_by(StreamMember.slot))
    return [_facts(row, at) for row in rows]


def _facts(row: StreamMember, at: datetime) -> Member:
    alive = row.ended_at is None and at - row.beat_at < timedelta(seconds=SILENT_SECONDS)
    return Member(
        row.stream, row.slot, row.run_id, row.epoch, row.pid, row.host, row.started_at, row.beat_at,
        row.ended_at, row.outcome, row.checkpoint, alive,
    )  # fmt: skip
