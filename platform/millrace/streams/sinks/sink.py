"""What a sink is: it takes rows, makes them durable, and knows how far it has come."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

OnStep = Callable[[str], None]
"""Hears the name of each step towards durability; tests kill the process there."""


@dataclass(frozen=True)
class Row:
    """A scored event and where it stands in the topic that the sink reads."""

    partition: int
    offset: int
    event_id: str
    ts: str
    user_id: str
    channel: str
    lang: str
    text: str
    sentiment: str
    sentiment_score: float
    ai_model: str
    ai_ts: str
    model_version: str


class Sink(Protocol):
    """Takes the rows of a topic, each once. A row below the sink's position is one that it has, and is left out."""

    def positions(self, topic_id: str) -> Mapping[int, int]:
        """Next offset wanted of each partition that the sink has something of; none for a topic that it has not met.

        A recreated topic has another id and is read from its beginning, behind what is there.
        """
        ...

    def take(self, rows: Sequence[Row], ends: Mapping[int, int]) -> None:
        """Accepts rows in their order per partition; `ends` are the offsets behind all that was read."""
        ...

    def settle(self, *, whole: bool) -> None:
        """Makes durable what is due, or with `whole` everything that was accepted."""
        ...

    def close(self) -> None:
        """Gives back what the sink holds; what was not settled is read again."""
        ...


class Positions:
    """Next offsets by partition of one topic id: which rows are new, and what is to be recorded with them."""

    def __init__(self, topic_id: str | None = None, offsets: Mapping[int, int] | None = None) -> None:
        self.topic_id = topic_id
        self.offsets = dict(offsets or {})

    def of(self, topic_id: str) -> dict[int, int]:
        """The offsets, begun anew for another topic id."""
        if topic_id != self.topic_id:
            self.topic_id, self.offsets = topic_id, {}
        return dict(self.offsets)

    def fresh(self, rows: Sequence[Row]) -> list[Row]:
        """The rows that were not taken before, each partition's position moved behind them."""
        found = []
        for row in rows:
            if row.offset >= self.offsets.get(row.partition, 0):
                found.append(row)
                self.offsets[row.partition] = row.offset + 1
        return found

    def advance(self, ends: Mapping[int, int]) -> None:
        """Moves behind what was read and gave no row."""
        for partition, end in ends.items():
            self.offsets[partition] = max(end, self.offsets.get(partition, 0))
