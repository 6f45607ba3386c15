"""The dead-letter topics of a cluster and the letters in them."""

import re
from collections.abc import Iterator, Sequence

from millrace.contracts.errors import BadInput, NotFound
from millrace.contracts.topics import DEAD_LETTER_SUFFIX, dead_letter_topic
from millrace.kafka.letters import Letter, letter_of
from millrace.kafka.snapshot import record_at, snapshot
from millrace.kafka.topics import TopicFacts, describe_topics, list_topics
from millrace.settings import Settings

_PLACE = re.compile(r"([A-Za-z0-9._-]{1,249})/(\d{1,9})/(\d{1,18})")
"""Topic, partition and offset; Kafka's own limits."""


def dead_letter_topics(settings: Settings, topics: Sequence[str] = ()) -> list[TopicFacts]:
    """The dead-letter topics, or those of the named topics; a dead-letter topic may be named itself.

    Raises:
        NotFound: a named one is not there.
        CannotReach: the broker does not answer.
    """
    if not topics:
        return [one for one in list_topics(settings) if one.name.endswith(DEAD_LETTER_SUFFIX)]
    wanted = {name if name.endswith(DEAD_LETTER_SUFFIX) else dead_letter_topic(name) for name in topics}
    found = describe_topics(settings, sorted(wanted))
    missing = sorted(wanted - {one.name for one in found})
    if missing:
        raise NotFound(f"topic {missing[0]} is not there", field="topic", remedy="see `millrace topics list`")
    return found


def read_letters(settings: Settings, topics: Sequence[TopicFacts]) -> Iterator[Letter]:
    """Every letter in the topics.

    Raises:
        CannotReach: the broker does not answer.
    """
    return (letter_of(record) for record in snapshot(settings, topics))


def letter_at(settings: Settings, place: str) -> Letter:
    """The letter at `topic/partition/offset`.

    Raises:
        BadInput: the place is not written so.
        NotFound: nothing stands there.
        CannotReach: the broker does not answer.
    """
    parts = _PLACE.fullmatch(place)
    if parts is None:
        raise BadInput(
            f"{place[:100]!r} is no place of a letter",
            field="place",
            remedy="write dead-letter topic, partition and offset, such as events.dlq/0/17; see `millrace dlq list`",
        )
    (topic,) = dead_letter_topics(settings, [parts[1]])
    record = record_at(settings, topic, partition=int(parts[2]), offset=int(parts[3]))
    if record is None:
        raise NotFound(
            f"there is no letter at {topic.name}/{parts[2]}/{parts[3]}",
            field="place",
            remedy="see `millrace dlq list`; retention may have removed it",
        )
    return letter_of(record)
