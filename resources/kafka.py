"""Kafka as a Dagster resource."""

from typing import TYPE_CHECKING

from dagster import ConfigurableResource

from millrace import settings

if TYPE_CHECKING:
    from millrace.kafka.dead_letters import DeadLetters
    from millrace.kafka.reader import TopicReader


class KafkaResource(ConfigurableResource):
    """The brokers that the environment of the tick names. Dagster builds resources anew for every tick of a sensor."""

    def reader(self, topic: str) -> "TopicReader":
        """A reader of the topic that joins no group; close it after the tick."""
        from millrace.kafka.reader import TopicReader

        return TopicReader(settings.load(), topic)

    def dead_letters(self) -> "DeadLetters":
        """Where events go that cannot be used."""
        from millrace.kafka.dead_letters import DeadLetters

        return DeadLetters(settings.load())
