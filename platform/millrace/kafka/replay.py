"""Sends dead letters again: each once per target, however often it is asked for and wherever a crash comes."""

import json
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from millrace.contracts.canonical import canonical_json, sha256_json
from millrace.contracts.errors import BadInput, CannotReach
from millrace.contracts.events import now
from millrace.contracts.topics import REPLAY_ID, REPLAYS
from millrace.kafka.clients import producer_config
from millrace.kafka.letters import Letter
from millrace.kafka.snapshot import snapshot
from millrace.kafka.topics import create_topics, describe_topics
from millrace.settings import Settings

if TYPE_CHECKING:
    from confluent_kafka import Producer

_MOST = 100
"""Letters of one transaction."""
_CALL_SECONDS = 15.0
RATE = 100.0
"""Letters a second, if nothing else is said: far below what a topic takes, so that live records are not held up."""
_SLOT = "millrace-dlq-replay"
"""One `transactional.id` for every replay of a cluster: of two at once the older is fenced, and sends nothing more."""


@dataclass(frozen=True)
class Replayed:
    """What a replay did, or with `dry_run` would do: sent, and skipped because it was sent before."""

    matched: int
    sent: int
    skipped: int
    by_target: dict[str, int]
    dry_run: bool


def replay_id(letter: Letter, target: str) -> str:
    """The same for the same message and target."""
    return sha256_json([letter.origin_id, target])


def history(settings: Settings) -> list[dict[str, Any]]:
    """Every replay that was committed, as it was recorded: `id`, `origin_id`, `letter`, `target`, `actor`, `at`.

    Raises:
        CannotReach: the broker does not answer.
    """
    facts = describe_topics(settings, [REPLAYS])
    return [json.loads(record.value) for record in snapshot(settings, facts) if record.value]


def replay(
    settings: Settings,
    letters: Callable[[], Iterable[Letter]],
    *,
    target: str | None = None,
    rate: float = RATE,
    dry_run: bool = False,
    actor: str = "cli",
    batch: int = _MOST,
    on_batch: Callable[[int], None] = lambda _: None,
) -> Replayed:
    """Sends the letters to `target`, or each to the topic it came from, at most `rate` a second.

    A letter and the record that it was sent are one transaction of Kafka: after a crash both are there or neither, and
    the next replay goes on with the rest. `on_batch` hears the number of each batch before it is committed.

    Raises:
        BadInput: a target does not exist, or the rate is not above 0.
        CannotReach: the broker does not answer, or another replay began meanwhile; what was sent is recorded.
    """
    if not rate > 0:
        raise BadInput(f"a rate of {rate} letters a second", field="rate", remedy="give a number above 0")
    producer = None if dry_run else _opened(settings)
    # read after the transactions of the one before were ended: what it committed is seen
    done = {entry["id"] for entry in history(settings)}
    known: set[str] = set()
    matched, sent, by_target, waiting = 0, 0, dict[str, int](), list[tuple[str, Letter, str]]()
    began = time.monotonic()
    for letter, to, name in _wanted(letters(), target):
        matched += 1
        if to not in known:
            _check_target(settings, to)
            known.add(to)
        if name in done:
            continue
        done.add(name)
        by_target[to] = by_target.get(to, 0) + 1
        sent += 1
        if producer is None:
            continue
        waiting.append((name, letter, to))
        if len(waiting) >= max(1, min(batch, int(rate))):
            _send(producer, waiting, actor, on_batch)
            waiting = []
            time.sleep(max(0.0, began + sent / rate - time.monotonic()))
    if producer is not None and waiting:
        _send(producer, waiting, actor, on_batch)
    return Replayed(matched, sent, matched - sent, by_target, dry_run)


def _wanted(letters: Iterable[Letter], target: str | None) -> Iterator[tuple[Letter, str, str]]:
    for letter in letters:
        to = target or letter.topic
        if to == letter.record.coordinates.topic:
            raise BadInput(
                f"letter {letter.place} does not say which topic it came from, or shall go to its own",
                field="to",
                remedy="name another topic with `--to`",
            )
        yield letter, to, replay_id(letter, to)


def _check_target(settings: Settings, target: str) -> None:
    if not describe_topics(settings, [target]):
        raise BadInput(
            f"topic {target} is not there; nothing was sent to it",
            field="to",
            remedy="see `millrace topics list`, or name another topic with `--to`",
        )


def _opened(settings: Settings) -> "Producer":
    from confluent_kafka import KafkaException, Producer

    create_topics(settings, [REPLAYS])
    config = producer_config(
        settings, transactional_id=_SLOT, transaction_timeout_ms=10_000, delivery_timeout_ms=10_000, retry_backoff_ms=2
    )
    producer = Producer(config)
    try:
        producer.init_transactions(_CALL_SECONDS)
    except KafkaException as error:
        raise _stopped(error) from error
    return producer


def _send(
    producer: "Producer", letters: list[tuple[str, Letter, str]], actor: str, on_batch: Callable[[int], None]
) -> None:
    from confluent_kafka import KafkaException

    try:
        producer.begin_transaction()
        for name, letter, to in letters:
            headers = [*letter.headers, (REPLAY_ID, name.encode())]
            producer.produce(to, letter.record.raw_value, letter.record.key, headers=headers)
            entry = {
                "id": name, "origin_id": letter.origin_id, "letter": letter.place, "target": to,
                "actor": actor, "at": now().isoformat(),
            }  # fmt: skip
            producer.produce(REPLAYS, canonical_json(entry).encode(), name)
        producer.flush(_CALL_SECONDS)
        on_batch(len(letters))
        producer.commit_transaction(_CALL_SECONDS)
    except KafkaException as error:
        raise _stopped(error) from error


def _stopped(error: Exception) -> CannotReach:
    return CannotReach(
        f"the replay stopped: {error.args[0].str()}; its last transaction is void, those before are recorded",
        remedy="run the command again: it goes on with what was not sent; only one replay may run at a time",
    )
