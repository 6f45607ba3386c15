"""Rows of the outbox on their way to the broker: what may be sent now, what arrived, what has to wait."""

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal

from millrace.kafka.clients import producer_config
from millrace.settings import Settings

if TYPE_CHECKING:
    from confluent_kafka import KafkaError, Message

log = logging.getLogger(__name__)

FIRST_BACKOFF_SECONDS: Final = 1.0
MAX_BACKOFF_SECONDS: Final = 30.0
SILENCE_SECONDS: Final = 1.0
"""After so long without an answer the cluster may be another one; no broker begins anew in less."""
METADATA_SECONDS: Final = 2.0
"""How long that question may take."""


@dataclass(frozen=True)
class Pending:
    """A row of the outbox."""

    id: int
    event_id: str
    topic: str
    key: str
    value: bytes
    headers: dict[str, str]


@dataclass(frozen=True)
class Delivered:
    """A row that the broker has, and where."""

    id: int
    partition: int
    offset: int


@dataclass
class _Refused:
    """A key of which a row was refused."""

    tries: int = 0
    until: float = 0.0
    suspect: bool = False
    """It was refused with others of the same request: its next row goes alone."""


@dataclass
class Sender:
    """A producer and the keys that it is busy with.

    The rows of one key that are on their way at the same time belong to one topic, so to one partition, whose order an
    idempotent producer keeps. A key whose row was refused is left in peace for a while, and the others go on. A broker
    may refuse a request as a whole: every key in it is suspected then, and a suspect's next row goes alone.

    A producer belongs to one cluster. One that begins anew, empty, hands out producer ids from the start again, and
    takes rows of an old producer for repetitions of another's: they are answered for, and nowhere. So the cluster's
    name is asked for before the first rows after a silence, and what is said to be there already is sent again.
    """

    settings: Settings
    delivered: list[Delivered] = field(default_factory=list)
    """Rows that arrived and are not marked yet; who marks them empties it before sending more."""
    _in_flight: dict[str, set[int]] = field(default_factory=dict)
    _refused: dict[str, _Refused] = field(default_factory=dict)
    _probe: str = ""
    """Key of the suspect whose row is on its way alone."""
    _producer: Any = None
    _broken: str = ""
    """Why the producer can send no more."""
    _doubted: bool = False
    """A row was said to be there already, which is no proof."""
    _cluster: str = ""
    """Name of the producer's cluster; empty until it has been asked for."""
    _heard: float = 0.0
    """When the cluster answered last, by the monotonic clock."""

    def warm(self) -> None:
        """Connects before the first event, which would pay a second for it."""
        self._ensure_producer()
        self._serve("poll", 0)

    def busy_keys(self) -> list[str]:
        """Keys of which nothing may be sent now."""
        at = time.monotonic()
        return [*self._in_flight, *(key for key, refused in self._refused.items() if refused.until > at)]

    def in_flight(self) -> int:
        """Rows that the broker has not answered for yet."""
        return sum(map(len, self._in_flight.values()))

    def send(self, rows: Sequence[Pending]) -> int:
        """Sends what can be sent of the rows, which are in order and of keys that are not busy; gives their number."""
        if not rows or not self._knows_cluster():
            return 0
        suspect = next((row for row in rows if row.key in self._refused and self._refused[row.key].suspect), None)
        if suspect is not None:
            # the road is cleared first, which takes milliseconds; then it shows whether this row is the one
            if self._in_flight:
                return 0
            self._probe = suspect.key
            return int(self._produce(suspect))
        sent = 0
        topics: dict[str, str] = {}
        for row in rows:
            # behind a row of another topic, or one that could not be handed over, the rest of the key waits
            if topics.setdefault(row.key, row.topic) != row.topic:
                topics[row.key] = ""
            elif self._produce(row):
                sent += 1
            else:
                topics[row.key] = ""
        return sent

    def poll(self, seconds: float) -> None:
        """Waits for answers of the broker, up to that long, and takes them in."""
        self._serve("poll", seconds)
        if self._broken:
            # it answers for none of its rows any more, and does not say which one it was
            for key in list(self._in_flight):
                self._refuse(key, self._broken, with_others=key != self._probe)
        if self._broken or self._doubted:
            self.abandon()

    def flush(self, seconds: float) -> None:
        """Waits until everything is answered, up to that long."""
        self._serve("flush", seconds)

    def abandon(self) -> None:
        """Forgets what is on its way; it is not marked as sent, so it is sent again, under the same event ids."""
        if self._producer is not None:
            self._producer.purge(in_flight=True, blocking=False)
            self._serve("flush", 1.0)
        self._producer, self._broken, self._probe, self._doubted, self._cluster = None, "", "", False, ""
        self._in_flight.clear()

    def _knows_cluster(self) -> bool:
        """Whether the cluster that will get the next rows is there; a producer of another one is replaced first."""
        from confluent_kafka import KafkaException

        if self._in_flight or (self._cluster and time.monotonic() - self._heard < SILENCE_SECONDS):
            return True
        try:
            cluster = self._ensure_producer().list_topics(timeout=METADATA_SECONDS).cluster_id
        except KafkaException as error:
            log.info("relay.broker_away reason=%s", error.args[0].str())
            return False
        if self._cluster not in ("", cluster):
            log.warning("relay.cluster_recreated old=%s new=%s", self._cluster, cluster)
            self.abandon()
        self._cluster, self._heard = cluster, time.monotonic()
        return True

    def _produce(self, row: Pending) -> bool:
        from confluent_kafka import KafkaException

        headers = [(name, value.encode()) for name, value in row.headers.items()]
        self._in_flight.setdefault(row.key, set()).add(row.id)
        try:
            self._ensure_producer().produce(
                row.topic,
                key=row.key.encode(),
                value=row.value,
                headers=headers,
                on_delivery=lambda error, message: self._answered(row, error, message),
            )
        except KafkaException as error:
            self._answered(row, error.args[0], None)
            return False
        except BufferError:
            self._free(row)
            return False
        return True

    def _ensure_producer(self) -> Any:
        if self._producer is None:
            from confluent_kafka import Producer

            self._producer = Producer(_config(self.settings), logger=log)
        return self._producer

    def _answered(self, row: Pending, error: "KafkaError | None", message: "Message | None") -> None:
        from confluent_kafka import KafkaError

        alone = row.key == self._probe
        self._free(row)
        if error is None:
            assert message is not None
            self._heard = time.monotonic()
            partition, offset = message.partition(), message.offset()
            if partition is None or offset is None:
                self._doubted = True
                log.warning("relay.doubted event_id=%s topic=%s", row.event_id, row.topic)
                return
            self._refused.pop(row.key, None)
            self.delivered.append(Delivered(row.id, partition, offset))
            return
        if error.fatal() or error.code() in (KafkaError._GAPLESS_GUARANTEE, KafkaError._FATAL):
            self._broken = error.str()
            self._refuse(row.key, self._broken, with_others=not alone)
        elif error.code() not in (KafkaError._PURGE_QUEUE, KafkaError._PURGE_INFLIGHT):
            self._refuse(row.key, error.str(), with_others=False)

    def _serve(self, what: Literal["poll", "flush"], seconds: float) -> None:
        from confluent_kafka import KafkaException

        if self._producer is None:
            return
        try:
            getattr(self._producer, what)(seconds)
        except KafkaException as error:
            # raised here once a producer is beyond repair
            self._broken = error.args[0].str()

    def _refuse(self, key: str, reason: str, *, with_others: bool) -> None:
        refused = self._refused.setdefault(key, _Refused())
        if with_others:
            refused.suspect = True
            return
        if refused.until > time.monotonic():
            # another row of the key, refused at the same moment
            return
        refused.tries += 1
        wait = min(FIRST_BACKOFF_SECONDS * 2 ** (refused.tries - 1), MAX_BACKOFF_SECONDS)
        refused.until = time.monotonic() + wait
        log.warning("relay.refused key=%s tries=%d wait=%.0f reason=%s", key, refused.tries, wait, reason)

    def _free(self, row: Pending) -> None:
        ids = self._in_flight.get(row.key)
        if ids is not None:
            ids.discard(row.id)
            if not ids:
                del self._in_flight[row.key]
        if row.key == self._probe and row.key not in self._in_flight:
            self._probe = ""


def _config(settings: Settings) -> dict[str, Any]:
    return {
        **producer_config(settings),
        # 0: a broker that is away for hours delays events and fails none. Nothing is lost by waiting: the rows stay
        # unsent in the database until the broker has answered
        "delivery.timeout.ms": 0,
        # a message that can never arrive makes the producer fail instead of sending the ones behind it
        "enable.gapless.guarantee": True,
        "linger.ms": 1,
    }
