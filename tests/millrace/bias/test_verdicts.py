import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from millrace.bias.verdicts import judge, worst

numbers = st.floats(allow_nan=False, allow_infinity=False, width=32)


@pytest.mark.parametrize(
    ("low", "high", "better", "verdict"),
    [
        (0.8, 1.0, "higher", "pass"),
        (0.9, 0.95, "higher", "pass"),
        (0.5, 0.7999, "higher", "fail"),
        (0.5, 0.8, "higher", "inconclusive"),
        (0.79, 0.81, "higher", "inconclusive"),
        (0.0, 0.8, "lower", "pass"),
        (0.8001, 0.9, "lower", "fail"),
        (0.8, 0.9, "lower", "inconclusive"),
        (0.79, 0.81, "lower", "inconclusive"),
        (math.nan, 0.9, "higher", "not assessable"),
        (0.9, math.nan, "higher", "not assessable"),
        (0.9, math.inf, "higher", "not assessable"),
        (-math.inf, 0.1, "lower", "not assessable"),
        (None, 0.9, "higher", "not assessable"),
        (0.9, None, "lower", "not assessable"),
        (0.95, 0.85, "higher", "not assessable"),
    ],
)
def test_the_whole_interval_decides(low: float | None, high: float | None, better: str, verdict: str) -> None:
    assert judge(low, high, line=0.8, better=better) == verdict


def test_too_few_data_never_pass_whatever_the_interval_says() -> None:
    assert judge(0.95, 1.0, line=0.8, better="higher", enough=False) == "not assessable"


def test_a_line_that_is_no_number_judges_nothing() -> None:
    assert judge(0.9, 1.0, line=math.nan, better="higher") == "not assessable"


@given(numbers, numbers, numbers, numbers)
def test_a_better_interval_never_gets_a_worse_verdict(low: float, high: float, line: float, shift: float) -> None:
    low, high, shift = min(low, high), max(low, high), abs(shift)
    order = {"fail": 0, "inconclusive": 1, "pass": 2}
    before = judge(low, high, line=line, better="higher")
    assert order[judge(low + shift, high + shift, line=line, better="higher")] >= order[before]
    assert order[judge(low, high, line=line - shift, better="higher")] >= order[before]


@given(numbers, numbers, numbers)
def test_the_two_directions_are_mirror_images(low: float, high: float, line: float) -> None:
    low, high = min(low, high), max(low, high)
    assert judge(low, high, line=line, better="higher") == judge(-high, -low, line=-line, better="lower")


@given(numbers, numbers, numbers, numbers)
def test_a_wider_interval_never_turns_doubt_into_certainty(low: float, high: float, line: float, more: float) -> None:
    low, high, more = min(low, high), max(low, high), abs(more)
    wider = judge(low - more, high + more, line=line, better="lower")
    assert wider in {"inconclusive", judge(low, high, line=line, better="lower")}


def test_the_worst_of_several_verdicts_speaks_for_all() -> None:
    assert worst(["pass", "inconclusive", "fail"]) == "fail"
    assert worst(["pass", "not assessable", "inconclusive"]) == "inconclusive"
    assert worst(["pass", "not assessable"]) == "not assessable"
    assert worst(["pass", "pass"]) == "pass"
    assert worst([]) is None
