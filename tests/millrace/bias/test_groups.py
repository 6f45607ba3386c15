import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from millrace.bias.groups import MISSING, Grouping, group_rows
from millrace.bias.policy import shipped_policy
from millrace.contracts.errors import BadInput

POLICY = shipped_policy()


def _sizes(grouping: Grouping) -> dict[str, int]:
    counts = np.bincount(grouping.codes, minlength=len(grouping.names))
    return dict(zip(grouping.names, counts.tolist(), strict=True))


def _groups(values: object, name: str = "column") -> Grouping:
    return group_rows(pd.Series(values, name=name), policy=POLICY)


def test_values_are_groups_and_gaps_are_a_group_of_their_own() -> None:
    grouping = _groups(["b", "a", None, "a", np.nan])
    assert _sizes(grouping) == {"a": 2, "b": 1, MISSING: 2}
    assert grouping.comparable == (True, True, False)


def test_a_value_that_reads_like_the_gap_stays_apart() -> None:
    assert _sizes(_groups([MISSING, None, None])) == {f'"{MISSING}"': 1, MISSING: 2}


@pytest.mark.parametrize("name", ["age", "Age", "AGE", "customer_age", "customerAge", "age_years"])
def test_ages_are_cut_at_the_bands_of_the_policy(name: str) -> None:
    grouping = _groups([18, 24, 25, 39, 40, 59, 60, 61, 90, 22, 33, None], name)
    expected = {"below 25": 3, "25 to below 40": 3, "40 to below 60": 2, "60 and above": 3, MISSING: 1}
    assert _sizes(grouping) == expected


def test_other_numbers_are_cut_into_quarters() -> None:
    grouping = _groups(np.arange(1000), "wage")
    assert list(_sizes(grouping).values()) == [249, 250, 250, 251]
    assert "quartiles" in grouping.how


def test_numbers_are_cut_where_the_policy_says_few_values_or_many() -> None:
    policy = POLICY.model_copy(update={"bands": {"income": (1000.0, 2500.5)}})
    for values in (list(range(0, 4000, 10)), [0, 1000, 2500, 3000]):
        grouping = group_rows(pd.Series(values, name="income"), policy=policy)
        assert grouping.names == ("below 1000", "1000 to below 2500.5", "2500.5 and above")
        assert grouping.how == "bands that the policy names"
        told = pd.cut(pd.Series(values), [-1, 999.9, 2500.4, 9999], labels=False).to_list()
        assert grouping.codes.tolist() == told
    assert group_rows(pd.Series([0.5] * 40, name="other"), policy=policy).how == "one group for each value"


def test_bands_of_a_column_that_holds_no_numbers_are_refused() -> None:
    policy = POLICY.model_copy(update={"bands": {"income": (1000.0,)}})
    with pytest.raises(BadInput, match="holds no numbers") as caught:
        group_rows(pd.Series(["much", "little"] * 40, name="income"), policy=policy)
    assert caught.value.field == "policy"
    assert group_rows(pd.Series([None] * 40, name="income"), policy=policy).names == (MISSING,)


def test_few_numbers_are_values() -> None:
    assert _sizes(_groups([1.0, 2.0, 2.0, np.nan])) == {"2": 2, "1": 1, MISSING: 1}


def test_truth_values_are_values() -> None:
    assert _sizes(_groups([True, False, True])) == {"true": 2, "false": 1}


def test_dates_are_cut_into_quarters_named_by_date() -> None:
    grouping = _groups(pd.date_range("2024-01-01", periods=100))
    assert grouping.names[0] == "below 2024-01-25"
    assert sum(_sizes(grouping).values()) == 100


def test_a_skewed_column_gets_fewer_bands_and_none_is_empty() -> None:
    grouping = _groups([0.0] * 90 + list(range(1, 21)))
    assert all(_sizes(grouping).values())


def test_the_smallest_of_many_values_are_pooled_and_counted() -> None:
    values = [f"v{index:02}" for index in range(30) for _ in range(30 - index)]
    grouping = _groups(values)
    assert len(grouping.names) == POLICY.maximum_groups
    assert grouping.names[-1] == "(11 other values)"
    assert not grouping.comparable[-1]
    assert sum(_sizes(grouping).values()) == len(values)


def test_values_that_read_the_same_are_one_group() -> None:
    assert _sizes(_groups([1, "1", 1.0, "x"])) == {"1": 3, "x": 1}


@settings(max_examples=60, deadline=None)
@given(
    st.one_of(
        st.lists(st.one_of(st.none(), st.text(max_size=3)), min_size=1, max_size=60),
        st.lists(st.one_of(st.none(), st.floats(-1e6, 1e6)), min_size=1, max_size=60),
        st.lists(st.one_of(st.none(), st.booleans()), min_size=1, max_size=60),
    )
)
def test_no_row_is_ever_dropped(values: list[object]) -> None:
    grouping = _groups(values)
    sizes = _sizes(grouping)
    assert len(sizes) == len(grouping.names) == len(grouping.comparable)
    assert sum(sizes.values()) == len(values)
    assert grouping.codes.min() >= 0
    assert sizes.get(MISSING, 0) == sum(value is None for value in values)


@given(st.permutations(list(range(40))))
@settings(max_examples=20, deadline=None)
def test_the_order_of_the_rows_does_not_matter(order: list[int]) -> None:
    values = [None, "a", "b", "b", "c"] * 8
    first, second = _groups(values), _groups([values[place] for place in order])
    assert first.names == second.names
    assert _sizes(first) == _sizes(second)


def test_a_column_of_numbers_that_a_few_cells_made_text_says_so() -> None:
    ages = pd.Series([str(20 + number % 50) for number in range(400)], name="age")
    ages[[3, 7, 9]] = ["inf", "unknown", None]
    found = group_rows(ages, policy=POLICY)
    assert found.note == (
        "age was compared as text and not in bands, because not every value is a finite number: "
        '"inf", "unknown". Leave such cells empty.'
    )
    assert group_rows(ages.where(~ages.isin(["inf", "unknown"])), policy=POLICY).note == ""
    cities = pd.Series([f"city {number % 50}" for number in range(400)], name="city")
    assert group_rows(cities, policy=POLICY).note == ""
