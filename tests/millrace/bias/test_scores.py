import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.metrics import roc_auc_score

from millrace.bias.auc import auc_by_group, delong
from millrace.bias.calibration import BINS, reliability_by_group
from millrace.bias.groups import group_rows
from millrace.bias.policy import shipped_policy
from millrace.bias.predictions import NO_CHANCES, measure_model_bias
from millrace.contracts.errors import BadInput
from millrace.contracts.task import Answers

POLICY = shipped_policy()
WHO = Answers(target="got", task_type="classification", positive="yes", sensitive=("who",))


def _scored(rows: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    who = rng.choice(["a", "b"], rows)
    chance = rng.beta(2, 2, rows)
    return who, chance, rng.random(rows) < chance


@pytest.mark.parametrize("digits", [1, 8])
def test_auc_equals_sklearns_with_and_without_ties(digits: int) -> None:
    who, chance, label = _scored(800)
    scores = chance.round(digits)
    estimates = auc_by_group(scores, label, group_rows(pd.Series(who), policy=POLICY))
    assert delong(scores, label)[0] == pytest.approx(roc_auc_score(label, scores))
    names = group_rows(pd.Series(who), policy=POLICY).names
    for name, value in zip(names, estimates.values, strict=True):
        assert value == pytest.approx(roc_auc_score(label[who == name], scores[who == name]))


def test_delongs_error_is_that_of_the_structural_components() -> None:
    _, chance, label = _scored(60)
    scores = chance.round(1)
    cases, others = scores[label], scores[~label]
    wins = (cases[:, None] > others[None, :]) + 0.5 * (cases[:, None] == others[None, :])
    variance = wins.mean(axis=1).var(ddof=1) / len(cases) + wins.mean(axis=0).var(ddof=1) / len(others)
    assert delong(scores, label) == pytest.approx((wins.mean(), np.sqrt(variance)))


def test_delongs_intervals_hold_as_often_as_they_say() -> None:
    rng = np.random.default_rng(3)
    truth, held, draws = stats.norm.cdf(1 / np.sqrt(2)), 0, 1_500
    for _ in range(draws):
        value, error = delong(np.append(rng.normal(1, 1, 80), rng.normal(0, 1, 120)), np.arange(200) < 80)
        held += abs(value - truth) <= 1.96 * error
    assert 0.93 <= held / draws <= 0.97


def test_a_perfect_order_has_no_interval_and_does_not_pass() -> None:
    who = np.repeat(["a", "b"], 100)
    label = np.tile([True, False], 100)
    assert np.isnan(delong(label.astype(float), label)[1])
    assert np.isnan(delong(label.astype(float), np.ones(200, bool))).all()
    words = np.where(label, "yes", "no")
    groups = pd.DataFrame({"who": who})
    report = measure_model_bias(words, words, groups, answers=WHO, seed=0, scores=label.astype(float))
    verdicts = {item["metric"]: item["verdict"] for item in report.verdicts}
    assert verdicts["auc_difference"] == "not assessable"


def test_reliability_equals_plain_recomputation() -> None:
    who, chance, label = _scored(3_000)
    grouping = group_rows(pd.Series(who), policy=POLICY)
    found = reliability_by_group(chance, label, grouping, np.array([True, True]), policy=POLICY, seed=0)
    for one in found:
        mine = who == one.group
        cut = np.digitize(chance[mine], np.linspace(0, 1, BINS + 1)[1:-1])
        table = pd.DataFrame({"bin": cut, "score": chance[mine], "label": label[mine]}).groupby("bin")
        assert [item.rows for item in one.bins] == table.size().tolist()
        assert [item.score for item in one.bins] == pytest.approx(table.score.mean().tolist())
        assert [item.rate for item in one.bins] == pytest.approx(table.label.mean().tolist())
        expected = ((table.label.mean() - table.score.mean()).abs() * table.size()).sum() / mine.sum()
        assert one.error == pytest.approx(expected)
        assert one.low <= one.error <= one.high


@pytest.mark.parametrize("shift", [0.0, 0.02, 0.05, 0.15])
def test_intervals_of_the_calibration_error_hold_at_least_as_often_as_they_say(shift: float) -> None:
    """Also where nothing is wrong: an interval of resamples alone would never reach 0."""
    rng = np.random.default_rng(int(shift * 100))
    policy = POLICY.model_copy(update={"bootstraps": 200})
    rows, repeats, held = 500, 200, 0
    for seed in range(repeats):
        scores = 0.8 * rng.beta(2, 2, rows)
        grouping = group_rows(pd.Series(["a"] * rows), policy=policy)
        (found,) = reliability_by_group(
            scores, rng.random(rows) < scores + shift, grouping, np.array([True]), policy=policy, seed=seed
        )
        assert found.low <= found.error <= found.high
        held += found.low <= shift <= found.high
    assert held >= 0.93 * repeats


def test_a_group_that_is_scored_too_high_is_badly_calibrated() -> None:
    who, chance, label = _scored(6_000)
    scores = np.where(who == "b", np.minimum(chance + 0.2, 1.0), chance)
    grouping = group_rows(pd.Series(who), policy=POLICY)
    found = {
        one.group: one
        for one in reliability_by_group(scores, label, grouping, np.array([True, True]), policy=POLICY, seed=0)
    }
    assert found["b"].low > 0.15
    assert found["a"].high < 0.1


def test_scores_give_auc_and_calibration_and_their_absence_gives_neither() -> None:
    who, chance, label = _scored(2_000)
    truth, said = np.where(label, "yes", "no"), np.where(chance > 0.5, "yes", "no")
    groups = pd.DataFrame({"who": who})
    scored = measure_model_bias(truth, said, groups, answers=WHO, seed=0, scores=chance)
    assert "auc_difference" in {item["metric"] for item in scored.verdicts}
    assert {one.group for one in scored.attributes[0].reliability} == {"a", "b"}
    plain = measure_model_bias(truth, said, groups, answers=WHO, seed=0)
    assert "auc_difference" not in {item["metric"] for item in plain.verdicts}
    assert plain.attributes[0].reliability == ()
    ranked = measure_model_bias(truth, said, groups, answers=WHO, seed=0, scores=chance * 700)
    assert NO_CHANCES in ranked.notes
    assert ranked.attributes[0].reliability == ()
    with pytest.raises(BadInput, match="score"):
        measure_model_bias(truth, said, groups, answers=WHO, seed=0, scores=np.where(label, np.nan, chance))
