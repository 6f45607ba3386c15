"""Reads a topic from given offsets without joining a group: what a Kafka sensor needs."""

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Self

from millrace.contracts.errors import CannotReach
from millrace.kafka.clients import reader_config
from millrace.kafka.plan import Watermarks
from millrace.kafka.records import Record, record_of
from millrace.kafka.topic_ids import TopicIds
from millrace.settings import Settings

if TYPE_CHECKING:
    from confluent_kafka import KafkaError

_TIMEOUT_SECONDS = 5.0
_POLL_SECONDS = 0.5
"""A poll is interrupted at once by a signal, but a shorter one also notices the deadline."""
_KEPT_MOST = 8
"""Readers that are kept between two uses; twice what the platform's sensors have."""


class TopicReader:
    """A topic's watermarks and records. Keep one as long as useful, and close it: it holds a connection."""

    def __init__(self, settings: Settings, topic: str) -> None:
        from confluent_kafka import Consumer

        self.topic = topic
        self._settings = settings
        self._ids = TopicIds(settings)
        self._consumer = Consumer(reader_config(settings))

    def topic_id(self) -> str:
        """Kafka's UUID of the topic, asked of the broker.

        Raises:
            CannotReach: the broker does not answer, or there is no such topic.
        """
        return self._ids.current(self.topic, fresh=True)

    def watermarks(self) -> dict[int, Watermarks]:
        """First offset that is still there and the next one to be written, per partition.

        Raises:
            CannotReach: the broker does not answer, or there is no such topic.
        """
        from confluent_kafka import KafkaException, TopicPartition

        try:
            described = self._consumer.list_topics(self.topic, timeout=_TIMEOUT_SECONDS).topics[self.topic]
            if described.error is not None:
                raise self._away(described.error)
            found = {}
            for partition in sorted(described.partitions):
                low, high = self._consumer.get_watermark_offsets(
                    TopicPartition(self.topic, partition), timeout=_TIMEOUT_SECONDS
                )
                found[partition] = Watermarks(low, high)
        except KafkaException as error:
            raise self._away(error.args[0]) from error
        return found

    def read(self, offsets: Mapping[int, int], *, max_records: int, seconds: float) -> list[Record]:
        """Up to `max_records` records from these offsets (partition → next offset), in order per partition.

        Waits at most `seconds` for the first record and comes back as soon as nothing more is at hand. Empty when
        nothing came, and also when the topic was recreated meanwhile: then the next plan starts from its new id.

        Raises:
            CannotReach: the broker does not answer, or an offset is no longer there.
        """
        from confluent_kafka import KafkaException, TopicPartition

        topic_id = self._ids.known(self.topic) or self.topic_id()
        deadline = time.monotonic() + seconds
        found: list[Record] = []
        self._consumer.assign([TopicPartition(self.topic, partition, offset) for partition, offset in offsets.items()])
        try:
            while len(found) < max_records:
                left = deadline - time.monotonic()
                message = self._consumer.poll(0 if found else max(0.0, min(left, _POLL_SECONDS)))
                if message is None:
                    if found or left <= 0:
                        break
                    continue
                problem = message.error()
                if problem is not None:
                    if found:
                        break
                    raise self._away(problem)
                found.append(record_of(message, topic_id=topic_id))
        except KafkaException as error:
            raise self._away(error.args[0]) from error
        finally:
            self._consumer.unassign()
        return found if not found or self.topic_id() == topic_id else []

    def close(self) -> None:
        """Gives the connection back."""
        self._consumer.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _away(self, problem: "KafkaError") -> CannotReach:
        return CannotReach(
            f"topic {self.topic} at {self._settings.bootstrap} cannot be read: {problem.str()}",
            field="KAFKA_BOOTSTRAP",
            remedy="run `millrace status`, then `millrace doctor`; reading goes on where it stopped",
        )


class KeptReaders:
    """Readers for those who read again and again, such as a sensor's ticks: a new one costs its connections each time.

    A reader that met an error is not kept. May be used from any thread; who borrows a reader has it alone.
    """

    def __init__(self) -> None:
        self._idle: dict[tuple[object, ...], TopicReader] = {}
        self._lock = threading.Lock()

    @contextmanager
    def borrow(self, settings: Settings, topic: str) -> Iterator[TopicReader]:
        """A reader of the topic, from an earlier use with the same brokers and credentials if there is one."""
        key = (topic, *sorted(reader_config(settings).items()))
        with self._lock:
            reader = self._idle.pop(key, None)
        with ExitStack() as ends:
            reader = ends.enter_context(reader or TopicReader(settings, topic))
            yield reader
            # no error: it stays open
            ends.pop_all()
        with self._lock:
            # the latest is the last: the first was unused for longest
            spare = [self._idle.pop(key, None)]
            self._idle[key] = reader
            while len(self._idle) > _KEPT_MOST:
                spare.append(self._idle.pop(next(iter(self._idle))))
        for one in spare:
            if one is not None:
                one.close()
