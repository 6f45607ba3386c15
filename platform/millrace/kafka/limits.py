"""Sizes that the broker, topics and clients agree on."""

LARGEST_MESSAGE_BYTES = 4 << 20
"""Largest message of a topic that we create; far above any payload of ours, so that an oversized one reaches its
consumer and is dead-lettered with its bytes."""
LARGEST_DEAD_LETTER_BYTES = LARGEST_MESSAGE_BYTES + (1 << 20)
"""A dead letter carries the whole message and the headers that tell its story."""
