"""The streams that can be started, by name."""

from millrace.contracts.errors import NotFound
from millrace.settings import Settings

STREAMS = {
    "process_documents": "asks a language model about each document: financial-documents → llm-results",
    "score_events": "scores each event's text: events.raw → events.scored",
}
MOST_PROCESSES = 16
"""Of one stream; the lane of streams in dagster.yaml has as many places."""


def group_of(settings: Settings, stream: str) -> str:
    """The stream's consumer group; with the slot, also its `transactional.id`s."""
    return f"{settings.stream_prefix}-{stream.replace('_', '-')}"


def topics_of(settings: Settings, stream: str) -> tuple[str, ...]:
    """The topics that the stream reads.

    Raises:
        NotFound: there is no such stream.
    """
    topics = settings.topics
    return {"score_events": (topics.events_raw,), "process_documents": (topics.documents,)}[known(stream)]


def known(stream: str) -> str:
    """The name.

    Raises:
        NotFound: there is no such stream.
    """
    if stream not in STREAMS:
        raise NotFound(f"no stream is called {stream!r}", field="stream", remedy=f"name one of {', '.join(STREAMS)}")
    return stream
