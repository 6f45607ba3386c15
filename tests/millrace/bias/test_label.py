import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from fairlearn.metrics import MetricFrame, mean_prediction, selection_rate
from scipy import stats

from millrace.bias.figures import AttributeReport, Disparity
from millrace.bias.groups import MISSING
from millrace.bias.label import measure_label_bias
from millrace.bias.report import BiasReport
from millrace.contracts.canonical import sha256_json
from millrace.contracts.errors import BadInput
from millrace.contracts.task import Answers
from millrace.examples.loans import PLANTED_BIAS, POSITIVE, SENSITIVE, TARGET, generate_loans

LOANS = Answers(target=TARGET, task_type="classification", positive=POSITIVE, sensitive=SENSITIVE)


def _attribute(report: BiasReport, name: str) -> AttributeReport:
    return next(item for item in report.attributes if item.attribute == name)


def _disparity(report: BiasReport, name: str, metric: str) -> Disparity:
    return next(item for item in _attribute(report, name).disparities if item.name == metric)


def _table(*groups: tuple[str | None, int, int]) -> pd.DataFrame:
    """Rows of each group: name, how many are favoured, how many there are."""
    rows = [(name, "yes" if row < hits else "no") for name, hits, size in groups for row in range(size)]
    return pd.DataFrame(rows, columns=["who", "got"])


def _measure(frame: pd.DataFrame, positive: str | None = "yes") -> BiasReport:
    answers = Answers(target="got", task_type="classification", positive=positive, sensitive=("who",))
    return measure_label_bias(frame, answers=answers, seed=0)


def test_the_planted_bias_is_found_at_its_true_size() -> None:
    report = measure_label_bias(generate_loans(), answers=LOANS, seed=0)
    difference = _disparity(report, "sex", "selection_rate_difference")
    ratio = _disparity(report, "sex", "selection_rate_ratio")
    assert difference.low < PLANTED_BIAS.expected_difference < difference.high
    assert ratio.low < PLANTED_BIAS.expected_ratio < ratio.high
    assert (difference.lowest, difference.highest) == (PLANTED_BIAS.disadvantaged, "male")
    assert (difference.verdict, ratio.verdict) == ("fail", "fail")


def test_over_many_seeds_the_truth_is_in_the_interval_and_nothing_else_fails() -> None:
    seeds, held = range(30), 0
    for seed in seeds:
        report = measure_label_bias(generate_loans(seed=seed), answers=LOANS, seed=0)
        difference = _disparity(report, "sex", "selection_rate_difference")
        held += difference.low <= PLANTED_BIAS.expected_difference <= difference.high
        assert _attribute(report, "sex").verdict == "fail"
        assert _attribute(report, "age").verdict in {"pass", "inconclusive"}
        assert _attribute(report, "marital_status").verdict in {"pass", "inconclusive"}
    assert held >= 26


@pytest.mark.parametrize("column", ["sex", "marital_status", "region"])
def test_rates_and_distances_equal_fairlearns(column: str) -> None:
    frame = generate_loans(2_000)
    answers = LOANS.model_copy(update={"sensitive": (column,)})
    report = measure_label_bias(frame, answers=answers, seed=0)
    filled = frame[frame[column].notna()]
    chosen = (filled[TARGET] == POSITIVE).astype(int)
    reference = MetricFrame(
        metrics=selection_rate, y_true=chosen, y_pred=chosen, sensitive_features=filled[column].to_numpy()
    )
    values = {item.group: item.value for item in _attribute(report, column).measures[0].values}
    for group, rate in reference.by_group.items():
        assert values[group] == pytest.approx(rate)
    assert _disparity(report, column, "selection_rate_difference").value == pytest.approx(reference.difference())
    assert _disparity(report, column, "selection_rate_ratio").value == pytest.approx(reference.ratio())


def test_gaps_and_small_groups_are_shown_counted_and_not_compared() -> None:
    report = _measure(_table(("a", 60, 100), ("b", 50, 100), ("c", 0, 12), (None, 1, 40)))
    groups = {item.name: item for item in report.attributes[0].groups}
    assert {name: item.rows for name, item in groups.items()} == {"a": 100, "b": 100, "c": 12, MISSING: 40}
    assert {name for name, item in groups.items() if not item.compared} == {"c", MISSING}
    assert "fewer than 30" in groups["c"].remark
    assert sum(item.share for item in groups.values()) == pytest.approx(1)
    assert _disparity(report, "who", "selection_rate_ratio").lowest == "b"


