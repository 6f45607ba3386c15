"""Changes of gaps between two models on the same rows."""

import numpy as np
import pandas as pd
import pytest
from fairlearn.metrics import MetricFrame, equalized_odds_difference, selection_rate, true_positive_rate
from sklearn.metrics import accuracy_score, precision_score, roc_auc_score

from millrace.bias.groups import group_rows
from millrace.bias.mitigation.changes import (
    accuracy_change,
    auc_change,
    count_pairs,
    direction_of,
    gap_changes,
)
from millrace.bias.mitigation.figures import Value


def _rows(seed: int, rows: int = 1_500, help_f: float = 0.3):
    rng = np.random.default_rng(seed)
    group = pd.Series(rng.choice(["f", "m", "x"], rows, p=[0.45, 0.45, 0.1]))
    label = rng.random(rows) < 0.5
    before = rng.random(rows) < np.where(group == "f", 0.3, 0.6)
    after = before | ((group == "f").to_numpy() & (rng.random(rows) < help_f))
    return group, label, before, after


def _counts(group, policy, label, before, after):
    grouping = group_rows(group, policy=policy)
    return grouping, count_pairs(grouping.codes, len(grouping.names), label=label, before=before, after=after)


@pytest.mark.parametrize("seed", range(3))
def test_changes_are_the_differences_of_fairlearns_gaps(policy, seed) -> None:
    group, label, before, after = _rows(seed)
    grouping, counts = _counts(group, policy, label, before, after)
    found = gap_changes(counts, grouping, policy=policy, seed=0)

    def gap(said, metric, kind="difference"):
        frame = MetricFrame(metrics=metric, y_true=label, y_pred=said, sensitive_features=group)
        return getattr(frame, kind)()

    for name, metric, kind in (
        ("selection_rate_difference", selection_rate, "difference"),
        ("selection_rate_ratio", selection_rate, "ratio"),
        ("true_positive_rate_difference", true_positive_rate, "difference"),
        ("precision_difference", precision_score, "difference"),
        ("accuracy_difference", accuracy_score, "difference"),
    ):
        expected = gap(after, metric, kind) - gap(before, metric, kind)
        assert found[name].value == pytest.approx(expected, abs=1e-12), name
        assert found[name].low <= found[name].value <= found[name].high
    odds = [equalized_odds_difference(label, said, sensitive_features=group) for said in (before, after)]
    assert found["equalized_odds_difference"].value == pytest.approx(odds[1] - odds[0], abs=1e-12)


def test_intervals_of_changes_cover_the_truth(policy) -> None:
    """Truth: f is selected at 0.3 before and 0.3 + 0.7 · 0.3 after, m at 0.6: the gap shrinks by 0.21."""
    held = 0
    for seed in range(200):
        group, label, before, after = _rows(seed)
        few = (group != "x").to_numpy()
        grouping, counts = _counts(group[few].reset_index(drop=True), policy, label[few], before[few], after[few])
        change = gap_changes(counts, grouping, policy=policy, seed=seed)["selection_rate_difference"]
        held += change.low <= -0.21 <= change.high
    assert 0.90 <= held / 200 <= 0.99


def test_the_same_answers_change_nothing(policy) -> None:
    group, label, before, _ = _rows(0)
    grouping, counts = _counts(group, policy, label, before, before)
    for change in gap_changes(counts, grouping, policy=policy, seed=0).values():
        assert (change.value, change.low, change.high) == (0, 0, 0)
        assert direction_of(change, "lower") == "unclear"
    assert accuracy_change(counts, policy=policy, seed=0).value == 0


def test_accuracy_and_auc_change_by_what_scikit_learn_says(policy) -> None:
    group, label, before, after = _rows(4)
    _, counts = _counts(group, policy, label, before, after)
    expected = accuracy_score(label, after) - accuracy_score(label, before)
    assert accuracy_change(counts, policy=policy, seed=0).value == pytest.approx(expected)
    rng = np.random.default_rng(2)
    scores = [label * weight + rng.random(len(label)) for weight in (0.2, 0.5)]
    change = auc_change(scores[0], scores[1], label, confidence=0.95)
    assert change.value == pytest.approx(roc_auc_score(label, scores[1]) - roc_auc_score(label, scores[0]))
    assert change.low > 0
    nothing = auc_change(scores[0], scores[0], label, confidence=0.95)
    assert (nothing.low, nothing.high) == (0, 0)
    assert auc_change(scores[0], scores[1], np.ones(len(label), dtype=bool), confidence=0.95).value is None


@pytest.mark.parametrize(
    ("change", "better", "expected"),
    [
        (Value(-0.2, -0.3, -0.1), "lower", "closed"),
        (Value(0.2, 0.1, 0.3), "lower", "opened"),
        (Value(0.2, 0.1, 0.3), "higher", "closed"),
        (Value(-0.2, -0.3, -0.1), "higher", "opened"),
        (Value(-0.2, -0.5, 0.1), "lower", "unclear"),
        (Value(-0.005, -0.006, -0.004), "lower", "unclear"),
        (Value(None, None, None), "lower", "could not check"),
        (Value(0.1, None, None), "lower", "could not check"),
    ],
)
def test_a_direction_is_told_only_where_the_whole_interval_says_so(change, better, expected) -> None:
    assert direction_of(change, better) == expected


def test_groups_too_small_for_a_rate_take_no_part(policy) -> None:
    group = pd.Series(["f"] * 100 + ["m"] * 20)
    label = np.arange(120) % 2 == 0
    grouping, counts = _counts(group, policy, label, label, ~label)
    assert gap_changes(counts, grouping, policy=policy, seed=0) == {}
