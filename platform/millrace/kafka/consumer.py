"""The loop of our own consumers: one record at a time, in order, committed when its effect is made."""

import logging
import math
import threading
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from millrace.contracts.errors import CannotReach, TerminalError, TransientError
from millrace.kafka.clients import consumer_config
from millrace.kafka.dead_letters import DeadLetters
from millrace.kafka.leaving import leave
from millrace.kafka.records import Record, record_of
from millrace.kafka.topic_ids import TopicIds
from millrace.kafka.waiting import Place, Waiting, pause_seconds, place_of
from millrace.settings import Settings

if TYPE_CHECKING:
    from confluent_kafka import Consumer, KafkaError, Message

_POLL_SECONDS = 0.5
"""Longest wait for a record: a stop is noticed within this time."""
_COMMIT_SECONDS = 1.0
"""Longest time between an effect and its commit while records keep coming; a crash repeats at most these."""
_TELL_AGAIN_SECONDS = 30.0
"""The client reports an absent broker ten times a second; one line says it."""

_log = logging.getLogger(__name__)


class ConsumerLoop:
    """Hands each record to `handler`, in order per partition, until told to stop.

    A handler that returns has made its effect: the offset is committed. One that raises TransientError is called
    again later with the same record, and only its partition waits. One that raises TerminalError sends the record to
    the dead-letter topic, and the loop goes on. Anything else ends the loop with that exception and nothing committed
    for the record. Records may come twice (a crash before the commit, a recreated broker): effects must be idempotent.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        group: str,
        topics: Sequence[str],
        handler: Callable[[Record], None],
        member: str | None = None,
        dead_letters: DeadLetters | None = None,
        first_pause: float = 0.5,
    ) -> None:
        self._settings = settings
        self._group = group
        self._topics = list(topics)
        self._handler = handler
        self._member = member
        self._dead_letters = dead_letters or DeadLetters(settings)
        self._first_pause = first_pause
        self._ids = TopicIds(settings)
        self._waiting: dict[Place, Waiting] = {}
        self._last: dict[Place, int] = {}
        self._dirty = False
        self._committed_at = 0.0
        self._told: dict[str, float] = {}
        self.handled = 0
        self.dead_lettered = 0

    @property
    def waiting(self) -> int:
        """Records whose handler met a transient failure and which hold up their partitions."""
        return len(self._waiting)

    def run(self, stop: threading.Event) -> None:
        """Works until `stop` is set, then commits what was done and leaves the group.

        Raises:
            CannotReach: the group no longer wants this member; a new process can join.
        """
        from confluent_kafka import Consumer

        extra = {"group_instance_id": self._member} if self._member else {}
        config = consumer_config(self._settings, group=self._group, **extra)
        consumer = Consumer({**config, "error_cb": self._on_error})
        consumer.subscribe(self._topics, on_assign=self._on_assign, on_revoke=self._on_revoke, on_lost=self._on_lost)
        _log.info("kafka.consuming group=%s topics=%s", self._group, ",".join(self._topics))
        try:
            while not stop.is_set():
                self._retry_due(consumer)
                message = consumer.poll(self._poll_seconds())
                if message is None:
                    self._look_again(consumer)
                else:
                    self._take(consumer, message)
                if self._dirty and (message is None or time.monotonic() - self._committed_at > _COMMIT_SECONDS):
                    self._commit(consumer)
            self._commit(consumer)
        finally:
            leave(consumer)
            self._forget()
            _log.info("kafka.left group=%s handled=%d dead_lettered=%d", self._group, self.handled, self.dead_lettered)

    def _take(self, consumer: "Consumer", message: "Message") -> None:
        problem = message.error()
        if problem is not None:
            self._on_error(problem)
            if problem.fatal():
                raise CannotReach(f"group {self._group}: {problem.str()}", remedy="start the process again")
            return
        place, offset = (message.topic(), message.partition()), message.offset()
        before = self._ids.known(place[0])
        try:
            topic_id = self._ids.current(place[0], fresh=offset <= self._last.get(place, -1))
        except TransientError as error:
            _log.warning("kafka.topic_id_unknown topic=%s error=%s", place[0], error.message)
            self._rewind(consumer, place, offset)
            return
        if before is not None and before != topic_id:
            self._reread(consumer, place[0], before, topic_id)
            return
        self._last[place] = offset
        self._ids.used(place[0])
        self._work(consumer, record_of(message, topic_id=topic_id), tries=0)

    def _look_again(self, consumer: "Consumer") -> None:
        for topic in self._ids.unsure():
            before = self._ids.known(topic)
            try:
                topic_id = self._ids.current(topic)
            except TransientError as error:
                _log.info("kafka.topic_id_unknown topic=%s error=%s", topic, error.message)
                return
            if before is not None and before != topic_id:
                self._reread(consumer, topic, before, topic_id)

    def _work(self, consumer: "Consumer", record: Record, *, tries: int) -> None:
        from confluent_kafka import TopicPartition

        place = place_of(record)
        try:
            self._effect(record, attempt=tries + 1)
        except TransientError as error:
            pause = pause_seconds(tries + 1, first=self._first_pause)
            self._waiting[place] = Waiting(record, tries + 1, time.monotonic() + pause)
            consumer.pause([TopicPartition(*place)])
            _log.warning(
                "kafka.waiting topic=%s partition=%d offset=%d tries=%d pause_s=%.1f error=%s",
                *place, record.coordinates.offset, tries + 1, pause, error.message,
            )  # fmt: skip
            return
        consumer.store_offsets(offsets=[TopicPartition(*place, record.coordinates.offset + 1)])
        self._dirty = True
        if self._waiting.pop(place, None) is not None:
            consumer.resume([TopicPartition(*place)])

    def _effect(self, record: Record, *, attempt: int) -> None:
        try:
            self._handler(record)
        except TerminalError as error:
            self._dead_letters.send(record, stage=self._group, error=error, attempt=attempt)
            self.dead_lettered += 1
            _log.warning("kafka.dead_lettered at=%s error=%s message=%s", record.coordinates, error.code, error.message)
        else:
            self.handled += 1

    def _retry_due(self, consumer: "Consumer") -> None:
        now = time.monotonic()
        for entry in [entry for entry in self._waiting.values() if entry.due <= now]:
            self._work(consumer, entry.record, tries=entry.tries)

    def _poll_seconds(self) -> float:
        if not self._waiting:
            return _POLL_SECONDS
        soonest = min(entry.due for entry in self._waiting.values()) - time.monotonic()
        return max(0.01, min(_POLL_SECONDS, soonest))

    def _commit(self, consumer: "Consumer") -> None:
        from confluent_kafka import KafkaError, KafkaException

        self._committed_at = time.monotonic()
        try:
            consumer.commit(asynchronous=False)
        except KafkaException as error:
            if error.args[0].code() != KafkaError._NO_OFFSET:
                # what is not committed is read again, and its effect told apart by event id
                _log.warning("kafka.commit_failed group=%s error=%s", self._group, error.args[0].str())
                return
        self._dirty = False

    def _rewind(self, consumer: "Consumer", place: Place, offset: int) -> None:
        from confluent_kafka import TopicPartition

        consumer.seek(TopicPartition(*place, offset))
        time.sleep(_POLL_SECONDS)

    def _reread(self, consumer: "Consumer", topic: str, before: str, topic_id: str) -> None:
        from confluent_kafka import OFFSET_BEGINNING, TopicPartition

        _log.warning("kafka.topic_recreated topic=%s old_id=%s new_id=%s", topic, before, topic_id)
        mine = [one for one in consumer.assignment() if one.topic == topic]
        for one in mine:
            self._waiting.pop((topic, one.partition), None)
            self._last.pop((topic, one.partition), None)
            consumer.seek(TopicPartition(topic, one.partition, OFFSET_BEGINNING))
        consumer.resume(mine)

    def _on_assign(self, consumer: "Consumer", partitions: list[Any]) -> None:
        self._forget([(one.topic, one.partition) for one in partitions])
        _log.info("kafka.assigned group=%s partitions=%d", self._group, len(partitions))

    def _on_revoke(self, consumer: "Consumer", partitions: list[Any]) -> None:
        if self._dirty:
            self._commit(consumer)
        self._forget([(one.topic, one.partition) for one in partitions])

    def _on_lost(self, consumer: "Consumer", partitions: list[Any]) -> None:
        self._forget([(one.topic, one.partition) for one in partitions])

    def _forget(self, places: Sequence[Place] | None = None) -> None:
        for place in list(self._last) if places is None else places:
            self._waiting.pop(place, None)
            self._last.pop(place, None)

    def _on_error(self, problem: "KafkaError") -> None:
        now = time.monotonic()
        if now - self._told.get(problem.name(), -math.inf) < _TELL_AGAIN_SECONDS:
            return
        self._told[problem.name()] = now
        _log.warning("kafka.trouble group=%s error=%s message=%s", self._group, problem.name(), problem.str())
