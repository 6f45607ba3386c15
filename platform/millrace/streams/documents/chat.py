"""The client of the language model's server: OpenAI's chat completions over HTTP."""

import asyncio
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from types import TracebackType
from typing import TYPE_CHECKING, Self
from urllib.parse import urlsplit

from millrace.contracts.canonical import canonical_json, sha256_bytes
from millrace.contracts.errors import MillraceError
from millrace.settings import Settings
from millrace.streams.documents.errors import DeadlineExceeded, ServerAway, ServerFailed
from millrace.streams.documents.prompt import Messages, Parameters
from millrace.streams.documents.replies import Completion, completion_of, error_of

if TYPE_CHECKING:
    import httpx

_LARGEST_REPLY_BYTES = 4 << 20
"""An answer of 100,000 tokens fits ten times; a reply without end does not fill the memory."""
_CONNECT_SECONDS = 5.0
_KEEP_ALIVE_SECONDS = 4.0
"""Below the 5 s after which uvicorn, vLLM's server, closes a connection at the moment when we use it."""
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True)
class Exchange:
    """One request and what came of it. Hashes are of the bytes that were sent and received."""

    about: str
    """What was asked for, such as a message's place."""
    request_sha256: str
    response_sha256: str | None
    """None when no whole reply came."""
    status: int | None
    outcome: str
    """`completion`, or the error's code."""
    seconds: float


class ChatClient:
    """Asks for completions, so many at once as the settings allow. Belongs to one event loop; close it there."""

    def __init__(self, settings: Settings, *, on_exchange: Callable[[Exchange], None] = lambda _: None) -> None:
        import httpx

        self.url = base_url(settings.llm_url)
        self._seconds = settings.llm_timeout
        self._on_exchange = on_exchange
        self._gate = asyncio.Semaphore(settings.llm_concurrency)
        key = settings.llm_api_key
        headers = {"content-type": "application/json", "accept-encoding": "identity"}
        self._client = httpx.AsyncClient(
            headers=headers | ({"authorization": f"Bearer {key.get_secret_value()}"} if key is not None else {}),
            # the deadline is over the whole request: httpx's own limits begin anew with each byte
            timeout=httpx.Timeout(None, connect=min(_CONNECT_SECONDS, self._seconds)),
            limits=httpx.Limits(
                max_connections=settings.llm_concurrency,
                max_keepalive_connections=settings.llm_concurrency,
                keepalive_expiry=_KEEP_ALIVE_SECONDS,
            ),
            # a proxy of the environment does not lead to this machine
            trust_env=urlsplit(self.url).hostname not in _LOOPBACK,
        )

    async def complete(self, messages: Messages, parameters: Parameters, *, about: str) -> Completion:
        """The model's completion; waits for one of the allowed requests to be free, which the deadline leaves out.

        Raises:
            ServerAway, Overloaded, DeadlineExceeded, ServerFailed: it may succeed later.
            Rejected, ContextExceeded: this request never does.
            Misconfigured: no request does.
        """
        body = canonical_json({**parameters.to_json(), "messages": messages}).encode()
        async with self._gate:
            began = time.monotonic()
            status: int | None = None
            reply: bytes | None = None
            outcome = "cancelled"
            try:
                status, headers, reply = await self._post(body)
                if status != 200:
                    raise error_of(status, headers, reply)
                done = completion_of(reply)
                outcome = "completion"
            except MillraceError as error:
                outcome = error.code
                raise
            finally:
                self._on_exchange(
                    Exchange(
                        about=about,
                        request_sha256=sha256_bytes(body),
                        response_sha256=None if reply is None else sha256_bytes(reply),
                        status=status,
                        outcome=outcome,
                        seconds=time.monotonic() - began,
                    )
                )
        return replace(done, seconds=time.monotonic() - began)

    async def models(self) -> list[str]:
        """Names of the models that the server has.

        Raises:
            CannotReach, Misconfigured, Rejected: as for a completion.
        """
        status, headers, reply = await self._request("GET", "/v1/models", None)
        if status != 200:
            raise error_of(status, headers, reply)
        try:
            return [str(one["id"]) for one in json.loads(reply)["data"]]
        except (ValueError, KeyError, TypeError) as error:
            raise ServerFailed(f"{self.url}/v1/models gives no list of models", field="LLM_URL") from error

    async def close(self) -> None:
        """Gives the connections back."""
        await self._client.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None
    ) -> None:
        await self.close()

    async def _post(self, body: bytes) -> tuple[int, "httpx.Headers", bytes]:
        return await self._request("POST", "/v1/chat/completions", body)

    async def _request(self, method: str, path: str, body: bytes | None) -> tuple[int, "httpx.Headers", bytes]:
        import httpx

        try:
            async with asyncio.timeout(self._seconds), self._client.stream(
                method, self.url + path, content=body
            ) as reply:  # fmt: skip
                received = bytearray()
                async for chunk in reply.aiter_bytes():
                    received += chunk
                    if len(received) > _LARGEST_REPLY_BYTES:
                        raise ServerFailed(f"{self.url} gives a reply above {_LARGEST_REPLY_BYTES} bytes")
                return reply.status_code, reply.headers, bytes(received)
        except TimeoutError as error:
            raise DeadlineExceeded(
                f"{self.url} has not answered within {self._seconds:g} s",
                field="LLM_TIMEOUT",
                remedy="raise LLM_TIMEOUT, or lower MILLRACE_LLM_CONCURRENCY, where answers take so long",
            ) from error
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            raise ServerAway(
                f"nothing answers at {self.url}: {error}",
                field="LLM_URL",
                remedy="start the language model's server; `millrace llm doctor` looks at it",
            ) from error
        except httpx.HTTPError as error:
            raise ServerFailed(
                f"{self.url} broke off: {type(error).__name__} {error}", field="LLM_URL", remedy="it is asked again"
            ) from error


def base_url(url: str) -> str:
    """The server's address without `/v1` and without a slash at its end."""
    return url.rstrip("/").removesuffix("/v1").rstrip("/")
