"""Whose fault a failure was: the server's, which will come back, or a document's, which the server does not survive."""

from collections.abc import Hashable

_MOST_REMEMBERED = 10_000
"""Documents that are failing now are at most as many as are in flight; this bounds what rebalances leave behind."""


class Blame:
    """Counts each document's failures at a server that answered others meanwhile."""

    def __init__(self, *, attempts: int) -> None:
        self._attempts = attempts
        self._failures: dict[Hashable, int] = {}

    def failed(self, document: Hashable, *, server_answers: bool) -> bool:
        """Whether the document has had its attempts; a failure counts only where the server answers others."""
        if not server_answers:
            return False
        count = self._failures.pop(document, 0) + 1
        if count >= self._attempts:
            return True
        self._failures[document] = count
        while len(self._failures) > _MOST_REMEMBERED:
            del self._failures[next(iter(self._failures))]
        return False

    def done(self, document: Hashable) -> None:
        """The document has a result."""
        self._failures.pop(document, None)
