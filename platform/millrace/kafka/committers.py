"""How a batch's outputs and offsets are committed: together in a transaction, or outputs first (at least once)."""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Protocol

from millrace.contracts.errors import CannotReach
from millrace.kafka.clients import ClientConfig, producer_config
from millrace.kafka.fencing import is_fencing, replaced
from millrace.kafka.processor import Output
from millrace.kafka.stream_options import Step, StreamOptions
from millrace.kafka.waiting import Place
from millrace.settings import Settings

if TYPE_CHECKING:
    from confluent_kafka import Consumer, KafkaError

TRANSACTION_TIMEOUT_MS = 10_000
"""After this the broker aborts a transaction whose process is gone; readers of the outputs wait for it that long."""
_CALL_SECONDS = 2.0
"""Longest single call to the broker; a stop is noticed in between."""
_AT_ONCE = 1_000
"""Messages that are given to the client in one call."""
_QUEUED_MOST = 90_000
"""Messages in the client's queue, which holds 100,000, above which no more are given to it at once."""
_log = logging.getLogger(__name__)
_topic, _headers = itemgetter(0), itemgetter(3)

OnStep = Callable[[Step], None]


class MustAbort(Exception):
    """The batch was not committed and may be tried again from the committed offsets; `problem` is the client's."""

    def __init__(self, problem: "KafkaError") -> None:
        super().__init__(problem.str())
        self.problem = problem


class Committer(Protocol):
    """Commits batches one after the other."""

    def open(self, until: float) -> None:
        """Makes ready; `until` is monotonic. Raises CannotReach or Replaced."""

    def send(self, outputs: Sequence[Output], ends: Mapping[Place, int], group: object, until: float) -> None:
        """Outputs are durable. Called on a thread of its own; `group` is the consumer's group metadata.

        Raises MustAbort, CannotReach or Replaced.
        """

    def confirm(self, ends: Mapping[Place, int], consumer: "Consumer") -> None:
        """Next offsets (`ends`) are durable too. Called on the consumer's thread. Raises MustAbort or Replaced."""

    def abort(self, until: float) -> None:
        """Nothing of the batch that failed will be seen. Raises CannotReach or Replaced."""


class _Sender:
    """A producer, the failures of its deliveries, and its errors told apart.

    A delivery report takes the interpreter's lock once a message, which costs more than the message itself: they are
    asked for only where `_watched` says so.
    """

    _watched: bool
    """Whether `_failed` is wanted for the next batch."""

    def __init__(
        self, settings: Settings, options: StreamOptions, *, on_step: OnStep, **extra: str | int | float
    ) -> None:
        from confluent_kafka import Producer

        self._settings = settings
        self._options = options
        self._on_step = on_step
        self._failed: KafkaError | None = None
        self._broken = False
        config: ClientConfig = producer_config(
            settings, linger_ms=5, retry_backoff_max_ms=100, compression_type=options.compression, **extra
        )
        self._config = {**config, "delivery.report.only.error": True}
        self._producer: Producer = Producer(self._config)

    def _delivered(self, problem: "KafkaError | None", _: Any) -> None:
        if problem is not None and self._failed is None:
            self._failed = problem

    def _send(self, outputs: Sequence[Output], until: float) -> None:
        from confluent_kafka import KafkaException

        self._failed = None
        produce = self._producer.produce
        if self._watched:
            produce = partial(produce, on_delivery=self._delivered)
        for topic, value, key, headers in outputs:
            while True:
                try:
                    if headers:
                        produce(topic, value, key, headers=list(headers))
                    else:
                        produce(topic, value, key)
                    break
                except BufferError:
                    self._producer.poll(0.05)
                    self._in_time(until, "the broker takes no messages")
                except KafkaException as error:
                    self._judge(error.args[0])

    def _call(self, what: str, call: Callable[[float], Any], until: float) -> None:
        from confluent_kafka import KafkaException

        while True:
            try:
                call(max(0.1, min(_CALL_SECONDS, until - time.monotonic())))
                return
            except KafkaException as error:
                problem = error.args[0]
                self._judge(problem)
                self._in_time(until, f"{what}: {problem.str()}")

    def _in_time(self, until: float, what: str) -> None:
        if time.monotonic() >= until:
            raise self._away(what)

    def _judge(self, problem: "KafkaError") -> None:
        """Comes back for what is to be called again, and raises for everything else."""
        if is_fencing(problem):
            raise replaced(self._options, problem)
        if problem.txn_requires_abort():
            raise MustAbort(self._failed or problem)
        if not problem.retriable():
            self._broken = True
            raise MustAbort(problem)

    def _away(self, what: str) -> CannotReach:
        return CannotReach(
            f"stream {self._options.member} at {self._settings.bootstrap}: {what}; the last batch is not committed "
            "and is read again at the next start",
            field="KAFKA_BOOTSTRAP",
            remedy="run `millrace status`, then `millrace doctor`, and start the stream again",
        )


