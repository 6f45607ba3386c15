"""What a browser must not be used for: requests forged by other sites, and names rebound to this machine."""

from collections.abc import Collection
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from millrace.api.access import is_loopback
from millrace.api.problems import problem

_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


class GuardMiddleware:
    """Refuses a `Host` that is not ours (DNS rebinding) and a change asked for by another site's page (CSRF).

    `hosts` are the names accepted in `Host`; None accepts any, for an API behind a proxy whose tokens protect it.
    """

    def __init__(self, app: ASGIApp, hosts: Collection[str] | None) -> None:
        self.app = app
        self.hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves the request, or answers 421 or 403."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if self.hosts is not None and not _known(host, self.hosts):
            refusal = problem(
                code="unknown-host",
                status=421,
                detail=f"this API does not answer to the name {host[:100]!r}",
                field="Host",
                remedy="use http://127.0.0.1 or http://localhost with the API's port",
            )
            await refusal(scope, receive, send)
            return
        if scope["method"] not in _SAFE_METHODS and not _same_site(headers, host):
            refusal = problem(
                code="cross-site-request",
                status=403,
                detail="the request comes from a page of another site",
                field="Origin",
                remedy="use the pages of this API, or a client that is no browser",
            )
            await refusal(scope, receive, send)
            return
        await self.app(scope, receive, send)


def _known(host: str, hosts: Collection[str]) -> bool:
    try:
        name = urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return False
    return name in hosts or is_loopback(name)


def _same_site(headers: Headers, host: str) -> bool:
    # a browser sends Origin with every cross-site change, and Sec-Fetch-Site with every request; curl sends neither
    if headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        return False
    origin = headers.get("origin")
    return origin is None or origin.partition("://")[2] == host
