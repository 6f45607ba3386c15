"""Columns that a careful person would not send: each is a clear error or a named remark, never a crash or a zero."""

from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest

from millrace.bias.counts import expand_counts
from millrace.bias.label import measure_label_bias
from millrace.bias.page import render_bias_page
from millrace.bias.predictions import measure_model_bias
from millrace.bias.report import BiasReport
from millrace.contracts.errors import BadInput
from millrace.contracts.task import Answers
from millrace.pages import PageFacts

ROWS = 400
RNG = np.random.default_rng(0)
LABEL = np.where(RNG.random(ROWS) < 0.5, "yes", "no")
FACTS = PageFacts("ada.odd", 1, "ab" * 32, "0", datetime(2026, 1, 1, tzinfo=UTC))

ODD = {
    "constant": np.full(ROWS, "a"),
    "unique in every row": np.array([f"p{row}" for row in range(ROWS)]),
    "all missing": np.full(ROWS, None),
    "missing where refused": np.where(LABEL == "yes", np.where(RNG.random(ROWS) < 0.5, "a", "b"), None),
    "a group of one row": np.array(["x", *np.where(RNG.random(ROWS - 1) < 0.5, "a", "b")]),
    "a group without positives": np.where(LABEL == "yes", "a", np.where(RNG.random(ROWS) < 0.5, "a", "b")),
    "a group without negatives": np.where(LABEL == "no", "a", np.where(RNG.random(ROWS) < 0.5, "a", "b")),
    "markup": np.where(RNG.random(ROWS) < 0.5, "<b>x</b>", "<script>alert(1)</script>"),
    "not a number": np.where(RNG.random(ROWS) < 0.2, np.nan, RNG.normal(size=ROWS)),
    "infinite": np.where(RNG.random(ROWS) < 0.2, np.inf, RNG.normal(size=ROWS)),
    "empty text": np.where(RNG.random(ROWS) < 0.5, "", " "),
    "truth values": RNG.random(ROWS) < 0.5,
}


def _both(values: np.ndarray) -> list[BiasReport]:
    frame = pd.DataFrame({"who": values, "other": np.where(RNG.random(ROWS) < 0.5, "m", "f"), "got": LABEL})
    answers = Answers(target="got", task_type="classification", positive="yes", sensitive=("who", "other"))
    said = np.where(RNG.random(ROWS) < 0.2, "no", LABEL)
    model = {"features": frame[["other"]], "strata": frame.other, "scores": RNG.random(ROWS)}
    return [
        measure_label_bias(frame, answers=answers, seed=0, strata="other"),
        measure_model_bias(frame.got, said, frame, answers=answers, seed=0, **model),
    ]


@pytest.mark.parametrize("name", ODD)
def test_odd_columns_are_measured_or_named_and_every_row_is_counted(name: str) -> None:
    for report in _both(ODD[name]):
        assert all(sum(group.rows for group in one.groups) == ROWS for one in (*report.attributes, *report.crossings))
        for attribute in (*report.attributes, *report.crossings):
            assert all(group.compared or group.remark for group in attribute.groups)
            for item in attribute.disparities:
                assert item.reason
                assert item.value is not None or item.verdict in {"not assessable", None}
        assert report.document()["attributes"]
        assert "not assessable" in render_bias_page(report, facts=FACTS)


@pytest.mark.parametrize("name", ["constant", "unique in every row", "all missing"])
def test_what_has_nothing_to_compare_never_passes(name: str) -> None:
    for report in _both(ODD[name]):
        assert report.attributes[0].verdict == "not assessable"


