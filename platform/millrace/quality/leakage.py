"""Columns that alone predict the target almost perfectly, as only something known afterwards does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from millrace.contracts.stages import TaskType

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

LINES: dict[TaskType, float] = {"classification": 0.99, "regression": 0.999}
"""ROC AUC, or absolute rank correlation, above which a column is named."""

SAMPLE_ROWS = 50_000
SAMPLE_CELLS = 20_000_000
"""A wide table is sampled more thinly, so that 5,000 columns take seconds."""
_SEED = 20_250_701
_FOLDS = 5
_FEW = 50
"""A numeric column with no more distinct values is also tried as a set of categories."""
_RARE = 10
"""Rows of a class (or of numbers) below which nothing can be said."""
_CLASSES = 10
_BINS = 100


def find_leaks(frame: pd.DataFrame, *, target: str, task_type: TaskType) -> dict[str, float]:
    """Strength of every column above the line: ROC AUC (the mean over classes), or absolute rank correlation.

    Categories are scored by the target's mean in the other folds, so that an identifier scores like chance. Missing
    values count as a value of their own.
    """
    import numpy as np

    rows = frame[frame[target].notna()]
    most = max(1_000, min(SAMPLE_ROWS, SAMPLE_CELLS // max(1, len(frame.columns))))
    rng = np.random.default_rng(_SEED)
    if len(rows) > most:
        rows = rows.iloc[np.sort(rng.choice(len(rows), most, replace=False))]
    goals = _goals(rows[target], task_type)
    if not goals:
        return {}
    folds = rng.permutation(len(rows)) % _FOLDS
    score = _auc if task_type == "classification" else _rank_correlation
    strengths = {}
    for name in frame.columns:
        if name == target:
            continue
        strength = float(np.mean([_strength(rows[name], goal, folds, score) for goal in goals]))
        if strength > LINES[task_type]:
            strengths[str(name)] = round(strength, 6)
    return strengths


def _goals(target: pd.Series[Any], task_type: TaskType) -> list[np.ndarray]:
    import numpy as np
    import pandas as pd

    if task_type == "regression":
        numbers = pd.to_numeric(target, errors="coerce").to_numpy(dtype=float)
        fit = len(numbers) >= _RARE and bool(np.isfinite(numbers).all()) and float(np.ptp(numbers)) > 0
        return [numbers] if fit else []
    counts = target.value_counts()
    classes = [value for value, count in counts.head(_CLASSES).items() if _RARE <= count <= len(target) - _RARE]
    if len(counts) == 2:
        classes = classes[:1]
    return [(target == value).to_numpy(dtype=float) for value in classes]


def _strength(column: pd.Series[Any], goal: np.ndarray, folds: np.ndarray, score: Any) -> float:
    import pandas as pd

    numeric = pd.api.types.is_numeric_dtype(column.dtype) or pd.api.types.is_datetime64_any_dtype(column.dtype)
    if not numeric:
        codes, _ = pd.factorize(column, use_na_sentinel=False)
        return float(score(_fold_means(codes, goal, folds), goal))
    # either direction of a number counts; a mean from the other folds has only one
    ranks = column.rank(na_option="top").to_numpy(dtype=float)
    found = [score(ranks, goal), score(-ranks, goal)]
    if column.isna().any():
        gaps_last = column.rank(na_option="bottom").to_numpy(dtype=float)
        found += [score(gaps_last, goal), score(-gaps_last, goal)]
    if column.nunique() <= _FEW:
        codes, _ = pd.factorize(column, use_na_sentinel=False)
    else:
        codes = (ranks * _BINS / (len(ranks) + 1)).astype(int)
    found.append(score(_fold_means(codes, goal, folds), goal))
    return float(max(found))


def _fold_means(codes: np.ndarray, goal: np.ndarray, folds: np.ndarray) -> np.ndarray:
    import numpy as np

    size = int(codes.max()) + 1
    cells = codes * _FOLDS + folds
    sums = np.bincount(cells, weights=goal, minlength=size * _FOLDS).reshape(size, _FOLDS)
    rows = np.bincount(cells, minlength=size * _FOLDS).reshape(size, _FOLDS)
    others_sum = sums.sum(axis=1, keepdims=True) - sums
    others_rows = rows.sum(axis=1, keepdims=True) - rows
    means = np.where(others_rows > 0, others_sum / np.maximum(others_rows, 1), goal.mean())
    chosen: np.ndarray = means[codes, folds]
    return chosen


def _auc(scores: np.ndarray, goal: np.ndarray) -> float:
    import pandas as pd

    ranks = pd.Series(scores).rank().to_numpy()
    positives = goal.sum()
    negatives = len(goal) - positives
    area = (ranks[goal == 1].sum() - positives * (positives + 1) / 2) / (positives * negatives)
    return float(area)


def _rank_correlation(scores: np.ndarray, goal: np.ndarray) -> float:
    import numpy as np
    import pandas as pd

    first, second = pd.Series(scores).rank().to_numpy(), pd.Series(goal).rank().to_numpy()
    if np.ptp(first) == 0 or np.ptp(second) == 0:
        return 0.0
    return float(np.corrcoef(first, second)[0, 1])