def test_a_large_group_without_any_favourable_outcome_fails() -> None:
    report = _measure(_table(("a", 300, 500), ("b", 0, 500)))
    ratio = _disparity(report, "who", "selection_rate_ratio")
    assert (ratio.value, ratio.low, ratio.verdict) == (0, 0, "fail")
    assert 0 < ratio.high < 0.05


@pytest.mark.parametrize(
    "frame",
    [
        _table(("a", 20, 29), ("b", 10, 29)),
        _table(("a", 50, 100)),
        _table(("a", 50, 100), (None, 10, 100)),
        _table(("a", 4, 500), ("b", 3, 500)),
        _table(("a", 497, 500), ("b", 498, 500)),
    ],
)
def test_too_little_to_compare_is_said_and_never_passes(frame: pd.DataFrame) -> None:
    report = _measure(frame)
    assert {item["verdict"] for item in report.verdicts} == {"not assessable"}
    assert report.verdict == "not assessable"
    assert all(item.reason for item in report.attributes[0].disparities)


def test_without_sensitive_columns_there_is_no_verdict_and_the_report_says_so() -> None:
    answers = LOANS.model_copy(update={"sensitive": ()})
    report = measure_label_bias(generate_loans(200), answers=answers, seed=0)
    assert report.verdict is None
    assert report.verdicts == []
    assert "no verdict" in report.notes[0]


def test_many_equal_groups_rarely_fail() -> None:
    rng = np.random.default_rng(5)
    failures = 0
    for _ in range(100):
        frame = _table(*((f"g{index}", int(rng.binomial(80, 0.5)), 80) for index in range(8)))
        failures += _measure(frame).verdict == "fail"
    # the smallest of eight estimates over the largest is often below 0.8 by chance alone
    assert failures <= 6


def test_rows_without_a_target_are_left_out_and_counted() -> None:
    frame = _table(("a", 50, 100), ("b", 50, 100))
    frame.loc[:9, "got"] = None
    report = _measure(frame)
    assert (report.rows, report.rows_without_target) == (190, 10)


def test_each_class_is_an_outcome_when_none_is_favourable() -> None:
    frame = generate_loans(2_000)
    answers = Answers(target="purpose", task_type="classification", sensitive=("sex",))
    report = measure_label_bias(frame, answers=answers, seed=0)
    assert set(report.outcomes) == set(frame.purpose)
    names = {item["metric"] for item in report.verdicts}
    assert {f"selection_rate_ratio:{value}" for value in report.outcomes} <= names
    rates = {measure.outcome: measure.values[0].value for measure in report.attributes[0].measures}
    assert sum(rates.values()) == pytest.approx(1)


def test_of_very_many_classes_the_rarest_are_named_as_left_out() -> None:
    frame = pd.DataFrame({"who": ["a", "b"] * 500, "got": [f"c{index % 25}" for index in range(1000)]})
    report = _measure(frame, positive=None)
    assert len(report.outcomes) == report.policy.maximum_outcomes
    assert any("10 most frequent of 25" in note for note in report.notes)


@pytest.mark.parametrize(("values", "positive"), [([1.0, 0.0], "1"), ([True, False], "true"), (["Yes", "No"], "yes")])
def test_the_favourable_value_is_found_however_it_is_written(values: list[object], positive: str) -> None:
    frame = pd.DataFrame({"who": ["a", "a", "b", "b"] * 50, "got": values * 100})
    assert _measure(frame, positive=positive).verdict == "inconclusive"


def test_means_of_a_number_are_compared_in_welchs_way() -> None:
    rng = np.random.default_rng(1)
    first, second = rng.normal(10, 2, 80), rng.normal(12, 5, 120)
    frame = pd.DataFrame({"who": ["a"] * 80 + ["b"] * 120, "pay": np.concatenate([first, second])})
    answers = Answers(target="pay", task_type="regression", sensitive=("who",))
    report = measure_label_bias(frame, answers=answers, seed=0)
    expected = stats.ttest_ind(second, first, equal_var=False).confidence_interval(0.95)
    difference = _disparity(report, "who", "mean_difference")
    assert (difference.low, difference.high) == pytest.approx((expected.low, expected.high))
    assert difference.verdict is None
    scaled = _disparity(report, "who", "mean_standardised_difference")
    assert scaled.value == pytest.approx(difference.value / frame.pay.std())
    values = {item.group: item for item in report.attributes[0].measures[0].values}
    alone = stats.ttest_1samp(first, 0).confidence_interval(0.95)
    assert (values["a"].low, values["a"].high) == pytest.approx((alone.low, alone.high))


