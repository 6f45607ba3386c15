"""The newest report of a kind, and the newest model, that a pipeline made."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from millrace.warehouse.schema import Model, Report


def newest_report(session: Session, pipeline_id: str, kind: str) -> Report | None:
    """The newest report of that kind that the pipeline made."""
    return session.scalars(
        select(Report)
        .where(Report.pipeline_id == pipeline_id, Report.kind == kind)
        .order_by(Report.created_at.desc(), Report.report_id)
        .limit(1)
    ).one_or_none()


def newest_model(session: Session, pipeline_id: str) -> Model | None:
    """The newest model that the pipeline made."""
    return session.scalars(
        select(Model).where(Model.pipeline_id == pipeline_id).order_by(Model.version.desc()).limit(1)
    ).one_or_none()
