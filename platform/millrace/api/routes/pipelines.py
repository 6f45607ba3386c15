"""Pipelines: begin, look, answer, approve, reject, retry, cancel."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Header, Query
from pydantic import BaseModel, ConfigDict

from millrace.api.access import Caller, Who, missing
from millrace.api.deps import Service, Store
from millrace.api.trace import current_traceparent
from millrace.conductor.answers import GivenAnswers
from millrace.conductor.states import State
from millrace.conductor.views import HistoryEntry, PipelineView, history_view, list_views, pipeline_view
from millrace.contracts.identifiers import DatasetKey, check_identifier, dataset_key
from millrace.warehouse.schema import Pipeline
from millrace.warehouse.store import Warehouse

router = APIRouter(prefix="/pipelines", tags=["pipelines"])

Limit = Annotated[int, Query(ge=1, le=500)]
ApprovedStage = Literal["automl", "xai"]


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid")


class NewPipeline(_Request):
    """A pipeline on bytes that are there already; `answers` may leave parts to the proposal."""

    user_id: str
    dataset_id: str
    version: int | None = None
    answers: GivenAnswers | None = None
    settings: dict[str, Any] = {}


class AnswerIn(_Request):
    """Answers to the conductor's questions; without any, the proposal is accepted."""

    answers: GivenAnswers | None = None
    settings: dict[str, Any] = {}


class ApproveIn(_Request):
    """An approval; with `seen_sha256` it holds only if that is still what is shown."""

    stage: ApprovedStage | None = None
    seen_sha256: str | None = None
    note: str = ""


class RejectIn(_Request):
    """A refusal to go on."""

    stage: ApprovedStage | None = None
    reason: str = ""


class CancelIn(_Request):
    """The wish to end a pipeline."""

    reason: str = ""


@router.post("", status_code=201)
def begin(
    wanted: NewPipeline,
    who: Who,
    store: Store,
    conductor: Service,
    idempotency_key: Annotated[str | None, Header(max_length=80)] = None,
) -> PipelineView:
    """Begins a pipeline; the same `Idempotency-Key` gives the same pipeline."""
    key = dataset_key(wanted.user_id, wanted.dataset_id)
    who.check(key.user_id, what=f"data set {key.partition_key}")
    pipeline_id = conductor.create(
        key,
        version=wanted.version,
        answers=wanted.answers,
        settings=wanted.settings,
        actor=acting(who, key.user_id),
        request_id=idempotency_key,
        trace_parent=current_traceparent(),
    )
    return view_of(store, who, pipeline_id)


@router.get("")
def pipelines(
    who: Who,
    store: Store,
    user_id: str | None = None,
    dataset_id: str | None = None,
    state: State | None = None,
    version: int | None = None,
    limit: Limit = 100,
) -> list[PipelineView]:
    """Pipelines, newest first."""
    owner = who.scope(user_id)
    if dataset_id is not None:
        check_identifier(dataset_id, field="dataset_id")
    with store.read() as session:
        found = list_views(session, owner, dataset_id=dataset_id, state=state, limit=limit)
    return [one for one in found if version is None or one.version == version]


@router.get("/{pipeline_id}")
def pipeline(pipeline_id: str, who: Who, store: Store) -> PipelineView:
    """Everything that is known of a pipeline."""
    return view_of(store, who, pipeline_id)


@router.get("/{pipeline_id}/history")
def history(pipeline_id: str, who: Who, store: Store, after: int = 0) -> list[HistoryEntry]:
    """Every transition after that number, oldest first."""
    owner_of(store, who, pipeline_id)
    with store.read() as session:
        return history_view(session, pipeline_id, after=after)


@router.post("/{pipeline_id}/answer")
def answer(pipeline_id: str, who: Who, store: Store, conductor: Service, given: AnswerIn | None = None) -> PipelineView:
    """Answers the conductor's questions."""
    owner = owner_of(store, who, pipeline_id)
    given = given or AnswerIn()
    conductor.answer(pipeline_id, given.answers, settings=given.settings, actor=acting(who, owner.user_id))
    return view_of(store, who, pipeline_id)


@router.post("/{pipeline_id}/approve")
def approve(
    pipeline_id: str, who: Who, store: Store, conductor: Service, given: ApproveIn | None = None
) -> PipelineView:
    """Approves the stage that waits."""
    owner = owner_of(store, who, pipeline_id)
    given = given or ApproveIn()
    conductor.approve(
        pipeline_id,
        stage=given.stage,
        actor=acting(who, owner.user_id),
        note=given.note,
        seen_sha256=given.seen_sha256,
    )
    return view_of(store, who, pipeline_id)


@router.post("/{pipeline_id}/reject")
def reject(pipeline_id: str, who: Who, store: Store, conductor: Service, given: RejectIn | None = None) -> PipelineView:
    """Ends the pipeline before the stage that waits for approval."""
    owner = owner_of(store, who, pipeline_id)
    given = given or RejectIn()
    conductor.reject(pipeline_id, stage=given.stage, actor=acting(who, owner.user_id), reason=given.reason)
    return view_of(store, who, pipeline_id)


@router.post("/{pipeline_id}/retry")
def retry(pipeline_id: str, who: Who, store: Store, conductor: Service) -> PipelineView:
    """Tries the failed stage again."""
    owner = owner_of(store, who, pipeline_id)
    conductor.retry(pipeline_id, actor=acting(who, owner.user_id))
    return view_of(store, who, pipeline_id)


@router.post("/{pipeline_id}/cancel")
def cancel(pipeline_id: str, who: Who, store: Store, conductor: Service, given: CancelIn | None = None) -> PipelineView:
    """Ends the pipeline and its runs."""
    owner = owner_of(store, who, pipeline_id)
    conductor.cancel(pipeline_id, actor=acting(who, owner.user_id), reason=given.reason if given else "")
    return view_of(store, who, pipeline_id)


def owner_of(store: Warehouse, who: Caller, pipeline_id: str) -> DatasetKey:
    """The data set of a pipeline that the caller may see.

    Raises:
        NotFound: there is no such pipeline, or it is someone else's.
    """
    what = f"pipeline {pipeline_id[:60]!r}"
    with store.read() as session:
        row = session.get(Pipeline, pipeline_id)
        if row is None:
            raise missing(what)
        key = DatasetKey(row.user_id, row.dataset_id)
    who.check(key.user_id, what=what)
    return key


def view_of(store: Warehouse, who: Caller, pipeline_id: str) -> PipelineView:
    """The view of a pipeline that the caller may see.

    Raises:
        NotFound: there is no such pipeline, or it is someone else's.
    """
    owner_of(store, who, pipeline_id)
    with store.read() as session:
        return pipeline_view(session, pipeline_id)


def acting(who: Caller, owner: str) -> str:
    """Who histories name: the token's user, or the owner where no tokens are set."""
    return f"user:{who.user_id or owner}"
