"""A pipeline taken apart: preprocessing, estimator, and which feature each encoded column came from."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class Parts:
    """Preprocessing and estimator of a pipeline."""

    preprocess: Any
    estimator: Any
    origin: "np.ndarray[Any, np.dtype[np.int64]]"
    """Position in `features` of the column that each encoded column came from."""


def take_apart(predictor: Any, features: Sequence[str]) -> Parts | None:
    """The parts of a pipeline of a ColumnTransformer and an estimator; None for anything else.

    An encoded column can be traced when its block of the ColumnTransformer has one input column, or as many outputs
    as inputs. A VotingClassifier of one member is that member with labels.
    """
    from sklearn.compose import ColumnTransformer
    from sklearn.ensemble import VotingClassifier
    from sklearn.pipeline import Pipeline

    if not isinstance(predictor, Pipeline) or len(predictor.steps) != 2:
        return None
    preprocess, estimator = predictor.steps[0][1], predictor.steps[1][1]
    if isinstance(estimator, VotingClassifier):
        if len(estimator.estimators_) != 1 or estimator.voting != "soft":
            return None
        estimator = estimator.estimators_[0]
    if not isinstance(preprocess, ColumnTransformer):
        return None
    origin = _origin(preprocess, list(features))
    return None if origin is None else Parts(preprocess, estimator, origin)


def _origin(preprocess: Any, features: list[str]) -> "np.ndarray[Any, np.dtype[np.int64]] | None":
    import numpy as np

    place = {name: position for position, name in enumerate(features)}
    width = max(found.stop for found in preprocess.output_indices_.values())
    origin = np.full(width, -1, dtype=np.int64)
    for block, _, columns in preprocess.transformers_:
        found = preprocess.output_indices_[block]
        names = [columns] if isinstance(columns, str) else list(columns)
        count = found.stop - found.start
        if count == 0:
            continue
        if len(names) not in (1, count) or not all(isinstance(name, str) and name in place for name in names):
            return None
        origin[found] = place[names[0]] if len(names) == 1 else [place[name] for name in names]
    return None if (origin < 0).any() else origin
