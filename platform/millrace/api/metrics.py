"""Prometheus metrics of the API."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

REGISTRY = CollectorRegistry()
REQUESTS = Counter(
    "millrace_http_requests", "Requests served, by route template", ["method", "route", "status"], registry=REGISTRY
)
REQUEST_SECONDS = Histogram(
    "millrace_http_request_seconds", "Time to serve a request", ["method", "route"], registry=REGISTRY
)
UPLOADED_BYTES = Counter("millrace_uploaded_bytes", "Bytes of uploads that were stored", registry=REGISTRY)
OUTBOX_BACKLOG = Gauge("millrace_outbox_backlog", "Events written but not sent yet", registry=REGISTRY)
OUTBOX_OLDEST = Gauge("millrace_outbox_oldest_seconds", "Age of the oldest event not sent yet", registry=REGISTRY)
PIPELINES = Gauge("millrace_pipelines", "Pipelines by state", ["state"], registry=REGISTRY)

CONTENT_TYPE = CONTENT_TYPE_LATEST


def exposition() -> bytes:
    """All metrics in Prometheus' text format."""
    return generate_latest(REGISTRY)
