from prometheus_client import CollectorRegistry

from millrace.contracts.events import XaiTrigger
from millrace.warehouse.metrics import OutboxCollector
from millrace.warehouse.outbox import enqueue
from millrace.warehouse.relay import Relay


def test_the_backlog_and_its_age_are_shown(light_warehouse, light_settings) -> None:
    registry = CollectorRegistry()
    registry.register(OutboxCollector(light_warehouse, Relay(light_warehouse, light_settings)))
    assert registry.get_sample_value("millrace_outbox_backlog") == 0
    with light_warehouse.transaction() as session:
        event = XaiTrigger.write(user_id="a", dataset_id="d", model_id="d", version="v1", level="expert")
        enqueue(session, light_warehouse.topics, event)

    assert registry.get_sample_value("millrace_outbox_backlog") == 1
    assert (registry.get_sample_value("millrace_outbox_oldest_seconds") or -1) >= 0
    assert registry.get_sample_value("millrace_outbox_sent_total") == 0
