"""Topic ids as a consumer needs them: looked up once, and again before they can be stale."""

import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from millrace.contracts.errors import CannotReach
from millrace.kafka.clients import admin_config
from millrace.kafka.topics import describe_topics
from millrace.settings import Settings

if TYPE_CHECKING:
    from confluent_kafka.admin import AdminClient

MAX_AGE_SECONDS = 5.0
"""A recreated topic is noticed within about this time of its first record, or at once when its offsets begin anew."""


@dataclass
class _Known:
    topic_id: str
    looked_at: float


class TopicIds:
    """The ids of topics by name."""

    def __init__(self, settings: Settings, *, max_age: float = MAX_AGE_SECONDS) -> None:
        self._settings = settings
        self._max_age = max_age
        self._known: dict[str, _Known] = {}
        self._used: set[str] = set()
        self._failed_at = -math.inf
        self._admin: AdminClient | None = None

    def known(self, topic: str) -> str | None:
        """The id last seen, however old; None when the topic was never looked up."""
        entry = self._known.get(topic)
        return entry.topic_id if entry else None

    def used(self, topic: str) -> None:
        """Says that records were taken for those of the id that is known."""
        self._used.add(topic)

    def unsure(self) -> list[str]:
        """Topics whose id was used since it was looked up, and is older than the limit.

        A topic recreated since then shows nothing of it where no further record comes. Empty for as long as the limit
        after a look that failed: each takes seconds where no broker answers.
        """
        if time.monotonic() - self._failed_at < self._max_age:
            return []
        return [topic for topic in self._used if self._stale(topic)]

    def current(self, topic: str, *, fresh: bool = False) -> str:
        """The topic's id; asked of the broker when `fresh`, or when what is known is older than the limit.

        Raises:
            CannotReach: the broker does not answer, or there is no such topic.
        """
        entry = self._known.get(topic)
        if entry is not None and not fresh and not self._stale(topic):
            return entry.topic_id
        try:
            found = describe_topics(self._settings, [topic], admin=self._connected(), timeout=5.0)
            if not found:
                raise CannotReach(f"topic {topic} is not there", remedy="run `millrace topics create`")
        except CannotReach:
            self._failed_at = time.monotonic()
            raise
        self._known[topic] = _Known(found[0].topic_id, time.monotonic())
        self._used.discard(topic)
        return found[0].topic_id

    def _stale(self, topic: str) -> bool:
        entry = self._known.get(topic)
        return entry is None or time.monotonic() - entry.looked_at >= self._max_age

    def _connected(self) -> "AdminClient":
        from confluent_kafka.admin import AdminClient

        if self._admin is None:
            self._admin = AdminClient(admin_config(self._settings))
        return self._admin
