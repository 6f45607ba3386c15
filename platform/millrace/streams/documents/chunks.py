"""A text in parts that fit the model's context."""

import math
import re

BYTES_PER_TOKEN = 3
"""Of UTF-8. English has four and more; one letter of most other scripts has two or three and is about a token. What is
estimated with it is sooner too many tokens than too few, without the tokenizer of a model that runs elsewhere."""
_BREAKS = (re.compile(r"\n\s*\n"), re.compile(r"\n"), re.compile(r"(?<=[.!?。！？])\s"), re.compile(r"\s"))
"""Where a part may end, the best first: paragraph, line, sentence, word."""


def estimate_tokens(text: str) -> int:
    """Tokens that the text has at most, by its bytes."""
    return math.ceil(len(text.encode()) / BYTES_PER_TOKEN)


def split(text: str, *, tokens: int) -> list[str]:
    """Parts of at most so many estimated tokens (at least two), which joined give the text.

    A part ends behind a paragraph where that leaves it at least half full, else behind a line, a sentence or a word.
    """
    most = max(2, tokens) * BYTES_PER_TOKEN
    parts = []
    at = 0
    while at < len(text):
        end = _reach(text, at, most)
        if end < len(text):
            end = _break(text, at, end)
        parts.append(text[at:end])
        at = end
    return parts


def _reach(text: str, at: int, most: int) -> int:
    """Where the longest part from `at` ends."""
    window = text[at : at + most].encode()[:most]
    return at + len(window.decode("utf-8", "ignore"))


def _break(text: str, at: int, end: int) -> int:
    middle = at + (end - at) // 2
    for pattern in _BREAKS:
        last = None
        for last in pattern.finditer(text, middle, end):  # noqa: B007 (the last one is wanted)
            pass
        if last is not None:
            return last.end()
    return end
