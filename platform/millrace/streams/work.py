"""What a stream is made of: its options, its step, and the topics that must be there."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from millrace.kafka.processor import Processor
from millrace.kafka.stream_options import StreamOptions


class StreamStep(Processor, Protocol):
    """A step that says of itself what a checkpoint shall tell."""

    def facts(self) -> Mapping[str, Any]:
        """What made the outputs, such as model and version: names to numbers and texts."""
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
