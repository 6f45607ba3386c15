"""Reports: one router per family (quality, bias, explanations), with a page and a JSON document for each report."""

import json
from typing import Any

from fastapi import APIRouter
from starlette.responses import Response

from millrace.api.access import Caller, Who, missing
from millrace.api.deps import Store
from millrace.api.files import report_page
from millrace.api.routes.datasets import owned
from millrace.api.shapes import ReportOut
from millrace.contracts.errors import NotFound
from millrace.contracts.identifiers import parse_model_version
from millrace.contracts.stages import EXPLANATION_REPORT_TYPE, Level
from millrace.warehouse.reports import ReportFacts, find_report, get_report, list_reports
from millrace.warehouse.store import Warehouse

_FAMILIES: dict[str, tuple[str, ...]] = {
    "quality-reports": ("quality",),
    "bias-reports": ("bias", "model_bias", "mitigation"),
    "xai-reports": ("xai", "explanation"),
}


class ReportDocument(ReportOut):
    """A report with its machine-readable content."""

    document: dict[str, Any]


def routers() -> list[APIRouter]:
    """The routers of all families; that of explanations also serves the view by data set, model and level."""
    made = [_family(prefix, kinds) for prefix, kinds in _FAMILIES.items()]
    made[-1].add_api_route(
        "/{user_id}/{dataset_id}/{model_id}/{report_type}/{level}/view",
        explanation_view,
        methods=["GET"],
        response_class=Response,
    )
    return made


def explanation_view(
    user_id: str,
    dataset_id: str,
    model_id: str,
    report_type: str,
    level: Level,
    who: Who,
    store: Store,
    version: str | None = None,
) -> Response:
    """The explanation of a model at one level: of its newest version that has one, or of `version` (`v1`, …)."""
    key = owned(who, user_id, dataset_id)
    number = None if version is None else parse_model_version(version)
    what = f"{level} explanation of model {model_id}{f' {version}' if version else ''} of data set {key.partition_key}"
    if model_id != dataset_id or report_type != EXPLANATION_REPORT_TYPE:
        raise missing(what)
    with store.read() as session:
        facts = find_report(session, key, kind="xai", level=level, model_version=number)
    if facts is None:
        raise missing(what)
    return _page(store, facts)


def _family(prefix: str, kinds: tuple[str, ...]) -> APIRouter:
    router = APIRouter(prefix=f"/{prefix}", tags=[prefix])

    @router.get("")
    def reports(
        who: Who,
        store: Store,
        user_id: str | None = None,
        dataset_id: str | None = None,
        version: int | None = None,
        kind: str | None = None,
    ) -> list[ReportOut]:
        """Reports, newest first."""
        with store.read() as session:
            found = list_reports(session, who.scope(user_id), dataset_id=dataset_id)
        wanted = kinds if kind is None else tuple(one for one in kinds if one == kind)
        return [
            ReportOut.of(one) for one in found if one.kind in wanted and (version is None or one.version == version)
        ]

    @router.get("/{report_id}")
    def report(report_id: str, who: Who, store: Store) -> ReportDocument:
        """A report and its document."""
        facts = _one(store, who, report_id, kinds)
        document = json.loads(store.artifacts.read_bytes(facts.json_sha256))
        return ReportDocument(**ReportOut.of(facts).model_dump(), document=document)

    @router.get("/{report_id}/view", response_class=Response)
    def view(report_id: str, who: Who, store: Store) -> Response:
        """The report's page."""
        return _page(store, _one(store, who, report_id, kinds))

    return router


def _one(store: Warehouse, who: Caller, report_id: str, kinds: tuple[str, ...]) -> ReportFacts:
    what = f"report {report_id[:60]!r}"
    try:
        with store.read() as session:
            facts = get_report(session, report_id)
    except NotFound:
        raise missing(what) from None
    who.check(facts.key.user_id, what=what)
    if facts.kind not in kinds:
        raise missing(what)
    return facts


def _page(store: Warehouse, facts: ReportFacts) -> Response:
    if facts.html_sha256 is None:
        raise NotFound(
            f"report {facts.report_id} has no page", remedy=f"read its document at /xai-reports/{facts.report_id}"
        )
    return report_page(store.artifacts.read_bytes(facts.html_sha256), sha256=facts.html_sha256)
