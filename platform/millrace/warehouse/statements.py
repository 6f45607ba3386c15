"""Statements: one record of each materialisation, with the hashes that went in and came out."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from millrace.contracts.canonical import sha256_json
from millrace.contracts.events import now
from millrace.contracts.identifiers import DatasetKey
from millrace.contracts.references import Ref
from millrace.contracts.task import Coordinates
from millrace.warehouse.schema import Statement


@dataclass(frozen=True)
class Made:
    """How a result was made: what a statement says beside the output."""

    asset: str
    """Asset key with '/', such as `xai_report/expert`."""
    inputs: tuple[Ref, ...]
    parameters: dict[str, Any]
    seed: int | None
    rows_in: int | None
    rows_out: int | None
    seconds: float


@dataclass(frozen=True)
class Origin:
    """What started the work and on whose word. The default is work that nobody approved."""

    code_version: str
    approval: str = "none"
    trigger: Coordinates | None = None
    dagster_run_id: str | None = None
    pipeline_id: str | None = None
    attempt: int | None = None


def record_statement(
    session: Session,
    *,
    key: DatasetKey,
    version: int,
    made: Made,
    outputs: Sequence[Ref],
    origin: Origin,
    at: datetime | None = None,
) -> Statement:
    """The statement's row, added in the transaction of the fact.

    Raises:
        ValueError: a parameter is not JSON, or not a number that JSON can carry.
    """
    row = Statement(
        asset=made.asset,
        user_id=key.user_id,
        dataset_id=key.dataset_id,
        version=version,
        inputs=[ref.to_json() for ref in made.inputs],
        outputs=[ref.to_json() for ref in outputs],
        parameters=made.parameters,
        seed=made.seed,
        rows_in=made.rows_in,
        rows_out=made.rows_out,
        seconds=float(made.seconds),
        code_version=origin.code_version,
        approval=origin.approval,
        trigger=None if origin.trigger is None else origin.trigger.to_json(),
        dagster_run_id=origin.dagster_run_id,
        pipeline_id=origin.pipeline_id,
        attempt=origin.attempt,
        created_at=at or now(),
    )
    row.statement_sha256 = statement_hash(row)
    session.add(row)
    session.flush()
    return row


def statement_document(row: Statement) -> dict[str, Any]:
    """What is hashed: every column but `id` and the hash itself.

    `created_at` is ISO 8601 in UTC with microseconds, such as `2026-11-21T08:30:00.000000+00:00`; `seconds` is always
    a JSON number with a fraction; all else stands as it is in the database.
    """
    return {
        "asset": row.asset,
        "user_id": row.user_id,
        "dataset_id": row.dataset_id,
        "version": row.version,
        "inputs": row.inputs,
        "outputs": row.outputs,
        "parameters": row.parameters,
        "seed": row.seed,
        "rows_in": row.rows_in,
        "rows_out": row.rows_out,
        "seconds": float(row.seconds),
        "code_version": row.code_version,
        "approval": row.approval,
        "trigger": row.trigger,
        "dagster_run_id": row.dagster_run_id,
        "pipeline_id": row.pipeline_id,
        "attempt": row.attempt,
        "created_at": row.created_at.astimezone(UTC).isoformat(timespec="microseconds"),
    }


def statement_hash(row: Statement) -> str:
    """SHA-256 of the canonical JSON of `statement_document`; `statement_sha256` must equal it.

    Raises:
        ValueError: the document holds something that JSON cannot carry.
    """
    return sha256_json(statement_document(row))


def statements_of(session: Session, key: DatasetKey) -> list[Statement]:
    """All statements about the data set and what was made of it, the oldest first."""
    return list(
        session.scalars(
            select(Statement)
            .where(Statement.user_id == key.user_id, Statement.dataset_id == key.dataset_id)
            .order_by(Statement.id)
        )
    )


def statements_for(session: Session, key: DatasetKey, ref: str) -> list[Statement]:
    """The statements of the data set that have the reference among their outputs, the oldest first."""
    return [row for row in statements_of(session, key) if any(output["ref"] == ref for output in row.outputs)]


def all_statements(session: Session) -> list[Statement]:
    """Every statement, the oldest first."""
    return list(session.scalars(select(Statement).order_by(Statement.id)))
