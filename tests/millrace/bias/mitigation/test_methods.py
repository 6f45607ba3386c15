"""The methods against closed forms and against the reference libraries."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from fairlearn.metrics import demographic_parity_difference, equalized_odds_difference
from fairlearn.postprocessing import ThresholdOptimizer
from fairlearn.preprocessing import CorrelationRemover
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from millrace.bias.mitigation.correlation import removal_matrix
from millrace.bias.mitigation.methods import DESCRIPTIONS, answer, untreated
from millrace.bias.mitigation.names import METHODS
from millrace.bias.mitigation.problem import OTHERS, treated_groups
from millrace.bias.mitigation.reweighing import weights
from millrace.contracts.errors import BadInput, StageFailed


def test_weights_of_a_table_worked_by_hand() -> None:
    """Kamiran and Calders 2012, table 3: ten people, men hired 4 of 5, women 2 of 5."""
    sex = np.array([0] * 5 + [1] * 5)
    hired = np.array([1, 1, 1, 1, 0, 1, 1, 0, 0, 0])
    found = {(int(s), int(h)): w for s, h, w in zip(sex, hired, weights(sex, hired), strict=True)}
    assert found == pytest.approx({(0, 1): 0.75, (0, 0): 2.0, (1, 1): 1.5, (1, 0): 4 / 6})


@given(st.data())
def test_under_the_weights_group_and_label_are_independent(data: st.DataObject) -> None:
    rows = data.draw(st.integers(4, 60))
    group = data.draw(arrays.arrays(np.int64, rows, elements=st.integers(0, 3)))
    label = data.draw(arrays.arrays(np.int64, rows, elements=st.integers(0, 1)))
    table = np.zeros((4, 2))
    np.add.at(table, (group, label), weights(group, label))
    counted = np.zeros((4, 2))
    np.add.at(counted, (group, label), 1)
    if (counted > 0).all():
        expected = counted.sum(axis=1, keepdims=True) * counted.sum(axis=0) / rows
        np.testing.assert_allclose(table, expected)
        # AIF360's Reweighing: P(group) P(label) / P(group, label)
        each = expected / counted
        np.testing.assert_allclose(weights(group, label), each[group, label])


# its import looks for half a dozen packages that it can do without
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("groups", [2, 5])
def test_weights_are_those_of_aif360(groups: int) -> None:
    from aif360.sklearn.preprocessing import Reweighing

    rng = np.random.default_rng(groups)
    group = rng.integers(0, groups, 2_000)
    label = (rng.random(2_000) < 0.3 + 0.1 * group).astype(int)
    place = pd.Index(group, name="group")
    table, target = pd.DataFrame({"x": 0.0}, index=place), pd.Series(label, index=place, name="label")
    _, theirs = Reweighing(prot_attr="group").fit_transform(table, target)
    np.testing.assert_allclose(weights(group, label), theirs, rtol=0, atol=1e-9)


@pytest.mark.parametrize("sensitive", [(1,), (0, 3)])
def test_the_correlation_remover_equals_fairlearns_but_for_a_constant(sensitive: tuple[int, ...]) -> None:
    rng = np.random.default_rng(1)
    matrix = rng.standard_normal((300, 5))
    matrix[:, 2] += 2 * matrix[:, sensitive[0]]
    ours = matrix @ removal_matrix(matrix, sensitive)
    theirs = CorrelationRemover(sensitive_feature_ids=list(sensitive)).fit_transform(matrix)
    np.testing.assert_allclose(ours - ours.mean(axis=0), theirs - theirs.mean(axis=0), atol=1e-10)
    for place in sensitive:
        together = np.corrcoef(np.column_stack([ours, matrix[:, place]]), rowvar=False)
        assert np.abs(together[-1, :-1]).max() < 1e-10


@pytest.mark.parametrize("method", METHODS)
def test_every_method_closes_a_planted_gap(plant, method) -> None:
    planted = plant()
    before, after = untreated(planted.problem), answer(method, planted.problem)
    label, group = planted.problem.test.label, planted.problem.test.group

    def gap(said: np.ndarray) -> float:
        return float(demographic_parity_difference(label, said, sensitive_features=group))

    assert gap(before.said) > 0.2
    assert gap(after.said) < 0.7 * gap(before.said)
    assert (after.redrawn is not None) == (method in ("exponentiated-gradient", "threshold-optimizer"))
    assert bool(after.fitted) == DESCRIPTIONS[method].kept


@pytest.mark.parametrize("method", ["exponentiated-gradient", "threshold-optimizer"])
def test_the_other_aim_closes_the_other_gap(plant, method) -> None:
    planted = plant(push=1.5, noise=2.0, constraint="equalized-odds")
    label, group = planted.problem.test.label, planted.problem.test.group

    def odds(said: np.ndarray) -> float:
        return float(equalized_odds_difference(label, said, sensitive_features=group))

    assert odds(answer(method, planted.problem).said) < 0.7 * odds(untreated(planted.problem).said)


@pytest.mark.parametrize("method", METHODS)
def test_the_same_seed_gives_the_same_answers(plant, method) -> None:
    found = [answer(method, plant(rows=600).problem) for _ in range(2)]
    assert found[0].said.tolist() == found[1].said.tolist()
    assert found[0].redrawn == found[1].redrawn


def test_thresholds_are_fairlearns_on_scores_that_no_fit_has_seen(plant) -> None:
    problem = plant(rows=3_000).problem
    from millrace.bias.mitigation import methods

    scores = methods._unseen(problem)
    assert np.isfinite(scores).all()
    # somebody else's classifier of one column, given the same scores
    optimizer = ThresholdOptimizer(
        estimator=methods._given_scores(), constraints="demographic_parity", prefit=True, predict_method="predict"
    )
    with pytest.warns(UserWarning, match="prefit"):
        optimizer.fit(scores[:, None], problem.train.label, sensitive_features=problem.train.group)
    chances = untreated(problem).scores
    expected = optimizer.predict(chances[:, None], sensitive_features=problem.test.group, random_state=problem.seed)
    assert answer("threshold-optimizer", problem).said.tolist() == expected.tolist()


def test_the_kept_vote_is_the_weighted_majority(plant) -> None:
    problem = plant(rows=800).problem
    found = answer("exponentiated-gradient", problem)
    shares = np.array([share for share, _ in found.fitted])
    votes = np.column_stack([model.predict(problem.test.matrix) for _, model in found.fitted]) @ shares
    assert found.said.tolist() == (votes / shares.sum() > 0.5).astype(int).tolist()


def test_correlation_cannot_be_removed_where_the_model_does_not_read_the_column(plant) -> None:
    problem = plant(rows=1_000, sensitive_columns=()).problem
    with pytest.raises(StageFailed, match="does not read the attribute"):
        answer("correlation-remover", problem)
    nothing = replace(problem, sensitive_columns=(0, 1, 2, 3))
    with pytest.raises(StageFailed, match="nothing but the attribute"):
        answer("correlation-remover", nothing)


def test_groups_with_too_few_rows_are_treated_together_or_like_the_largest(policy) -> None:
    town = np.array(["a"] * 300 + ["b"] * 200 + ["c"] * 20 + ["d"] * 20)
    label = np.arange(540) % 2
    every = np.ones(540, dtype=bool)
    group, names = treated_groups(pd.DataFrame({"town": town}), label, policy=policy, train=every)
    assert names == ("a", "b", OTHERS)
    assert np.bincount(group).tolist() == [300, 200, 40]
    few = ~np.isin(town, ["d"])
    group, names = treated_groups(pd.DataFrame({"town": town[few]}), label[few], policy=policy, train=every[few])
    assert np.bincount(group).tolist() == [300, 200, 20]
    label = np.where(np.isin(town, ["c", "d"]), 1, label)
    group, names = treated_groups(pd.DataFrame({"town": town}), label, policy=policy, train=every)
    assert names == ("a", "b")
    assert np.bincount(group).tolist() == [340, 200]


def test_a_column_with_one_group_cannot_be_treated(policy) -> None:
    one = pd.DataFrame({"town": ["a"] * 100})
    with pytest.raises(BadInput, match="fewer than two groups"):
        treated_groups(one, np.arange(100) % 2, policy=policy, train=np.ones(100, dtype=bool))


def test_crossed_columns_are_treated_by_their_combinations(policy) -> None:
    rng = np.random.default_rng(0)
    columns = pd.DataFrame({"sex": rng.choice(["f", "m"], 800), "town": rng.choice(["n", "s"], 800)})
    _, names = treated_groups(columns, rng.integers(0, 2, 800), policy=policy, train=np.ones(800, dtype=bool))
    assert sorted(names) == ["f × n", "f × s", "m × n", "m × s"]
