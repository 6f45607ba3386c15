import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score, roc_curve

from millrace.bias.abroca import abroca_by_group, area_between, binned_areas, roc
from millrace.bias.groups import group_rows
from millrace.bias.policy import shipped_policy
from millrace.bias.predictions import measure_model_bias
from millrace.bias.score_bins import count_scores
from millrace.contracts.task import Answers

UP = (np.array([0.0, 0.0, 1.0]), np.array([0.0, 1.0, 1.0]))
DIAGONAL = (np.array([0.0, 1.0]), np.array([0.0, 1.0]))


def _brute(first: tuple[np.ndarray, np.ndarray], second: tuple[np.ndarray, np.ndarray]) -> float:
    at = (np.arange(200_000) + 0.5) / 200_000
    return float(np.abs(np.interp(at, *first) - np.interp(at, *second)).mean())


def test_a_perfect_model_for_some_and_a_coin_for_others_are_half_apart() -> None:
    assert area_between(UP, DIAGONAL) == area_between(DIAGONAL, UP) == pytest.approx(0.5)
    assert area_between(UP, UP) == 0.0


def test_curves_that_cross_do_not_cancel() -> None:
    early = (np.array([0.0, 0.0, 1.0]), np.array([0.0, 0.5, 1.0]))
    late = (np.array([0.0, 0.5, 1.0]), np.array([0.0, 0.5, 1.0]))
    bent = (np.array([0.0, 0.5, 1.0]), np.array([0.0, 0.9, 1.0]))
    assert area_between(early, late) == pytest.approx(_brute(early, late), abs=1e-5)
    assert area_between(early, bent) == pytest.approx(_brute(early, bent), abs=1e-5)
    signed = float(np.trapezoid(early[1], early[0]) - np.trapezoid(bent[1], bent[0]))
    assert area_between(early, bent) > abs(signed)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 6), st.booleans()), min_size=4, max_size=60))
def test_the_curve_is_that_of_scikit_learn(rows: list[tuple[int, bool]]) -> None:
    scores, positive = np.array([row[0] for row in rows], float), np.array([row[1] for row in rows])
    if positive.all() or not positive.any():
        assert np.isnan(area_between(roc(scores, positive), DIAGONAL))
        return
    false, true, _ = roc_curve(positive, scores, drop_intermediate=False)
    ours = roc(scores, positive)
    assert np.allclose(ours[0], false)
    assert np.allclose(ours[1], true)


def test_a_group_is_set_against_everyone_else_with_an_interval() -> None:
    rng = np.random.default_rng(0)
    rows = 4_000
    who, label = np.where(rng.random(rows) < 0.5, "a", "b"), rng.random(rows) < 0.5
    scores = np.where(who == "a", np.where(label, 0.7, 0.3), 0.5) + rng.uniform(-0.25, 0.25, rows)
    answers = Answers(target="got", task_type="classification", positive="true", sensitive=("who",))
    (attribute,) = measure_model_bias(
        label, scores > 0.5, pd.DataFrame({"who": who}), answers=answers, seed=0, scores=scores
    ).attributes
    one, other = attribute.abroca
    areas = [roc_auc_score(label[who == name], scores[who == name]) for name in "ab"]
    # the curve of a lies above everywhere: the area between is the difference of the areas below
    assert one.value == pytest.approx(abs(areas[0] - areas[1]), abs=0.01)
    assert one.value == pytest.approx(other.value)
    assert one.low is not None
    assert one.high is not None
    assert 0 < one.low <= one.value <= one.high < 1


@pytest.mark.parametrize("chances", [True, False])
def test_binned_scores_hold_every_row_and_every_decision_at_their_edges(chances: bool) -> None:
    rng = np.random.default_rng(1)
    scores, positive = rng.random(500).round(3), rng.random(500) < 0.4
    grouping = group_rows(pd.Series(np.where(rng.random(500) < 0.3, "a", None)), policy=shipped_policy())
    bins = count_scores(scores, positive, grouping, chances=chances)
    assert sum(sum(group.favourable) + sum(group.unfavourable) for group in bins.groups) == 500
    for place in (0, len(bins.starts) // 2, len(bins.starts) - 1):
        for index, group in enumerate(bins.groups):
            wanted = (scores >= bins.starts[place]) & positive & (grouping.codes == index)
            assert sum(group.favourable[place:]) == wanted.sum()


def test_areas_of_many_resamples_are_those_of_single_curves() -> None:
    rng = np.random.default_rng(2)
    counts = rng.integers(0, 30, (20, 2, 2, 12))
    counts[3, 1, 0] = 0
    found = binned_areas(counts)
    for draw, sides in enumerate(counts):
        if draw == 3:
            assert np.isnan(found[draw])
            continue
        curves = []
        for no, yes in sides:
            curves.append(tuple(np.concatenate([[0.0], side[::-1].cumsum() / side.sum()]) for side in (no, yes)))
        assert found[draw] == pytest.approx(area_between(*curves), abs=2e-3)


def test_intervals_hold_as_often_as_they_say_where_both_are_ranked_alike() -> None:
    """The area is never below 0 and hardly ever 0: an interval of resamples alone would never reach it."""
    rng, rows, repeats, held = np.random.default_rng(3), 300, 150, 0
    policy = shipped_policy().model_copy(update={"bootstraps": 200})
    for seed in range(repeats):
        label = rng.random(rows) < 0.5
        scores = 1 / (1 + np.exp(-rng.normal(size=rows) - label))
        grouping = group_rows(pd.Series(np.where(rng.random(rows) < 0.4, "a", "b")), policy=policy)
        one, _ = abroca_by_group(
            scores, label, grouping, np.array([True, True]), chances=True, policy=policy, seed=seed
        )  # fmt: skip
        assert one.low is not None
        assert one.value is not None
        assert one.value > 0
        held += one.low == 0
    assert 0.93 * repeats <= held
