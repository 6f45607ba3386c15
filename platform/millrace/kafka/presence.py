"""Whether a broker answers, and for how long none has."""

import logging
import math
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from millrace.contracts.errors import CannotReach
from millrace.kafka.broker import broker_answers
from millrace.kafka.clients import admin_config
from millrace.kafka.secure import explain
from millrace.kafka.stream_options import StreamOptions
from millrace.settings import Settings

if TYPE_CHECKING:
    from confluent_kafka import KafkaError

_TELL_AGAIN_SECONDS = 30.0
"""The client reports an absent broker ten times a second; one line says it."""
_ASK_EVERY_SECONDS = 5.0
"""Between two questions to a broker that was reported away; each takes a connection."""

_log = logging.getLogger(__name__)


class Presence:
    """Remembers the client's complaints, asks the broker itself, and gives up when the time is over."""

    def __init__(self, settings: Settings, options: StreamOptions) -> None:
        self._settings = settings
        self._options = options
        self._away_since: float | None = None
        self._asked = -math.inf
        self._told: dict[str, float] = {}

    def trouble(self, problem: "KafkaError") -> None:
        """Takes a complaint of a client; called from its thread of callbacks, so it only notes and logs."""
        from confluent_kafka import KafkaError

        now = time.monotonic()
        if problem.code() in (KafkaError._ALL_BROKERS_DOWN, KafkaError._TRANSPORT) and self._away_since is None:
            self._away_since = now
        if now - self._told.get(problem.name(), -math.inf) >= _TELL_AGAIN_SECONDS:
            self._told[problem.name()] = now
            _log.warning(
                "stream.trouble member=%s error=%s message=%s", self._options.member, problem.name(), problem.str()
            )

    def seen(self) -> None:
        """The broker has answered."""
        self._away_since = None

    def check(self) -> None:
        """Comes back while there is hope.

        Raises:
            CannotReach: no broker has answered for `give_up_seconds`.
        """
        if self._away_since is None:
            return
        now = time.monotonic()
        over = now - self._away_since >= self._options.give_up_seconds
        if not over and now - self._asked < _ASK_EVERY_SECONDS:
            return
        self._asked = now
        if broker_answers(admin_config(self._settings), timeout=2.0):
            self.seen()
        elif over:
            why = explain(self._settings) if self._settings.mode == "KAFKA" else None
            raise why or self._gone(now - self._away_since)

    def until_answered(self, call: Callable[[], None], until: float) -> None:
        """Calls until the client reports no error; `until` is monotonic.

        Raises:
            CannotReach: it did so until then.
        """
        from confluent_kafka import KafkaException

        began = time.monotonic()
        while True:
            try:
                call()
                return
            except KafkaException as error:
                self.trouble(error.args[0])
                if time.monotonic() >= until:
                    raise self._gone(time.monotonic() - began) from error
                time.sleep(0.05)

    def _gone(self, seconds: float) -> CannotReach:
        return CannotReach(
            f"no broker at {self._settings.bootstrap} has answered stream {self._options.member} for {seconds:.0f} s; "
            "what was not committed is read again at the next start",
            field="KAFKA_BOOTSTRAP",
            remedy="run `millrace status`, then `millrace doctor`, and start the stream again",
        )
