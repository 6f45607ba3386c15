"""The step that moved a group's share is named, and no other."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from millrace.automl.split import split
from millrace.bias.accounting.counter import count_rows
from millrace.bias.accounting.counts import AttributeCount, GroupCount, StepCount
from millrace.bias.accounting.figures import Accounting
from millrace.bias.accounting.judging import account
from millrace.bias.figures import MISSING
from millrace.bias.policy import shipped_policy
from millrace.contracts.filled import FilledValues

POLICY = shipped_policy()


def _people(rows: int = 2_000, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    sex = rng.choice(["f", "m", None], rows, p=[0.45, 0.5, 0.05])
    return pd.DataFrame({"sex": sex, "town": rng.choice(["n", "s", "e", "w"], rows)})


def _steps(frame: pd.DataFrame, *, lost: np.ndarray, seed: int) -> list[StepCount]:
    """Rows without a target, then a split of the rest, as training makes it."""
    counter = count_rows(frame, sensitive=["sex", "town"], policy=POLICY)
    labelled = np.flatnonzero(~lost)
    label = np.random.default_rng(seed).integers(0, 2, len(labelled))
    chosen, held = split(label, rows=len(labelled), share=0.2, seed=seed)
    return [
        counter.reading(len(frame), {"sex": {"": int(frame.sex.isna().sum())}, "town": {}}),
        counter.step("target", came=counter.everybody(), kept=labelled),
        counter.step("training", came=labelled, kept=labelled[chosen]),
        counter.step("holdout", came=labelled, kept=labelled[held]),
    ]


def _named(found: Accounting) -> list[tuple[str, str, str, str]]:
    return [
        (step.step, attribute.attribute, group.group, group.finding)
        for step in found.steps
        for attribute in step.attributes
        for group in attribute.groups
        if group.finding
    ]


def _judge(*steps: StepCount, sensitive: tuple[str, ...] = ("sex",), **change: Any) -> Accounting:
    return account(steps, policy=POLICY.model_copy(update=change), sensitive=sensitive)


def _one(*groups: tuple[str, int, int], step: Any = "target") -> StepCount:
    """A step with one attribute whose groups are (name, rows in, rows kept)."""
    counts = tuple(GroupCount(name, came, kept, kept) for name, came, kept in groups)
    every = [sum(group[place] for group in groups) for place in (1, 2)]
    return StepCount(step, every[0], every[1], every[1], (AttributeCount("sex", "", counts),))


def test_a_step_that_drops_mostly_one_group_is_named_with_its_figures() -> None:
    frame = _people()
    chance = np.random.default_rng(3).random(len(frame))
    lost = chance < np.where(frame.sex == "f", 0.4, 0.05)
    found = account(_steps(frame, lost=lost, seed=1), policy=POLICY, sensitive=["sex", "town"])
    assert _named(found) == [("target", "sex", "f", "lost")]
    group = next(one for one in found.steps[1].attributes[0].groups if one.group == "f")
    inside = (frame.sex == "f").to_numpy()
    assert group.changed_rate == pytest.approx(lost[inside].mean())
    assert group.others_changed_rate == pytest.approx(lost[~inside].mean())
    assert group.kept_rate == pytest.approx(1 - lost[inside].mean())
    assert group.share_in == pytest.approx(inside.mean())
    assert group.share_out == pytest.approx(inside[~lost].mean())
    assert group.ratio == pytest.approx((1 - lost[inside].mean()) / (1 - lost[~inside].mean()))
    assert group.low < group.ratio < group.high < POLICY.kept_ratio
    # the sum of all tables that are no likelier, by the hypergeometric distribution
    law = stats.hypergeom(len(frame), int((~lost).sum()), int(inside.sum()))
    every = law.pmf(np.arange(inside.sum() + 1))
    assert group.p == pytest.approx(every[every <= law.pmf(group.kept) * (1 + 1e-7)].sum(), rel=1e-6)
    # all groups of all steps that leave rows out: two columns with three and four groups, three steps
    assert found.tests == 3 * (3 + 4)
    assert group.p_holm == pytest.approx(min(1, group.p * found.tests), rel=1e-6)


def test_the_group_without_a_value_is_a_group_like_any_other() -> None:
    frame = _people()
    lost = frame.sex.isna().to_numpy() & (np.arange(len(frame)) % 2 == 0)
    found = account(_steps(frame, lost=lost, seed=1), policy=POLICY, sensitive=["sex", "town"])
    assert _named(found) == [("target", "sex", MISSING, "lost")]


def test_where_chance_alone_drops_rows_a_group_is_hardly_ever_called_lost() -> None:
    """Holm bounds the chance of a false alarm by the policy's 5% for all steps together."""
    alarms = 0
    for seed in range(100):
        frame = _people(400, seed)
        lost = np.random.default_rng(1_000 + seed).random(len(frame)) < 0.3
        found = _named(account(_steps(frame, lost=lost, seed=seed), policy=POLICY, sensitive=["sex", "town"]))
        alarms += any(finding == "lost" for *_, finding in found)
    assert alarms <= 5


