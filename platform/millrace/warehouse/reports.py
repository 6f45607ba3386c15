"""Reports: what a stage left for people."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, get_args

from sqlalchemy import select
from sqlalchemy.orm import Session

from millrace.contracts.errors import NotFound
from millrace.contracts.identifiers import DatasetKey
from millrace.contracts.stages import Level
from millrace.warehouse.schema import Report

ReportKind = Literal["quality", "bias", "model_bias", "mitigation", "explanation", "xai"]
KINDS: tuple[ReportKind, ...] = get_args(ReportKind)
"""Every kind, in the order in which a pipeline makes them."""


@dataclass(frozen=True)
class ReportFacts:
    """One report; its page and its document are artifacts."""

    report_id: str
    kind: str
    key: DatasetKey
    version: int
    model_version: int | None
    level: str | None
    html_sha256: str | None
    json_sha256: str
    report_hash: str
    summary: dict[str, Any]
    pipeline_id: str | None
    created_at: datetime


def get_report(session: Session, report_id: str) -> ReportFacts:
    """The report.

    Raises:
        NotFound: there is none with this id.
    """
    row = session.get(Report, report_id)
    if row is None:
        raise NotFound(
            f"there is no report {report_id[:80]!r}",
            field="report_id",
            remedy="list reports with `millrace report list`",
        )
    return facts_of(row)


def find_report(
    session: Session,
    key: DatasetKey,
    *,
    kind: ReportKind | None = None,
    level: Level | None = None,
    version: int | None = None,
    model_version: int | None = None,
    report_hash: str | None = None,
    pipeline_id: str | None = None,
) -> ReportFacts | None:
    """The newest report of the data set that has all the given properties, None when there is none."""
    wanted = select(Report).where(Report.user_id == key.user_id, Report.dataset_id == key.dataset_id)
    given = {
        Report.kind: kind,
        Report.level: level,
        Report.version: version,
        Report.model_version: model_version,
        Report.report_hash: report_hash,
        Report.pipeline_id: pipeline_id,
    }
    for column, value in given.items():
        if value is not None:
            wanted = wanted.where(column == value)
    row = session.scalars(wanted.order_by(Report.created_at.desc(), Report.report_id.desc()).limit(1)).one_or_none()
    return None if row is None else facts_of(row)


def list_reports(
    session: Session,
    user_id: str | None = None,
    *,
    dataset_id: str | None = None,
    kind: ReportKind | None = None,
    pipeline_id: str | None = None,
) -> list[ReportFacts]:
    """Reports with the given properties, the newest first."""
    wanted = select(Report).order_by(Report.created_at.desc(), Report.report_id.desc())
    given = {
        Report.user_id: user_id,
        Report.dataset_id: dataset_id,
        Report.kind: kind,
        Report.pipeline_id: pipeline_id,
    }
    for column, value in given.items():
        if value is not None:
            wanted = wanted.where(column == value)
    return [facts_of(row) for row in session.scalars(wanted)]


def facts_of(row: Report) -> ReportFacts:
    """The facts of a row of `reports`."""
    return ReportFacts(
        report_id=row.report_id,
        kind=row.kind,
        key=DatasetKey(row.user_id, row.dataset_id),
        version=row.version,
        model_version=row.model_version,
        level=row.level,
        html_sha256=row.html_sha256,
        json_sha256=row.json_sha256,
        report_hash=row.report_hash,
        summary=row.summary,
        pipeline_id=row.pipeline_id,
        created_at=row.created_at,
    )
