"""How many rows a tree model can explain in seconds. Counted, not timed: the sample must not depend on the clock."""

import math
from typing import Any

BOOSTER_WORK = 6e9
"""Leaves × depth² × rows that LightGBM and XGBoost do in four to nine seconds on two cores."""
FOREST_WORK = 2e9
"""The same for shap's tree walker on one core."""
FEWEST_ROWS = 200


def tree_rows(estimator: Any) -> int | None:
    """Most rows to explain; None when the estimator is not made of trees."""
    module = type(estimator).__module__.partition(".")[0]
    if module == "lightgbm":
        return _rows(BOOSTER_WORK, _lightgbm(estimator.booster_))
    if module == "xgboost":
        return _rows(BOOSTER_WORK, _xgboost(estimator.get_booster()))
    if is_forest(estimator):
        return _rows(FOREST_WORK, sum(_tree(found.tree_.n_leaves, found.tree_.max_depth) for found in estimator))
    return None


def is_forest(estimator: Any) -> bool:
    """True for scikit-learn's forests."""
    from sklearn.ensemble import (
        ExtraTreesClassifier,
        ExtraTreesRegressor,
        RandomForestClassifier,
        RandomForestRegressor,
    )

    return isinstance(
        estimator, ExtraTreesClassifier | ExtraTreesRegressor | RandomForestClassifier | RandomForestRegressor
    )


def _rows(work: float, a_row: float) -> int:
    return max(FEWEST_ROWS, int(work / max(a_row, 1.0)))


def _tree(leaves: int, depth: float) -> float:
    return float(leaves) * (depth + 1) ** 2


def _lightgbm(booster: Any) -> float:
    # the text has no depths; leaf-wise growth is about twice as deep as a balanced tree
    lines = booster.model_to_string().splitlines()
    leaves = [int(line.partition("=")[2]) for line in lines if line.startswith("num_leaves=")]
    return sum(_tree(count, 2 * math.log2(count) + 1) for count in leaves)


def _xgboost(booster: Any) -> float:
    work = 0.0
    for tree in booster.get_dump():
        lines = tree.splitlines()
        work += _tree(sum("leaf=" in line for line in lines), max(line.count("\t") for line in lines))
    return work
