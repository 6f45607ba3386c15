"""The step of `process_documents`: documents in, results out, or the reason why there is none."""

import asyncio
import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from typing import Any

from millrace.contracts.documents import LlmResult
from millrace.contracts.errors import MillraceError
from millrace.contracts.topics import SCHEMA_VERSION, TRACE_PARENT
from millrace.kafka.processor import Output, Result
from millrace.kafka.records import Record
from millrace.kafka.waiting import Place
from millrace.settings import Settings
from millrace.streams.documents.analysis import analyse
from millrace.streams.documents.answer import ANSWER_SCHEMA
from millrace.streams.documents.audit import AuditTrail
from millrace.streams.documents.batch import Asked, Outcome, ask_all
from millrace.streams.documents.blame import Blame
from millrace.streams.documents.chat import ChatClient, Exchange
from millrace.streams.documents.document import read_document
from millrace.streams.documents.errors import GaveUp, Overloaded, ServerAway
from millrace.streams.documents.meter import DocumentMeter
from millrace.streams.documents.prompt import Parameters, parameters_of

_log = logging.getLogger(__name__)

AUDIT_HEAD = "millrace-audit"
"""Header of a result: the head of the audit trail when its entries were on the disk, as SEQ:HASH."""
_PROBE = [{"role": "user", "content": "Answer with the word ok."}]


class DocumentStep:
    """Asks a language model about each document of a batch. Set `stop` and it comes back within seconds."""

    def __init__(self, settings: Settings, *, trail: AuditTrail, meter: DocumentMeter, stop: threading.Event) -> None:
        self._settings = settings
        self._trail = trail
        self._meter = meter
        self._stop = stop
        self._parameters = parameters_of(settings, ANSWER_SCHEMA)
        self._blame = Blame(attempts=settings.llm_attempts)
        self._version = settings.code_version or version("millrace")
        self._runner: asyncio.Runner | None = None
        self._client: ChatClient | None = None
        self._busy = False
        self._closed = False
        self.held_back = False
        """Whether the last batch met a server that is away or asks for less."""

    def process(self, batch: Sequence[Record]) -> Sequence[Result]:
        """A result per document, its error, or what holds it back; every request is in the audit trail by then.

        Raises:
            InsufficientStorage: the audit trail cannot be written.
            Misconfigured: the server refuses everything.
            IntegrityBroken: the audit trail was altered.
        """
        self._runner = self._runner or asyncio.Runner()
        self._busy = True
        try:
            asked = self._runner.run(self._ask(batch))
        finally:
            self._busy = False
            head = self._trail.flush()
        self.held_back = any(isinstance(one, (ServerAway, Overloaded)) for one in asked.outcomes)
        self._meter.processed(batch, asked.outcomes)
        return [self._result(record, one, str(head)) for record, one in zip(batch, asked.outcomes, strict=True)]

    def facts(self) -> Mapping[str, Any]:
        """The model and how it is asked, and what came of the documents so far."""
        return {
            "model": self._parameters.model,
            "model_version": self._meter.model,
            "parameters_sha256": self._parameters.sha256,
            "audit_head": str(self._trail.head),
            **self._meter.facts(),
        }

    def committed(self, ends: Mapping[Place, int]) -> None:
        """Results before these offsets are counted; the trail's anchor follows its head."""
        self._meter.committed(ends)
        self._seal(self._trail.seal_now_and_then)

    def stopping(self) -> None:
        """No further request begins, and those under way get a few seconds."""
        self._stop.set()

    def close(self) -> None:
        """Gives back connections and files, and writes what was counted. Not while `process` runs."""
        self._meter.close()
        if self._busy or self._closed:
            return
        self._closed = True
        if self._runner is not None:
            if self._client is not None:
                self._runner.run(self._client.close())
            self._runner.close()
        self._seal(self._trail.seal)
        self._trail.close()

    def _seal(self, seal: Callable[[], object]) -> None:
        try:
            seal()
        except MillraceError as error:
            # the next batch does not pass a full disk or an altered trail either, and says so
            _log.error("llm.trail_not_anchored error=%s", error)

    async def _ask(self, batch: Sequence[Record]) -> Asked:
        if self._client is None:
            self._client = ChatClient(self._settings, on_exchange=self._exchanged)
        client = self._client

        async def ask(record: Record) -> LlmResult:
            return await analyse(
                client, read_document(record), at=record.coordinates, parameters=self._parameters,
                context=self._settings.llm_context, code_version=self._version,
            )  # fmt: skip

        asked = await ask_all(batch, ask, at_once=self._settings.llm_concurrency, stop=self._stop)
        await self._judge(client, batch, asked)
        return asked

    async def _judge(self, client: ChatClient, batch: Sequence[Record], asked: Asked) -> None:
        """Documents that failed once too often at a server that answers others are given up."""
        for record, outcome in zip(batch, asked.outcomes, strict=True):
            if isinstance(outcome, LlmResult):
                self._blame.done(record.coordinates)
        if not asked.own_failures or self._stop.is_set():
            return
        answers = asked.answered or await self._answers(client)
        for at in asked.own_failures:
            error = asked.outcomes[at]
            if self._blame.failed(batch[at].coordinates, server_answers=answers):
                asked.outcomes[at] = GaveUp(
                    f"given up after {self._settings.llm_attempts} failures at a server that answers others; the last "
                    f"one: {error}",
                    field="document",
                    remedy="raise LLM_TIMEOUT if it is long, look at the server's log, then `millrace dlq replay`",
                )

    async def _answers(self, client: ChatClient) -> bool:
        probe = Parameters(self._parameters.model, 1, ANSWER_SCHEMA, guided=False)
        try:
            await client.complete(_PROBE, probe, about="probe")
        except MillraceError:
            return False
        return True

    def _exchanged(self, exchange: Exchange) -> None:
        self._trail.add(exchange)
        self._meter.exchanged(exchange)

    def _result(self, record: Record, outcome: Outcome | None, head: str) -> Result:
        if isinstance(outcome, MillraceError):
            return outcome
        assert isinstance(outcome, LlmResult)
        headers = [(AUDIT_HEAD, head.encode()), (SCHEMA_VERSION, b"1")]
        # a header that cannot be read has made the document unreadable before
        headers += [(name, value) for name, value in record.raw_headers if name == TRACE_PARENT and value is not None]
        key = record.key or outcome.document_id.encode()
        return (Output(self._settings.topics.llm_results, outcome.to_bytes(), key, tuple(headers)),)
