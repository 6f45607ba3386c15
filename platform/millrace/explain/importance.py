"""Global importance: mean absolute SHAP value of each column, with its direction."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from millrace.explain.result import Direction, FeatureEffect
from millrace.explain.values import as_numbers, column_kind, rounded

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    Array = np.ndarray[Any, Any]

CLEAR = 0.3
"""Rank correlation below which a direction is called mixed."""


def importance(
    rows: "pd.DataFrame", features: Sequence[str], values: "Array", explained: "Array"
) -> tuple[FeatureEffect, ...]:
    """Every column's effect, most important first.

    `values` has shape (rows, features, outputs); `explained` (rows, features) is the output that directions are about.
    """
    import numpy as np

    sizes = np.abs(values).mean(axis=2)
    means = sizes.mean(axis=0)
    errors = sizes.std(axis=0, ddof=1) / len(sizes) ** 0.5 if len(sizes) > 1 else np.zeros_like(means)
    total = float(means.sum())
    effects = []
    for place, name in enumerate(features):
        kind = column_kind(rows[name])
        correlation = None if kind == "category" else _spearman(as_numbers(rows[name], kind), explained[:, place])
        effects.append(
            FeatureEffect(
                name=name,
                kind=kind,
                importance=rounded(means[place]),
                standard_error=rounded(errors[place]),
                share=rounded(means[place] / total) if total > 0 else 0.0,
                direction=_direction(correlation),
                correlation=None if correlation is None else rounded(correlation),
                missing=int(rows[name].isna().sum()),
            )
        )
    return tuple(sorted(effects, key=lambda effect: (-effect.importance, effect.name)))


def _direction(correlation: float | None) -> Direction:
    if correlation is None or abs(correlation) < CLEAR:
        return "mixed"
    return "raises" if correlation > 0 else "lowers"


def _spearman(numbers: "Array", effects: "Array") -> float | None:
    import numpy as np
    from scipy.stats import rankdata

    there = ~np.isnan(numbers)
    if there.sum() < 3:
        return None
    # SHAP values that differ in the last digits only are ties
    ranks = rankdata(numbers[there]), rankdata(np.round(effects[there], 10))
    if np.ptp(ranks[0]) == 0 or np.ptp(ranks[1]) == 0:
        return None
    return float(np.corrcoef(ranks[0], ranks[1])[0, 1])
