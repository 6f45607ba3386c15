"""The refit keeps to its deadline."""

import time
from typing import Any

import numpy as np
import pytest
from lightgbm import LGBMClassifier
from xgboost import XGBClassifier

from millrace.automl.refit import ALL_ROWS, refit
from millrace.automl.search import Found


def found(estimator: Any, *, fit_seconds: float = 0.0) -> Found:
    return Found(
        estimator=estimator,
        fitted=np.arange(10),
        fit_seconds=fit_seconds,
        family="any",
        metric="loss",
        validation={},
        described="",
        leaderboard=(),
        config={},
    )


@pytest.fixture(scope="module")
def rows() -> tuple[np.ndarray, np.ndarray]:
    matrix = np.random.default_rng(0).normal(size=(4000, 10))
    return matrix, (matrix[:, 0] > 0).astype(int)


@pytest.mark.parametrize("kind", [LGBMClassifier, XGBClassifier])
def test_a_boosting_is_broken_off_at_the_deadline(rows: tuple[np.ndarray, np.ndarray], kind: Any) -> None:
    quiet = {"verbose": -1} if kind is LGBMClassifier else {"verbosity": 0}
    winner = kind(n_estimators=3, n_jobs=1, **quiet).fit(*rows)
    winner.set_params(n_estimators=100_000)
    began = time.perf_counter()
    kept, told = refit(found(winner), *rows, deadline=began + 0.5)
    assert time.perf_counter() - began < 5
    assert kept is winner
    assert "broken off" in told


@pytest.mark.parametrize("kind", [LGBMClassifier, XGBClassifier])
def test_within_the_deadline_all_rows_are_learnt(rows: tuple[np.ndarray, np.ndarray], kind: Any) -> None:
    matrix, target = rows
    winner = kind(n_estimators=3, n_jobs=1).fit(matrix[:100], target[:100])
    kept, told = refit(found(winner), matrix, target, deadline=time.perf_counter() + 60)
    assert told == ALL_ROWS
    plain = kind(n_estimators=3, n_jobs=1).fit(matrix, target)
    assert (kept.predict_proba(matrix) == plain.predict_proba(matrix)).all()


def test_a_refit_that_cannot_end_in_time_is_not_begun(rows: tuple[np.ndarray, np.ndarray]) -> None:
    winner = LGBMClassifier(n_estimators=3, verbose=-1)
    kept, told = refit(found(winner, fit_seconds=100), *rows, deadline=time.perf_counter() + 10)
    assert kept is winner
    assert "about 125.0 s" in told
