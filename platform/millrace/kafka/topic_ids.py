"""Topic ids as a consumer needs them: looked up once, and again before they can be stale."""

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
        self._admin: AdminClient | None = None

    def known(self, topic: str) -> str | None:
        """The id last seen, however old; None when the topic was never looked up."""
        entry = self._known.get(topic)
        return entry.topic_id if entry else None

    def stale(self, topic: str) -> bool:
        """Whether what is known is older than the limit, or nothing is."""
        entry = self._known.get(topic)
        return entry is None or time.monotonic() - entry.looked_at >= self._max_age

    def current(self, topic: str, *, fresh: bool = False) -> str:
        """The topic's id; asked of the broker when `fresh`, or when what is known is older than the limit.

        Raises:
            CannotReach: the broker does not answer, or there is no such topic.
        """
        entry = self._known.get(topic)
        if entry is not None and not fresh and not self.stale(topic):
            return entry.topic_id
        found = describe_topics(self._settings, [topic], admin=self._connected(), timeout=5.0)
        if not found:
            raise CannotReach(f"topic {topic} is not there", remedy="run `millrace topics create`")
        self._known[topic] = _Known(found[0].topic_id, time.monotonic())
        return found[0].topic_id

    def _connected(self) -> "AdminClient":
        from confluent_kafka.admin import AdminClient

        if self._admin is None:
            self._admin = AdminClient(admin_config(self._settings))
        return self._admin
