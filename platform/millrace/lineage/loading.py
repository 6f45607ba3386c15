"""Statements out of the database, also those that somebody has damaged."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, and_, or_, select
from sqlalchemy.orm import Session

from millrace.contracts.identifiers import DatasetKey
from millrace.contracts.references import Ref
from millrace.warehouse.schema import Statement
from millrace.warehouse.scoring_models import OWNER as SCORING_OWNER
from millrace.warehouse.scoring_models import scoring_key, scoring_streams


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


def load_steps(session: Session, keys: Sequence[DatasetKey] | None = None) -> Loaded:
    """The statements about these data sets and what was made of them, or all of them."""
    wanted = select(Statement).order_by(Statement.id)
    if keys is not None:
        wanted = wanted.where(of_keys(Statement, keys))
    try:
        rows = session.scalars(wanted).all()
    except (ValueError, TypeError):
        # a cell that is no JSON or no date ends the whole query: read what is left one by one
        return _one_by_one(session, wanted.with_only_columns(Statement.id))
    return _readable(rows)


def related(session: Session, key: DatasetKey) -> tuple[DatasetKey, ...]:
    """The key, and those of things that cross from it to another: a data set's model may score a stream.

    A data set's are its own and those of streams; a stream's are its own and those of the data sets whose models it
    scored with.
    """
    if key.user_id != SCORING_OWNER:
        return (key, *(scoring_key(stream) for stream in scoring_streams(session)))
    found = {key: None}
    for step in load_steps(session, [key]).steps:
        for read in step.inputs:
            owner = DatasetKey(*read.ref.removeprefix("model:").partition("@")[0].split(".")[:2])
            found[owner] = None
    return tuple(found)


def of_keys(table: Any, keys: Sequence[DatasetKey]) -> ColumnElement[bool]:
    """The condition that a row belongs to one of the data sets."""
    return or_(*(and_(table.user_id == key.user_id, table.dataset_id == key.dataset_id) for key in keys))


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
