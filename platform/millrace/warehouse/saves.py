"""Saves of a stage: bytes first, then rows, statement and event in one transaction that the attempt fences."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from millrace.contracts.canonical import canonical_json
from millrace.contracts.errors import Conflict
from millrace.contracts.events import Event, ModelUploaded, now
from millrace.contracts.identifiers import new_id
from millrace.contracts.references import Ref, report_ref
from millrace.contracts.stages import Level
from millrace.warehouse.artifacts import Stored, record_artifact
from millrace.warehouse.attempts import check_claimed, fenced, finish, locked_attempt
from millrace.warehouse.model_rows import add_model
from millrace.warehouse.models import ModelFacts, TrainedModel
from millrace.warehouse.models import facts_of as model_facts
from millrace.warehouse.outbox import enqueue, is_enqueued
from millrace.warehouse.report_events import ENDS_STAGE, event_of
from millrace.warehouse.reports import ReportKind
from millrace.warehouse.schema import Model, Report, Statement
from millrace.warehouse.stage_work import StageWork
from millrace.warehouse.statements import Made, record_statement
from millrace.warehouse.store import Warehouse

__all__ = ["Made", "SavedReport", "TrainedModel", "announce_model", "save_model", "save_report"]

_PREFIXES: dict[ReportKind, str] = {
    "quality": "qr",
    "bias": "br",
    "model_bias": "mb",
    "mitigation": "mt",
    "explanation": "ex",
    "xai": "xr",
}


@dataclass(frozen=True)
class SavedReport:
    """A report that is in the warehouse."""

    report_id: str
    kind: str
    html_sha256: str | None
    json_sha256: str
    report_hash: str
    statement_sha256: str


def save_report(
    warehouse: Warehouse,
    work: StageWork,
    *,
    kind: ReportKind,
    document: dict[str, Any],
    html: str | None,
    report_hash: str,
    summary: dict[str, Any],
    made: Made,
    level: Level | None = None,
    model_version: int | None = None,
    beside: tuple[Ref, ...] = (),
) -> SavedReport:
    """The saved report. A bias or xai report ends its stage: its event is written and its attempt is done. A
    mitigation's event is of no pipeline, whatever asked for it: it moves none.

    `beside` is what was made with the report and is kept elsewhere, such as a candidate in MLflow.

    A run that saves the same asset again gets what it saved first; nothing is added and no second event sent.

    Raises:
        AttemptFenced: the attempt was cancelled, is over, or is another run's; nothing was saved.
        ValueError: the document holds something that JSON cannot carry.
    """
    page = None if html is None else warehouse.artifacts.put_bytes(html.encode(), media_type="text/html; charset=utf-8")
    data = warehouse.artifacts.put_bytes(canonical_json(document).encode(), media_type="application/json")
    with warehouse.transaction() as session:
        before = _saved_before(session, work, made, data)
        if before is not None:
            return before
        attempt = check_claimed(session, work.request) if work.fenced else None
        at = now()
        report = Report(
            report_id=new_id(_PREFIXES[kind]),
            kind=kind,
            user_id=work.version.key.user_id,
            dataset_id=work.version.key.dataset_id,
            version=work.version.version,
            model_version=model_version,
            level=level,
            html_sha256=None if page is None else page.sha256,
            json_sha256=data.sha256,
            report_hash=report_hash,
            summary=summary,
            pipeline_id=work.request.pipeline_id if work.fenced else None,
            created_at=at,
        )
        session.add(report)
        session.flush()
        ref = report_ref(report.report_id)
        outputs = []
        for part, stored in (("json", data), ("html", page)):
            if stored is not None:
                record_artifact(session, stored, at=at)
                outputs.append(Ref(ref, stored.sha256, part=part))
        outputs += beside
        statement = _state(session, warehouse, work, made, outputs, at)
        event = event_of(session, report, work.answers, at=at)
        if event is not None:
            event_id, ends = f"{report.report_id}-reported", kind in ENDS_STAGE
            _send(warehouse, session, work, event, event_id=event_id, sha256=data.sha256, ends=ends)
            if ends and attempt is not None:
                finish(attempt)
        return _saved(report, statement)


def save_model(
    warehouse: Warehouse,
    work: StageWork,
    trained: TrainedModel,
    *,
    made: Made,
    announce: bool,
    accounting: bytes | None = None,
) -> ModelFacts:
    """The saved model; with `announce` its stage ends here, as in `announce_model`.

    `accounting` is a JSON file with the rows that training took, counted by group; the statement names its hash.

    The same model saved again by the same run is the one that is there.

    Raises:
        AttemptFenced: the attempt was cancelled, is over, or is another run's; nothing was saved.
        Conflict: the data set has another model with this version.
    """
    key = work.version.key
    counts = None if accounting is None else warehouse.artifacts.put_bytes(accounting, media_type="application/json")
    with warehouse.transaction() as session:
        row = session.scalars(
            select(Model).where(
                Model.user_id == key.user_id, Model.dataset_id == key.dataset_id, Model.version == trained.version
            )
        ).one_or_none()
        if row is not None and row.tree_sha256 != trained.tree_sha256:
            raise Conflict(
                f"data set {key.partition_key} has another model v{trained.version}",
                field="version",
                remedy="register the model again: the registry gives it the next version",
            )
        if row is None:
            if work.fenced:
                check_claimed(session, work.request)
            at = now()
            row, outputs = add_model(session, work, trained, counts, at=at)
            _state(session, warehouse, work, made, outputs, at)
        facts = model_facts(row)
        if announce:
            _announce(warehouse, session, work, facts)
        return facts


def announce_model(warehouse: Warehouse, work: StageWork, model: ModelFacts) -> None:
    """Ends the stage: writes model.uploaded and marks the attempt done; doing it again changes nothing.

    Raises:
        AttemptFenced: the attempt was cancelled, is over, or is another run's.
    """
    with warehouse.transaction() as session:
        _announce(warehouse, session, work, model)


def _announce(warehouse: Warehouse, session: Session, work: StageWork, model: ModelFacts) -> None:
    event_id = f"model-uploaded-{model.mlflow_run_id}-v{model.version}"
    if is_enqueued(session, event_id):
        return
    attempt = check_claimed(session, work.request) if work.fenced else None
    event = ModelUploaded.write(
        timestamp=now(),
        user_id=model.key.user_id,
        dataset_id=model.key.dataset_id,
        event_id=event_id,
        model_id=model.key.dataset_id,
        version=f"v{model.version}",
        framework=model.framework,
        model_type=model.task_type,
        algorithm=model.algorithm,
        model_size_mb=round(model.size_bytes / 1e6, 6),
        training_accuracy=_accuracy(model.metrics["train"]),
        validation_accuracy=_accuracy(model.metrics["validation"]),
        test_accuracy=_accuracy(model.metrics["test"]),
    )
    _send(warehouse, session, work, event, event_id=event_id, sha256=model.tree_sha256)
    if attempt is not None:
        finish(attempt)


def _accuracy(figures: dict[str, float]) -> float:
    return figures["accuracy"] if "accuracy" in figures else figures["r2"]


def _saved_before(session: Session, work: StageWork, made: Made, data: Stored) -> SavedReport | None:
    request, key = work.request, work.version.key
    statement = session.scalars(
        select(Statement)
        .where(
            Statement.dagster_run_id == request.run_id,
            Statement.asset == made.asset,
            Statement.user_id == key.user_id,
            Statement.dataset_id == key.dataset_id,
            Statement.version == work.version.version,
            Statement.pipeline_id == (request.pipeline_id if work.fenced else None),
            Statement.attempt == (request.attempt if work.fenced else None),
        )
        .order_by(Statement.id.desc())
        .limit(1)
    ).one_or_none()
    if statement is None:
        return None
    output = statement.outputs[0]
    # an outside worker has one run id for all that it saves by hand: there only the same content is the same save
    if not work.fenced and output["sha256"] != data.sha256:
        return None
    if work.fenced:
        attempt = locked_attempt(session, request)
        if attempt.state not in ("claimed", "done"):
            raise fenced(attempt, request)
    report = session.get_one(Report, str(output["ref"]).removeprefix("report:"))
    return _saved(report, statement)


def _saved(report: Report, statement: Statement) -> SavedReport:
    return SavedReport(
        report_id=report.report_id,
        kind=report.kind,
        html_sha256=report.html_sha256,
        json_sha256=report.json_sha256,
        report_hash=report.report_hash,
        statement_sha256=statement.statement_sha256,
    )


def _state(
    session: Session, warehouse: Warehouse, work: StageWork, made: Made, outputs: list[Ref], at: datetime
) -> Statement:
    return record_statement(
        session,
        key=work.version.key,
        version=work.version.version,
        made=made,
        outputs=outputs,
        origin=work.origin(warehouse.code_version),
        at=at,
    )


def _send(
    warehouse: Warehouse,
    session: Session,
    work: StageWork,
    event: Event,
    *,
    event_id: str,
    sha256: str,
    ends: bool = True,
) -> None:
    named = work.fenced and ends
    enqueue(
        session,
        warehouse.topics,
        event,
        event_id=event_id,
        pipeline_id=work.request.pipeline_id if named else None,
        attempt=work.request.attempt if named else None,
        trace_parent=work.trace_parent,
        content_sha256=sha256,
    )