class Transactions(_Sender):
    """Exactly once: outputs and offsets are seen together or not at all.

    A commit fails when a message of the transaction was not delivered. Which one and why is asked for when the batch
    is sent again.
    """

    _watched = False

    def __init__(self, settings: Settings, options: StreamOptions, *, on_step: OnStep) -> None:
        super().__init__(
            settings, options, on_step=on_step,
            transactional_id=options.member, transaction_timeout_ms=TRANSACTION_TIMEOUT_MS,
            delivery_timeout_ms=TRANSACTION_TIMEOUT_MS,
            # the broker answers "concurrent transactions" for some ms after a commit: with the default of 100 ms the
            # next transaction waits that long, which costs a factor of thirteen with small transactions
            retry_backoff_ms=2,
        )  # fmt: skip

    def open(self, until: float) -> None:
        """Fences whoever had this slot before, and ends their open transaction."""
        try:
            self._call("the transactions could not be opened", self._producer.init_transactions, until)
        except MustAbort as error:
            raise self._away(f"the transactions could not be opened: {error}") from error

    def send(self, outputs: Sequence[Output], ends: Mapping[Place, int], group: object, until: float) -> None:
        """Outputs and offsets in one transaction."""
        try:
            self._send_whole(outputs, ends, group, until)
        except MustAbort:
            self._watched = True
            raise
        self._watched = False

    def _send_whole(self, outputs: Sequence[Output], ends: Mapping[Place, int], group: object, until: float) -> None:
        from confluent_kafka import KafkaError, KafkaException, TopicPartition

        self._call("no transaction could begin", lambda _: self._producer.begin_transaction(), until)
        if self._watched:
            self._send(outputs, until)
        else:
            self._send_at_once(outputs, until)
        self._on_step(Step.PRODUCED)
        offsets = [TopicPartition(topic, partition, end) for (topic, partition), end in ends.items()]
        seconds = max(0.1, min(_CALL_SECONDS, until - time.monotonic()))
        try:
            self._producer.send_offsets_to_transaction(offsets, group, seconds)
        except KafkaException as error:
            if error.args[0].code() == KafkaError.FENCED_INSTANCE_ID:
                # our consumer joined its group anew after `group` was taken. Of a successor it hears itself
                raise MustAbort(error.args[0]) from error
            # librdkafka 2.16: made again after the coordinator's connection broke, this call never comes back
            self._broken = error.args[0].retriable()
            self._judge(error.args[0])
            raise MustAbort(error.args[0]) from error
        self._on_step(Step.OFFSETS_SENT)
        self._on_step(Step.COMMITTING)
        self._call("the transaction was not committed", self._producer.commit_transaction, until)
        self._on_step(Step.COMMITTED)

    def _send_at_once(self, outputs: Sequence[Output], until: float) -> None:
        """Many messages with one call, which costs a third of a call for each; the client takes no headers that way."""
        for start in range(0, len(outputs), _AT_ONCE):
            some = outputs[start : start + _AT_ONCE]
            topics = set(map(_topic, some))
            if len(topics) > 1 or any(map(_headers, some)):
                self._send(some, until)
                continue
            while len(self._producer) > _QUEUED_MOST:
                self._producer.poll(0.05)
                self._in_time(until, "the broker takes no messages")
            messages: list[dict[str, Any]] = [{"value": value, "key": key} for _, value, key, _ in some]
            if self._producer.produce_batch(topics.pop(), messages) < len(messages):
                problem = next(message["_error"] for message in messages if "_error" in message)
                self._judge(problem)
                raise MustAbort(problem)

    def confirm(self, ends: Mapping[Place, int], consumer: "Consumer") -> None:
        """The offsets were in the transaction."""

    def abort(self, until: float) -> None:
        """Aborts the open transaction; with a producer that is of no more use, by opening the slot anew.

        A restarted broker may not know a transaction that its client holds for open, and the client takes the answer
        for fatal. A new producer of the same name ends what the broker knows of the old one.
        """
        from confluent_kafka import Producer

        if not self._broken:
            try:
                self._call("the transaction was not aborted", self._producer.abort_transaction, until)
            except MustAbort as error:
                self._broken = True
                _log.warning("stream.producer_replaced member=%s error=%s", self._options.member, error)
        if self._broken:
            self._producer.purge()
            self._producer, self._broken = Producer(self._config), False
            self.open(until)


class AtLeastOnce(_Sender):
    """Outputs are acknowledged, then the offsets committed: a crash in between sends the batch again."""

    _watched = True

    def open(self, until: float) -> None:
        """Nothing is to be made ready."""

    def send(self, outputs: Sequence[Output], ends: Mapping[Place, int], group: object, until: float) -> None:
        """Outputs alone."""
        self._send(outputs, until)
        self._on_step(Step.PRODUCED)
        while self._producer.flush(0.5):
            self._in_time(until, "the broker acknowledges no messages")
        if self._failed is not None:
            raise MustAbort(self._failed)

    def confirm(self, ends: Mapping[Place, int], consumer: "Consumer") -> None:
        """The offsets."""
        from confluent_kafka import KafkaError, KafkaException, TopicPartition

        self._on_step(Step.COMMITTING)
        offsets = [TopicPartition(topic, partition, end) for (topic, partition), end in ends.items()]
        try:
            consumer.commit(offsets=offsets, asynchronous=False)
        except KafkaException as error:
            problem: KafkaError = error.args[0]
            if is_fencing(problem):
                raise replaced(self._options, problem) from error
            raise MustAbort(problem) from error
        self._on_step(Step.COMMITTED)

    def abort(self, until: float) -> None:
        """Drops what was not acknowledged yet."""
        self._producer.purge()
        self._producer.flush(0.5)


def committer_of(settings: Settings, options: StreamOptions, *, on_step: OnStep) -> Committer:
    """The committer that the options ask for."""
    if options.guarantee == "exactly_once":
        return Transactions(settings, options, on_step=on_step)
    return AtLeastOnce(settings, options, on_step=on_step)
