"""Dead letters: the raw bytes of what could not be processed, with headers that tell where and why."""

from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from millrace.contracts import topics as names
from millrace.contracts.errors import CannotReach, MillraceError
from millrace.contracts.topics import dead_letter_topic
from millrace.kafka.clients import producer_config
from millrace.kafka.records import Headers, Record
from millrace.settings import Settings

if TYPE_CHECKING:
    from confluent_kafka import Producer

_LONGEST_MESSAGE = 2_000
"""Characters of an error's message; what a person needs, and far below what the topic's size limit leaves."""
_SEND_SECONDS = 10.0


@dataclass(frozen=True)
class DeadLetter:
    """What is sent to a dead-letter topic. Key, value and the first headers are the original's, untouched."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: Headers


def build_dead_letter(
    record: Record, *, stage: str, error: BaseException, attempt: int, code_version: str
) -> DeadLetter:
    """The dead letter of a record that `stage` could not process at its `attempt`th try."""
    at = record.coordinates
    code = error.code if isinstance(error, MillraceError) else type(error).__name__
    story = {
        names.DLQ_TOPIC: at.topic,
        names.DLQ_PARTITION: str(at.partition),
        names.DLQ_OFFSET: str(at.offset),
        names.DLQ_TIMESTAMP: str(record.timestamp_ms),
        names.DLQ_STAGE: stage,
        names.DLQ_ERROR: code,
        names.DLQ_MESSAGE: str(error)[:_LONGEST_MESSAGE],
        names.DLQ_ATTEMPT: str(attempt),
        names.DLQ_CODE_VERSION: code_version,
    }
    told = tuple((name, value.encode("utf-8", "replace")) for name, value in story.items())
    return DeadLetter(dead_letter_topic(at.topic), record.key, record.raw_value, record.raw_headers + told)


class DeadLetters:
    """Sends dead letters; a letter is sent when the broker has acknowledged it."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._code_version = settings.code_version or version("millrace")
        self._producer: Producer | None = None

    def send(self, record: Record, *, stage: str, error: BaseException, attempt: int = 1) -> DeadLetter:
        """The letter, acknowledged by the broker.

        Raises:
            CannotReach: it was not acknowledged; the record must not be passed over.
        """
        from confluent_kafka import KafkaException

        letter = build_dead_letter(record, stage=stage, error=error, attempt=attempt, code_version=self._code_version)
        failures: list[Any] = []
        acknowledged: list[Any] = []

        def delivered(problem: Any, message: Any) -> None:
            if problem is None and message.offset() is None:
                # a broker that began anew takes it for what another producer wrote, and keeps nothing
                failures.append("it is said to be there already")
            else:
                (failures if problem is not None else acknowledged).append(problem or message)

        producer = self._connected()
        try:
            producer.produce(
                letter.topic, value=letter.value, key=letter.key, headers=list(letter.headers), on_delivery=delivered
            )
            producer.flush(_SEND_SECONDS)
        except (BufferError, KafkaException) as problem:
            failures.append(problem)
        if not acknowledged:
            # what is not acknowledged yet must not arrive later, beside the letter of the next try
            producer.purge()
            producer.flush(0)
            self._producer = None
            why = f": {failures[0]}" if failures else f" within {_SEND_SECONDS:.0f} s"
            raise CannotReach(
                f"the dead letter of {record.coordinates} was not taken by {letter.topic}{why}",
                remedy="run `millrace topics create` for a missing topic, `millrace status` for a broker that is away",
            )
        return letter

    def _connected(self) -> "Producer":
        from confluent_kafka import Producer

        if self._producer is None:
            self._producer = Producer(producer_config(self._settings, delivery_timeout_ms=9_000))
        return self._producer
