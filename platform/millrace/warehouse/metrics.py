"""Prometheus metrics of the outbox, read from the database when they are asked for."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from millrace.warehouse.outbox import backlog
from millrace.warehouse.store import Warehouse

if TYPE_CHECKING:
    from millrace.warehouse.relay import Relay


class OutboxCollector(Collector):
    """Backlog and age of the outbox, and what the relay of this process has sent."""

    def __init__(self, warehouse: Warehouse, relay: "Relay | None" = None) -> None:
        self._warehouse = warehouse
        self._relay = relay

    def collect(self) -> Iterator[Metric]:
        """The metrics as they are now."""
        with self._warehouse.read() as session:
            waiting = backlog(session)
        yield GaugeMetricFamily("millrace_outbox_backlog", "Events written but not sent yet", waiting.count)
        yield GaugeMetricFamily(
            "millrace_outbox_oldest_seconds", "Age of the oldest event not sent yet", waiting.oldest_seconds or 0.0
        )
        if self._relay is not None:
            yield CounterMetricFamily("millrace_outbox_sent", "Events sent by this process", self._relay.sent)

    def describe(self) -> Iterator[Metric]:
        """Nothing: registering must not read the database."""
        return iter(())
