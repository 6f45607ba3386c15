"""The live page of scored events, and the server-sent events behind it."""

import json
from collections.abc import AsyncIterator, Mapping
from typing import Annotated, Any

import anyio
from fastapi import APIRouter, Header, Request
from starlette.responses import HTMLResponse, StreamingResponse

from millrace.api.access import Who
from millrace.api.deps import Config, Store
from millrace.api.html import render
from millrace.settings import Settings
from millrace.streams.live.reader import LiveReader
from millrace.streams.names import topics_of
from millrace.streams.status import status_of
from millrace.warehouse.store import Warehouse

router = APIRouter(tags=["streams"])

STREAM = "score_events"
_LOOK_SECONDS = 0.3
_KEEP_ALIVE_SECONDS = 15.0
"""Below the idle limit of common proxies (60 s)."""
_SHOWN = ("state", "wanted", "alive", "halted", "lag_records", "lag_seconds", "rate", "commit_age")


def live_reader(settings: Settings, store: Warehouse) -> LiveReader:
    """The reader that all viewers of an API process share."""

    def status() -> Mapping[str, Any]:
        found = status_of(settings, store, STREAM, topics_of(settings, STREAM), samples=1).to_json()
        return {name: found[name] for name in _SHOWN}

    return LiveReader(settings, status)


@router.get("/ui/streams", include_in_schema=False)
def page(who: Who) -> HTMLResponse:
    """The page; its figures come over server-sent events."""
    return render("live.html", title="Scored events, live")


@router.get("/streams/score_events/status")
def stream_status(who: Who, settings: Config, store: Store) -> dict[str, Any]:
    """Processes, lag by partition and state of the stream; what `millrace stream status --json` prints."""
    return status_of(settings, store, STREAM, topics_of(settings, STREAM), samples=1).to_json()


@router.get("/streams/score_events/live", response_class=StreamingResponse)
async def live(request: Request, who: Who, last_event_id: Annotated[str | None, Header()] = None) -> StreamingResponse:
    """Counts by second, sentiment and channel, latency, lag and the last messages, as server-sent events.

    Event `whole` carries everything of the last ten minutes, `step` what came since. With `Last-Event-ID` the stream
    goes on behind that event; what cannot be caught up with is sent whole.
    """
    reader: LiveReader = request.app.state.live
    return StreamingResponse(
        _events(request, reader, last_event_id),
        media_type="text/event-stream",
        headers={"Cache-Control": "no-cache", "X-Accel-Buffering": "no"},
    )


async def _events(request: Request, reader: LiveReader, known: str | None) -> AsyncIterator[str]:
    yield "retry: 1000\n\n"
    quiet = 0.0
    while not await request.is_disconnected():
        found = await anyio.to_thread.run_sync(reader.look, known)
        for name, kind, data in found:
            known = name
            yield f"id: {name}\nevent: {kind}\ndata: {json.dumps(data, ensure_ascii=False)}\n\n"
        quiet = 0.0 if found else quiet + _LOOK_SECONDS
        if quiet >= _KEEP_ALIVE_SECONDS:
            quiet = 0.0
            yield ": still here\n\n"
        await anyio.sleep(_LOOK_SECONDS)
