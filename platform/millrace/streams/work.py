"""What a stream is made of: its options, its step, and the topics that must be there."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from millrace.kafka.processor import Processor
from millrace.kafka.stream_options import StreamOptions
from millrace.kafka.waiting import Place


class StreamStep(Processor, Protocol):
    """A step that says of itself what a checkpoint shall tell."""

    def facts(self) -> Mapping[str, Any]:
        """What made the outputs, such as model and version: names to numbers and texts."""
        ...

    def committed(self, ends: Mapping[Place, int]) -> None:
        """Told several times a second, and at the end, of each partition's next offset after the last commit."""
        ...

    def stopping(self) -> None:
        """The stream is to end: a call of `process` that takes long comes back within `shutdown_seconds`."""
        ...

    def close(self) -> None:
        """Gives back what the step holds."""
        ...


@dataclass(frozen=True)
class StreamWork:
    """One process's work. `topics` are created where they are missing, with their dead-letter topics."""

    options: StreamOptions
    step: StreamStep
    topics: tuple[str, ...]
    refresh: Callable[[Mapping[str, Any]], None] = lambda pinned: None
    """Told what is pinned for the stream when that has changed: another model, used from the next batch on.

    Raises MillraceError where it cannot be used; the stream then goes on with what it has.
    """
    pinned: Callable[[], Mapping[str, Any] | None] = lambda: None
    """What it works with, as it is pinned; None where nothing is."""
    follow: Callable[[], object] = lambda: None
    """Called at each checkpoint of the process with the lowest slot: pins another model where the choice follows one
    that has changed. Raises MillraceError where that cannot be used or not be asked."""
