"""Health and metrics."""

import socket
import time
from collections.abc import Callable
from typing import Literal

from fastapi import APIRouter
from pydantic import BaseModel
from sqlalchemy import func, select, text
from starlette.responses import JSONResponse, Response

from millrace.api.deps import Config, Store
from millrace.api.metrics import CONTENT_TYPE, OUTBOX_BACKLOG, OUTBOX_OLDEST, PIPELINES, exposition
from millrace.contracts.errors import CannotReach
from millrace.settings import Settings
from millrace.warehouse.outbox import backlog
from millrace.warehouse.schema import Pipeline
from millrace.warehouse.store import Warehouse

router = APIRouter(tags=["health"])
_TIMEOUT_SECONDS = 2.0
_STALE_BACKLOG_SECONDS = 30.0


class Part(BaseModel):
    """One part of the platform and whether it does its work."""

    name: str
    ok: bool
    detail: str
    ms: float


class Readiness(BaseModel):
    """`ready`: all parts work. `degraded`: uploads are taken, work waits. `unavailable`: the database is away."""

    status: Literal["ready", "degraded", "unavailable"]
    parts: list[Part]


@router.get("/health", include_in_schema=False)
@router.get("/health/live")
def live() -> dict[str, str]:
    """Answers as long as the process serves."""
    return {"status": "alive"}


@router.get("/health/ready")
def ready(store: Store, settings: Config) -> JSONResponse:
    """Each part's state; 200 while uploads can be taken, 503 when the database does not answer."""
    parts = [
        _part("database", lambda: _database(store)),
        _part("broker", lambda: _broker(settings)),
        _part("relay", lambda: _relay(store)),
        _part("mlflow", lambda: _http(f"{settings.mlflow}/health")),
        _part("dagster", lambda: _http(f"{settings.dagster_url}/server_info")),
    ]
    database = parts[0].ok
    status = "ready" if all(part.ok for part in parts) else "degraded" if database else "unavailable"
    found = Readiness(status=status, parts=parts)
    return JSONResponse(found.model_dump(), status_code=200 if database else 503)


@router.get("/metrics", response_class=Response)
def metrics(store: Store) -> Response:
    """Prometheus metrics."""
    with store.read() as session:
        waiting = backlog(session)
        states = session.execute(select(Pipeline.state, func.count()).group_by(Pipeline.state)).all()
    OUTBOX_BACKLOG.set(waiting.count)
    OUTBOX_OLDEST.set(waiting.oldest_seconds or 0)
    PIPELINES.clear()
    for state, count in states:
        PIPELINES.labels(state).set(count)
    return Response(exposition(), media_type=CONTENT_TYPE)


class _Away(Exception):
    """A part does not do its work; the message says what was seen."""


def _part(name: str, look: Callable[[], str]) -> Part:
    started = time.perf_counter()
    try:
        ok, detail = True, look()
    except _Away as seen:
        ok, detail = False, str(seen)
    return Part(name=name, ok=ok, detail=detail, ms=round((time.perf_counter() - started) * 1000, 1))


def _database(store: Warehouse) -> str:
    try:
        with store.read() as session:
            session.execute(text("SELECT 1"))
    except CannotReach as error:
        raise _Away("does not answer") from error
    return "answers"


def _broker(settings: Settings) -> str:
    host, _, port = settings.bootstrap.split(",")[0].rpartition(":")
    try:
        with socket.create_connection((host, int(port)), timeout=_TIMEOUT_SECONDS):
            return "takes connections"
    except (OSError, ValueError) as error:
        raise _Away("does not answer; events wait in the outbox and none is lost") from error


def _relay(store: Warehouse) -> str:
    try:
        with store.read() as session:
            waiting = backlog(session)
    except CannotReach as error:
        raise _Away("the outbox cannot be read") from error
    oldest = waiting.oldest_seconds or 0.0
    if oldest > _STALE_BACKLOG_SECONDS:
        raise _Away(f"{waiting.count} events wait, the oldest for {oldest:.0f} s")
    return f"{waiting.count} events wait"


def _http(url: str) -> str:
    import httpx

    try:
        # certificate authorities, 24 ms of a processor to read, are not needed for http
        answer = httpx.get(url, timeout=_TIMEOUT_SECONDS, trust_env=False, verify=not url.startswith("http:"))
    except httpx.HTTPError as error:
        raise _Away(f"does not answer ({type(error).__name__})") from error
    if answer.status_code != 200:
        raise _Away(f"answers {answer.status_code}")
    return "answers"
