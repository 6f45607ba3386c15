"""What leaving the sensitive columns out of a model changes: the answer to "we do not use that column"."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from millrace.bias.auc import delong
from millrace.bias.estimates import Estimates, estimate_disparity
from millrace.bias.intervals import quantile
from millrace.bias.numbers import group_means
from millrace.bias.proxies.figures import Quality, Removal
from millrace.bias.proxies.forest import unseen_chances, unseen_numbers
from millrace.bias.rates import Rates, rate_disparity

if TYPE_CHECKING:
    import numpy as np

    from millrace.bias.groups import Grouping
    from millrace.bias.policy import Policy


@dataclass(frozen=True)
class Demonstration:
    """Scores of the rows with the sensitive columns and without, and the outcome that they are of."""

    target: np.ndarray
    """True and false for an outcome, numbers for a regression."""
    kept: np.ndarray
    removed: np.ndarray

    @property
    def chosen(self) -> bool:
        """Whether rows are selected, rather than given a number."""
        return self.target.dtype == bool


def demonstrate(plain: np.ndarray, sensitive: np.ndarray, target: np.ndarray, *, seed: int) -> Demonstration:
    """The target predicted from all columns, and from those that are not sensitive (`plain`), on unseen rows."""
    import numpy as np

    def scores(matrix: np.ndarray) -> np.ndarray:
        if target.dtype == bool:
            chances: np.ndarray = unseen_chances(matrix, target.astype(np.int64), classes=2, seed=seed)[:, 1]
            return chances
        return unseen_numbers(matrix, target, seed=seed)

    return Demonstration(target, scores(np.column_stack([plain, sensitive])), scores(plain))


def quality_of(shown: Demonstration, *, confidence: float) -> Quality:
    """AUC, or r², of both models."""
    measure = _auc if shown.chosen else _squared_correlation
    z = quantile(confidence)
    return Quality(
        metric="auc" if shown.chosen else "r2",
        kept=measure(shown.target, shown.kept, z),
        removed=measure(shown.target, shown.removed, z),
    )


def removal_of(shown: Demonstration, grouping: Grouping, policy: Policy, *, seed: int) -> Removal | None:
    """The distance between the groups in the answers of both models; None with fewer than two groups to compare."""
    import numpy as np

    enough = np.array(grouping.comparable, dtype=bool) & (grouping.rows >= policy.minimum_group)
    if enough.sum() < 2:
        return None
    if not shown.chosen:
        scale = float(shown.target.std(ddof=1))
        distances = [
            estimate_disparity(
                Estimates("mean_prediction", "target", *group_means(scores, grouping)),
                grouping, kind="standardised_difference", policy=policy, scale=scale,
            )
            for scores in (shown.kept, shown.removed)
        ]  # fmt: skip
        return Removal(distances[0], distances[1], None)
    answers = [_select(scores, int(shown.target.sum())) for scores in (shown.kept, shown.removed)]
    found = []
    for said in answers:
        successes = np.bincount(grouping.codes[said], minlength=len(grouping.names))
        rates = Rates("selection_rate", None, successes, grouping.rows, needs_both_outcomes=True)
        found.append(rate_disparity(rates, grouping, kind="difference", policy=policy, seed=seed))
    return Removal(found[0], found[1], float((answers[0] != answers[1]).mean()))


def _select(scores: np.ndarray, count: int) -> np.ndarray:
    """The `count` highest scores; of equal ones the first rows."""
    import numpy as np

    chosen = np.zeros(len(scores), dtype=bool)
    chosen[np.argsort(-scores, kind="stable")[:count]] = True
    return chosen


def _auc(target: np.ndarray, scores: np.ndarray, z: float) -> tuple[float, float, float]:
    import math

    value, error = delong(scores, target)
    half = z * error if math.isfinite(error) else 0.5
    return value, max(0.0, value - half), min(1.0, value + half)


def _squared_correlation(target: np.ndarray, scores: np.ndarray, z: float) -> tuple[float, float, float]:
    """r² with the limits of Fisher's z-transformation."""
    import numpy as np

    if scores.std() == 0 or target.std() == 0:
        return 0.0, 0.0, 0.0
    r = float(np.clip(np.corrcoef(target, scores)[0, 1], -0.999999, 0.999999))
    half = z / np.sqrt(max(1, len(target) - 3))
    low, high = float(np.tanh(np.arctanh(r) - half)), float(np.tanh(np.arctanh(r) + half))
    return r**2, max(low, 0.0) ** 2, max(high, 0.0) ** 2
