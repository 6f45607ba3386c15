"""Configurations of librdkafka's clients, from the settings."""

from millrace.kafka.limits import LARGEST_DEAD_LETTER_BYTES
from millrace.settings import Settings

ClientConfig = dict[str, str | int | float | bool]

_DELIVERY_SECONDS = 30
"""How long a producer tries before it reports a failure; the outbox then tries again."""


def admin_config(settings: Settings) -> ClientConfig:
    """What every client shares: the brokers, their credentials and quick reconnects."""
    config: ClientConfig = {
        "bootstrap.servers": settings.bootstrap,
        "client.id": "millrace",
        # a restarted broker is found again within half a second instead of ten
        "reconnect.backoff.ms": 100,
        "reconnect.backoff.max.ms": 500,
        "socket.keepalive.enable": True,
        # only what is critical: an absent broker is a line per attempt, and callers tell of it in their own words
        "log_level": 2,
    }
    if settings.kafka_api_key is not None and settings.kafka_api_secret is not None:
        config |= {
            "security.protocol": "SASL_SSL",
            "sasl.mechanisms": "PLAIN",
            "sasl.username": settings.kafka_api_key.get_secret_value(),
            "sasl.password": settings.kafka_api_secret.get_secret_value(),
        }
        if settings.kafka_ca is not None:
            config["ssl.ca.location"] = str(settings.kafka_ca)
    return config


def producer_config(settings: Settings, **extra: str | int | float | bool) -> ClientConfig:
    """An idempotent producer: acknowledged by all replicas, in order per partition, duplicates removed.

    Names in `extra` are written with underscores for dots.
    """
    return {
        **admin_config(settings),
        "enable.idempotence": True,
        "acks": "all",
        "linger.ms": 2,
        # payloads are small, and clients that are not ours may lack a codec
        "compression.type": "none",
        "message.max.bytes": LARGEST_DEAD_LETTER_BYTES,
        "delivery.timeout.ms": _DELIVERY_SECONDS * 1000,
        "retry.backoff.ms": 20,
        "retry.backoff.max.ms": 500,
        **_dotted(extra),
    }


def consumer_config(settings: Settings, *, group: str, **extra: str | int | float | bool) -> ClientConfig:
    """A consumer that commits by hand and begins at the oldest event it can have.

    `auto.offset.reset` also serves offsets that a recreated broker does not have: everything is read again, and
    effects are told apart by event id. Names in `extra` are written with underscores for dots.
    """
    return {
        **admin_config(settings),
        "group.id": group,
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "auto.offset.reset": "earliest",
        "isolation.level": "read_committed",
        "enable.partition.eof": False,
        "allow.auto.create.topics": False,
        "session.timeout.ms": 10_000,
        "fetch.wait.max.ms": 100,
        "fetch.error.backoff.ms": 50,
        # once its queue is full the client waits so long before it fetches again: with the default of 1,000 a fast
        # reader empties the queue of 100,000 messages in half of the time, and idles for the other half
        "fetch.queue.backoff.ms": 10,
        "topic.metadata.refresh.interval.ms": 10_000,
        **_dotted(extra),
    }


def reader_config(settings: Settings, **extra: str | int | float | bool) -> ClientConfig:
    """A consumer for `assign()`: no group is joined and no offset is ever committed."""
    config = consumer_config(settings, group="millrace-reader", **extra)
    # offsets that are out of range are the planner's to judge
    return {**config, "auto.offset.reset": "error"} | _dotted(extra)


def _dotted(extra: dict[str, str | int | float | bool]) -> ClientConfig:
    return {name.replace("_", "."): value for name, value in extra.items()}
