"""What a viewer of the stream sees: counts over time, latency, last messages; whole, or what is new since a moment."""

import uuid
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from millrace.streams.meter import percentiles

WINDOW_SECONDS = 600
"""Seconds of counts that are kept."""
LAST_MESSAGES = 20
LATENCY_SAMPLES = 2_000
STEPS = 600
"""Steps that a viewer may have missed and still catch up with, instead of being sent everything."""
_TEXT = 280
_OTHER = "other"
MOST_NAMES = 12
"""Labels or channels of their own; whoever writes into the topic chooses them, and a page has room for few."""


@dataclass(frozen=True)
class Seen:
    """A scored event: `at` is when it became visible, `latency` the seconds since it happened."""

    at: float
    latency: float
    event_id: str
    user_id: str
    channel: str
    text: str
    sentiment: str
    score: float
    model: str


class LiveState:
    """Counts by second, sentiment and channel. Not safe to use from several threads."""

    def __init__(self) -> None:
        self.epoch = uuid.uuid4().hex[:12]
        """Of this state; a viewer that knows another one's steps is sent everything."""
        self.step = 0
        self._counts: dict[int, dict[tuple[str, str], int]] = {}
        self._names: tuple[dict[str, None], dict[str, None]] = ({}, {})
        self._total = 0
        self._latencies: deque[float] = deque(maxlen=LATENCY_SAMPLES)
        self._last: deque[Seen] = deque(maxlen=LAST_MESSAGES)
        self._steps: deque[tuple[int, dict[str, Any]]] = deque(maxlen=STEPS)
        self._status: Mapping[str, Any] = {}

    def add(self, events: Iterable[Seen], *, status: Mapping[str, Any] | None = None) -> None:
        """Takes in events and, where it was asked for, the stream's status: one step for viewers."""
        fresh: dict[tuple[int, str, str], int] = {}
        messages: list[Seen] = []
        for event in events:
            second = int(event.at)
            names = (self._name(0, event.sentiment), self._name(1, event.channel))
            counts = self._counts.setdefault(second, {})
            counts[names] = counts.get(names, 0) + 1
            fresh[(second, *names)] = fresh.get((second, *names), 0) + 1
            self._latencies.append(event.latency)
            messages.append(event)
        if not messages and (status is None or status == self._status):
            return
        self._last.extend(messages)
        self._total += len(messages)
        self._status = self._status if status is None else status
        self._forget()
        self.step += 1
        told = {
            **self._now(),
            "counts": [[second, sentiment, channel, count] for (second, sentiment, channel), count in fresh.items()],
            "last": [_message(one) for one in messages[-LAST_MESSAGES:]],
        }
        self._steps.append((self.step, told))

    def whole(self) -> dict[str, Any]:
        """Everything that is kept, for a viewer that knows nothing."""
        counts = [
            [second, sentiment, channel, count]
            for second, found in sorted(self._counts.items())
            for (sentiment, channel), count in found.items()
        ]
        return {**self._now(), "counts": counts, "last": [_message(one) for one in self._last]}

    def since(self, known: str | None) -> list[tuple[str, str, dict[str, Any]]]:
        """(id, kind, data) of what a viewer with this id has not seen: steps, or everything where they are gone."""
        epoch, _, step = (known or "").partition("-")
        if epoch == self.epoch and step.isdecimal() and len(step) < 12:
            missed = self.step - int(step)
            kept = len(self._steps)
            if 0 <= missed <= kept:
                return [(f"{self.epoch}-{number}", "step", told) for number, told in self._steps if number > int(step)]
        return [(f"{self.epoch}-{self.step}", "whole", self.whole())]

    def _now(self) -> dict[str, Any]:
        return {"total": self._total, "latency": asdict(percentiles(self._latencies)), "status": dict(self._status)}

    def _name(self, which: int, name: str) -> str:
        names = self._names[which]
        if name not in names:
            if len(names) >= MOST_NAMES:
                return _OTHER
            names[name] = None
        return name

    def _forget(self) -> None:
        newest = max(self._counts, default=0)
        for second in [second for second in self._counts if second <= newest - WINDOW_SECONDS]:
            del self._counts[second]


def _message(event: Seen) -> dict[str, Any]:
    return {
        "event_id": event.event_id, "user_id": event.user_id, "channel": event.channel, "text": event.text[:_TEXT],
        "sentiment": event.sentiment, "score": round(event.score, 3), "model": event.model, "at": event.at,
    }  # fmt: skip
