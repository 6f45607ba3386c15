"""Creates and describes topics."""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from millrace.contracts.errors import CannotReach
from millrace.contracts.topics import DEAD_LETTER_SUFFIX, REPLAYS
from millrace.kafka.clients import admin_config
from millrace.kafka.limits import LARGEST_DEAD_LETTER_BYTES, LARGEST_MESSAGE_BYTES
from millrace.kafka.secure import explain
from millrace.settings import Settings

if TYPE_CHECKING:
    from confluent_kafka.admin import AdminClient

_TIMEOUT_SECONDS = 15.0
_LOOK_AGAIN_SECONDS = 0.05
_HOUR_MS = 3_600_000
_DEAD_LETTER_RETENTION_FACTOR = 4
"""A dead letter outlives its topic's events: someone has to find the time to look at it."""


@dataclass(frozen=True)
class TopicFacts:
    """A topic as the broker knows it. `topic_id` is Kafka's UUID: a recreated topic has another one."""

    name: str
    topic_id: str
    partitions: int


def create_topics(settings: Settings, names: Iterable[str] | None = None) -> list[str]:
    """Creates the named topics (default: every topic with its dead letters) that are not there.

    Gives the names that were created; topics that exist are left as they are.

    Raises:
        CannotReach: the broker does not answer or refuses.
    """
    from confluent_kafka import KafkaError, KafkaException
    from confluent_kafka.admin import NewTopic

    wanted = sorted(set(settings.topics.all() if names is None else names))
    admin = _admin(settings)
    there = set(_names(settings, admin, timeout=_TIMEOUT_SECONDS))
    missing = [name for name in wanted if name not in there]
    if not missing:
        return []
    new = [
        NewTopic(name, num_partitions=settings.partitions, replication_factor=-1, config=_config(settings, name))
        for name in missing
    ]
    created = []
    for name, future in admin.create_topics(new, request_timeout=_TIMEOUT_SECONDS).items():
        try:
            future.result()
        except KafkaException as error:
            if error.args[0].code() == KafkaError.TOPIC_ALREADY_EXISTS:
                continue
            raise _unreachable(settings, f"topic {name} could not be created: {error.args[0].str()}") from error
        created.append(name)
    _wait_for(settings, created, admin)
    return sorted(created)


def list_topics(
    settings: Settings, *, admin: "AdminClient | None" = None, timeout: float = _TIMEOUT_SECONDS
) -> list[TopicFacts]:
    """Every topic but Kafka's own, by name.

    Raises:
        CannotReach: the broker does not answer.
    """
    admin = admin or _admin(settings)
    return describe_topics(settings, _names(settings, admin, timeout=timeout), admin=admin)


def describe_topics(
    settings: Settings, names: Sequence[str], *, admin: "AdminClient | None" = None, timeout: float = _TIMEOUT_SECONDS
) -> list[TopicFacts]:
    """The named topics that exist, by name; `timeout` is in seconds.

    Raises:
        CannotReach: the broker does not answer.
    """
    from confluent_kafka import KafkaError, KafkaException, TopicCollection

    if not names:
        return []
    admin = admin or _admin(settings)
    found = []
    futures = admin.describe_topics(TopicCollection(list(names)), request_timeout=timeout)
    for name, future in futures.items():
        try:
            description = future.result()
        except KafkaException as error:
            if error.args[0].code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
                continue
            raise _unreachable(settings, f"topic {name} cannot be described: {error.args[0].str()}") from error
        found.append(TopicFacts(name, str(description.topic_id), len(description.partitions)))
    return sorted(found, key=lambda facts: facts.name)


def _wait_for(settings: Settings, names: Sequence[str], admin: "AdminClient") -> None:
    # the controller says that a topic is made a moment before the broker knows it: who used it at once was refused
    deadline = time.monotonic() + _TIMEOUT_SECONDS
    while len(describe_topics(settings, names, admin=admin)) < len(names):
        if time.monotonic() >= deadline:
            raise _unreachable(settings, f"it does not know topics that were made: {', '.join(names)}")
        time.sleep(_LOOK_AGAIN_SECONDS)


def _names(settings: Settings, admin: "AdminClient", *, timeout: float) -> list[str]:
    from confluent_kafka import KafkaException

    try:
        return [name for name in admin.list_topics(timeout=timeout).topics if not name.startswith("__")]
    except KafkaException as error:
        why = explain(settings) if settings.mode == "KAFKA" else None
        raise why or _unreachable(settings, "the broker does not answer") from error


def _admin(settings: Settings) -> "AdminClient":
    from confluent_kafka.admin import AdminClient

    return AdminClient(admin_config(settings))


def _config(settings: Settings, name: str) -> dict[str, str]:
    if name == REPLAYS:
        # a replay is recorded once under its id: compaction removes none, and without it the broker would forget them
        return {"cleanup.policy": "compact", "compression.type": "producer"}
    dead = name.endswith(DEAD_LETTER_SUFFIX)
    hours = settings.retention_hours * (_DEAD_LETTER_RETENTION_FACTOR if dead else 1)
    # our own broker is a single replica, and the outbox forgets what was acknowledged: each batch goes to the disk
    durable = {"flush.messages": "1"} if settings.mode == "LOCAL_SIM" and name in settings.topics.chain() else {}
    return {
        **durable,
        "retention.ms": str(hours * _HOUR_MS),
        "max.message.bytes": str(LARGEST_DEAD_LETTER_BYTES if dead else LARGEST_MESSAGE_BYTES),
        # documents are long texts, and whoever sends them may not compress
        "compression.type": "gzip" if name in settings.topics.for_documents() else "producer",
    }


def _unreachable(settings: Settings, what: str) -> CannotReach:
    return CannotReach(
        f"{what} ({settings.bootstrap})",
        field="KAFKA_BOOTSTRAP",
        remedy="run `millrace status`, then `millrace doctor`",
    )
