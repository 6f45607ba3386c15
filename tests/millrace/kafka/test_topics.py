import pytest
from confluent_kafka.admin import AdminClient, ConfigResource

from millrace.contracts.errors import CannotReach
from millrace.kafka.clients import admin_config
from millrace.kafka.topics import create_topics, describe_topics, list_topics

pytestmark = pytest.mark.broker


def _configuration(settings, name):
    resource = ConfigResource(ConfigResource.Type.TOPIC, name)
    admin = AdminClient(admin_config(settings))
    (future,) = admin.describe_configs([resource]).values()
    return {key: entry.value for key, entry in future.result().items()}


def test_creating_the_chains_topics_twice_creates_them_once(broker_settings, wait_for):
    # what others make on this broker meanwhile is not this chain's
    own = {name: f"{value}-own" for name, value in broker_settings if name.endswith("_topic")}
    settings = broker_settings.model_copy(update=own)
    names = set(settings.topics.all())
    assert set(create_topics(settings)) == names
    wait_for(lambda: names <= {one.name for one in list_topics(settings)})
    before = [one for one in list_topics(settings) if one.name in names]
    assert {one.partitions for one in before} == {settings.partitions}
    assert create_topics(settings) == []
    assert [one for one in list_topics(settings) if one.name in names] == before


def test_only_missing_topics_are_created_and_named(broker_settings, make_topic):
    there = make_topic()
    assert create_topics(broker_settings, [there, f"{there}-new"]) == [f"{there}-new"]


def test_a_dead_letter_is_kept_longer_and_may_be_larger_than_its_message(broker_settings, make_topic):
    name = make_topic()
    events, dead = _configuration(broker_settings, name), _configuration(broker_settings, f"{name}.dlq")
    assert int(events["retention.ms"]) == broker_settings.retention_hours * 3_600_000
    assert int(dead["retention.ms"]) > int(events["retention.ms"])
    assert int(dead["max.message.bytes"]) > int(events["max.message.bytes"]) > 2_000_000


def test_the_chains_events_are_on_the_disk_before_they_are_acknowledged(broker_settings):
    create_topics(broker_settings)
    assert _configuration(broker_settings, broker_settings.topics.bias_trigger)["flush.messages"] == "1"


def test_a_topic_that_is_not_there_is_left_out_of_a_description(broker_settings, make_topic, wait_for):
    name = make_topic()
    # the broker hears of a new topic a little after the controller has made it
    wait_for(lambda: describe_topics(broker_settings, [name]))
    assert [one.name for one in describe_topics(broker_settings, [name, "no-such-topic"])] == [name]


def test_an_absent_broker_is_an_error_that_names_it(make_settings, tmp_path, monkeypatch):
    monkeypatch.setattr("millrace.kafka.topics._TIMEOUT_SECONDS", 1.0)
    settings = make_settings(tmp_path)
    with pytest.raises(CannotReach, match=settings.bootstrap):
        create_topics(settings)