def test_a_clean_table_names_nothing() -> None:
    frame = _people()
    found = account(_steps(frame, lost=np.zeros(len(frame), bool), seed=1), policy=POLICY, sensitive=["sex", "town"])
    assert _named(found) == []
    assert not any(step.named for step in found.steps)
    assert [group.p for group in found.steps[1].attributes[0].groups] == [None] * 3


def test_both_size_and_certainty_are_needed() -> None:
    small_but_sure = _judge(_one(("f", 50_000, 47_500), ("m", 50_000, 49_500)))
    large_but_unsure = _judge(_one(("f", 10, 8), ("m", 1_000, 950)))
    assert small_but_sure.steps[0].attributes[0].groups[0].p_holm < 1e-9
    assert large_but_unsure.steps[0].attributes[0].groups[0].ratio < POLICY.kept_ratio
    assert _named(small_but_sure) == _named(large_but_unsure) == []
    assert _named(_judge(_one(("f", 50_000, 47_500), ("m", 50_000, 49_500)), kept_ratio=0.99)) == [
        ("target", "sex", "f", "lost")
    ]


def test_the_policys_confidence_decides_what_is_certain() -> None:
    step = _one(("f", 60, 42), ("m", 600, 520))
    p = _judge(step).steps[0].attributes[0].groups[0].p_holm
    assert 0.001 < p < 0.05
    assert _named(_judge(step))
    assert not _named(_judge(step, confidence=0.999))


def test_a_small_group_of_which_nobody_is_left_is_told_and_one_that_was_never_there_is_not() -> None:
    found = _judge(_one(("f", 500, 300), ("m", 500, 310), ("x", 1, 0), ("y", 0, 0)))
    assert _named(found) == [("target", "sex", "x", "gone")]
    empty = found.steps[0].attributes[0].groups[3]
    assert (empty.kept_rate, empty.ratio, empty.p, empty.share_in, empty.share_out) == (None, None, None, 0.0, 0.0)


def test_a_large_group_of_which_nobody_is_left_is_lost() -> None:
    found = _judge(_one(("f", 100, 0), ("m", 100, 90)))
    assert _named(found) == [("target", "sex", "f", "lost")]
    left, stayed = found.steps[0].attributes[0].groups
    assert (left.ratio, left.low) == (0.0, 0.0)
    assert stayed.ratio == float("inf")


def test_a_step_that_leaves_nobody_has_no_shares_and_accuses_no_group() -> None:
    found = _judge(_one(("f", 10, 0), ("m", 20, 0)))
    assert _named(found) == []
    assert all(group.share_out is group.ratio is group.p is None for group in found.steps[0].attributes[0].groups)
    (told,) = found.findings("/parts/accounting")
    assert "".join(word.text for word in told.words) == "left none of the 30 rows that came in."


def test_a_single_group_can_be_compared_with_nobody() -> None:
    (group,) = _judge(_one((MISSING, 40, 10))).steps[0].attributes[0].groups
    assert (group.others_kept_rate, group.ratio, group.p, group.finding) == (None, None, None, None)
    assert group.changed_rate == 0.75


def test_a_text_that_was_read_as_missing_is_told_however_rare() -> None:
    frame = pd.DataFrame({"sex": ["f", "m"] * 50 + [None]})
    counter = count_rows(frame, sensitive=["sex"], policy=POLICY)
    found = _judge(counter.reading(101, {"sex": {"N/A": 1}}))
    assert _named(found) == [("reading", "sex", '"N/A"', "read as missing")]
    assert found.tests == 0
    assert _named(_judge(counter.reading(101, {"sex": {"": 1}}))) == []


def test_a_column_that_nobody_counted_is_named_as_such() -> None:
    assert _judge(_one(("f", 4, 4)), sensitive=("sex", "town")).not_counted == ("town",)


@pytest.mark.parametrize(("missing", "named"), [(30, False), (300, True)])
def test_people_without_an_age_who_are_counted_as_one_group_are_told_when_they_are_many(
    missing: int, named: bool
) -> None:
    ages = np.concatenate([np.tile(np.arange(20, 80, 3.0), 50), np.full(missing, np.nan)])
    counter = count_rows(pd.DataFrame({"age": ages}), sensitive=["age"], policy=POLICY)
    cells = FilledValues("age", 48.0, "48", True, np.isnan(ages))
    found = _judge(counter.imputation(np.arange(len(ages)), [cells]), sensitive=("age",))
    wanted = [("imputation", "age", "40 to below 60", "filled in")] if named else []
    assert _named(found) == wanted


def test_guesses_in_the_rows_of_one_group_are_named() -> None:
    frame = _people()
    rng = np.random.default_rng(2)
    guessed = rng.random(len(frame)) < np.where(frame.sex == "f", 0.4, 0.05)
    counter = count_rows(frame, sensitive=["sex", "town"], policy=POLICY)
    step = counter.imputation(np.arange(len(frame)), [FilledValues("pay", 1.0, "1", True, guessed)])
    kept_as_value = counter.imputation(np.arange(len(frame)), [FilledValues("job", "?", "?", False, guessed)])
    assert _named(_judge(step)) == [("imputation", "sex", "f", "lost")]
    assert _named(_judge(kept_as_value)) == []
