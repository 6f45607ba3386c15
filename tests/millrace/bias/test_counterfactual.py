"""Only the sensitive value changed: a model that uses it answers otherwise, one that does not never does."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from millrace.bias.counterfactual import MOST_ROWS, Counterfactuals, change_sensitive
from millrace.bias.policy import shipped_policy
from millrace.contracts.task import Answers

ANSWERS = Answers(target="got", task_type="classification", positive="yes", sensitive=("sex", "age"))
RNG = np.random.default_rng(0)
ROWS = 400
FRAME = pd.DataFrame(
    {
        "sex": RNG.choice(["f", "m"], ROWS),
        "age": RNG.integers(18, 80, ROWS),
        "merit": RNG.random(ROWS),
        "when": pd.Timestamp("2024-01-01"),
    }
)


def _asked(predict: Any, frame: pd.DataFrame = FRAME, **change: Any) -> Counterfactuals:
    return change_sensitive(
        predict, frame, answers=ANSWERS.model_copy(update=change), used=None, policy=shipped_policy(), seed=0
    )


def _by_sex(rows: pd.DataFrame) -> np.ndarray:
    return np.where(rows.merit > np.where(rows.sex == "f", 0.7, 0.4), "yes", "no")


def test_a_model_that_uses_the_column_changes_its_answer_where_it_uses_it() -> None:
    sex, age = _asked(_by_sex).columns
    found = {one.group: one for one in sex.changes}
    between = FRAME.merit.between(0.4, 0.7, inclusive="right")
    women, men = FRAME.sex == "f", FRAME.sex == "m"
    assert (found["m"].gained, found["m"].lost) == (int((between & women).sum()), 0)
    assert (found["f"].gained, found["f"].lost) == (0, int((between & men).sum()))
    assert found["m"].rows == int(women.sum())
    assert found["m"].low < found["m"].share < found["m"].high  # type: ignore[operator]
    assert all(one.changed == 0 for one in age.changes)
    assert len(age.changes) == 4


def test_a_number_is_shifted_by_what_the_column_is_worth() -> None:
    asked = _asked(lambda rows: rows.merit + 3.0 * (rows.sex == "m"), task_type="regression", positive=None)
    found = {one.group: one for one in asked.columns[0].changes}
    assert found["m"].shift == pytest.approx(3.0)
    assert found["f"].shift == pytest.approx(-3.0)
    assert found["m"].gained is None


def test_more_rows_than_can_be_asked_are_drawn_and_counted() -> None:
    frame = pd.concat([FRAME] * 20, ignore_index=True)
    asked = _asked(_by_sex, frame)
    assert (asked.rows, asked.rows_in_all) == (MOST_ROWS, 20 * ROWS)
    assert asked == _asked(_by_sex, frame)


@pytest.mark.parametrize("values", [["f"] * ROWS, [None] * ROWS, pd.Categorical(["f", "m"] * (ROWS // 2))])
def test_odd_columns_are_asked_or_said_not_to_be(values: Any) -> None:
    sex = _asked(lambda rows: ["no"] * len(rows), FRAME.assign(sex=values)).columns[0]
    assert bool(sex.changes) != bool(sex.remark)


def test_a_column_that_the_model_does_not_take_is_said_so() -> None:
    asked = change_sensitive(
        _by_sex, FRAME, answers=ANSWERS, used=frozenset({"sex", "merit"}), policy=shipped_policy(), seed=0
    )
    assert "does not take this column" in asked.columns[1].remark
