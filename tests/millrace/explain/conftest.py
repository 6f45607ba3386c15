"""Small pipelines of the form that training gives, and tables whose truth is known."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler


@pytest.fixture(scope="session")
def known() -> pd.DataFrame:
    """`size` drives the target up, `colour` "red" too, `noise` not at all."""
    generator = np.random.default_rng(5)
    rows = 600
    size = generator.normal(0, 1, rows)
    colour = generator.choice(["red", "green", "blue"], rows)
    score = 1.5 * size + 1.0 * (colour == "red") + generator.normal(0, 0.5, rows)
    return pd.DataFrame(
        {
            "size": size,
            "colour": colour,
            "noise": generator.normal(0, 1, rows),
            "answer": np.where(score > 0.3, "yes", "no"),
            "kind": np.select([score < -0.5, score < 0.8], ["low", "middle"], "high"),
            "price": score,
        }
    )


@pytest.fixture(scope="session")
def fit_pipeline() -> Callable[..., Pipeline]:
    """A fitted pipeline of scaled numbers, one-hot categories and the estimator."""

    def fit(estimator: Any, frame: pd.DataFrame, target: str, features: list[str]) -> Pipeline:
        numbers = [name for name in features if frame[name].dtype != object]
        texts = [name for name in features if frame[name].dtype == object]
        blocks: list[Any] = [("numbers", StandardScaler(), numbers)]
        blocks += [(f"text {name}", OneHotEncoder(sparse_output=False), [name]) for name in texts]
        return Pipeline([("preprocess", ColumnTransformer(blocks)), ("model", estimator)]).fit(
            frame[features], frame[target]
        )

    return fit
