"""A planted problem: the label follows merit, less for one group; everything but the group's own column is merit."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression

from millrace.bias.mitigation.compare import Holdout
from millrace.bias.mitigation.problem import Problem, Rows, treated_groups
from millrace.bias.policy import Policy, shipped_policy
from millrace.contracts.task import Answers

POLICY = Policy.model_validate({**shipped_policy().model_dump(), "bootstraps": 400})


@dataclass(frozen=True)
class Planted:
    problem: Problem
    holdout: Holdout


@pytest.fixture(scope="session")
def policy() -> Policy:
    return POLICY


@pytest.fixture(scope="session")
def plant() -> Callable[..., Planted]:
    """`plant(push=1.0)`: women need `push` more merit for the same label."""

    def make(
        *,
        rows: int = 4_000,
        push: float = 1.0,
        noise: float = 1.0,
        seed: int = 0,
        positive: str = "yes",
        **change: Any,
    ) -> Planted:
        rng = np.random.default_rng(seed)
        sex = rng.choice(["f", "m"], rows)
        merit = rng.standard_normal((rows, 2))
        town = rng.choice(["n", "s"], rows)
        label = (merit.sum(axis=1) - push * (sex == "f") + noise * rng.standard_normal(rows) > 0).astype(int)
        columns = pd.DataFrame({"sex": sex, "town": town})
        train = rng.random(rows) < 0.6
        group, names = treated_groups(columns[["sex"]], label, policy=POLICY, train=train)
        matrix = np.column_stack([merit, sex == "f", sex == "m"]).astype(float)
        whole = Rows(matrix, label, group)
        problem = Problem(
            train=whole.at(np.flatnonzero(train)),
            test=whole.at(np.flatnonzero(~train)),
            groups=names,
            sensitive_columns=(2, 3),
            make=LogisticRegression,
            constraint="demographic-parity",
            seed=seed,
        )
        answers = Answers(target="hired", task_type="classification", positive=positive, sensitive=("sex", "town"))
        holdout = Holdout(
            label=label[~train],
            classes=("no", "yes"),
            positive=positive,
            columns=columns[~train].reset_index(drop=True),
            answers=answers,
            policy=POLICY,
            seed=seed,
        )
        return Planted(problem if not change else Problem(**{**vars(problem), **change}), holdout)

    return make
