"""W3C trace context: taken from the request or begun here, in the log line and in the response."""

import logging
import re
import secrets
import time
from contextvars import ContextVar

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from millrace.api.metrics import REQUEST_SECONDS, REQUESTS

logger = logging.getLogger(__name__)

# https://www.w3.org/TR/trace-context/#traceparent-header, version 00
_TRACEPARENT = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")
_current: ContextVar[str | None] = ContextVar("millrace_traceparent", default=None)


def current_traceparent() -> str | None:
    """`traceparent` of the request being served, None outside one."""
    return _current.get()


def current_trace_id() -> str | None:
    """Trace id of the request being served, 32 hexadecimal digits, None outside one."""
    value = _current.get()
    return None if value is None else value.split("-")[1]


def continue_trace(header: str | None) -> str:
    """A `traceparent` of ours in the trace that the header names, or in a new one when it names none."""
    match = _TRACEPARENT.fullmatch(header or "")
    if match is None or match.group(1) == "0" * 32 or match.group(2) == "0" * 16:
        return f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-01"
    return f"00-{match.group(1)}-{secrets.token_hex(8)}-{match.group(3)}"


class TraceMiddleware:
    """Gives each request a trace, one log line and its place in the metrics."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves the request inside its trace."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        traceparent = continue_trace(Headers(scope=scope).get("traceparent"))
        token = _current.set(traceparent)
        started = time.perf_counter()
        status = 500

        async def send_traced(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)["traceparent"] = traceparent
            await send(message)

        try:
            await self.app(scope, receive, send_traced)
        finally:
            seconds = time.perf_counter() - started
            route = getattr(scope.get("route"), "path", "unmatched")
            REQUESTS.labels(scope["method"], route, str(status)).inc()
            REQUEST_SECONDS.labels(scope["method"], route).observe(seconds)
            logger.info(
                "request method=%s path=%r status=%d ms=%.1f trace_id=%s",
                scope["method"],
                scope["path"],
                status,
                seconds * 1000,
                traceparent.split("-")[1],
            )
            _current.reset(token)
