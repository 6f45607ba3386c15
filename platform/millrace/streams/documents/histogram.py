"""A histogram that can be added to others and gives quantiles, whatever the range of the values."""

import math
from collections import Counter
from collections.abc import Mapping
from typing import Self

_BASE = math.log(1.1)
"""Buckets are 10 % wide, so that a quantile is within 5 % of its value."""
_SMALLEST = 1e-6
"""Values below count as this."""


class Histogram:
    """Counts of values from 0 in buckets of equal ratio, and their sum."""

    def __init__(self) -> None:
        self._buckets: Counter[int] = Counter()
        self.sum = 0.0

    @property
    def count(self) -> int:
        """Values that were added."""
        return self._buckets.total()

    @property
    def mean(self) -> float | None:
        """Their mean, exact; None without one."""
        return self.sum / self.count if self.count else None

    def add(self, value: float) -> None:
        """One value more."""
        self._buckets[math.floor(math.log(max(value, _SMALLEST)) / _BASE)] += 1
        self.sum += value

    def merge(self, other: "Histogram") -> None:
        """All of the other's values more."""
        self._buckets += other._buckets
        self.sum += other.sum

    def quantile(self, share: float) -> float | None:
        """The value below which this share (0 to 1) of the values lies, within 5 %; None without one."""
        wanted, seen = share * self.count, 0
        for bucket in sorted(self._buckets):
            seen += self._buckets[bucket]
            if seen >= wanted:
                return math.exp((bucket + 0.5) * _BASE)
        return None

    def to_json(self) -> dict[str, object]:
        """What `from_json` takes."""
        return {"sum": self.sum, "buckets": {str(bucket): count for bucket, count in sorted(self._buckets.items())}}

    @classmethod
    def from_json(cls, told: Mapping[str, object]) -> Self:
        """The histogram that was told.

        Raises:
            KeyError, TypeError, ValueError: it was none.
        """
        one = cls()
        buckets = told["buckets"]
        if not isinstance(buckets, Mapping):
            raise TypeError("buckets is no mapping")
        one._buckets = Counter({int(bucket): int(count) for bucket, count in buckets.items()})
        one.sum = float(str(told["sum"]))
        return one
