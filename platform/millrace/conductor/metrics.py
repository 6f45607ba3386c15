"""What the conductor counts, in Prometheus' terms."""

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Counter
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from sqlalchemy import func, select

from millrace.conductor.states import STATES
from millrace.contracts.errors import CannotReach
from millrace.warehouse.outbox import backlog
from millrace.warehouse.schema import Pipeline
from millrace.warehouse.store import Warehouse


class Metrics:
    """The registry of a conductor process."""

    def __init__(self, warehouse: Warehouse) -> None:
        self.registry = CollectorRegistry()
        self.events = Counter(
            "millrace_conductor_events",
            "Events taken in, by topic and result: acted, ignored, duplicate, refused, waiting",
            ["topic", "result"],
            registry=self.registry,
        )
        self.sweeps = Counter("millrace_conductor_sweeps", "Looks at what waits for the clock", registry=self.registry)
        self.registry.register(_WarehouseCollector(warehouse))


class _WarehouseCollector:
    """Figures read from the warehouse when they are asked for."""

    def __init__(self, warehouse: Warehouse) -> None:
        self._warehouse = warehouse

    def describe(self) -> Iterator[Metric]:
        """Nothing: figures are read when asked for, never at registration."""
        return iter(())

    def collect(self) -> Iterator[Metric]:
        """Pipelines by state and the outbox; nothing while the warehouse does not answer."""
        try:
            with self._warehouse.read() as session:
                by_state = dict(
                    session.execute(select(Pipeline.state, func.count()).group_by(Pipeline.state)).tuples().all()
                )
                unsent = backlog(session)
        except CannotReach:
            return
        pipelines = GaugeMetricFamily("millrace_conductor_pipelines", "Pipelines by state", labels=["state"])
        for state in STATES:
            pipelines.add_metric([state], by_state.get(state, 0))
        yield pipelines
        yield GaugeMetricFamily("millrace_relay_backlog_events", "Events that wait to be sent", value=unsent.count)
        yield GaugeMetricFamily(
            "millrace_relay_backlog_seconds", "Age of the oldest event that waits", value=unsent.oldest_seconds or 0.0
        )
