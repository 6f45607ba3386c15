"""Kafka as a Dagster resource."""

from contextlib import AbstractContextManager
from functools import cache
from typing import TYPE_CHECKING

from dagster import ConfigurableResource

from millrace import settings

if TYPE_CHECKING:
    from millrace.kafka.dead_letters import DeadLetters
    from millrace.kafka.reader import KeptReaders, TopicReader


class KafkaResource(ConfigurableResource):
    """The brokers that the environment of the tick names. Dagster builds resources anew for every tick of a sensor."""

    def reader(self, topic: str) -> "AbstractContextManager[TopicReader]":
        """A reader of the topic that joins no group; it is kept for the next tick of this process."""
        return _kept_readers().borrow(settings.load(), topic)

    def dead_letters(self) -> "DeadLetters":
        """Where events go that cannot be used."""
        from millrace.kafka.dead_letters import DeadLetters

        return DeadLetters(settings.load())


@cache
def _kept_readers() -> "KeptReaders":
    # made when first asked for: the import of the code location brings no client
    from millrace.kafka.reader import KeptReaders

    return KeptReaders()
