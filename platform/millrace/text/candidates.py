"""What a form of a model comes to on the golden texts: how fast it is, and what it loses against the model itself."""

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from millrace.contracts.scoring import Score, Scorer
from millrace.text.golden import GOLDEN

MOST_LOSS_POINTS = 0.5
"""Points of accuracy that a faster form may lose against the model as it is."""
_ROUNDS = 2


@dataclass(frozen=True)
class Candidate:
    """A form of the model. `accuracy` is on the golden set, None where the model has other labels; `agreement` is the
    share of golden texts that get the label which the model itself gives; `loss_points` is the accuracy lost, or where
    there is none, 100 × the disagreement."""

    form: str
    texts_per_second: float
    accuracy: float | None
    agreement: float
    loss_points: float

    @property
    def refused(self) -> bool:
        """Whether it loses too much."""
        return self.loss_points > MOST_LOSS_POINTS

    def to_json(self) -> dict[str, Any]:
        """The figures as they are pinned and recorded."""
        return asdict(self) | {"refused": self.refused}


def timed(scorer: Scorer) -> tuple[Sequence[Score], float]:
    """The scores of the golden texts, and texts a second: the better of two rounds after a first one."""
    texts = [text for text, _ in GOLDEN]
    scores = scorer.score(texts)
    spent = []
    for _ in range(_ROUNDS):
        began = time.perf_counter()
        scorer.score(texts)
        spent.append(time.perf_counter() - began)
    return scores, len(texts) / min(spent)


def candidate(form: str, scores: Sequence[Score], speed: float, *, reference: Sequence[Score]) -> Candidate:
    """The form's figures; `reference` are the scores of the model itself, for whose own form nothing is lost."""
    agreement = sum(one.label == other.label for one, other in zip(scores, reference, strict=True)) / len(scores)
    accuracy, before = _accuracy(scores), _accuracy(reference)
    lost = 1 - agreement if accuracy is None or before is None else max(0.0, before - accuracy)
    return Candidate(form, round(speed, 1), accuracy, agreement, round(100 * lost, 3))


def only_candidate(form: str, scorer: Scorer) -> Candidate:
    """The figures of a model that has one form."""
    scores, speed = timed(scorer)
    return candidate(form, scores, speed, reference=scores)


def _accuracy(scores: Sequence[Score]) -> float | None:
    known = {"POSITIVE", "NEGATIVE"}
    if not known <= set(scores[0].labels):
        return None
    return sum(score.label == label for score, (_, label) in zip(scores, GOLDEN, strict=True)) / len(scores)
