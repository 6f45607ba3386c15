"""Events whose text is scored: what comes in, what goes out, and what a scorer is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar, Literal, Protocol

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

LONGEST_TEXT = 20_000
"""Characters of a text that is scored; a model reads a few hundred words of it, and a book is no event."""
ScoreKind = Literal["probability", "proportion"]
"""Probabilities sum to one and were fitted to outcomes; proportions only sum to one."""


@dataclass(frozen=True)
class Score:
    """What a scorer says of one text. `value` is its confidence in `label`, 0 to 1; `labels` has every label's."""

    label: str
    value: float
    labels: Mapping[str, float]


class Scorer(Protocol):
    """Gives each text a label. One that is the same has the same `version`; another one never has."""

    @property
    def name(self) -> str:
        """What it is, truthfully, as `ai_model` says it."""
        ...

    @property
    def version(self) -> str:
        """Hash or release of everything that its scores depend on."""
        ...

    @property
    def kind(self) -> ScoreKind:
        """What its figures are."""
        ...

    def score(self, texts: Sequence[str]) -> Sequence[Score]:
        """One score per text, in their order."""
        ...


def _number_as_text(value: Any) -> Any:
    # ids that are numbers elsewhere; bool is an int to Python and no id
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


Id = Annotated[str, Field(min_length=1, max_length=200), BeforeValidator(_number_as_text)]
Word = Annotated[str, Field(max_length=64)]


class RawEvent(BaseModel):
    """An event as it is produced. Fields that are not known are left out of the output."""

    model_config = ConfigDict(extra="ignore", frozen=True)
    topic_field: ClassVar[str] = "events_raw"

    event_id: Id
    ts: datetime
    """When it happened; without an offset it is UTC."""
    user_id: Id
    channel: Word = ""
    lang: Word = ""
    text: Annotated[str, Field(max_length=LONGEST_TEXT)]


class Source(BaseModel):
    """Where an output came from; with it every effect can be made once."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    topic: str
    topic_id: str
    partition: int
    offset: int


class ScoredEvent(BaseModel):
    """An event with what the model says of it."""

    model_config = ConfigDict(extra="ignore", frozen=True)
    topic_field: ClassVar[str] = "events_scored"

    event_id: str
    ts: str
    user_id: str
    channel: str
    lang: str
    text: str
    sentiment: str
    """The label with the highest figure, as the model calls it in upper case."""
    sentiment_score: float
    """The model's confidence in it, 0 to 1."""
    ai_model: str
    """The model that made it, never another one's name."""
    ai_ts: str
    label_scores: dict[str, float]
    score_kind: ScoreKind
    """Whether `label_scores` and `sentiment_score` are probabilities."""
    model_version: str
    source: Source


def moment_text(moment: datetime) -> str:
    """The moment as events write it: UTC, with Z, to the millisecond where there are any."""
    utc = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    precision = "milliseconds" if utc.microsecond else "seconds"
    return utc.replace(tzinfo=None).isoformat(timespec=precision) + "Z"
