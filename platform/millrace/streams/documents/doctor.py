"""What stands between a document and its result: broker, topics, the language model's server, the audit trail."""

import asyncio
import time
from dataclasses import dataclass
from typing import Any, Literal

from millrace.contracts.documents import FinancialDocument, LlmResult
from millrace.contracts.errors import MillraceError, NotFound
from millrace.kafka.topics import describe_topics
from millrace.settings import Settings
from millrace.streams.documents.analysis import analyse
from millrace.streams.documents.answer import ANSWER_SCHEMA
from millrace.streams.documents.audit import anchor_path, trail_path
from millrace.streams.documents.audit_verify import verify_trail
from millrace.streams.documents.chat import ChatClient
from millrace.streams.documents.errors import Rejected, ServerFailed
from millrace.streams.documents.prompt import parameters_of
from millrace.streams.documents.samples import sample

Level = Literal["ok", "warn", "fail"]


@dataclass(frozen=True)
class Look:
    """One thing looked at; `remedy` unless all is well."""

    name: str
    level: Level
    seen: str
    remedy: str | None = None


def examine(settings: Settings) -> list[Look]:
    """Each thing in the order in which a document meets it."""
    return [*_topics(settings), *asyncio.run(_server(settings)), _trail(settings)]


def _topics(settings: Settings) -> list[Look]:
    wanted = settings.topics.for_documents()
    try:
        found = {one.name: one.partitions for one in describe_topics(settings, wanted, timeout=5.0)}
    except MillraceError as error:
        return [Look("broker", "fail", error.message, error.remedy or "start it with `millrace up`")]
    looks = [Look("broker", "ok", f"{settings.bootstrap} answers")]
    missing = [name for name in wanted if name not in found]
    if missing:
        looks.append(Look("topics", "warn", f"not there: {', '.join(missing)}", "`millrace llm run` makes them"))
    else:
        looks.append(Look("topics", "ok", ", ".join(f"{name} ({found[name]} partitions)" for name in wanted)))
    return looks


async def _server(settings: Settings) -> list[Look]:
    async with ChatClient(settings) as client:
        began = time.monotonic()
        try:
            models = await client.models()
        except (ServerFailed, Rejected) as error:
            # it is the completions that are needed
            return [Look("server", "warn", f"no list of models: {error.message}", "see the server's log"),
                    await _trial(settings, client)]  # fmt: skip
        except MillraceError as error:
            remedy = error.remedy or "set LLM_URL to the server's address"
            if settings.llm_url.rstrip("/").endswith(f":{settings.api_port}"):
                remedy = (f"on port {settings.api_port} Millrace's own API listens unless MILLRACE_API_PORT moves it: "
                          "set LLM_URL to the language model's address")  # fmt: skip
            return [Look("server", "fail", error.message, remedy)]
        looks = [Look("server", "ok", f"{client.url} answers in {1000 * (time.monotonic() - began):.0f} ms")]
        if models and settings.llm_model not in models:
            looks.append(
                Look("model", "warn", f"{settings.llm_model} is not among {', '.join(models[:5])}",
                     "set MODEL_NAME to one of them, unless the server loads models when they are asked for")
            )  # fmt: skip
        else:
            looks.append(Look("model", "ok", settings.llm_model))
        return [*looks, await _trial(settings, client)]


async def _trial(settings: Settings, client: ChatClient) -> Look:
    from millrace.contracts.task import Coordinates

    one = sample(0, 3)
    document = FinancialDocument(
        document_id=one.document_id, document_type=one.document_type, title=one.title, text=one.text
    )
    try:
        result = await analyse(
            client, document, at=Coordinates("doctor", "", 0, 0), parameters=parameters_of(settings, ANSWER_SCHEMA),
            context=settings.llm_context, code_version="doctor",
        )  # fmt: skip
    except MillraceError as error:
        return Look("trial", "fail", error.message, error.remedy or "see the server's log")
    return _judged(settings, result)


def _judged(settings: Settings, result: LlmResult) -> Look:
    seen = (f"a sample document in {result.processing_time:.1f} s: {result.status}, {result.tokens_used or '?'} tokens"
            f"{', after a repair' if result.repaired else ''}")  # fmt: skip
    if result.processing_time > settings.llm_timeout / 2:
        return Look("trial", "warn", seen, "LLM_TIMEOUT leaves little room: raise it, or take a faster model")
    if result.status == "truncated":
        return Look("trial", "warn", seen, "raise MILLRACE_LLM_MAX_TOKENS")
    if result.status != "ok" or result.repaired:
        guided: dict[bool, Any] = {
            True: "does the server hold answers to a schema (response_format)? A larger model follows it by itself",
            False: "set MILLRACE_LLM_GUIDED=true where the server can hold answers to a schema",
        }
        return Look("trial", "warn", seen, guided[settings.llm_guided])
    return Look("trial", "ok", seen)


def _trail(settings: Settings) -> Look:
    try:
        found = verify_trail(trail_path(settings), anchor_path(settings))
    except NotFound:
        return Look("audit trail", "ok", "none yet")
    if found.failures:
        return Look("audit trail", "fail", str(found.failures[0]), "see `millrace llm verify`")
    return Look("audit trail", "ok", f"{found.entries} entries, intact")