def test_five_thousand_values_are_pooled_and_counted() -> None:
    rows = 10_000
    frame = pd.DataFrame({"who": [f"v{row % 5_000}" for row in range(rows)], "got": ["yes", "no"] * (rows // 2)})
    answers = Answers(target="got", task_type="classification", positive="yes", sensitive=("who",))
    (attribute,) = measure_label_bias(frame, answers=answers, seed=0).attributes
    assert attribute.groups[-1].name == "(4981 other values)"
    assert sum(group.rows for group in attribute.groups) == rows


def test_predictions_outside_the_labels_are_named_with_their_rows() -> None:
    frame = pd.DataFrame({"who": ["a", "b"] * 200})
    said = np.where(np.arange(ROWS) < 7, "may<b>be", LABEL)
    answers = Answers(target="got", task_type="classification", positive="yes", sensitive=("who",))
    report = measure_model_bias(LABEL, said, frame, answers=answers, seed=0)
    assert any("may<b>be (7 rows)" in note for note in report.notes)
    assert "may&lt;b&gt;be" in render_bias_page(report, facts=FACTS)


def test_what_was_not_measured_is_absent_and_what_clarify_defines_is_marked() -> None:
    who = np.repeat(["a", "b"], 200)
    truth = np.where((who == "b") | (np.arange(ROWS) % 2 == 0), "no", "yes")
    answers = Answers(target="got", task_type="classification", positive="yes", sensitive=("who",))
    report = measure_model_bias(truth, truth, pd.DataFrame({"who": who}), answers=answers, seed=0)
    facet = next(one for one in report.attributes[0].facets if one.group == "b")
    found = {item.metric: item for item in facet.metrics}
    # nobody of b is favoured: Clarify's recall of 0/0 is 0, which is said and gets no interval
    assert found["RD"].value == 1.0
    assert "nothing was there to divide by" in found["RD"].remark
    assert found["RD"].low is None
    for name in ("FT", "CDDL", "CDDPL"):
        assert found[name].value is None
        assert found[name].remark.startswith("could not check")


def test_a_third_value_of_the_target_counts_as_unfavourable_when_one_is_named() -> None:
    frame = pd.DataFrame({"who": ["a", "b"] * 150, "got": ["yes", "no", "maybe"] * 100})
    answers = Answers(target="got", task_type="classification", positive="yes", sensitive=("who",))
    (attribute,) = measure_label_bias(frame, answers=answers, seed=0).attributes
    assert {value.count for value in attribute.measures[0].values} == {50}


def test_a_stratum_that_is_not_there_is_refused() -> None:
    frame = pd.DataFrame({"who": ["a", "b"], "got": ["yes", "no"]})
    answers = Answers(target="got", task_type="classification", positive="yes", sensitive=("who",))
    with pytest.raises(BadInput) as caught:
        measure_label_bias(frame, answers=answers, seed=0, strata="whoo")
    assert caught.value.field == "strata"


def test_a_table_of_counts_gives_the_figures_of_the_rows_it_stands_for() -> None:
    counts = pd.DataFrame(
        {"who": ["a", "a", "b", "b", "c"], "got": ["yes", "no", "yes", "no", "no"], "n": [120, 80, 60, 140, 0]}
    )
    expanded, note = expand_counts(counts, "n")
    assert list(expanded.columns) == ["who", "got"]
    assert expanded.value_counts().to_dict() == {
        ("b", "no"): 140, ("a", "yes"): 120, ("a", "no"): 80, ("b", "yes"): 60,
    }  # fmt: skip
    assert note == "5 rows stand for 400 people (column n); rows that stand for nobody: 1."


@pytest.mark.parametrize(
    "weights",
    [
        [1, -1], [1, 0.5], [1, np.nan], [1, np.inf], ["1", "x"], [0, 0], [10_000_000, 10_000_001],
        [pd.Timestamp("2024-01-01")] * 2, [None, None],
    ],
    ids=str,
)  # fmt: skip
def test_weights_that_are_no_numbers_of_people_are_refused(weights: list[object]) -> None:
    with pytest.raises(BadInput) as caught:
        expand_counts(pd.DataFrame({"who": ["a", "b"], "n": weights}), "n")
    assert caught.value.field == "weights"
    assert caught.value.remedy


def test_a_sensitive_column_that_is_not_there_is_refused_with_near_names() -> None:
    frame = pd.DataFrame({"gender": ["a", "b"], "got": ["yes", "no"]})
    answers = Answers(target="got", task_type="classification", positive="yes", sensitive=("gendr",))
    with pytest.raises(BadInput) as caught:
        measure_label_bias(frame, answers=answers, seed=0)
    assert caught.value.field == "sensitive"
    assert "gender" in caught.value.remedy
