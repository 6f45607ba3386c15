"""Models that streams score with: each choice with its statement, pinned in the transaction that records it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from millrace.contracts.canonical import canonical_json
from millrace.contracts.errors import Conflict, NotFound
from millrace.contracts.events import now
from millrace.contracts.identifiers import DatasetKey
from millrace.contracts.references import Ref, scoring_ref
from millrace.warehouse.artifacts import record_artifact
from millrace.warehouse.schema import ScoringModel, Statement, Stream
from millrace.warehouse.statements import Made, Origin, record_statement
from millrace.warehouse.store import Warehouse

ASSET = "scoring_model"
OWNER = "_streams"
"""In the place of a user in statements about scoring models; identifiers do not begin with an underscore."""


@dataclass(frozen=True)
class ScoringModelFacts:
    """A recorded choice. `version` is that of the registered model which has the stream's name."""

    stream: str
    version: int
    kind: str
    source: str
    model_version: str
    mlflow_run_id: str
    tree_sha256: str
    choice_sha256: str
    chosen_by: str
    created_at: datetime

    @property
    def ref(self) -> str:
        """As lineage names it."""
        return scoring_ref(self.stream, self.version)

    def pieces(self) -> tuple[Ref, Ref]:
        """What its statement puts out: the files in MLflow and the pinned choice."""
        return Ref(self.ref, self.tree_sha256, kind="model"), Ref(self.ref, self.choice_sha256, part="choice")


def scoring_key(stream: str) -> DatasetKey:
    """What stands in statements about the stream's models where a data set stands in others."""
    return DatasetKey(OWNER, stream)


def save_scoring_model(
    warehouse: Warehouse,
    stream: str,
    choice: Mapping[str, Any],
    *,
    version: int,
    mlflow_run_id: str,
    tree_sha256: str,
    made: Made,
    actor: str,
    run_id: str | None,
    in_place_of: str | None = None,
) -> dict[str, Any]:
    """What is pinned from now on: the choice and where it is recorded. A version that is recorded is pinned again.

    With `in_place_of` nothing is done unless that scoring model is pinned.

    Raises:
        Conflict: the stream has another model with this version, or another one was pinned meanwhile.
        CannotReach: the database does not answer; nothing was changed.
    """
    pinned = {
        **choice,
        "ref": scoring_ref(stream, version),
        "registered": f"models:/{stream}/{version}",
        "mlflow_run_id": mlflow_run_id,
        "tree_sha256": tree_sha256,
    }
    stored = warehouse.artifacts.put_bytes(canonical_json(pinned).encode(), media_type="application/json")
    with warehouse.transaction() as session:
        at = now()
        row = _row(session, stream, version)
        if row is not None and row.tree_sha256 != tree_sha256:
            raise Conflict(
                f"{stream} has another scoring model v{version}: its registry was emptied or replaced",
                field="MLFLOW_TRACKING_URI",
                remedy="point it at the server that has the models, or choose again: each try takes the next version",
            )
        of_stream = stream_row(session, stream)
        now_pinned = (of_stream.pinned or {}).get("ref")
        if in_place_of is not None and now_pinned != in_place_of:
            raise Conflict(
                f"{stream} was given {now_pinned} meanwhile, in the place of {in_place_of}",
                field="model",
                remedy="see `millrace stream models`",
            )
        record_artifact(session, stored, at=at)
        if row is None:
            row = ScoringModel(
                stream=stream, version=version, kind=choice["kind"], source=choice["source"],
                model_version=choice["version"], mlflow_run_id=mlflow_run_id, tree_sha256=tree_sha256,
                choice_sha256=stored.sha256, chosen_by=actor[:160], created_at=at,
            )  # fmt: skip
            session.add(row)
        row.choice_sha256 = stored.sha256
        record_statement(
            session,
            key=scoring_key(stream),
            version=version,
            made=made,
            outputs=_facts(row).pieces(),
            origin=Origin(code_version=warehouse.code_version, dagster_run_id=run_id),
            at=at,
        )
        of_stream.pinned, of_stream.changed_at, of_stream.changed_by = pinned, at, actor[:160]
    return pinned


def pinned_of(warehouse: Warehouse, stream: str) -> dict[str, Any] | None:
    """What is pinned for the stream, None before the first choice."""
    with warehouse.read() as session:
        return session.scalars(select(Stream.pinned).where(Stream.name == stream)).one_or_none()


def get_scoring_model(session: Session, stream: str, version: int | None = None) -> ScoringModelFacts:
    """That version of the stream's scoring model, or the newest.

    Raises:
        NotFound: there is no such scoring model.
    """
    row = _row(session, stream, version)
    if row is None:
        what = f"scoring model of {stream}" + ("" if version is None else f" with version v{version}")
        raise NotFound(
            f"there is no {what}", field="model", remedy="choose one with `millrace stream model SOURCE`, or list them "
            "with `millrace stream models`",
        )  # fmt: skip
    return _facts(row)


def list_scoring_models(session: Session, stream: str | None = None) -> list[ScoringModelFacts]:
    """Scoring models (of the stream), the newest first."""
    wanted = select(ScoringModel).order_by(ScoringModel.id.desc())
    if stream is not None:
        wanted = wanted.where(ScoringModel.stream == stream)
    return [_facts(row) for row in session.scalars(wanted)]


def scoring_streams(session: Session) -> list[str]:
    """The streams that have scoring models, by name."""
    return list(session.scalars(select(ScoringModel.stream).distinct().order_by(ScoringModel.stream)))


def choices_after(session: Session, stream: str, statement_id: int) -> list[Statement]:
    """The statements about the stream's models that are newer than this one, the oldest first."""
    wanted = (
        select(Statement)
        .where(
            Statement.user_id == OWNER,
            Statement.dataset_id == stream,
            Statement.id > statement_id,
            Statement.asset == ASSET,
        )
        .order_by(Statement.id)
    )
    return list(session.scalars(wanted))


def choice_of(warehouse: Warehouse, statement: Statement) -> dict[str, Any]:
    """What was pinned by the statement's choice.

    Raises:
        NotFound: the artifact store has lost it.
    """
    (sha256,) = [output["sha256"] for output in statement.outputs if output["part"] == "choice"]
    choice: dict[str, Any] = json.loads(warehouse.artifacts.read_bytes(sha256))
    return choice


def stream_row(session: Session, stream: str) -> Stream:
    """The stream's row, made where there is none."""
    row = session.get(Stream, stream)
    if row is None:
        row = Stream(
            name=stream, wanted=0, epoch=0, halted=None, pinned=None, ended_runs=[], changed_at=now(), changed_by=""
        )
        session.add(row)
        session.flush()
    return row


def _row(session: Session, stream: str, version: int | None) -> ScoringModel | None:
    wanted = select(ScoringModel).where(ScoringModel.stream == stream).order_by(ScoringModel.version.desc()).limit(1)
    if version is not None:
        wanted = wanted.where(ScoringModel.version == version)
    return session.scalars(wanted).one_or_none()


def _facts(row: ScoringModel) -> ScoringModelFacts:
    return ScoringModelFacts(
        stream=row.stream,
        version=row.version,
        kind=row.kind,
        source=row.source,
        model_version=row.model_version,
        mlflow_run_id=row.mlflow_run_id,
        tree_sha256=row.tree_sha256,
        choice_sha256=row.choice_sha256,
        chosen_by=row.chosen_by,
        created_at=row.created_at,
    )
