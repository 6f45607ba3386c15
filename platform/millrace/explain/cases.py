"""Three rows explained one by one, chosen by rule."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from millrace.explain.result import Case, CaseKind, Contribution
from millrace.explain.values import cell_text, rounded

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Outcome:
    """What the model said of the explained rows, and what was true."""

    predicted: "Array"
    """Class positions, or values."""
    probabilities: "Array | None"
    """(rows, classes); None for regression."""
    actual: "Array"
    """Class positions with -1 where unknown, or values with NaN where unknown."""


def choose_cases(outcome: Outcome, candidates: "Array") -> list[tuple[CaseKind, int]]:
    """Up to three different rows among the candidates (positions in the explained rows).

    Classification: a correct row of median confidence; the row whose two likeliest classes are closest; the most
    confident wrong row, or the most confident one where none is wrong. Regression: the row of median prediction; the
    one furthest from the mean prediction; the one that is furthest off. The first row wins a tie.
    """
    import numpy as np

    rules: list[tuple[CaseKind, Array]]
    if outcome.probabilities is None:
        predicted = outcome.predicted[candidates]
        error = np.abs(predicted - outcome.actual[candidates])
        rules = [
            ("typical", np.abs(predicted - np.median(predicted))),
            ("extreme", -np.abs(predicted - predicted.mean())),
            ("wrong", np.where(np.isnan(error), np.inf, -error)),
        ]
    else:
        ordered = np.sort(outcome.probabilities[candidates], axis=1)
        confidence = ordered[:, -1]
        actual = outcome.actual[candidates]
        wrong = (actual >= 0) & (actual != outcome.predicted[candidates])
        typical = np.abs(confidence - np.median(confidence)) + np.where(wrong, 10.0, 0.0)
        last: tuple[CaseKind, Array] = (
            ("wrong", np.where(wrong, -confidence, np.inf)) if wrong.any() else ("confident", -confidence)
        )
        rules = [("typical", typical), ("borderline", ordered[:, -1] - ordered[:, -2]), last]
    chosen: list[tuple[CaseKind, int]] = []
    # rounded, so that threads cannot turn a tie
    for kind, badness in reversed(rules):
        for place in np.argsort(np.round(badness, 9), kind="stable"):
            row = int(candidates[place])
            if np.isfinite(badness[place]) and row not in {other for _, other in chosen}:
                chosen.append((kind, row))
                break
    return chosen[::-1]


def case(
    kind: CaseKind,
    row: int,
    *,
    rows: "pd.DataFrame",
    features: Sequence[str],
    effects: "Array",
    base: float,
    output: float,
    position: int,
    predicted: str,
    actual: str | None,
    probability: float | None,
    explained_class: str | None,
) -> Case:
    """The row's contributions, largest first; `effects` holds one SHAP value a feature."""
    order = sorted(range(len(features)), key=lambda place: (-abs(round(float(effects[place]), 12)), features[place]))
    contributions = tuple(
        Contribution(
            name=features[place],
            value=cell_text(rows[features[place]].iloc[row]),
            effect=rounded(effects[place]),
        )
        for place in order
    )
    return Case(
        kind=kind,
        position=position,
        predicted=predicted,
        actual=actual,
        probability=None if probability is None else rounded(probability),
        explained_class=explained_class,
        base=rounded(base),
        output=rounded(output),
        contributions=contributions,
    )
