"""A stream's consumer and the records that were read and not processed yet."""

import logging
import time
from collections.abc import Callable, Container
from typing import TYPE_CHECKING, Any

from millrace.contracts.errors import CannotReach, TransientError
from millrace.kafka.clients import consumer_config
from millrace.kafka.fencing import is_fencing, replaced
from millrace.kafka.jobs import Job, fresh_job
from millrace.kafka.leaving import leave
from millrace.kafka.records import MessageRecord, Record
from millrace.kafka.stream_options import StreamOptions
from millrace.kafka.topic_ids import TopicIds
from millrace.kafka.waiting import Place, place_of
from millrace.settings import Settings

if TYPE_CHECKING:
    from confluent_kafka import Consumer, KafkaError, Message

_CHUNK = 1_000
"""Messages that are taken from the client at once."""
_CALL_SECONDS = 5.0

_log = logging.getLogger(__name__)


class Intake:
    """Reads ahead up to the limits; `on_change` is called when partitions came or went and what was read is void."""

    def __init__(
        self,
        settings: Settings,
        options: StreamOptions,
        *,
        on_change: Callable[[], None],
        on_error: "Callable[[KafkaError], None]",
    ) -> None:
        from confluent_kafka import Consumer

        self._options = options
        self._on_change = on_change
        self._on_error = on_error
        self._ids = TopicIds(settings)
        config = consumer_config(settings, group=options.group, group_instance_id=options.member)
        callbacks: dict[str, Any] = {"error_cb": on_error}
        self.consumer: Consumer = Consumer({**config, **callbacks})
        self._records: list[Record] = []
        self._ends: dict[Place, int] = {}
        self._bytes = 0
        self._since: float | None = None
        self._paused = False
        self._held: set[Place] = set()
        self._next: dict[Place, int] = {}

    def __len__(self) -> int:
        return len(self._records)

    @property
    def full(self) -> bool:
        """Whether a whole transaction's records are at hand."""
        return len(self._records) >= self._options.batch_records or self._bytes >= self._options.batch_bytes

    @property
    def waited(self) -> float:
        """Seconds since the first of the records at hand was read; 0 without one."""
        return 0.0 if self._since is None else time.monotonic() - self._since

    def subscribe(self) -> None:
        """Joins the group."""
        self.consumer.subscribe(
            list(self._options.topics), on_assign=self._assigned, on_revoke=self._revoked, on_lost=self._revoked
        )

    def read(self, *, most: int, seconds: float) -> None:
        """Reads up to `most` records, waiting at most so long for the first of a transaction and for the rest of one.

        Raises:
            CannotReach: the group wants this member no more.
            Replaced: another process has this one's slot.
        """
        most = min(most, _CHUNK, self._options.batch_records - len(self._records))
        if self._since is None:
            # poll comes back with the first record, consume only with the last or when the time is over
            first = self.consumer.poll(seconds)
            if first is None:
                for topic in self._ids.unsure():
                    self._topic_id(topic)
            else:
                self._take([first])
        elif most > 0:
            self._take(self.consumer.consume(most, seconds))

    def stand_still(self, seconds: float) -> None:
        """Serves the group without reading: partitions are paused until `go_on`."""
        if not self._paused:
            # this throws away what the client has fetched: callers wait first
            self.consumer.pause(self.consumer.assignment())
            self._paused = True
        self._take([message for message in [self.consumer.poll(seconds)] if message is not None])

    def go_on(self) -> None:
        """Reads again after `stand_still`."""
        if self._paused:
            self.consumer.resume(self._places(but=self._held))
            self._paused = False

    def hold(self, places: Container[Place]) -> None:
        """Reads none of these partitions, and all others, from now on."""
        held = {place for place in map(_place, self.consumer.assignment()) if place in places}
        if held == self._held:
            return
        freed, self._held = self._held - held, held
        if not self._paused:
            self.consumer.pause([one for one in self.consumer.assignment() if _place(one) in held])
            self.consumer.resume([one for one in self.consumer.assignment() if _place(one) in freed])

    def take(self, *, but: Container[Place] = ()) -> Job | None:
        """A job of the records at hand, without those of the places in `but`, which stay; None when there is none."""
        records, ends = self._records, self._ends
        if not but:
            self.clear()
            return fresh_job(records, ends) if records else None
        stay = [record for record in records if place_of(record) in but]
        go = [record for record in records if place_of(record) not in but]
        self._records = stay
        self._ends = {place: end for place, end in ends.items() if place in but}
        self._bytes = sum(len(record.value) for record in stay)
        self._since = None
        return fresh_job(go, {place: end for place, end in ends.items() if place not in but}) if go else None

    def clear(self) -> None:
        """Forgets what was read and not taken."""
        self._records, self._ends, self._bytes, self._since = [], {}, 0, None

    def rewind(self) -> None:
        """Reads on from the committed offsets.

        Raises:
            KafkaException: the broker does not say them.
        """
        from confluent_kafka import OFFSET_BEGINNING

        self.clear()
        self._next = {}
        self.go_on()
        self.hold(())
        places = self.consumer.assignment()
        if not places:
            return
        for place in self.consumer.committed(places, timeout=_CALL_SECONDS):
            if place.offset < 0:
                place.offset = OFFSET_BEGINNING
            self.consumer.seek(place)

    def _take(self, messages: "list[Message]") -> None:
        good = [message for message in messages if message.error() is None]
        if len(good) < len(messages):
            for problem in (message.error() for message in messages):
                if problem is not None:
                    self._judge(problem)
        if not good:
            return
        if self._since is None:
            self._since = time.monotonic()
        names = {message.topic() for message in good}
        one_place = len(names) == 1 and len({message.partition() for message in good}) == 1
        # each partition's messages come in order: where there is one, the first and the last tell
        went_back = {message.topic() for message in (good[:1] if one_place else good)
                     if message.offset() < self._next.get((message.topic(), message.partition()), 0)}  # fmt: skip
        ids = {name: found for name in names if (found := self._topic_id(name, fresh=name in went_back)) is not None}
        if len(ids) < len(names):
            return
        for name in names:
            self._ids.used(name)
        if len(names) == 1:
            (topic_id,) = ids.values()
            self._records.extend([MessageRecord(message, topic_id) for message in good])
        else:
            self._records.extend([MessageRecord(message, ids[message.topic()]) for message in good])
        told = good[-1:] if one_place else good
        ends = {(message.topic(), message.partition()): message.offset() + 1 for message in told}
        self._ends.update(ends)
        self._next.update(ends)
        self._bytes += sum(map(len, good))

    def _topic_id(self, topic: str, *, fresh: bool = False) -> str | None:
        """The topic's id; None when it was recreated meanwhile, and is read from its beginning."""
        from confluent_kafka import OFFSET_BEGINNING, TopicPartition

        before = self._ids.known(topic)
        try:
            found = self._ids.current(topic, fresh=fresh)
        except TransientError:
            if before is None:
                raise
            return before
        if before in (None, found):
            return found
        _log.warning("stream.topic_recreated topic=%s old_id=%s new_id=%s", topic, before, found)
        for one in self.consumer.assignment():
            if one.topic == topic:
                self.consumer.seek(TopicPartition(topic, one.partition, OFFSET_BEGINNING))
        self._next = {}
        self._void()
        return None

    def _judge(self, problem: "KafkaError") -> None:
        if is_fencing(problem):
            raise replaced(self._options, problem)
        if problem.fatal():
            raise CannotReach(
                f"group {self._options.group} wants {self._options.member} no more: {problem.str()}",
                remedy="start the stream again; it goes on from the last commit",
            )
        self._on_error(problem)

    def close(self) -> None:
        """Leaves the group and reads no more."""
        leave(self.consumer)

    def _assigned(self, consumer: "Consumer", places: list[Any]) -> None:
        # a partition that this member had before keeps its pause
        consumer.assign(places)
        consumer.resume(places)
        self._paused, self._held = False, set()
        self._void()

    def _revoked(self, consumer: "Consumer", places: list[Any]) -> None:
        self._void()

    def _places(self, *, but: Container[Place]) -> list[Any]:
        return [one for one in self.consumer.assignment() if _place(one) not in but]

    def _void(self) -> None:
        self.clear()
        self._on_change()


def _place(partition: Any) -> Place:
    return partition.topic, partition.partition
