"""Which event a saved report sends, if any."""

from datetime import datetime

from sqlalchemy.orm import Session

from millrace.contracts.events import BiasReported, Event, XaiReported
from millrace.contracts.identifiers import DatasetKey
from millrace.contracts.stages import EXPLANATION_REPORT_TYPE
from millrace.contracts.task import Answers
from millrace.warehouse.reports import find_report
from millrace.warehouse.schema import Report

ENDS_STAGE = ("bias", "xai")
"""Kinds of report whose save is the end of their stage."""


def event_of(session: Session, report: Report, answers: Answers, *, at: datetime) -> Event | None:
    """The event of a bias, mitigation or xai report; None for the others.

    `has_transformation_report` is true from the first mitigation of the data set's version on: the mitigation's own
    event names its report, which is read at the same address as bias reports.
    """
    owner = {"timestamp": at, "user_id": report.user_id, "dataset_id": report.dataset_id}
    if report.kind in ("bias", "mitigation"):
        key = DatasetKey(report.user_id, report.dataset_id)
        mitigated = report.kind == "mitigation" or (
            find_report(session, key, kind="mitigation", version=report.version) is not None
        )
        return BiasReported.write(
            **owner,
            bias_report_id=report.report_id,
            has_transformation_report=mitigated,
            target_column_name=answers.target,
            task_type=answers.task_type,
        )
    if report.kind == "xai":
        return XaiReported.write(
            **owner,
            event_id=f"{report.report_id}-reported",
            model_id=report.dataset_id,
            report_type=EXPLANATION_REPORT_TYPE,
            level=report.level,
            xai_report_id=report.report_id,
        )
    return None
