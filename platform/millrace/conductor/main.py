"""`python -m millrace.conductor.main`: the conductor with the outbox relay, its clock and its health page."""

import logging
import signal
import sys
import threading

from millrace.conductor.control import DagsterRunControl
from millrace.conductor.metrics import Metrics
from millrace.conductor.service import Conductor
from millrace.conductor.sweep import Sweep
from millrace.conductor.threads import Threads, every
from millrace.conductor.webhooks import Webhooks
from millrace.contracts.errors import CannotReach, MillraceError, TransientError
from millrace.kafka.consumer import ConsumerLoop
from millrace.kafka.records import Record
from millrace.kafka.topics import create_topics, list_topics
from millrace.pages.health import HealthServer, Readiness
from millrace.settings import Settings, load
from millrace.warehouse.relay import Relay
from millrace.warehouse.store import Warehouse, open_warehouse

GROUP = "millrace-conductor"
SWEEP_SECONDS = 1.0
WEBHOOK_SECONDS = 1.0
_LOOK_SECONDS = 3.0
"""How long a broker may take to answer the first question."""

log = logging.getLogger(__name__)


def main() -> int:
    """Works until a signal ends it; the exit code."""
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    # one line per request to Dagster would drown the events
    logging.getLogger("httpx").setLevel(logging.WARNING)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    try:
        return serve(load(), stop)
    except MillraceError as error:
        log.error("conductor.refused field=%s error=%s", error.field, error)
        return error.exit_code


def serve(settings: Settings, stop: threading.Event) -> int:
    """Works until `stop` is set; the exit code.

    Raises:
        CannotReach: the port of the health page is taken.
    """
    warehouse = _opened(settings, stop)
    if warehouse is None:
        return 0
    metrics, readiness = Metrics(warehouse), Readiness("warehouse", "broker")
    readiness.set("warehouse", True)
    health = HealthServer(
        "127.0.0.1", settings.conductor_port,
        registry=metrics.registry, readiness=readiness, setting="MILLRACE_CONDUCTOR_PORT",
    )  # fmt: skip
    conductor, runs = Conductor(warehouse, settings), DagsterRunControl(settings.dagster_url)
    webhooks = Webhooks(warehouse, settings)
    sweep = Sweep(conductor, warehouse, runs)

    def swept() -> None:
        sweep.once()
        metrics.sweeps.inc()

    threads = Threads(stop)
    threads.start("relay", Relay(warehouse, settings).run)
    threads.start("consumer", lambda stop: _consume(settings, conductor, metrics, readiness, stop))
    threads.start("sweep", every(SWEEP_SECONDS, swept))
    threads.start("webhooks", every(WEBHOOK_SECONDS, webhooks.once))
    log.info("conductor.up port=%d bootstrap=%s dagster=%s", health.port, settings.bootstrap, settings.dagster_url)
    stop.wait()
    left = threads.join()
    health.close()
    webhooks.close()
    runs.close()
    warehouse.engine.dispose()
    log.info("conductor.down failed=%s left=%s", threads.failed, ",".join(left) or None)
    return 1 if threads.failed else 0


def _opened(settings: Settings, stop: threading.Event) -> Warehouse | None:
    while not stop.is_set():
        try:
            return open_warehouse(settings, migrate=True)
        except CannotReach as error:
            log.warning("conductor.waiting part=warehouse error=%r", error.message)
            stop.wait(1.0)
    return None


def _consume(
    settings: Settings, conductor: Conductor, metrics: Metrics, readiness: Readiness, stop: threading.Event
) -> None:
    # a stop does not wait for what is to be made on a broker that is away
    list_topics(settings, timeout=_LOOK_SECONDS)
    created = create_topics(settings)
    if created:
        log.info("conductor.topics_created topics=%s", ",".join(created))

    def handle(record: Record) -> None:
        result = "refused"
        try:
            result = conductor.on_event(record)
        except TransientError:
            result = "waiting"
            raise
        finally:
            metrics.events.labels(record.coordinates.topic, result).inc()

    readiness.set("broker", True)
    try:
        ConsumerLoop(settings, group=GROUP, topics=settings.topics.for_conductor(), handler=handle).run(stop)
    finally:
        readiness.set("broker", False)


if __name__ == "__main__":
    sys.exit(main())
