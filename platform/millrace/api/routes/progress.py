"""Live progress of a pipeline as server-sent events."""

from collections.abc import AsyncIterator
from typing import Annotated

import anyio
from fastapi import APIRouter, Header, Request
from starlette.responses import StreamingResponse

from millrace.api.access import Who
from millrace.api.deps import Store
from millrace.api.routes.pipelines import owner_of
from millrace.conductor.states import TERMINAL
from millrace.conductor.views import HistoryEntry, history_view
from millrace.warehouse.schema import Pipeline
from millrace.warehouse.store import Warehouse

router = APIRouter(prefix="/pipelines", tags=["pipelines"])

_POLL_SECONDS = 0.4
_KEEP_ALIVE_SECONDS = 15.0
"""Below the idle limit of common proxies (60 s)."""


@router.get("/{pipeline_id}/events", response_class=StreamingResponse)
async def events(
    pipeline_id: str,
    request: Request,
    who: Who,
    store: Store,
    last_event_id: Annotated[str | None, Header()] = None,
) -> StreamingResponse:
    """Each transition as it happens: event `transition`, id = its number in the history, data = the entry.

    With `Last-Event-ID` the stream goes on after that entry. Event `end` says that nothing follows by itself.
    """
    await anyio.to_thread.run_sync(owner_of, store, who, pipeline_id)
    after = int(last_event_id) if last_event_id and last_event_id.isdigit() and len(last_event_id) < 10 else 0
    return StreamingResponse(
        _stream(request, store, pipeline_id, after),
        media_type="text/event-stream",
        headers={"Cache-Control": "no-cache", "X-Accel-Buffering": "no"},
    )


async def _stream(request: Request, store: Warehouse, pipeline_id: str, after: int) -> AsyncIterator[str]:
    yield "retry: 2000\n\n"
    quiet = 0.0
    while not await request.is_disconnected():
        entries, over = await anyio.to_thread.run_sync(_since, store, pipeline_id, after)
        for entry in entries:
            after = entry.seq
            yield f"id: {entry.seq}\nevent: transition\ndata: {entry.model_dump_json()}\n\n"
        if over:
            yield f'id: {after}\nevent: end\ndata: {{"seq": {after}}}\n\n'
            return
        quiet = 0.0 if entries else quiet + _POLL_SECONDS
        if quiet >= _KEEP_ALIVE_SECONDS:
            quiet = 0.0
            yield ": still here\n\n"
        await anyio.sleep(_POLL_SECONDS)


def _since(store: Warehouse, pipeline_id: str, after: int) -> tuple[list[HistoryEntry], bool]:
    with store.read() as session:
        row = session.get(Pipeline, pipeline_id, populate_existing=True)
        over = row is None or (row.state in TERMINAL and not row.ending_runs)
        return history_view(session, pipeline_id, after=after), over
