"""Reads the topic of scored events for viewers, while there are any, without a group."""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from millrace.contracts.errors import MillraceError
from millrace.contracts.scoring import ScoredEvent
from millrace.kafka.clients import reader_config
from millrace.settings import Settings
from millrace.streams.live.state import WINDOW_SECONDS, LiveState, Seen

if TYPE_CHECKING:
    from confluent_kafka import Consumer, Message

STATUS_SECONDS = 2.0
_IDLE_SECONDS = 60.0
"""Without a viewer for so long, reading ends; the next one begins with the window before its time."""
_CHUNK = 2_000
_PACE_SECONDS = 0.3
"""Between two steps for viewers."""
_CALL_SECONDS = 5.0
_PAUSE_SECONDS = 2.0

_log = logging.getLogger(__name__)


class LiveReader:
    """A state that a thread keeps up to date. `look` begins it, and is to be called as long as someone looks."""

    def __init__(self, settings: Settings, status: Callable[[], Mapping[str, Any]]) -> None:
        self._settings = settings
        self._ask_status = status
        self._lock = threading.Lock()
        self._state = LiveState()
        self._thread: threading.Thread | None = None
        self._stop = threading.Event()
        self._looked = 0.0

    def look(self, known: str | None) -> list[tuple[str, str, dict[str, Any]]]:
        """(id, kind, data) of what a viewer with this id has not seen; see `LiveState.since`."""
        with self._lock:
            self._looked = time.monotonic()
            if self._thread is None or not self._thread.is_alive():
                self._stop.clear()
                self._state = LiveState()
                self._thread = threading.Thread(target=self._run, name="live-reader", daemon=True)
                self._thread.start()
            return self._state.since(known)

    def close(self) -> None:
        """Ends the reading."""
        self._stop.set()
        thread = self._thread
        if thread is not None:
            thread.join(_CALL_SECONDS * 2)

    def _run(self) -> None:
        from confluent_kafka import Consumer, KafkaException

        while self._wanted():
            consumer = Consumer(reader_config(self._settings))
            try:
                self._read(consumer)
            except (KafkaException, MillraceError) as error:
                _log.warning("live.trouble error=%s", error)
                self._take([], status={"trouble": str(error)})
                self._stop.wait(_PAUSE_SECONDS)
            finally:
                consumer.close()

    def _wanted(self) -> bool:
        with self._lock:
            wanted = not self._stop.is_set() and time.monotonic() - self._looked < _IDLE_SECONDS
            if not wanted:
                # under the lock, so that a viewer who comes now begins another thread
                self._thread = None
        return wanted

    def _read(self, consumer: "Consumer") -> None:
        _assign(consumer, self._settings.topics.events_scored)
        asked = -STATUS_SECONDS
        while self._wanted():
            began = time.monotonic()
            seen = [one for one in map(_seen, consumer.consume(_CHUNK, _PACE_SECONDS)) if one is not None]
            status = None
            if began - asked >= STATUS_SECONDS:
                asked, status = began, self._status()
            self._take(seen, status=status)
            if len(seen) < _CHUNK:
                self._stop.wait(max(0.0, _PACE_SECONDS - (time.monotonic() - began)))

    def _status(self) -> Mapping[str, Any]:
        try:
            return self._ask_status()
        except MillraceError as error:
            return {"trouble": str(error)}

    def _take(self, seen: list[Seen], *, status: Mapping[str, Any] | None) -> None:
        with self._lock:
            self._state.add(seen, status=status)


def _assign(consumer: "Consumer", topic: str) -> None:
    """Every partition from the beginning of the window on."""
    from confluent_kafka import OFFSET_END, TopicPartition

    described = consumer.list_topics(topic, timeout=_CALL_SECONDS).topics[topic]
    since = int((time.time() - WINDOW_SECONDS) * 1000)
    wanted = [TopicPartition(topic, partition, since) for partition in described.partitions]
    places = consumer.offsets_for_times(wanted, timeout=_CALL_SECONDS) if wanted else []
    for place in places:
        if place.offset < 0:
            place.offset = OFFSET_END
    consumer.assign(places)


def _seen(message: "Message") -> Seen | None:
    if message.error() is not None:
        return None
    try:
        event = ScoredEvent.model_validate_json(message.value() or b"")
        happened = datetime.fromisoformat(event.ts)
    except (ValidationError, ValueError):
        # the sinks make dead letters of these
        return None
    at = message.timestamp()[1] / 1000
    moment = happened.replace(tzinfo=UTC) if happened.tzinfo is None else happened
    return Seen(
        at, max(0.0, at - moment.timestamp()), event.event_id, event.user_id, event.channel, event.text,
        event.sentiment, event.sentiment_score, event.ai_model,
    )  # fmt: skip
