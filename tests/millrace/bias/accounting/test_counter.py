"""Counts of groups against plain recomputation with pandas."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from millrace.bias.accounting.counter import NOT_COUNTED, count_rows
from millrace.bias.accounting.counts import Counted, StepCount, counted_json, read_counted
from millrace.bias.figures import MISSING
from millrace.bias.policy import shipped_policy
from millrace.contracts.errors import BadInput
from millrace.contracts.filled import FilledValues

POLICY = shipped_policy()


def _groups(step: StepCount, attribute: str) -> dict[str, tuple[int, int, int]]:
    (found,) = [one for one in step.attributes if one.attribute == attribute]
    return {group.group: (group.rows_in, group.kept, group.rows_out) for group in found.groups}


def _filled(column: str, value: object, cells: list[bool], *, guessed: bool = True) -> FilledValues:
    return FilledValues(column, value, str(value), guessed, np.array(cells))


@settings(max_examples=60, deadline=None)
@given(
    cells=st.lists(st.tuples(st.sampled_from(["f", "m", "x", None]), st.booleans()), min_size=1, max_size=60),
    seed=st.integers(0, 5),
)
def test_every_row_is_in_one_group_and_the_counts_are_those_of_pandas(
    cells: list[tuple[str | None, bool]], seed: int
) -> None:
    frame = pd.DataFrame({"sex": pd.Series([sex for sex, _ in cells], dtype=object)})
    came = np.sort(np.random.default_rng(seed).permutation(len(frame))[: max(1, len(frame) // 2)])
    kept = came[np.array([stays for _, stays in cells])[came]]
    step = count_rows(frame, sensitive=["sex"], policy=POLICY).step("target", came=came, kept=kept)
    sex = frame.sex.fillna(MISSING)
    found = _groups(step, "sex")
    assert set(found) == set(sex)
    for group, (rows_in, stayed, rows_out) in found.items():
        assert rows_in == (sex.iloc[came] == group).sum()
        assert stayed == rows_out == (sex.iloc[kept] == group).sum()
    assert (step.rows_in, step.rows_out) == (len(came), len(kept))
    assert [sum(column) for column in zip(*found.values(), strict=True)] == [len(came), len(kept), len(kept)]


def test_texts_that_were_read_as_missing_are_groups_of_the_file() -> None:
    frame = pd.DataFrame({"region": ["s"] * 6 + [None] * 4, "age": [30.0, 40.0] * 5})
    counter = count_rows(frame, sensitive=["region", "age"], policy=POLICY)
    step = counter.reading(10, {"region": {"": 1, "NA": 3}, "age": {}})
    assert _groups(step, "region") == {"s": (6, 6, 6), MISSING: (1, 1, 4), '"NA"': (3, 0, 0)}
    assert all(came == kept == went for came, kept, went in _groups(step, "age").values())
    assert step.remark == ""


def test_a_file_whose_cells_nobody_counted_says_so() -> None:
    counter = count_rows(pd.DataFrame({"a": ["x", None], "b": [1, 2]}), sensitive=["a", "b"], policy=POLICY)
    step = counter.reading(2, {"a": None, "b": {}})
    assert [one.attribute for one in step.attributes] == ["b"]
    assert step.remark == NOT_COUNTED


def test_rows_become_the_people_that_they_stand_for() -> None:
    counter = count_rows(pd.DataFrame({"sex": ["f", "m", "f", "m"]}), sensitive=["sex"], policy=POLICY)
    step, people = counter.weights(np.array([3, 0, 4, 5]))
    assert _groups(step, "sex") == {"f": (2, 2, 7), "m": (2, 1, 5)}
    assert (step.rows_in, step.kept, step.rows_out, people.rows) == (4, 3, 12, 12)
    after = people.step("target", came=people.everybody(), kept=np.array([0, 1, 2, 11]))
    assert _groups(after, "sex") == {"f": (7, 3, 3), "m": (5, 1, 1)}


def test_a_guess_in_another_column_touches_the_row_and_one_in_the_own_column_moves_it() -> None:
    frame = pd.DataFrame({"level": [1.0, 1.0, 2.0, None, None], "pay": [1.0, None, 3.0, None, 5.0]})
    counter = count_rows(frame, sensitive=["level"], policy=POLICY)
    filled = [
        _filled("level", 1.0, [False, False, False, True, True]),
        _filled("pay", 3.0, [False, True, False, True, False]),
        _filled("note", MISSING, [True] * 5, guessed=False),
    ]
    step = counter.imputation(np.arange(5), filled)
    assert _groups(step, "level") == {"1": (2, 1, 4), "2": (1, 1, 1), MISSING: (2, 1, 0)}
    assert {one.group: one.filled for one in step.attributes[0].groups} == {"1": 3, "2": 1, MISSING: 5}
    assert step.kept == 2
    assert {(one.column, one.guessed, one.values, one.by_group) for one in step.filled} == {
        ("level", True, 2, ((0, 0, 2),)),
        ("pay", True, 2, ((1, 0, 1),)),
        ("note", False, 5, ((2, 1, 2),)),
    }


@pytest.mark.parametrize(("guess", "group"), [(24.9, "below 25"), (25.0, "25 to below 40"), (99.0, "60 and above")])
def test_a_guessed_age_goes_to_its_band_though_nobody_has_it(guess: float, group: str) -> None:
    ages = [*range(18, 78, 3), None]
    counter = count_rows(pd.DataFrame({"age": ages}), sensitive=["age"], policy=POLICY)
    cells = [False] * 20 + [True]
    found = _groups(counter.imputation(np.arange(21), [_filled("age", guess, cells)]), "age")
    assert [name for name, (came, _, went) in found.items() if went > came] == [group]
    assert found[MISSING] == (1, 1, 0)


def test_a_guessed_date_goes_to_its_quarter() -> None:
    days = pd.Series([*pd.date_range("2024-01-01", periods=40), pd.NaT])
    counter = count_rows(pd.DataFrame({"since": days}), sensitive=["since"], policy=POLICY)
    step = counter.imputation(
        np.arange(41), [_filled("since", pd.Timestamp("2024-01-25 12:00"), [False] * 40 + [True])]
    )
    grown = [name for name, (came, _, went) in _groups(step, "since").items() if went > came]
    assert grown == ["2024-01-20 to below 2024-01-30"]


def test_a_guess_that_is_nobodys_value_is_a_group_of_its_own() -> None:
    frame = pd.DataFrame({"level": pd.Series([1, 2, None], dtype="float64")})
    step = count_rows(frame, sensitive=["level"], policy=POLICY).imputation(
        np.arange(3), [_filled("level", 1.5, [False, False, True])]
    )
    assert _groups(step, "level") == {"1": (1, 1, 1), "2": (1, 1, 1), MISSING: (1, 1, 0), "1.5 (filled in)": (0, 0, 1)}


def test_an_attribute_that_is_all_missing_is_one_group() -> None:
    frame = pd.DataFrame({"sex": pd.Series([None] * 4, dtype=object)})
    counter = count_rows(frame, sensitive=["sex"], policy=POLICY)
    step = counter.step("target", came=counter.everybody(), kept=np.array([1]))
    assert _groups(step, "sex") == {MISSING: (4, 1, 1)}
    assert _groups(counter.reading(4, {"sex": {"": 1, "null": 3}}), "sex") == {
        MISSING: (1, 1, 4),
        '"null"': (3, 0, 0),
    }


def test_counts_are_kept_as_a_file_and_read_back() -> None:
    counter = count_rows(pd.DataFrame({"sex": ["f", "m"]}), sensitive=["sex"], policy=POLICY)
    steps = (
        counter.step("target", came=counter.everybody(), kept=np.array([0])),
        counter.imputation(np.array([0]), [_filled("pay", 3.0, [True])]),
    )
    counted = Counted("ab" * 32, "hired", steps)
    assert read_counted(counted_json(counted)) == counted
    for wrong in (b"[]", b"{", counted_json(counted).replace(b'"rows_in":2', b'"rows_in":"many"', 1)):
        with pytest.raises(BadInput, match="no counts of rows"):
            read_counted(wrong)
