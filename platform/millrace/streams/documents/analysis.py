"""A document from question to result."""

import time
from collections.abc import Callable
from datetime import datetime

from millrace.contracts.documents import FinancialDocument, LlmResult
from millrace.contracts.events import now
from millrace.contracts.scoring import Source
from millrace.contracts.task import Coordinates
from millrace.streams.documents.chat import ChatClient
from millrace.streams.documents.conversation import Said, converse
from millrace.streams.documents.errors import ContextExceeded
from millrace.streams.documents.parts import converse_in_parts, parts_of, room_for_text
from millrace.streams.documents.prompt import Messages, Parameters, ask, prompt_sha256

_SMALLER = (1.0, 0.5, 0.25, 0.125)
"""Shares of the room that are tried when the server says that a request is longer than its context."""


async def analyse(
    client: ChatClient,
    document: FinancialDocument,
    *,
    at: Coordinates,
    parameters: Parameters,
    context: int,
    code_version: str,
    clock: Callable[[], datetime] = now,
) -> LlmResult:
    """The document's result; `at` is where its message stands, `context` the model's tokens.

    Raises:
        TooLarge: the document has too many parts.
        MillraceError: as `ChatClient.complete`.
    """
    began = time.monotonic()
    room = room_for_text(document, parameters, context=context)
    for share in _SMALLER:
        parts = parts_of(document, room=int(room * share))
        try:
            said, messages = await _ask(client, document, parts, at=at, parameters=parameters, room=int(room * share))
            break
        except ContextExceeded:
            if share == _SMALLER[-1]:
                raise
    return _result(
        document, said, at=at, prompt=prompt_sha256(messages), parameters=parameters, chunks=len(parts),
        seconds=time.monotonic() - began, at_time=clock(), code_version=code_version,
    )  # fmt: skip


async def _ask(
    client: ChatClient, document: FinancialDocument, parts: list[str], *, at: Coordinates, parameters: Parameters,
    room: int,
) -> tuple[Said, Messages]:  # fmt: skip
    messages = ask(document, parameters.schema)
    if len(parts) == 1:
        return await converse(client, messages, parameters, about=place(at)), messages
    said = await converse_in_parts(client, document, parts, parameters=parameters, room=room, about=place(at))
    return said, messages


def place(at: Coordinates) -> str:
    """Topic, partition and offset in one word."""
    return f"{at.topic}/{at.partition}/{at.offset}"


def _result(
    document: FinancialDocument, said: Said, *, at: Coordinates, prompt: str, parameters: Parameters, chunks: int,
    seconds: float, at_time: datetime, code_version: str,
) -> LlmResult:  # fmt: skip
    tokens = (said.prompt_tokens, said.completion_tokens)
    return LlmResult(
        document_id=document.document_id,
        document_type=document.document_type,
        status=said.status,
        answer=said.answer,
        text=None if said.answer is not None else said.text,
        problems=said.problems,
        finish_reason=said.finish,
        model=said.model or parameters.model,
        requested_model=parameters.model,
        prompt_tokens=said.prompt_tokens,
        completion_tokens=said.completion_tokens,
        tokens_used=None if tokens[0] is None or tokens[1] is None else tokens[0] + tokens[1],
        processing_time=round(seconds, 6),
        server_time=round(said.seconds, 6),
        requests=said.requests,
        repaired=said.repaired,
        chunks=chunks,
        prompt_sha256=prompt,
        parameters_sha256=parameters.sha256,
        source=Source(topic=at.topic, topic_id=at.topic_id, partition=at.partition, offset=at.offset),
        processed_at=at_time,
        code_version=code_version,
    )
