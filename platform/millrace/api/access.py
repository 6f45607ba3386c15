"""Who asks: bearer tokens mapped to users, and what each user may see."""

import hashlib
import hmac
import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request
from starlette.datastructures import Headers
from starlette.requests import cookie_parser
from starlette.types import ASGIApp, Receive, Scope, Send

from millrace.api.problems import from_error
from millrace.contracts.errors import BadInput, NotFound, Unauthorised
from millrace.contracts.identifiers import check_identifier
from millrace.settings import Settings

COOKIE = "millrace_token"
"""Carries the token for a person's browser, which cannot send an Authorization header."""
_OPEN_PATHS = ("/health", "/health/live", "/health/ready", "/login")
_HEX = frozenset("0123456789abcdef")


@dataclass(frozen=True)
class Caller:
    """The user behind a request; `user_id` is None where no tokens are set and everyone on this machine is trusted."""

    user_id: str | None

    def check(self, owner: str, *, what: str) -> None:
        """Passes when the caller may see what `owner` has.

        Raises:
            NotFound: it is someone else's; worded as for a thing that does not exist, so that nothing is learnt.
        """
        if self.user_id is not None and self.user_id != owner:
            raise missing(what)

    def scope(self, asked: str | None) -> str | None:
        """The user whose things a list may show: the caller where tokens are set, else whoever was asked for.

        Raises:
            NotFound: the list of someone else.
            BadInput: the name asked for is not a valid identifier.
        """
        if asked is not None:
            self.check(check_identifier(asked, field="user_id"), what=f"user {asked}")
        return self.user_id or asked

    @property
    def actor(self) -> str:
        """The caller as histories name them."""
        return f"user:{self.user_id or 'local'}"


def missing(what: str) -> NotFound:
    """The error for a thing that is not there or not the caller's; the two cannot be told apart."""
    return NotFound(f"there is no {what}", remedy="list what there is with `millrace pipeline list` or GET /datasets")


def parse_tokens(text: str | None) -> dict[str, str]:
    """SHA-256 of each token mapped to its user.

    Raises:
        BadInput: an entry that is not `user=<64 hexadecimal digits>`.
    """
    users: dict[str, str] = {}
    for entry in filter(None, (part.strip() for part in (text or "").split(","))):
        user, _, digest = entry.partition("=")
        digest = digest.strip().lower()
        if len(digest) != 64 or not set(digest) <= _HEX:
            raise BadInput(
                f"MILLRACE_API_TOKENS: the entry of user {user[:64]!r} holds no SHA-256",
                field="MILLRACE_API_TOKENS",
                remedy="write user=<64 hexadecimal digits>, made by `printf %s TOKEN | sha256sum`",
            )
        users[digest] = check_identifier(user.strip(), field="MILLRACE_API_TOKENS")
    return users


def is_loopback(host: str) -> bool:
    """True for an address that only this machine reaches."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def check_binding(settings: Settings) -> None:
    """Passes when the API may listen where the settings say.

    Raises:
        BadInput: an address that others reach, without tokens.
    """
    tokens = parse_tokens(settings.api_tokens.get_secret_value() if settings.api_tokens else None)
    if not tokens and not is_loopback(settings.host):
        raise BadInput(
            f"MILLRACE_HOST={settings.host} can be reached by others, and no bearer tokens are set",
            field="MILLRACE_API_TOKENS",
            remedy="set MILLRACE_API_TOKENS=user=<sha256 of the token>, or MILLRACE_HOST=127.0.0.1",
        )


def user_of(token: str, tokens: Mapping[str, str]) -> str | None:
    """The user whose token this is; every entry is compared, in constant time."""
    digest = hashlib.sha256(token.encode()).hexdigest()
    found = None
    for known, user in tokens.items():
        if hmac.compare_digest(known, digest):
            found = user
    return found


class AccessMiddleware:
    """Lets a request pass with a valid token, or freely where none are set; everything but health is behind it."""

    def __init__(self, app: ASGIApp, tokens: Mapping[str, str]) -> None:
        self.app = app
        self.tokens = tokens

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves the request with its caller, or answers 401."""
        if scope["type"] != "http" or scope["path"] in _OPEN_PATHS:
            await self.app(scope, receive, send)
            return
        user: str | None = None
        if self.tokens:
            user = user_of(_token(Headers(scope=scope)), self.tokens)
            if user is None:
                refusal = Unauthorised(
                    "no valid bearer token came with the request",
                    field="Authorization",
                    remedy="send `Authorization: Bearer TOKEN`, or sign in at /login",
                )
                await from_error(refusal)(scope, receive, send)
                return
        scope.setdefault("state", {})["caller"] = Caller(user)
        await self.app(scope, receive, send)


def _token(headers: Headers) -> str:
    scheme, _, token = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return token.strip()
    return cookie_parser(headers.get("cookie", "")).get(COOKIE, "")


def caller(request: Request) -> Caller:
    """The caller that the middleware found."""
    found: Caller = request.state.caller
    return found


Who = Annotated[Caller, Depends(caller)]
