"""Statistics of results per window of time: what tells that a model or its documents have changed."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from millrace.contracts.canonical import canonical_json
from millrace.contracts.documents import LlmResult
from millrace.streams.documents.histogram import Histogram

WINDOW_SECONDS = 300


@dataclass(frozen=True, order=True)
class WindowKey:
    """A window of one model asked in one way: seconds since 1970 at which it begins, and what was asked."""

    start: int
    seconds: int
    model: str
    parameters_sha256: str


@dataclass
class WindowStatistics:
    """Sums over the results of a window. They can be added to those of other processes."""

    documents: int = 0
    statuses: Counter[str] = field(default_factory=Counter)
    types: Counter[str] = field(default_factory=Counter)
    sentiments: Counter[str] = field(default_factory=Counter)
    repaired: int = 0
    requests: int = 0
    in_parts: int = 0
    uncounted: int = 0
    """Results whose tokens the server did not count."""
    prompt_tokens: Histogram = field(default_factory=Histogram)
    completion_tokens: Histogram = field(default_factory=Histogram)
    answer_characters: Histogram = field(default_factory=Histogram)
    seconds: Histogram = field(default_factory=Histogram)

    def add(self, result: LlmResult) -> None:
        """One result more."""
        self.documents += 1
        self.statuses[result.status] += 1
        self.types[result.document_type] += 1
        if result.answer is not None and isinstance(result.answer.get("sentiment"), str):
            self.sentiments[result.answer["sentiment"]] += 1
        self.repaired += result.repaired
        self.requests += result.requests
        self.in_parts += result.chunks > 1
        if result.prompt_tokens is None or result.completion_tokens is None:
            self.uncounted += 1
        else:
            self.prompt_tokens.add(result.prompt_tokens)
            self.completion_tokens.add(result.completion_tokens)
        said = canonical_json(result.answer) if result.answer is not None else result.text or ""
        self.answer_characters.add(len(said))
        self.seconds.add(result.processing_time)

    def merge(self, other: "WindowStatistics") -> None:
        """All of the other's results more."""
        for name in vars(self):
            mine, theirs = getattr(self, name), getattr(other, name)
            if isinstance(mine, Histogram):
                mine.merge(theirs)
            else:
                setattr(self, name, mine + theirs)

    def figures(self) -> dict[str, Any]:
        """Rates (0 to 1, of the documents) and quantiles, as people and drift detectors read them."""
        count = max(1, self.documents)
        figures: dict[str, Any] = {
            "documents": self.documents,
            "ok_rate": self.statuses["ok"] / count,
            "refusal_rate": self.statuses["refused"] / count,
            "truncation_rate": self.statuses["truncated"] / count,
            "invalid_rate": self.statuses["invalid"] / count,
            "first_try_valid_rate": 1 - self.repaired / count,
            "requests_per_document": self.requests / count,
            "in_parts_rate": self.in_parts / count,
            "sentiments": dict(sorted(self.sentiments.items())),
            "types": dict(sorted(self.types.items())),
        }
        for name in ("prompt_tokens", "completion_tokens", "answer_characters", "seconds"):
            histogram: Histogram = getattr(self, name)
            figures[name] = {
                "mean": histogram.mean, "p50": histogram.quantile(0.5), "p95": histogram.quantile(0.95),
                "p99": histogram.quantile(0.99),
            }  # fmt: skip
        return figures

    def to_json(self) -> dict[str, Any]:
        """What `from_json` takes."""
        return {
            name: value.to_json()
            if isinstance(value, Histogram)
            else dict(value)
            if isinstance(value, Counter)
            else value
            for name, value in vars(self).items()
        }

    @classmethod
    def from_json(cls, told: Mapping[str, Any]) -> "WindowStatistics":
        """The statistics that were told.

        Raises:
            KeyError, TypeError, ValueError: they were none.
        """
        one = cls()
        for name, value in vars(one).items():
            if isinstance(value, Histogram):
                setattr(one, name, Histogram.from_json(told[name]))
            else:
                setattr(one, name, type(value)(told[name]))
        return one


def window_of(result: LlmResult, *, seconds: int = WINDOW_SECONDS) -> WindowKey:
    """The window that the result falls into."""
    moment = int(result.processed_at.timestamp())
    return WindowKey(moment - moment % seconds, seconds, result.model, result.parameters_sha256)
