import numpy as np
import pandas as pd
import pytest
from fairlearn.metrics import (
    MetricFrame,
    equalized_odds_difference,
    false_positive_rate,
    mean_prediction,
    selection_rate,
    true_positive_rate,
)
from sklearn.metrics import accuracy_score, mean_absolute_error, precision_score, r2_score, root_mean_squared_error

from millrace.bias.figures import AttributeReport, Disparity
from millrace.bias.predictions import measure_model_bias
from millrace.bias.report import BiasReport
from millrace.contracts.errors import BadInput
from millrace.contracts.task import Answers

WHO = Answers(target="got", task_type="classification", positive="yes", sensitive=("who",))


def _binary(rows: int = 3_000, seed: int = 2) -> tuple[pd.Series, np.ndarray, pd.DataFrame]:
    rng = np.random.default_rng(seed)
    who = rng.choice(["a", "b", "c"], rows, p=[0.5, 0.3, 0.2])
    truth = rng.random(rows) < np.select([who == "a", who == "b"], [0.6, 0.5], 0.4)
    predicted = np.where(rng.random(rows) < np.where(who == "c", 0.3, 0.1), ~truth, truth)
    words = np.array(["no", "yes"])
    return pd.Series(words[truth.astype(int)]), words[predicted.astype(int)], pd.DataFrame({"who": who})


def _values(attribute: AttributeReport, metric: str, outcome: str | None = None) -> dict[str, float | None]:
    measure = next(item for item in attribute.measures if (item.metric, item.outcome) == (metric, outcome))
    return {item.group: item.value for item in measure.values}


def _named(report: BiasReport, name: str) -> Disparity:
    return next(item for item in report.attributes[0].disparities if item.name == name)


def test_rates_and_distances_equal_fairlearns_on_all_rows() -> None:
    truth, predicted, groups = _binary()
    report = measure_model_bias(truth, predicted, groups, answers=WHO, seed=0)
    y_true, y_pred = (truth == "yes").astype(int), (predicted == "yes").astype(int)
    metrics = {
        "accuracy": accuracy_score,
        "selection_rate": selection_rate,
        "true_positive_rate": true_positive_rate,
        "false_positive_rate": false_positive_rate,
        "precision": precision_score,
    }
    reference = MetricFrame(metrics=metrics, y_true=y_true, y_pred=y_pred, sensitive_features=groups.who)
    for name in metrics:
        assert _values(report.attributes[0], name) == pytest.approx(reference.by_group[name].to_dict())
        assert _named(report, f"{name}_difference").value == pytest.approx(reference.difference()[name])
    assert _named(report, "selection_rate_ratio").value == pytest.approx(reference.ratio()["selection_rate"])
    expected = equalized_odds_difference(y_true, y_pred, sensitive_features=groups.who)
    assert _named(report, "equalized_odds_difference").value == pytest.approx(expected)


@pytest.mark.parametrize("metric", ["accuracy", "selection_rate", "true_positive_rate", "mae", "r2"])
def test_the_aggregates_over_groups_equal_metric_frames(metric: str) -> None:
    if metric in {"mae", "r2"}:
        truth, predicted, groups = _numbers()
        answers = Answers(target="pay", task_type="regression", sensitive=("who",))
        function = {"mae": mean_absolute_error, "r2": r2_score}[metric]
        frame = MetricFrame(metrics=function, y_true=truth, y_pred=predicted, sensitive_features=groups.who)
    else:
        truth, predicted, groups = _binary()
        answers = WHO
        function = {
            "accuracy": accuracy_score, "selection_rate": selection_rate, "true_positive_rate": true_positive_rate,
        }[metric]  # fmt: skip
        coded = (truth == "yes").astype(int), (predicted == "yes").astype(int)
        frame = MetricFrame(metrics=function, y_true=coded[0], y_pred=coded[1], sensitive_features=groups.who)
    report = measure_model_bias(truth, predicted, groups, answers=answers, seed=0)
    found = next(item for item in report.attributes[0].measures if item.metric == metric).summary
    assert found is not None
    assert found.overall == pytest.approx(frame.overall)
    assert (found.group_min, found.group_max) == pytest.approx((frame.group_min(), frame.group_max()))
    assert found.difference == pytest.approx(frame.difference())
    assert found.difference_to_overall == pytest.approx(frame.difference(method="to_overall"))
    assert found.ratio == pytest.approx(frame.ratio())
    assert found.ratio_to_overall == pytest.approx(frame.ratio(method="to_overall"))


