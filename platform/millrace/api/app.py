"""The application: routers, middleware and errors put together."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
from fastapi import FastAPI

import millrace
from millrace.api import problems
from millrace.api.access import AccessMiddleware, is_loopback, parse_tokens
from millrace.api.guard import GuardMiddleware
from millrace.api.routes import (
    datasets,
    external,
    health,
    live,
    models,
    page_forms,
    pages,
    pipelines,
    policies,
    progress,
    reports,
    sign_in,
    webhooks,
)
from millrace.api.trace import TraceMiddleware
from millrace.conductor.service import Conductor
from millrace.settings import Settings
from millrace.warehouse.store import open_warehouse

MAX_BODY_BYTES = 8 << 20
"""Largest request body of all routes but the upload, which has its own limit."""
UPLOADS_AT_ONCE = 4
"""Uploads that are stored at the same time; more wait. Profiling one takes a core for seconds."""
_DESCRIPTION = "Data sets in; bias reports, registered models and explanation reports out, each with its lineage."


def create_app(settings: Settings) -> FastAPI:
    """The API on the warehouse that the settings name; the warehouse is opened, and migrated, when it starts."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        warehouse = await anyio.to_thread.run_sync(lambda: open_warehouse(settings, migrate=True))
        app.state.warehouse = warehouse
        app.state.conductor = Conductor(warehouse, settings)
        app.state.uploads = anyio.CapacityLimiter(UPLOADS_AT_ONCE)
        app.state.live = live.live_reader(settings, warehouse)
        yield
        await anyio.to_thread.run_sync(app.state.live.close)
        warehouse.engine.dispose()

    app = FastAPI(
        title="Millrace",
        version=millrace.__version__,
        description=_DESCRIPTION,
        lifespan=lifespan,
        max_body_size=MAX_BODY_BYTES,
    )
    app.state.settings = settings
    problems.install(app)
    for router in (
        datasets.router,
        *reports.routers(),
        external.router,
        models.router,
        pipelines.router,
        progress.router,
        live.router,
        policies.router,
        webhooks.router,
        health.router,
        sign_in.router,
        pages.router,
        page_forms.router,
    ):
        app.include_router(router)
    tokens = parse_tokens(settings.api_tokens.get_secret_value() if settings.api_tokens else None)
    hosts = (settings.host,) if is_loopback(settings.host) else None
    # the last one added is the first to see a request
    app.add_middleware(AccessMiddleware, tokens=tokens)
    app.add_middleware(GuardMiddleware, hosts=hosts)
    app.add_middleware(TraceMiddleware)
    return app
