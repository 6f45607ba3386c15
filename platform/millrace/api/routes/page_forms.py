"""The forms of the plain pages; each does what its REST twin does and shows the pipeline again."""

from typing import Annotated, Literal

from fastapi import APIRouter, Form
from pydantic import ValidationError
from starlette.responses import HTMLResponse, RedirectResponse, Response

from millrace.api.access import Who
from millrace.api.deps import Service, Store
from millrace.api.html import render
from millrace.api.routes.pipelines import acting, owner_of
from millrace.conductor.answers import GivenAnswers
from millrace.contracts.errors import BadInput, MillraceError

router = APIRouter(prefix="/ui/pipelines", include_in_schema=False, default_response_class=HTMLResponse)

Text = Annotated[str, Form(max_length=4000)]
Stage = Annotated[Literal["automl", "xai"] | None, Form()]


@router.post("/{pipeline_id}/answer")
def answer(
    pipeline_id: str,
    who: Who,
    store: Store,
    conductor: Service,
    target: Text = "",
    target_other: Text = "",
    task_type: Text = "",
    positive: Text = "",
    positive_other: Text = "",
    sensitive: Annotated[list[str] | None, Form()] = None,
    sensitive_other: Text = "",
    time_budget: Text = "",
) -> Response:
    """Answers the conductor's questions."""
    owner = owner_of(store, who, pipeline_id)
    others = [part.strip() for part in sensitive_other.split(",")]
    fields = {
        "target": target_other.strip() or target or None,
        "task_type": task_type or None,
        "sensitive": [name for name in [*(sensitive or []), *others] if name],
    }
    if chosen := positive_other.strip() or positive:
        fields["positive"] = chosen
    try:
        given = GivenAnswers.model_validate(fields)
        settings = {"time_budget": time_budget} if time_budget else {}
        conductor.answer(pipeline_id, given, settings=settings, actor=acting(who, owner.user_id))
    except ValidationError as error:
        first = error.errors()[0]
        return _refused(pipeline_id, BadInput(str(first["msg"]), field=str(first["loc"][0])))
    except MillraceError as error:
        return _refused(pipeline_id, error)
    return _shown(pipeline_id)


@router.post("/{pipeline_id}/approve")
def approve(
    pipeline_id: str,
    who: Who,
    store: Store,
    conductor: Service,
    stage: Stage = None,
    seen_sha256: Text = "",
    note: Text = "",
) -> Response:
    """Approves what the page showed."""
    owner = owner_of(store, who, pipeline_id)
    actor = acting(who, owner.user_id)
    try:
        conductor.approve(pipeline_id, stage=stage, actor=actor, note=note, seen_sha256=seen_sha256 or None)
    except MillraceError as error:
        return _refused(pipeline_id, error)
    return _shown(pipeline_id)


@router.post("/{pipeline_id}/reject")
def reject(
    pipeline_id: str, who: Who, store: Store, conductor: Service, stage: Stage = None, reason: Text = ""
) -> Response:
    """Ends the pipeline before the stage that waits for approval."""
    owner = owner_of(store, who, pipeline_id)
    try:
        conductor.reject(pipeline_id, stage=stage, actor=acting(who, owner.user_id), reason=reason)
    except MillraceError as error:
        return _refused(pipeline_id, error)
    return _shown(pipeline_id)


@router.post("/{pipeline_id}/retry")
def retry(pipeline_id: str, who: Who, store: Store, conductor: Service) -> Response:
    """Tries the failed stage again."""
    owner = owner_of(store, who, pipeline_id)
    try:
        conductor.retry(pipeline_id, actor=acting(who, owner.user_id))
    except MillraceError as error:
        return _refused(pipeline_id, error)
    return _shown(pipeline_id)


@router.post("/{pipeline_id}/cancel")
def cancel(pipeline_id: str, who: Who, store: Store, conductor: Service) -> Response:
    """Ends the pipeline and its runs."""
    owner = owner_of(store, who, pipeline_id)
    try:
        conductor.cancel(pipeline_id, actor=acting(who, owner.user_id))
    except MillraceError as error:
        return _refused(pipeline_id, error)
    return _shown(pipeline_id)


def _shown(pipeline_id: str) -> Response:
    return RedirectResponse(f"/ui/pipelines/{pipeline_id}", status_code=303)


def _refused(pipeline_id: str, error: MillraceError) -> Response:
    return render(
        "problem.html",
        status=error.status,
        title="That did not work",
        detail=error.message,
        field=error.field,
        remedy=error.remedy,
        back=f"/ui/pipelines/{pipeline_id}",
    )