def test_counts_and_values_agree() -> None:
    report = measure_model_bias(*_binary(), answers=WHO, seed=0)
    for measure in report.attributes[0].measures:
        for item in measure.values:
            assert item.value == pytest.approx(item.count / item.rows)
            assert item.low <= item.value <= item.high


def test_a_model_that_treats_groups_alike_passes_and_one_that_does_not_fails() -> None:
    rng = np.random.default_rng(4)
    who = np.repeat(["a", "b"], 6_000)
    truth = np.where(rng.random(12_000) < 0.5, "yes", "no")
    fair = measure_model_bias(truth, truth, pd.DataFrame({"who": who}), answers=WHO, seed=0)
    assert fair.verdict == "pass"
    harsh = np.where((who == "b") & (rng.random(12_000) < 0.4), "no", truth)
    unfair = measure_model_bias(truth, harsh, pd.DataFrame({"who": who}), answers=WHO, seed=0)
    verdicts = {item["metric"]: item["verdict"] for item in unfair.verdicts}
    assert verdicts["selection_rate_ratio"] == verdicts["equalized_odds_difference"] == "fail"
    assert verdicts["false_positive_rate_difference"] == "pass"


def test_a_rate_of_nothing_is_absent_and_not_zero() -> None:
    groups = pd.DataFrame({"who": ["a"] * 50 + ["b"] * 50})
    truth = np.array(["yes", "no"] * 25 + ["no"] * 50)
    report = measure_model_bias(truth, truth, groups, answers=WHO, seed=0)
    assert _values(report.attributes[0], "true_positive_rate")["b"] is None
    assert _named(report, "true_positive_rate_difference").verdict == "not assessable"
    assert _named(report, "equalized_odds_difference").verdict == "not assessable"


def test_a_model_that_says_no_to_everyone_is_not_assessable_by_selection() -> None:
    truth, _, groups = _binary(500)
    report = measure_model_bias(truth, np.full(500, "no"), groups, answers=WHO, seed=0)
    assert _named(report, "selection_rate_ratio").verdict == "not assessable"
    assert _named(report, "selection_rate_difference").verdict == "not assessable"


def test_a_favourable_value_that_a_small_hold_out_lacks_is_not_assessable() -> None:
    groups = pd.DataFrame({"who": ["a", "b"] * 50})
    none = np.full(100, "no")
    report = measure_model_bias(none, none, groups, answers=WHO, seed=0)
    assert report.positive == "yes"
    assert _named(report, "selection_rate_ratio").verdict == "not assessable"
    assert _named(report, "accuracy_difference").verdict == "pass"


def test_each_class_of_three_is_measured_against_the_others() -> None:
    rng = np.random.default_rng(1)
    truth = rng.choice(["x", "y", "z"], 900)
    predicted = np.where(rng.random(900) < 0.7, truth, "x")
    groups = pd.DataFrame({"who": rng.choice(["a", "b"], 900)})
    answers = WHO.model_copy(update={"positive": None})
    report = measure_model_bias(truth, predicted, groups, answers=answers, seed=0)
    for value in "xyz":
        reference = MetricFrame(
            metrics=true_positive_rate,
            y_true=(truth == value).astype(int),
            y_pred=(predicted == value).astype(int),
            sensitive_features=groups.who,
        )
        found = _values(report.attributes[0], "true_positive_rate", value)
        assert found == pytest.approx(reference.by_group.to_dict())
    accuracy = MetricFrame(metrics=accuracy_score, y_true=truth, y_pred=predicted, sensitive_features=groups.who)
    assert _values(report.attributes[0], "accuracy") == pytest.approx(accuracy.by_group.to_dict())


def test_ten_thousand_classes_need_little_memory() -> None:
    rng = np.random.default_rng(1)
    truth = rng.integers(0, 10_000, 40_000).astype(str)
    groups = pd.DataFrame({"who": rng.choice(["a", "b"], 40_000)})
    report = measure_model_bias(truth, truth, groups, answers=WHO.model_copy(update={"positive": None}), seed=0)
    assert len(report.outcomes) == report.policy.maximum_outcomes


