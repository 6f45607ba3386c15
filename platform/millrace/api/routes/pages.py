"""The plain pages: the list of pipelines, and one pipeline with its forms."""

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse

from millrace.api.access import Who
from millrace.api.deps import Config, Store
from millrace.api.html import render
from millrace.api.routes.pipelines import view_of
from millrace.api.shapes import VersionOut, report_path
from millrace.conductor.states import WAITING
from millrace.conductor.views import PipelineView, history_view, list_views
from millrace.warehouse.datasets import list_datasets

router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)
_BUSY_MS, _IDLE_MS = 2_000, 10_000
_LABELS = {
    "quality": "data quality",
    "bias": "bias of the data",
    "model_bias": "bias of the model",
    "mitigation": "mitigation",
}


@router.get("/")
def home(request: Request, who: Who, store: Store, settings: Config) -> HTMLResponse:
    """All pipelines that the caller may see, those that wait for a person first."""
    with store.read() as session:
        found = list_views(session, who.user_id)
        data = [VersionOut.of(one) for one in list_datasets(session, who.user_id)]
    busy = any(not one.terminal and one.state not in WAITING for one in found)
    return render(
        "pipelines.html",
        title="Pipelines",
        pipelines=found,
        waiting=[one for one in found if one.state in WAITING],
        datasets=data,
        links=report_links,
        url=settings.api_url,
        refresh_ms=_BUSY_MS if busy else _IDLE_MS,
    )


@router.get("/ui/pipelines/{pipeline_id}")
def one_pipeline(pipeline_id: str, who: Who, store: Store) -> HTMLResponse:
    """One pipeline: what it waits for, its results and its history."""
    view = view_of(store, who, pipeline_id)
    with store.read() as session:
        entries = history_view(session, pipeline_id)
    return render(
        "pipeline.html",
        title=view.name,
        one=view,
        history=entries,
        links=report_links,
        proposed=view.proposals.answers,
        live=not view.terminal or view.ending_runs,
    )


def report_links(view: PipelineView) -> list[tuple[str, str]]:
    """(label, path) of every report of the pipeline that has a page."""
    links = []
    for one in view.reports:
        path = report_path(
            user_id=view.user_id,
            dataset_id=view.dataset_id,
            report_id=one.report_id,
            kind=one.kind,
            level=one.level,
            model_version=one.model_version,
            has_page=one.html_sha256 is not None,
        )
        if path is not None:
            links.append((_LABELS.get(one.kind, f"explanation, {one.level}"), path))
    return links
