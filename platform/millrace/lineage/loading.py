"""Statements out of the database, also those that somebody has damaged."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from millrace.contracts.identifiers import DatasetKey
from millrace.contracts.references import Ref
from millrace.warehouse.schema import Statement


@dataclass(frozen=True)
class Step:
    """A statement as the graph sees it: things in, things out."""

    row: Statement
    inputs: tuple[Ref, ...]
    outputs: tuple[Ref, ...]

    @property
    def name(self) -> str:
        """The reference of what it made; the statement's own number when it made nothing."""
        return self.outputs[0].ref if self.outputs else statement_name(self.row.id)


@dataclass(frozen=True)
class Loaded:
    """The statements asked for, the oldest first, and the ids of rows that hold no statement any more."""

    steps: tuple[Step, ...]
    unreadable: tuple[int, ...] = ()


def load_steps(session: Session, key: DatasetKey | None = None) -> Loaded:
    """The statements about one data set and what was made of it, or all of them."""
    wanted = select(Statement).order_by(Statement.id)
    if key is not None:
        wanted = wanted.where(Statement.user_id == key.user_id, Statement.dataset_id == key.dataset_id)
    try:
        rows = session.scalars(wanted).all()
    except (ValueError, TypeError):
        # a cell that is no JSON or no date ends the whole query: read what is left one by one
        return _one_by_one(session, wanted.with_only_columns(Statement.id))
    return _readable(rows)


def statement_name(statement_id: int) -> str:
    """How a statement is named where the thing it made is not known."""
    return f"statement:{statement_id}"


def _one_by_one(session: Session, ids: Any) -> Loaded:
    rows, damaged = [], []
    for statement_id in session.scalars(ids).all():
        try:
            rows.append(session.get_one(Statement, statement_id))
        except (ValueError, TypeError):
            damaged.append(statement_id)
    loaded = _readable(rows)
    return Loaded(loaded.steps, tuple(sorted((*damaged, *loaded.unreadable))))


def _readable(rows: Sequence[Statement]) -> Loaded:
    steps, damaged = [], []
    for row in rows:
        try:
            steps.append(Step(row, _refs(row.inputs), _refs(row.outputs)))
        except (KeyError, TypeError):
            damaged.append(row.id)
    return Loaded(tuple(steps), tuple(damaged))


def _refs(value: list[Any]) -> tuple[Ref, ...]:
    refs = tuple(Ref(one["ref"], one["sha256"], one["kind"], one.get("part")) for one in value)
    if not all(isinstance(ref.ref, str) and isinstance(ref.sha256, str) for ref in refs):
        raise TypeError("a reference and its hash are texts")
    return refs
