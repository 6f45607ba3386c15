"""The process of the sinks: reads the scored events from where each sink wants them, and settles at a steady pace."""

import logging
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import ValidationError

from millrace.contracts.errors import BadInput, CannotReach
from millrace.contracts.scoring import ScoredEvent
from millrace.kafka.clients import reader_config
from millrace.kafka.dead_letters import DeadLetters
from millrace.kafka.records import Record, record_of
from millrace.kafka.topic_ids import TopicIds
from millrace.settings import Settings
from millrace.streams.sinks.sink import Row, Sink

if TYPE_CHECKING:
    from confluent_kafka import Consumer

SETTLE_SECONDS = 1.0
"""Between two appends to a CSV file: each costs two writes to the disk."""
_CHUNK = 2_000
_WAIT_SECONDS = 0.2
_CALL_SECONDS = 5.0

_log = logging.getLogger(__name__)


@dataclass
class Sunk:
    """What was read: rows that went to the sinks, and messages that are no scored events."""

    rows: int = 0
    rejected: int = 0


def run_sinks(
    settings: Settings,
    sinks: Sequence[Sink],
    *,
    stop: threading.Event,
    until_end: bool = False,
    settle_seconds: float = SETTLE_SECONDS,
) -> Sunk:
    """Runs until `stop` is set, or with `until_end` until all that was in the topic at the start is settled.

    Raises:
        CannotReach: the broker does not answer at the start, or a message of the topic was removed under way.
    """
    from confluent_kafka import Consumer, KafkaException

    topic = settings.topics.events_scored
    consumer = Consumer(reader_config(settings, enable_partition_eof=True))
    try:
        topic_id = TopicIds(settings).current(topic, fresh=True)
        reading = _Reading(settings, consumer, topic, topic_id, sinks)
        reading.begin()
        settled = time.monotonic()
        while not stop.is_set() and not (until_end and reading.at_end):
            reading.turn()
            if time.monotonic() - settled >= settle_seconds:
                reading.settle(whole=False)
                settled = time.monotonic()
        reading.settle(whole=True)
    except KafkaException as error:
        raise CannotReach(
            f"{topic} at {settings.bootstrap} cannot be read: {error.args[0].str()}",
            field="KAFKA_BOOTSTRAP",
            remedy="run `millrace status`, then `millrace doctor`; the sinks go on where they stopped",
        ) from error
    finally:
        consumer.close()
    return reading.sunk


class _Reading:
    def __init__(
        self, settings: Settings, consumer: "Consumer", topic: str, topic_id: str, sinks: Sequence[Sink]
    ) -> None:
        self._consumer = consumer
        self._topic = topic
        self._topic_id = topic_id
        self._sinks = sinks
        self._letters = DeadLetters(settings)
        self._open: set[int] = set()
        self.sunk = Sunk()

    @property
    def at_end(self) -> bool:
        """Whether every partition was read to its end at least once."""
        return not self._open

    def begin(self) -> None:
        from confluent_kafka import TopicPartition

        wanted = [sink.positions(self._topic_id) for sink in self._sinks]
        places = []
        for partition in self._consumer.list_topics(self._topic, timeout=_CALL_SECONDS).topics[self._topic].partitions:
            low, _ = self._consumer.get_watermark_offsets(TopicPartition(self._topic, partition), timeout=_CALL_SECONDS)
            # what retention has removed is gone for the sinks too
            start = max(low, min((positions.get(partition, 0) for positions in wanted), default=0))
            places.append(TopicPartition(self._topic, partition, start))
        self._open = {place.partition for place in places}
        self._consumer.assign(places)

    def turn(self) -> None:
        from confluent_kafka import KafkaError

        rows: list[Row] = []
        ends: dict[int, int] = {}
        for message in self._consumer.consume(_CHUNK, _WAIT_SECONDS):
            problem = message.error()
            if problem is None:
                row = self._row(record_of(message, topic_id=self._topic_id))
                rows += [] if row is None else [row]
                ends[message.partition()] = message.offset() + 1
            elif problem.code() == KafkaError._PARTITION_EOF:
                self._open.discard(message.partition())
            else:
                _log.warning("sink.trouble topic=%s error=%s", self._topic, problem.str())
        if ends:
            for sink in self._sinks:
                sink.take(rows, ends)
            self.sunk.rows += len(rows)

    def settle(self, *, whole: bool) -> None:
        for sink in self._sinks:
            sink.settle(whole=whole)

    def _row(self, record: Record) -> Row | None:
        at = record.coordinates
        try:
            event = ScoredEvent.model_validate_json(record.value)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False, include_context=False)[0]
            field = ".".join(str(part) for part in first["loc"]) or "payload"
            problem = BadInput(f"scored event: {field}: {first['msg']}", field=field)
            self._letters.send(record, stage="sink", error=problem)
            self.sunk.rejected += 1
            return None
        return Row(
            at.partition, at.offset, event.event_id, event.ts, event.user_id, event.channel, event.lang, event.text,
            event.sentiment, event.sentiment_score, event.ai_model, event.ai_ts, event.model_version,
        )  # fmt: skip
