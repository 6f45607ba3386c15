"""Everything a page or the command line shows of pipelines, read from the warehouse."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, cast

from sqlalchemy import select
from sqlalchemy.orm import Session

from millrace.conductor.proposals import Proposals
from millrace.conductor.states import TERMINAL, State, state_text
from millrace.conductor.store import shown_hashes
from millrace.conductor.timing import time_spent
from millrace.conductor.transitions import possible_requests
from millrace.conductor.view_models import AttemptView, HistoryEntry, ModelView, PipelineView, ReportView, WaitingFor
from millrace.contracts.errors import NotFound
from millrace.contracts.events import now
from millrace.contracts.stages import LEVELS, TriggeredStage
from millrace.contracts.task import Answers, PipelineSettings
from millrace.warehouse.reports import KINDS
from millrace.warehouse.schema import Dataset, DatasetVersion, History, Model, Pipeline, Report, StageAttempt

__all__ = ["HistoryEntry", "PipelineView", "WaitingFor", "history_view", "list_views", "pipeline_view"]

DEFAULT_LIMIT = 50


def pipeline_view(session: Session, pipeline_id: str, *, user_id: str | None = None) -> PipelineView:
    """The pipeline.

    Raises:
        NotFound: there is no such pipeline, or it is not that user's.
    """
    row = session.get(Pipeline, pipeline_id, populate_existing=True)
    if row is None or (user_id is not None and row.user_id != user_id):
        raise NotFound(
            f"there is no pipeline {pipeline_id[:80]!r}",
            field="pipeline_id",
            remedy="list yours with `millrace pipeline list`",
        )
    return _views(session, [row])[0]


def list_views(
    session: Session,
    user_id: str | None = None,
    *,
    state: State | None = None,
    dataset_id: str | None = None,
    version: int | None = None,
    limit: int = DEFAULT_LIMIT,
) -> list[PipelineView]:
    """The newest pipelines, the newest first; of all users when none is named."""
    query = select(Pipeline).order_by(Pipeline.created_at.desc(), Pipeline.id).limit(limit)
    if user_id is not None:
        query = query.where(Pipeline.user_id == user_id)
    if dataset_id is not None:
        query = query.where(Pipeline.dataset_id == dataset_id)
    if version is not None:
        query = query.where(Pipeline.version == version)
    if state is not None:
        query = query.where(Pipeline.state == state)
    return _views(session, list(session.scalars(query)))


def history_view(session: Session, pipeline_id: str, *, after: int = 0) -> list[HistoryEntry]:
    """The transitions with a higher `seq` than `after`, the oldest first; empty for a pipeline that does not exist."""
    rows = session.scalars(
        select(History).where(History.pipeline_id == pipeline_id, History.seq > after).order_by(History.seq)
    )
    return [HistoryEntry.model_validate(row) for row in rows]


def _views(session: Session, rows: Sequence[Pipeline]) -> list[PipelineView]:
    ids = [row.id for row in rows]
    attempts = _by_pipeline(
        session.scalars(select(StageAttempt).where(StageAttempt.pipeline_id.in_(ids)).order_by(StageAttempt.id)).all()
    )
    reports = _by_pipeline(
        sorted(
            session.scalars(select(Report).where(Report.pipeline_id.in_(ids)).order_by(Report.created_at)), key=_place
        )
    )
    models = _by_pipeline(
        session.scalars(select(Model).where(Model.pipeline_id.in_(ids)).order_by(Model.version)).all()
    )
    history = _by_pipeline(
        session.scalars(select(History).where(History.pipeline_id.in_(ids)).order_by(History.seq)).all()
    )
    moment = now()
    return [
        _view(
            session,
            row,
            attempts=attempts.get(row.id, []),
            reports=reports.get(row.id, []),
            models=models.get(row.id, []),
            history=history.get(row.id, []),
            moment=moment,
        )
        for row in rows
    ]


def _place(report: Report) -> tuple[int, int]:
    """Reports stand in the order of the stages and levels: levels end in whatever order their runs do."""
    return (KINDS.index(report.kind), LEVELS.index(report.level) if report.level else 0)


def _by_pipeline(rows: Sequence[Any]) -> dict[str, list[Any]]:
    grouped: dict[str, list[Any]] = {}
    for row in rows:
        grouped.setdefault(row.pipeline_id, []).append(row)
    return grouped


def _view(
    session: Session,
    row: Pipeline,
    *,
    attempts: list[StageAttempt],
    reports: list[Report],
    models: list[Model],
    history: list[History],
    moment: datetime,
) -> PipelineView:
    version = session.execute(
        select(Dataset.name, DatasetVersion.file_name, DatasetVersion.record_count, DatasetVersion.column_count)
        .join(
            DatasetVersion,
            (DatasetVersion.user_id == Dataset.user_id) & (DatasetVersion.dataset_id == Dataset.dataset_id),
        )
        .where(
            Dataset.user_id == row.user_id,
            Dataset.dataset_id == row.dataset_id,
            DatasetVersion.version == row.version,
        )
    ).one()
    state, stage = cast(State, row.state), cast(TriggeredStage | None, row.stage)
    message = history[-1].message if history else ""
    return PipelineView(
        id=row.id,
        user_id=row.user_id,
        dataset_id=row.dataset_id,
        version=row.version,
        sha256=row.sha256,
        name=version.name,
        file_name=version.file_name,
        rows=version.record_count,
        columns=version.column_count,
        state=state,
        stage=stage,
        state_text=state_text(state, stage),
        message=message,
        terminal=state in TERMINAL,
        possible=possible_requests(state),
        waiting_for=_waiting_for(session, row, state, stage, message),
        settings=PipelineSettings.model_validate(row.settings),
        proposals=Proposals.model_validate(row.proposals),
        answers=Answers.model_validate(row.answers) if row.answers else None,
        approvals=row.approvals,
        attempts=tuple(_attempt(one) for one in attempts),
        reports=tuple(ReportView.model_validate(one) for one in reports),
        model=_model(models[-1]) if models else None,
        error=row.error,
        retry_at=row.retry_at,
        ending_runs=row.ending_runs,
        superseded_by=row.superseded_by,
        trace_id=row.trace_id,
        revision=row.revision,
        created_at=row.created_at,
        updated_at=row.updated_at,
        seconds=time_spent(row.created_at, attempts, history, moment=moment),
    )


def _waiting_for(
    session: Session, row: Pipeline, state: State, stage: TriggeredStage | None, why: str
) -> WaitingFor | None:
    if state == "waiting_for_answers":
        command = f"millrace pipeline answer {row.id}"
        return WaitingFor(what="answers", stage=None, why=why, seen_sha256=row.sha256, command=command)
    if state == "waiting_for_approval":
        shown = shown_hashes(session, row).get(stage) if stage else None
        command = f"millrace pipeline approve {row.id} --stage {stage}"
        return WaitingFor(what="approval", stage=stage, why=why, seen_sha256=shown, command=command)
    return None


def _attempt(one: StageAttempt) -> AttemptView:
    return AttemptView(
        stage=cast(TriggeredStage, one.stage),
        level=one.level or None,
        attempt=one.attempt,
        state=one.state,
        run_id=one.dagster_run_id,
        error=one.error,
        requested_at=one.requested_at,
        claimed_at=one.claimed_at,
        finished_at=one.finished_at,
    )


def _model(one: Model) -> ModelView:
    return ModelView(
        model_id=one.dataset_id,
        version=f"v{one.version}",
        mlflow_run_id=one.mlflow_run_id,
        model_uri=one.model_uri,
        tree_sha256=one.tree_sha256,
        framework=one.framework,
        task_type=one.task_type,
        algorithm=one.algorithm,
        target_column=one.target_column,
        metrics=one.metrics,
        created_at=one.created_at,
    )
