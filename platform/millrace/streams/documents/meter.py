"""What a process of the document processor has done: for metrics, checkpoints and the statistics' windows."""

import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from millrace.contracts.documents import LlmResult
from millrace.contracts.errors import MillraceError
from millrace.kafka.records import Record
from millrace.kafka.waiting import Place, place_of
from millrace.streams.documents.chat import Exchange
from millrace.streams.documents.histogram import Histogram
from millrace.streams.documents.statistics_store import StatisticsStore

_MOST_PENDING = 100_000
"""Results that wait for their commit are at most as many as are in flight; this bounds what lost partitions leave."""


class DocumentMeter:
    """Counts requests at once, and results when their offsets are committed. May be used from any thread."""

    def __init__(self, store: StatisticsStore) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._pending: dict[tuple[Place, int], LlmResult] = {}
        self.model = ""
        self.requests: Counter[str] = Counter()
        """By outcome: completion, or an error's code."""
        self.results: Counter[str] = Counter()
        """Committed, by status."""
        self.errors: Counter[str] = Counter()
        """Outcomes that are no result, by code; a document that is tried again counts again."""
        self.tokens: Counter[str] = Counter()
        self.request_seconds = Histogram()
        self.document_seconds = Histogram()

    def exchanged(self, exchange: Exchange) -> None:
        """A request ended."""
        with self._lock:
            self.requests[exchange.outcome] += 1
            self.request_seconds.add(exchange.seconds)

    def processed(self, batch: Sequence[Record], outcomes: Sequence[LlmResult | MillraceError | None]) -> None:
        """A batch has its outcomes; nothing of it is committed yet."""
        with self._lock:
            for record, outcome in zip(batch, outcomes, strict=True):
                if isinstance(outcome, MillraceError):
                    self.errors[outcome.code] += 1
                elif outcome is not None:
                    # the same document once more, after a rewind, replaces its earlier result
                    self._pending[place_of(record), record.coordinates.offset] = outcome
                    self.model = outcome.model
            while len(self._pending) > _MOST_PENDING:
                del self._pending[next(iter(self._pending))]

    def committed(self, ends: Mapping[Place, int]) -> None:
        """The results before these offsets are seen by readers."""
        with self._lock:
            done = [key for key in self._pending if key[1] < ends.get(key[0], 0)]
            results = [self._pending.pop(key) for key in done]
            for result in results:
                self.results[result.status] += 1
                self.tokens["prompt"] += result.prompt_tokens or 0
                self.tokens["completion"] += result.completion_tokens or 0
                self.document_seconds.add(result.processing_time)
            self._store.add(results)

    def facts(self) -> dict[str, Any]:
        """For a checkpoint: counts of committed results by status, tokens, and a document's seconds."""
        with self._lock:
            return {
                **{f"results_{status}": count for status, count in sorted(self.results.items())},
                **{f"{name}_tokens": count for name, count in sorted(self.tokens.items())},
                "document_p50_seconds": round(self.document_seconds.quantile(0.5) or 0.0, 4),
                "document_p95_seconds": round(self.document_seconds.quantile(0.95) or 0.0, 4),
            }

    def close(self) -> None:
        """Writes what was counted."""
        with self._lock:
            self._store.write()
