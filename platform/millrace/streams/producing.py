"""Messages to a topic at a steady rate, each acknowledged."""

import itertools
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from millrace.contracts.errors import BadInput, CannotReach
from millrace.kafka.clients import producer_config
from millrace.settings import Settings

if TYPE_CHECKING:
    from confluent_kafka import KafkaError

_FLUSH_SECONDS = 30.0


class Message(Protocol):
    """What is sent; `bad` is counted apart."""

    @property
    def key(self) -> str:
        """Key of the message."""
        ...

    @property
    def value(self) -> bytes:
        """Payload."""
        ...

    @property
    def bad(self) -> str | None:
        """What is wrong with it, None for a good one."""
        ...


@dataclass
class Produced:
    """What was sent and acknowledged."""

    good: int = 0
    bad: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def count(self) -> int:
        """Messages in all."""
        return self.good + sum(self.bad.values())


def produce(
    settings: Settings,
    topic: str,
    messages: Iterable[Message],
    *,
    rate: float | None = None,
    count: int | None = None,
    stop: threading.Event | None = None,
    on_progress: Callable[[Produced], None] = lambda _: None,
) -> Produced:
    """Sends `count` messages (all without), at most `rate` a second, until `stop` is set; gives what was acknowledged.

    Raises:
        BadInput: a number cannot be.
        CannotReach: a message was not acknowledged.
    """
    from confluent_kafka import Producer

    if (rate is not None and rate <= 0) or (count is not None and count < 0):
        raise BadInput(f"rate {rate}, count {count}", field="rate", remedy="give a rate above 0 and a count from 0")
    failed: list[KafkaError] = []

    def delivered(problem: "KafkaError | None", _: Any) -> None:
        if problem is not None:
            failed.append(problem)

    producer = Producer({**producer_config(settings, linger_ms=20), "delivery.report.only.error": True})
    done, began, stop = Produced(), time.monotonic(), stop or threading.Event()
    for number, message in enumerate(itertools.islice(messages, count)):
        if rate is not None:
            wait = began + number / rate - time.monotonic()
            if wait > 0:
                producer.poll(0)
                stop.wait(wait)
        if stop.is_set() or failed:
            break
        _send(producer, topic, message, delivered)
        if message.bad is None:
            done.good += 1
        else:
            done.bad[message.bad] = done.bad.get(message.bad, 0) + 1
        if number % 100 == 0:
            producer.poll(0)
            done.seconds = time.monotonic() - began
            on_progress(done)
    left = producer.flush(_FLUSH_SECONDS)
    done.seconds = time.monotonic() - began
    if failed or left:
        why = failed[0].str() if failed else f"no answer within {_FLUSH_SECONDS:.0f} s"
        raise CannotReach(
            f"{len(failed) + left} of {done.count} messages were not taken by {topic} at {settings.bootstrap}: {why}",
            field="KAFKA_BOOTSTRAP",
            remedy="run `millrace status`, and `millrace topics create` where the topic is missing",
        )
    return done


def _send(producer: Any, topic: str, message: Message, delivered: Any) -> None:
    while True:
        try:
            producer.produce(topic, message.value, message.key, on_delivery=delivered)
            return
        except BufferError:
            producer.poll(0.1)