def test_a_mean_half_a_deviation_lower_fails_and_an_equal_one_passes() -> None:
    rng = np.random.default_rng(1)
    who = np.repeat(["a", "b"], 4_000)
    answers = Answers(target="pay", task_type="regression", sensitive=("who",))
    for shift, verdict in ((0.5, "fail"), (0.0, "pass")):
        frame = pd.DataFrame({"who": who, "pay": rng.normal(0, 1, 8_000) + (who == "b") * shift})
        assert measure_label_bias(frame, answers=answers, seed=0).verdict == verdict


def test_the_hash_is_that_of_the_document_and_forgets_the_order_of_the_rows() -> None:
    frame = generate_loans(1_000)
    first = measure_label_bias(frame, answers=LOANS, seed=0)
    shuffled = measure_label_bias(frame.sample(frac=1, random_state=1), answers=LOANS, seed=0)
    assert first.report_hash == shuffled.report_hash == sha256_json(json.loads(json.dumps(first.document())))
    assert first.report_hash != measure_label_bias(frame.head(900), answers=LOANS, seed=0).report_hash
    assert first.report_hash != replace(first, seed=1).report_hash


def test_one_attribute_is_measured_the_same_alone_and_in_company() -> None:
    frame = generate_loans(1_000)
    together = measure_label_bias(frame, answers=LOANS, seed=0)
    alone = measure_label_bias(frame, answers=LOANS.model_copy(update={"sensitive": ("age",)}), seed=0)
    first, second = _attribute(together, "age"), alone.attributes[0]
    assert replace(first, significance=()) == replace(second, significance=())
    # only the adjustment for the number of comparisons knows of the others
    raw = [[replace(test, p_holm=None, p_bh=None) for test in one.significance] for one in (first, second)]
    assert raw[0] == raw[1]
    assert first.significance[0].p_holm > second.significance[0].p_holm


def test_the_verdicts_carry_what_the_command_line_shows() -> None:
    report = measure_label_bias(generate_loans(500), answers=LOANS, seed=0)
    assert all(list(item) == ["attribute", "metric", "value", "low", "high", "verdict"] for item in report.verdicts)
    names = {item["attribute"] for item in report.verdicts}
    assert names == {*SENSITIVE, *(item.attribute for item in report.crossings)}
    assert len(report.verdicts) == 2 * len(names)


@pytest.mark.parametrize(
    ("change", "field", "hint"),
    [
        ({"target": "aproved"}, "target", "approved"),
        ({"sensitive": ("sexx",)}, "sensitive", "sex"),
        ({"sensitive": (TARGET,)}, "sensitive", "leave the target out"),
        ({"positive": "maybe"}, "positive", "yes"),
        ({"task_type": "regression"}, "task_type", "classification"),
    ],
)
def test_bad_answers_are_refused_with_a_remedy(change: dict[str, object], field: str, hint: str) -> None:
    with pytest.raises(BadInput) as caught:
        measure_label_bias(generate_loans(50), answers=LOANS.model_copy(update=change), seed=0)
    assert caught.value.field == field
    assert hint in str(caught.value)


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_a_target_without_any_value_is_refused(task: str) -> None:
    frame = pd.DataFrame({"who": ["a", "b"], "got": [None, None]})
    with pytest.raises(BadInput, match="no value"):
        measure_label_bias(frame, answers=Answers(target="got", task_type=task, sensitive=("who",)), seed=0)


def test_means_equal_fairlearns() -> None:
    frame = generate_loans(1_000)
    answers = Answers(target="debt", task_type="regression", sensitive=("region",))
    report = measure_label_bias(frame, answers=answers, seed=0)
    reference = MetricFrame(
        metrics=mean_prediction, y_true=frame.debt, y_pred=frame.debt, sensitive_features=frame.region
    ).by_group
    for item in report.attributes[0].measures[0].values:
        assert item.value == pytest.approx(reference[item.group])
