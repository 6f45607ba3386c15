"""The document processor as a plain process: loop, health page, metrics."""

import contextlib
import logging
import threading
import time
from collections.abc import Iterator

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric

from millrace.kafka.stream_loop import StreamLoop
from millrace.kafka.stream_options import Step, Totals
from millrace.kafka.topics import create_topics
from millrace.pages.health import HealthServer, Readiness
from millrace.settings import Settings
from millrace.streams.documents.meter import DocumentMeter
from millrace.streams.documents.step import DocumentStep
from millrace.streams.documents.work import document_options, document_step

_FOLD_SECONDS = 0.5
"""Between two looks at what was committed."""

_log = logging.getLogger(__name__)


def run_documents(
    settings: Settings, *, slot: int = 0, stop: threading.Event, count: int | None = None, timeout: float | None = None
) -> Totals:
    """What was done, when `count` documents are committed, `timeout` seconds are over, or `stop` is set.

    Raises:
        CannotReach: no broker, or the health page's port is taken.
        Misconfigured: the language model's server refuses everything.
        IntegrityBroken: the audit trail was altered.
        Replaced: another process runs with the same slot.
        TooManyDeadLetters: the share of dead letters is above its limit.
    """
    create_topics(settings, settings.topics.for_documents())
    step, meter = document_step(settings, stop=stop)
    readiness = Readiness("broker", "llm")
    readiness.set("broker", True)
    # until a request says otherwise
    readiness.set("llm", True)
    ended = threading.Event()

    def on_step(reached: Step) -> None:
        if reached is Step.PROCESSED:
            readiness.set("llm", not step.held_back)

    try:
        loop = StreamLoop(settings, document_options(settings, slot=slot), step, on_step=on_step)
        registry = CollectorRegistry()
        registry.register(_Collector(loop, meter))
        with _health(settings, slot, registry, readiness), _folding(loop, step, ended):
            return loop.run(count=count, timeout=timeout, stop=stop)
    finally:
        step.close()


@contextlib.contextmanager
def _health(settings: Settings, slot: int, registry: CollectorRegistry, readiness: Readiness) -> Iterator[None]:
    server = HealthServer(
        settings.llm_host, settings.llm_port + slot,
        registry=registry, readiness=readiness, setting="MILLRACE_LLM_PORT",
    )  # fmt: skip
    _log.info("llm.up port=%d url=%s model=%s", server.port, settings.llm_url, settings.llm_model)
    try:
        yield
    finally:
        server.close()


@contextlib.contextmanager
def _folding(loop: StreamLoop, step: DocumentStep, ended: threading.Event) -> Iterator[None]:
    """Counts results as committed while the loop runs, and once after its end."""

    def fold() -> None:
        while not ended.wait(_FOLD_SECONDS):
            step.committed(loop.committed)

    thread = threading.Thread(target=fold, name="fold", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join(timeout=2)
        step.committed(loop.committed)


class _Collector:
    """Figures read when they are asked for."""

    def __init__(self, loop: StreamLoop, meter: DocumentMeter) -> None:
        self._loop = loop
        self._meter = meter

    def describe(self) -> Iterator[Metric]:
        """Nothing: figures are read when asked for, never at registration."""
        return iter(())

    def collect(self) -> Iterator[Metric]:
        """Counters of committed work, requests and tokens; quantiles of seconds since the start."""
        totals, meter = self._loop.totals, self._meter
        counted = (
            ("documents", "Documents committed", "status", meter.results),
            ("requests", "Requests to the language model", "outcome", meter.requests),
            ("errors", "Documents without a result, each try", "error", meter.errors),
            ("tokens", "Tokens of committed results", "kind", meter.tokens),
        )
        for name, sentence, label, counts in counted:
            family = CounterMetricFamily(f"millrace_llm_{name}", sentence, labels=[label])
            for value, count in sorted(dict(counts).items()):
                family.add_metric([value], count)
            yield family
        yield CounterMetricFamily("millrace_llm_dead_letters", "Dead letters committed", value=totals.dead_letters)
        yield CounterMetricFamily("millrace_llm_transactions", "Transactions committed", value=totals.transactions)
        yield CounterMetricFamily("millrace_llm_aborted", "Transactions aborted", value=totals.aborted)
        age = GaugeMetricFamily("millrace_llm_commit_age_seconds", "Since the last commit")
        if self._loop.committed_at is not None:
            age.add_metric([], time.monotonic() - self._loop.committed_at)
        yield age
        seconds = GaugeMetricFamily("millrace_llm_seconds", "Quantiles since the start", labels=["of", "quantile"])
        for of, histogram in (("request", meter.request_seconds), ("document", meter.document_seconds)):
            for share in (0.5, 0.95, 0.99):
                found = histogram.quantile(share)
                if found is not None:
                    seconds.add_metric([of, str(share)], found)
        yield seconds
