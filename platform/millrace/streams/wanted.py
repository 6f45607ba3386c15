"""How many processes of a stream are wanted: what people ask for, and what Dagster's pages do to it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from millrace.contracts.errors import BadInput
from millrace.contracts.events import now
from millrace.streams.names import MOST_PROCESSES, STREAMS, known
from millrace.warehouse.schema import Stream
from millrace.warehouse.scoring_models import stream_row
from millrace.warehouse.store import Warehouse

_REMEMBERED = 200
"""Ended runs; far more than can end between two looks."""


@dataclass(frozen=True)
class Wanted:
    """What is asked of a stream. `wanted` is 0 for one that nobody has started."""

    stream: str
    wanted: int = 0
    epoch: int = 0
    halted: str | None = None
    pinned: dict[str, Any] | None = None
    ended_runs: tuple[str, ...] = ()
    changed_at: datetime | None = None
    changed_by: str = ""

    @property
    def running(self) -> int:
        """How many processes there should be now."""
        return 0 if self.halted else self.wanted


def wanted_of(warehouse: Warehouse, stream: str) -> Wanted:
    """What is asked of the stream.

    Raises:
        NotFound: there is no such stream.
    """
    known(stream)
    with warehouse.read() as session:
        return _facts(stream, session.get(Stream, stream))


def all_wanted(warehouse: Warehouse) -> list[Wanted]:
    """Every stream, those that nobody has started included, in the order of their names."""
    with warehouse.read() as session:
        rows = {row.name: row for row in session.scalars(select(Stream))}
        return [_facts(name, rows.get(name)) for name in sorted(STREAMS)]


def start(warehouse: Warehouse, stream: str, *, processes: int, actor: str) -> Wanted:
    """So many processes are wanted; those of before are replaced, a halt is over.

    Raises:
        NotFound: there is no such stream.
        BadInput: the number cannot be.
    """
    if not 1 <= processes <= MOST_PROCESSES:
        raise BadInput(
            f"{processes} processes of {stream}",
            field="processes",
            remedy=f"ask for 1 to {MOST_PROCESSES}; more than the topic has partitions do nothing",
        )

    def change(row: Stream) -> None:
        row.wanted, row.halted, row.epoch = processes, None, row.epoch + 1

    return _changed(warehouse, stream, change, actor=actor)


def stop(warehouse: Warehouse, stream: str, *, actor: str) -> Wanted:
    """No process is wanted: each commits what it has in work and ends."""

    def change(row: Stream) -> None:
        row.wanted = 0

    return _changed(warehouse, stream, change, actor=actor)


def restart(warehouse: Warehouse, stream: str, *, actor: str) -> Wanted:
    """As many as before, each replaced by a new process: new code, new model."""

    def change(row: Stream) -> None:
        row.halted, row.epoch = None, row.epoch + 1

    return _changed(warehouse, stream, change, actor=actor)


def halt(warehouse: Warehouse, stream: str, *, reason: str, actor: str) -> Wanted:
    """No process is started until a person starts the stream again."""

    def change(row: Stream) -> None:
        row.halted = reason

    return _changed(warehouse, stream, change, actor=actor)


def one_more(session: Session, stream: str, *, actor: str) -> Wanted:
    """A person launched a process by hand: one more is wanted than before."""
    row = stream_row(session, stream)
    before = 0 if row.halted else row.wanted
    if before == 0:
        # runs that people ended before do not count any more
        row.epoch += 1
    row.wanted, row.halted = before + 1, None
    row.changed_at, row.changed_by = now(), actor[:160]
    return _facts(stream, row)


def ended_by_hand(warehouse: Warehouse, stream: str, run_ids: Sequence[str]) -> Wanted:
    """Each of these runs, ended by a person in Dagster, takes one off the wanted number: once, however often told."""

    def change(row: Stream) -> None:
        fresh = [run_id for run_id in run_ids if run_id not in row.ended_runs]
        row.wanted = max(0, row.wanted - len(fresh))
        row.ended_runs = [*row.ended_runs, *fresh][-_REMEMBERED:]

    return _changed(warehouse, stream, change, actor="dagster")


def _changed(warehouse: Warehouse, stream: str, change: Callable[[Stream], None], *, actor: str) -> Wanted:
    known(stream)
    with warehouse.transaction() as session:
        row = stream_row(session, stream)
        change(row)
        row.changed_at, row.changed_by = now(), actor[:160]
        return _facts(stream, row)


def _facts(stream: str, row: Stream | None) -> Wanted:
    if row is None:
        return Wanted(stream)
    return Wanted(
        stream, row.wanted, row.epoch, row.halted, row.pinned, tuple(row.ended_runs), row.changed_at, row.changed_by
    )
