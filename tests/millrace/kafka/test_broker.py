import socket

import psutil
import pytest
from confluent_kafka import Producer

from millrace.kafka.broker import plan_broker
from millrace.kafka.broker_files import BrokerPlan, properties_text
from millrace.kafka.clients import producer_config
from millrace.kafka.reader import TopicReader
from millrace.kafka.topics import create_topics, describe_topics

pytestmark = pytest.mark.broker


def test_every_listener_is_on_loopback(tmp_path):
    lines = properties_text(BrokerPlan(tmp_path, 1001, 1002)).splitlines()
    listeners = next(line for line in lines if line.startswith("listeners="))
    assert listeners == "listeners=PLAINTEXT://127.0.0.1:1001,CONTROLLER://127.0.0.1:1002"
    assert "auto.create.topics.enable=false" in lines


def test_settings_reach_the_broker(make_settings, tmp_path):
    settings = make_settings(tmp_path, MILLRACE_KAFKA_HEAP="300m", MILLRACE_TOPIC_RETENTION_HOURS=5)
    plan = plan_broker(settings)
    assert (plan.port, plan.heap) == (settings.kafka_port, "300m")
    assert "log.retention.hours=5" in properties_text(plan)


def test_what_was_acknowledged_survives_a_kill_and_a_wiped_broker_has_new_topic_ids(broker_factory):
    broker = broker_factory().start().wait_ready()
    settings = broker.settings
    create_topics(settings, ["kept"])
    before = describe_topics(settings, ["kept"])
    producer = Producer(producer_config(settings))
    for number in range(100):
        producer.produce("kept", str(number).encode(), partition=0)
    assert producer.flush(20) == 0

    broker.kill()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", settings.kafka_port), timeout=1)
    broker.start().wait_ready()
    assert describe_topics(settings, ["kept"]) == before
    with TopicReader(settings, "kept") as reader:
        found = reader.read({0: 0}, max_records=200, seconds=20)
        found += reader.read({0: len(found)}, max_records=200, seconds=1) if len(found) < 100 else []
    assert [record.value for record in found] == [str(number).encode() for number in range(100)]

    broker.stop()
    broker.wipe()
    broker.start().wait_ready()
    assert describe_topics(settings, ["kept"]) == []
    create_topics(settings, ["kept"])
    assert describe_topics(settings, ["kept"])[0].topic_id != before[0].topic_id


def test_it_listens_on_loopback_only_and_stays_small(broker_factory):
    broker = broker_factory().start().wait_ready()
    process = psutil.Process(broker.pid)
    listening = {
        one.laddr.ip.removeprefix("::ffff:") for one in process.net_connections("tcp") if one.status == "LISTEN"
    }
    assert listening == {"127.0.0.1"}
    assert process.memory_info().rss < 500e6