def _numbers(rows: int = 2_000) -> tuple[np.ndarray, np.ndarray, pd.DataFrame]:
    rng = np.random.default_rng(8)
    who = rng.choice(["a", "b"], rows)
    truth = rng.gamma(2.0, 3.0, rows)
    return truth, truth + rng.normal(0, 1 + (who == "b"), rows) + 0.2, pd.DataFrame({"who": who})


def test_errors_by_group_equal_fairlearns_and_sklearns() -> None:
    truth, predicted, groups = _numbers()
    answers = Answers(target="pay", task_type="regression", sensitive=("who",))
    report = measure_model_bias(truth, predicted, groups, answers=answers, seed=0)
    metrics = {
        "mean_prediction": mean_prediction,
        "mae": mean_absolute_error,
        "rmse": root_mean_squared_error,
        "r2": r2_score,
    }
    reference = MetricFrame(metrics=metrics, y_true=truth, y_pred=predicted, sensitive_features=groups.who)
    for name in metrics:
        assert _values(report.attributes[0], name) == pytest.approx(reference.by_group[name].to_dict())
    assert _named(report, "mae_ratio").value == pytest.approx(reference.ratio()["mae"])
    assert _named(report, "rmse_ratio").verdict == "fail"
    assert _named(report, "mean_error_standardised_difference").verdict == "pass"


@pytest.mark.parametrize("metric", ["mean_error", "mae", "rmse", "r2"])
def test_intervals_of_errors_agree_with_the_bootstrap(metric: str) -> None:
    truth, predicted, groups = _numbers(4_000)
    answers = Answers(target="pay", task_type="regression", sensitive=("who",))
    report = measure_model_bias(truth, predicted, groups, answers=answers, seed=0)
    measure = next(item for item in report.attributes[0].measures if item.metric == metric)
    function = {
        "mean_error": lambda t, p: float(np.mean(p - t)),
        "mae": mean_absolute_error,
        "rmse": root_mean_squared_error,
        "r2": r2_score,
    }[metric]
    rng = np.random.default_rng(0)
    for item in measure.values:
        rows = np.flatnonzero((groups.who == item.group).to_numpy())
        draws = (rng.choice(rows, len(rows)) for _ in range(400))
        values = [function(truth[drawn], predicted[drawn]) for drawn in draws]
        low, high = np.quantile(values, [0.025, 0.975])
        assert (item.low, item.high) == pytest.approx((low, high), abs=0.25 * (high - low))


def test_a_perfect_regression_has_no_ratio_of_errors_and_does_not_pass_by_it() -> None:
    truth, _, groups = _numbers(200)
    answers = Answers(target="pay", task_type="regression", sensitive=("who",))
    report = measure_model_bias(truth, truth, groups, answers=answers, seed=0)
    assert _named(report, "mae_ratio").verdict == "not assessable"


def test_rows_belong_together_by_position_whatever_their_index() -> None:
    truth, predicted, groups = _binary(600)
    order = np.random.default_rng(0).permutation(600)
    mixed = measure_model_bias(truth.iloc[order], pd.Series(predicted[order]), groups.iloc[order], answers=WHO, seed=0)
    assert mixed.report_hash == measure_model_bias(truth, predicted, groups, answers=WHO, seed=0).report_hash


def test_labels_and_predictions_of_different_types_are_the_same_words() -> None:
    groups = pd.DataFrame({"who": ["a", "b"] * 100})
    truth = pd.Series([1.0, 0.0, 1.0, 0.0] * 50)
    report = measure_model_bias(
        truth, np.array(["1", "0", "1", "0"] * 50), groups, answers=WHO.model_copy(update={"positive": "1"}), seed=0
    )
    assert set(_values(report.attributes[0], "accuracy").values()) == {1.0}


def test_lengths_that_differ_and_missing_predictions_are_refused() -> None:
    truth, predicted, groups = _binary(50)
    with pytest.raises(BadInput, match="do not belong together"):
        measure_model_bias(truth, predicted[:49], groups, answers=WHO, seed=0)
    gap = pd.Series(predicted).where(np.arange(50) > 0)
    with pytest.raises(BadInput, match="1 of 50 predictions missing; the first is that of row 1"):
        measure_model_bias(truth, gap, groups, answers=WHO, seed=0)
