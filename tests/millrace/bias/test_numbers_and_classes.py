"""What a report says of predicted numbers and of several classes, against other implementations and closed forms."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import wasserstein_distance
from sklearn.metrics import balanced_accuracy_score, precision_score

from millrace.bias.distributions import distributions_by_group
from millrace.bias.figures import AttributeReport
from millrace.bias.groups import group_rows
from millrace.bias.label import measure_label_bias
from millrace.bias.macro import macro_average
from millrace.bias.policy import shipped_policy
from millrace.bias.predictions import measure_model_bias
from millrace.bias.rates import Rates
from millrace.contracts.task import Answers

RNG = np.random.default_rng(3)
ROWS = 900
WHO = np.where(RNG.random(ROWS) < 0.4, "a", "b")
NUMBERS = Answers(target="pay", task_type="regression", sensitive=("who",))
CLASSES = Answers(target="level", task_type="classification", sensitive=("who",))
GROUPS = pd.DataFrame({"who": WHO})


def _numbers(shift: float) -> tuple[AttributeReport, np.ndarray, np.ndarray]:
    truth = RNG.normal(10, 2, ROWS)
    said = truth + RNG.normal(0, 1, ROWS) + np.where(WHO == "a", shift, 0)
    (attribute,) = measure_model_bias(truth, said, GROUPS, answers=NUMBERS, seed=0).attributes
    return attribute, truth, said


def test_the_distance_of_predictions_is_scipys_and_its_interval_holds_it() -> None:
    attribute, truth, said = _numbers(2.0)
    for one in attribute.distributions:
        inside = one.group == WHO
        assert one.wasserstein == pytest.approx(wasserstein_distance(said[inside], said[~inside]))
        assert one.deviations == pytest.approx(one.wasserstein / truth.std(ddof=1))  # type: ignore[operator]
        assert 1 < one.low <= one.wasserstein <= one.high < 3  # type: ignore[operator]


@pytest.mark.parametrize("shift", [0.0, 0.3])
def test_intervals_of_the_distance_hold_as_often_as_they_say_also_where_there_is_none(shift: float) -> None:
    rng, rows, repeats, held = np.random.default_rng(4), 300, 150, 0
    policy = shipped_policy().model_copy(update={"bootstraps": 200})
    for seed in range(repeats):
        who = rng.random(rows) < 0.4
        numbers = rng.normal(size=rows) + shift * who
        grouping = group_rows(pd.Series(np.where(who, "a", "b")), policy=policy)
        one = next(
            found
            for found in distributions_by_group(
                numbers, numbers, grouping, np.array([True, True]), deviation=1.0, policy=policy, seed=seed
            )
            if found.group == "a"
        )
        assert one.low is not None
        assert one.high is not None
        held += one.low <= shift <= one.high
    assert held >= 0.93 * repeats


def test_residual_quantiles_are_those_of_the_group() -> None:
    attribute, truth, said = _numbers(2.0)
    (first,) = [one for one in attribute.distributions if one.group == "a"]
    assert first.quantiles == pytest.approx(
        tuple(np.quantile((said - truth)[WHO == "a"], [0.05, 0.25, 0.5, 0.75, 0.95]))
    )
    assert first.quantiles[2] == pytest.approx(2.0, abs=0.3)


def test_bounded_group_loss_is_the_largest_loss_of_a_group() -> None:
    attribute, truth, said = _numbers(2.0)
    losses = [np.abs(said - truth)[name == WHO].mean() for name in ("a", "b")]
    (mae,) = [one for one in attribute.measures if one.metric == "mae"]
    assert mae.summary is not None
    assert mae.summary.group_max == pytest.approx(max(losses))


def test_the_label_of_numbers_has_its_own_distribution() -> None:
    frame = GROUPS.assign(pay=np.where(WHO == "a", 1.0, 3.0) + RNG.random(ROWS))
    (attribute,) = measure_label_bias(frame, answers=NUMBERS, seed=0).attributes
    assert attribute.distributions[0].wasserstein == pytest.approx(2.0, abs=0.1)


def _classes() -> tuple[AttributeReport, np.ndarray, np.ndarray]:
    truth = RNG.choice(["x", "y", "z"], ROWS, p=[0.5, 0.3, 0.2])
    said = np.where(RNG.random(ROWS) < np.where(WHO == "a", 0.9, 0.5), truth, RNG.choice(["x", "y", "z"], ROWS))
    (attribute,) = measure_model_bias(truth, said, GROUPS, answers=CLASSES, seed=0).attributes
    return attribute, truth, said


def test_macro_averages_are_scikit_learns_by_group_and_are_judged() -> None:
    attribute, truth, said = _classes()
    found = {one.metric: {value.group: value for value in one.values} for one in attribute.measures}
    for name in ("a", "b"):
        inside = name == WHO
        recall, precision = found["macro_true_positive_rate"][name], found["macro_precision"][name]
        assert recall.value == pytest.approx(balanced_accuracy_score(truth[inside], said[inside]))
        assert precision.value == pytest.approx(precision_score(truth[inside], said[inside], average="macro"))
        assert recall.low < recall.value < recall.high  # type: ignore[operator]
    judged = {item.metric: item.verdict for item in attribute.disparities}
    assert judged["macro_true_positive_rate_difference"] == "fail"


def test_macro_intervals_cover() -> None:
    covered, draws = 0, 2_000
    rng = np.random.default_rng(5)
    rates = np.array([0.9, 0.6, 0.5])
    for _ in range(draws):
        trials = rng.multinomial(400, [0.5, 0.3, 0.2])
        parts = [
            Rates("true_positive_rate", str(place), np.array([rng.binomial(rows, rates[place])]), np.array([rows]))
            for place, rows in enumerate(trials)
        ]
        found = macro_average("macro_true_positive_rate", parts, np.array([400]))
        covered += abs(found.values[0] - rates.mean()) <= 1.96 * found.errors[0]
    assert 0.93 <= covered / draws <= 0.97


def test_a_class_that_a_group_lacks_leaves_its_macro_average_unknown() -> None:
    truth = np.where(WHO == "a", "x", RNG.choice(["x", "y"], ROWS))
    (attribute,) = measure_model_bias(truth, truth, GROUPS, answers=CLASSES, seed=0).attributes
    (measure,) = [one for one in attribute.measures if one.metric == "macro_true_positive_rate"]
    values = {value.group: value for value in measure.values}
    assert values["a"].value is None
    assert not values["a"].compared
    assert values["b"].value == 1.0
    (item,) = [one for one in attribute.disparities if one.metric == "macro_true_positive_rate_difference"]
    assert item.verdict == "not assessable"
