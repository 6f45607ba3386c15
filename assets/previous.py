"""A bias report compared with the one before it of the same data set."""

import json
from dataclasses import replace
from typing import TYPE_CHECKING

from millrace.contracts.errors import BadInput

if TYPE_CHECKING:
    from millrace.bias.report import BiasReport
    from millrace.contracts.references import Ref
    from millrace.warehouse.reports import ReportFacts, ReportKind
    from millrace.warehouse.stage_work import StageWork
    from millrace.warehouse.store import Warehouse


def with_previous(
    report: "BiasReport", store: "Warehouse", work: "StageWork", *, kind: "ReportKind", model_version: int | None = None
) -> "tuple[BiasReport, tuple[Ref, ...]]":
    """The report with a comparison as a part, and the earlier report as an input of the statement.

    The earlier report is the newest of an earlier version of the data set, or of an earlier model: so that measuring
    the same again gives the same. Unchanged where there is none, or where it is about another question.
    """
    from millrace.bias.comparison import compare
    from millrace.contracts.references import Ref, report_ref

    found = _earlier(store, work, kind, model_version)
    if found is None:
        return report, ()
    before = json.loads(store.artifacts.read_bytes(found.json_sha256))
    try:
        comparison = compare(before, report.document())
    except BadInput:
        # another target, or an outside worker's document of another shape: nothing to compare with
        return report, ()
    used = Ref(report_ref(found.report_id), found.json_sha256, part="json")
    return replace(report, parts=(*report.parts, comparison)), (used,)


def _earlier(
    store: "Warehouse", work: "StageWork", kind: "ReportKind", model_version: int | None
) -> "ReportFacts | None":
    from millrace.warehouse.reports import list_reports

    key, version = work.version.key, work.version.version
    with store.read() as session:
        reports = list_reports(session, key.user_id, dataset_id=key.dataset_id, kind=kind)
    if model_version is None:
        return next((one for one in reports if one.version < version), None)
    return next((one for one in reports if one.model_version is not None and one.model_version < model_version), None)
