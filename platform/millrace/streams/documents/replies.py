"""What a server's reply means: a completion, or an error of a class that says what helps."""

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Literal

from pydantic import BaseModel, ValidationError

from millrace.contracts.errors import MillraceError
from millrace.streams.documents.errors import ContextExceeded, Misconfigured, Overloaded, Rejected, ServerFailed

Finish = Literal["stop", "length", "content_filter", "other"]

_SAID = 300
"""Characters of a server's complaint that go into an error."""
_CONTEXT = ("maximum context length", "context_length_exceeded", "context length", "too many tokens")


@dataclass(frozen=True)
class Completion:
    """What the model said, and what it took. Tokens are None where the server does not count them."""

    text: str
    finish: Finish
    refusal: str | None
    model: str
    prompt_tokens: int | None
    completion_tokens: int | None
    seconds: float = 0.0
    """From the request to the end of the reply."""


class _Message(BaseModel):
    content: str | None = None
    refusal: str | None = None


class _Choice(BaseModel):
    message: _Message
    finish_reason: str | None = None


class _Usage(BaseModel):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None


class _Reply(BaseModel):
    choices: list[_Choice]
    model: str = ""
    usage: _Usage | None = None


def completion_of(body: bytes) -> Completion:
    """The completion in the body of a reply with status 200.

    Raises:
        ServerFailed: it is in no form that we know.
    """
    try:
        reply = _Reply.model_validate_json(body)
        choice = reply.choices[0]
    except (ValidationError, IndexError) as error:
        raise ServerFailed(
            f"the language model's server gave no chat completion: {_said(body)!r}",
            field="LLM_URL",
            remedy="run `millrace llm doctor`",
        ) from error
    usage = reply.usage or _Usage()
    finish: dict[str | None, Finish] = {"stop": "stop", "length": "length", "content_filter": "content_filter"}
    return Completion(
        text=_whole(choice.message.content or ""),
        finish=finish.get(choice.finish_reason, "other"),
        refusal=None if choice.message.refusal is None else _whole(choice.message.refusal),
        model=_whole(reply.model),
        prompt_tokens=usage.prompt_tokens,
        completion_tokens=usage.completion_tokens,
    )


def error_of(status: int, headers: Mapping[str, str], body: bytes, *, now: float | None = None) -> MillraceError:
    """The error of a reply whose status is not 200; `now` is seconds since 1970, for a Retry-After that is a date."""
    said = f"the language model's server answers {status}: {_said(body)!r}"
    wait = retry_after(headers.get("retry-after"), now=time.time() if now is None else now)
    if status in (429, 503):
        return Overloaded(said, field="LLM_URL", remedy="it is asked again later", retry_after=wait)
    if status >= 500 or status in (408, 409, 425) or status < 400:
        return ServerFailed(said, field="LLM_URL", remedy="it is asked again later", retry_after=wait)
    if status in (401, 403, 404, 405):
        return Misconfigured(said, field="LLM_URL", remedy="see LLM_URL, MODEL_NAME and LLM_API_KEY")
    if any(words in body[:4_096].decode("utf-8", "replace").lower() for words in _CONTEXT):
        return ContextExceeded(said, field="text", remedy="lower MILLRACE_LLM_CONTEXT, so that it is read in parts")
    return Rejected(
        said, field="document", remedy="see what the server says; MILLRACE_LLM_GUIDED=false where it knows no schemas"
    )


def retry_after(value: str | None, *, now: float) -> float | None:
    """Seconds to wait by the header's value: a number of seconds or an HTTP date; None for anything else."""
    if value is None:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(value).timestamp() - now
        except (ValueError, OverflowError):
            return None
    return max(0.0, seconds) if math.isfinite(seconds) else None


def _said(body: bytes) -> str:
    return body[:_SAID].decode("utf-8", "replace")


def _whole(text: str) -> str:
    return text.encode("utf-8", "replace").decode()
