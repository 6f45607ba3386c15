"""The step of `score_events`: raw events in, scored events or the reason why not."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from millrace.contracts.errors import BadInput, TooLarge
from millrace.contracts.events import MAX_EVENT_BYTES, now
from millrace.contracts.scoring import RawEvent, Score, Scorer, moment_text
from millrace.kafka.processor import Output, Result
from millrace.kafka.records import Record
from millrace.kafka.waiting import Place


class ScoringStep:
    """Scores a batch's texts in one call. Outputs keep their record's key, so that a user's stay in order."""

    def __init__(self, scorer: Scorer, *, topic: str, ref: str | None = None) -> None:
        """`ref` is the scorer as lineage names it."""
        self._next = scorer, ref
        self._scorer, self._ref = self._next
        self._topic = topic

    def use(self, scorer: Scorer, *, ref: str | None = None) -> None:
        """Scores with this one from the next batch on. May be called from any thread."""
        self._next = scorer, ref

    def process(self, batch: Sequence[Record]) -> Sequence[Result]:
        """A scored event per record, or BadInput for one that is none."""
        self._scorer, self._ref = self._next
        read = [_read(record) for record in batch]
        scores = iter(self._scorer.score([event.text for event in read if isinstance(event, RawEvent)]))
        at = moment_text(now())
        return [
            event if isinstance(event, BadInput) else (self._output(record, event, next(scores), at),)
            for record, event in zip(batch, read, strict=True)
        ]

    def facts(self) -> Mapping[str, Any]:
        """The model."""
        told = {"model": self._scorer.name, "model_version": self._scorer.version}
        return told if self._ref is None else told | {"scoring_model": self._ref}

    def committed(self, ends: Mapping[Place, int]) -> None:
        """Nothing waits for it."""

    def stopping(self) -> None:
        """A batch takes less than the stream has."""

    def close(self) -> None:
        """Nothing is held."""

    def _output(self, record: Record, event: RawEvent, score: Score, at: str) -> Output:
        place = record.coordinates
        # ScoredEvent as a dictionary: building the model would cost as much as a short text's score
        payload = {
            "event_id": event.event_id,
            "ts": moment_text(event.ts),
            "user_id": event.user_id,
            "channel": event.channel,
            "lang": event.lang,
            "text": event.text,
            "sentiment": score.label,
            "sentiment_score": round(score.value, 6),
            "ai_model": self._scorer.name,
            "ai_ts": at,
            "label_scores": {label: round(value, 6) for label, value in score.labels.items()},
            "score_kind": self._scorer.kind,
            "model_version": self._scorer.version,
            "source": place.to_json(),
        }
        return Output(self._topic, json.dumps(payload, ensure_ascii=False).encode("utf-8"), record.key)


def _read(record: Record) -> RawEvent | BadInput:
    value = record.value
    if len(value) > MAX_EVENT_BYTES:
        return TooLarge(f"event of {len(value)} bytes", field="payload", remedy=f"send at most {MAX_EVENT_BYTES} bytes")
    try:
        return RawEvent.model_validate_json(value)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        field = ".".join(str(part) for part in first["loc"]) or "payload"
        return BadInput(
            f"event: {field}: {first['msg']}",
            field=field,
            remedy="send the payload that events.raw.schema.json describes",
        )
