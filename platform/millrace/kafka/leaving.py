"""How a consumer leaves its group."""

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from confluent_kafka import Consumer

_SETTLE_SECONDS = 0.2
"""For what the group has on its way when the subscription ends."""


def leave(consumer: "Consumer") -> None:
    """Ends the subscription, serves what was on its way, and closes.

    An assignment that arrives while librdkafka 2.16 closes is never answered: the callback waits for it for ever and
    holds the interpreter's lock, which stops every other thread of the process.
    """
    consumer.unsubscribe()
    until = time.monotonic() + _SETTLE_SECONDS
    while (left := until - time.monotonic()) > 0:
        consumer.poll(left)
    consumer.close()
