"""Rows with weights: shares and rates are weighted, and precision is that of Kish's effective rows."""

import dataclasses
import json
import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from fairlearn.metrics import MetricFrame, false_positive_rate, selection_rate, true_positive_rate
from jsonschema import Draft202012Validator
from scipy import stats
from sklearn.metrics import accuracy_score, precision_score

from millrace.bias.counts import are_people, expand_counts, read_weights
from millrace.bias.document import FILE
from millrace.bias.groups import group_rows
from millrace.bias.label import measure_label_bias
from millrace.bias.page import render_bias_page
from millrace.bias.policy import shipped_policy
from millrace.bias.predictions import measure_model_bias
from millrace.bias.report import BiasReport
from millrace.bias.weights import NOT_WEIGHTED, effective
from millrace.contracts.errors import BadInput
from millrace.contracts.task import Answers
from millrace.pages import PageFacts

ANSWERS = Answers(target="hired", task_type="classification", positive="yes", sensitive=("sex", "town"))
REFERENCE: dict[str, Any] = {
    "selection_rate": selection_rate,
    "true_positive_rate": true_positive_rate,
    "false_positive_rate": false_positive_rate,
    "accuracy": accuracy_score,
    "precision": precision_score,
}


def _people(rows: int = 1_500, seed: int = 0) -> tuple[pd.DataFrame, np.ndarray, np.ndarray]:
    """Rows, predictions, and weights with a mean of 1."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "sex": rng.choice(["f", "m", "x"], rows),
            "town": rng.choice(["n", "s", None], rows, p=[0.6, 0.3, 0.1]),
            "hired": rng.choice(["yes", "no"], rows),
            "branch": rng.choice(["a", "b"], rows),
        }
    )
    weights = rng.lognormal(0, 0.8, rows)
    return frame, rng.choice(["yes", "no"], rows), weights / weights.mean()


def _model(frame: pd.DataFrame, said: np.ndarray, weights: np.ndarray | None, **more: Any) -> BiasReport:
    answers = more.pop("answers", ANSWERS)
    return measure_model_bias(frame.hired, said, frame, answers=answers, seed=0, weights=weights, **more)


def test_every_rate_by_group_is_fairlearns_with_sample_weights() -> None:
    frame, said, weights = _people()
    reference = MetricFrame(
        metrics=REFERENCE,
        y_true=(frame.hired == "yes").astype(int),
        y_pred=(said == "yes").astype(int),
        sensitive_features=frame.sex,
        sample_params={name: {"sample_weight": weights} for name in REFERENCE},
    )
    report = _model(frame, said, weights)
    seen = set()
    for measure in report.attributes[0].measures:
        assert measure.summary is not None
        for value in measure.values:
            assert value.value == pytest.approx(reference.by_group[measure.metric][value.group], abs=1e-12)
            seen.add((measure.metric, value.group))
    assert len(seen) == len(REFERENCE) * 3
    gaps = {one.metric: one.value for one in report.attributes[0].disparities}
    for metric, value in reference.difference(method="between_groups").items():
        assert gaps[f"{metric}_difference"] == pytest.approx(value, abs=1e-12)
    assert gaps["selection_rate_ratio"] == pytest.approx(reference.ratio()["selection_rate"], abs=1e-12)


def test_whole_weights_give_every_value_that_the_people_give() -> None:
    """The same table as people and as weights: what weights are worth differs, what is measured does not."""
    frame, said, _ = _people(400)
    counts = np.random.default_rng(1).integers(0, 4, len(frame))
    people, _ = expand_counts(frame.assign(said=said, n=counts), "n")
    weighted = _model(frame, said, counts / counts.mean(), strata=frame.branch)
    expanded = _model(people, people.said.to_numpy(), None, strata=people.branch)
    for one, other in zip((*weighted.attributes, *weighted.crossings), (*expanded.attributes, *expanded.crossings),
                          strict=True):  # fmt: skip
        shares = {group.name: group.share for group in other.groups}
        for group in one.groups:
            assert group.share == pytest.approx(shares.get(group.name, 0.0), abs=1e-12)
        values = {(m.metric, v.group): v.value for m in other.measures for v in m.values}
        for measure in one.measures:
            for value in measure.values:
                expected = values.get((measure.metric, value.group))
                assert value.value == (None if expected is None else pytest.approx(expected, abs=1e-12))
    facets = {(f.group, v.metric): v.value for a in expanded.attributes for f in a.facets for v in f.metrics}
    compared = [(f.group, v) for a in weighted.attributes for f in a.facets for v in f.metrics]
    assert len(compared) > 60
    for group, value in compared:
        expected = facets[group, value.metric]
        assert value.value == (None if expected is None else pytest.approx(expected, rel=1e-9, abs=1e-9)), value


def test_equal_weights_change_nothing_but_exact_tests() -> None:
    frame, said, _ = _people(600)
    plain, weighted = (_model(frame, said, one, strata=frame.branch) for one in (None, np.ones(len(frame))))
    for one, other in zip(plain.attributes, weighted.attributes, strict=True):
        assert [dataclasses.replace(d, bootstrap=None) for d in one.disparities] == [
            dataclasses.replace(d, bootstrap=None) for d in other.disparities
        ]
        limits = [
            [(v.metric, v.low, v.high) for f in a.facets for v in f.metrics if v.metric != "FT"] for a in (one, other)
        ]
        for (metric, *ours), (_, *theirs) in zip(*limits, strict=True):
            assert ours == pytest.approx(theirs, nan_ok=True), metric
        assert other.significance[0].p_permutation is None
    assert weighted.weights is not None
    assert weighted.weights.effective_rows == pytest.approx(600)


def test_what_rows_are_worth_is_kishs_formula_for_every_set_of_trials() -> None:
    frame, said, weights = _people()
    report = _model(frame, said, weights)
    (rate,) = [one for one in report.attributes[0].measures if one.metric == "true_positive_rate"]
    for value in rate.values:
        mine = weights[(frame.sex == value.group) & (frame.hired == "yes")]
        worth = mine.sum() ** 2 / (mine**2).sum()
        # one plus the squared coefficient of variation is the design effect
        assert worth == pytest.approx(len(mine) / (1 + mine.var() / mine.mean() ** 2))
        limits = stats.binomtest(round(worth * value.value), round(worth)).proportion_ci(method="wilson")
        assert (value.low, value.high) == pytest.approx((limits.low, limits.high), abs=0.01)
        assert (value.rows, value.count) == (len(mine), None)


def test_two_groups_are_tested_on_their_effective_counts() -> None:
    frame, _, weights = _people()
    answers = ANSWERS.model_copy(update={"sensitive": ("town",)})
    report = measure_label_bias(frame, answers=answers, seed=0, weights=weights)
    table = []
    for town in ("n", "s"):
        mine = weights[frame.town == town]
        worth = mine.sum() ** 2 / (mine**2).sum()
        share = mine[frame.hired[frame.town == town] == "yes"].sum() / mine.sum()
        table.append([share * worth, (1 - share) * worth])
    expected = stats.chi2_contingency(table, correction=False, lambda_="log-likelihood").pvalue
    (test,) = report.attributes[0].significance
    assert (test.test, test.p_permutation) == ("G", None)
    assert test.p == pytest.approx(expected)


def test_intervals_of_weighted_rates_and_gaps_cover_what_they_promise() -> None:
    """Simulation: 400 samples of 400 rows a group, weights with a design effect of 2.7."""
    rng = np.random.default_rng(7)
    truth = {"a": 0.35, "b": 0.5}
    covered = dict.fromkeys(("rate", "gap", "DPL"), 0)
    policy = shipped_policy().model_copy(update={"bootstraps": 100})
    samples = 400
    group = np.repeat(["a", "b"], 400)
    answers = ANSWERS.model_copy(update={"sensitive": ("who",)})
    for _ in range(samples):
        hits = rng.random(800) < np.where(group == "a", truth["a"], truth["b"])
        frame = pd.DataFrame({"who": group, "hired": np.where(hits, "yes", "no")})
        weights = rng.lognormal(0, 1.0, 800)
        found = measure_label_bias(frame, answers=answers, seed=0, policy=policy, weights=weights).attributes[0]
        (first,) = [one for one in found.measures[0].values if one.group == "a"]
        gap = next(one for one in found.disparities if one.metric == "selection_rate_difference")
        facet = next(one for one in found.facets if one.group == "a")
        label = next(one for one in facet.metrics if one.metric == "DPL")
        covered["rate"] += first.low <= truth["a"] <= first.high  # type: ignore[operator]
        covered["gap"] += gap.low <= 0.15 <= gap.high  # type: ignore[operator]
        covered["DPL"] += label.low <= 0.15 <= label.high  # type: ignore[operator]
    for name, hits in covered.items():
        # three standard errors of a share of 0.95 among so many samples
        assert abs(hits / samples - 0.95) < 3 * math.sqrt(0.95 * 0.05 / samples) + 0.005, name


def test_counting_rows_once_would_claim_too_much() -> None:
    """Intervals as if 400 rows with a design effect of 2.7 were 400 rows would be far too narrow."""
    frame, said, _ = _people()
    weights = np.random.default_rng(2).lognormal(0, 1.0, len(frame))
    plain, weighted = (_model(frame, said, one) for one in (None, weights / weights.mean()))
    for one, other in zip(plain.attributes[0].measures[0].values, weighted.attributes[0].measures[0].values,
                          strict=True):  # fmt: skip
        ratio = (other.high - other.low) / (one.high - one.low)  # type: ignore[operator]
        mine = weights[frame.sex == one.group]
        assert ratio == pytest.approx(math.sqrt(1 + mine.var() / mine.mean() ** 2), rel=0.05)


def test_a_group_whose_rows_are_worth_too_little_is_not_compared() -> None:
    frame = pd.DataFrame({"sex": ["f"] * 60 + ["m"] * 60, "hired": ["yes", "no"] * 60})
    weights = np.ones(120)
    weights[0] = 500.0
    grouping = group_rows(frame.sex, policy=shipped_policy(), weights=weights)
    assert grouping.worth == pytest.approx([(559**2) / (500**2 + 59), 60.0])
    answers = ANSWERS.model_copy(update={"sensitive": ("sex",)})
    found = measure_label_bias(frame, answers=answers, seed=0, weights=weights).attributes[0]
    assert [one.compared for one in found.groups] == [False, True]
    assert found.groups[0].remark == "not compared: fewer than 30 effective rows"
    assert found.verdict == "not assessable"


def test_what_weights_cannot_be_used_for_is_said_and_nothing_else_is_lost() -> None:
    frame, said, weights = _people(300)
    report = _model(frame, said, weights, scores=np.linspace(0, 1, 300), features=frame[["branch"]])
    assert NOT_WEIGHTED in report.notes
    assert report.searches == ()
    assert report.attributes[0].scores is None
    document = json.loads(json.dumps(report.document(), allow_nan=False))
    schema = Draft202012Validator(json.loads(FILE.read_text(encoding="utf-8")))
    assert [error.message for error in schema.iter_errors(document)] == []
    assert document["weights"]["rows"] == 300
    assert document["weights"]["effective_rows"] == pytest.approx(float(effective(weights.sum(), (weights**2).sum())))
    page = render_bias_page(report, facts=PageFacts("people.csv", None, "ab" * 32, "0", None))
    assert "Kish 1965" in page


def test_numbers_are_refused_with_the_way_out() -> None:
    frame, _, weights = _people(100)
    answers = Answers(target="pay", task_type="regression", sensitive=("sex",))
    with pytest.raises(BadInput, match="classification only") as caught:
        measure_label_bias(frame.assign(pay=1.5), answers=answers, seed=0, weights=weights)
    assert caught.value.field == "weights"


@pytest.mark.parametrize("weights", [[1.5, -1], [0.5, np.nan], [0.5, np.inf], ["0.5", "x"], [0.0, 0.0]], ids=str)
def test_what_is_no_weight_is_refused(weights: list[object]) -> None:
    frame = pd.DataFrame({"sex": ["f", "m"], "w": weights})
    with pytest.raises(BadInput) as caught:
        read_weights(frame, "w")
    assert caught.value.field == "weights"
    assert caught.value.remedy


def test_whole_numbers_are_people_and_fractions_are_weights() -> None:
    assert are_people(pd.Series([0, 2, 3.0]))
    assert not are_people(pd.Series([1, 0.5]))
    kept, weights, note = read_weights(pd.DataFrame({"sex": ["f", "m"], "w": [0.5, 1.5]}), "w")
    assert list(kept.columns) == ["sex"]
    assert weights.tolist() == [0.5, 1.5]
    assert "2 rows are worth 2 without weights" in note
