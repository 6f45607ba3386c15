import itertools

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from millrace.bias.crossings import cross_columns
from millrace.bias.figures import SubgroupSearch
from millrace.bias.groups import MISSING, cross, group_rows
from millrace.bias.label import measure_label_bias
from millrace.bias.policy import Policy, shipped_policy
from millrace.bias.subgroups import MOST_COLUMNS, find_worst, scan_score
from millrace.contracts.task import Answers

POLICY = Policy.model_validate({**shipped_policy().model_dump(), "permutations": 199})
COLUMNS = ("sex", "age", "town")


def _people(rng: np.random.Generator, rows: int = 3_000) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "sex": rng.choice(["f", "m"], rows),
            "age": rng.choice(["young", "middle", "old"], rows),
            "town": rng.choice(["n", "s", "e", "w"], rows),
        }
    )


def _search(frame: pd.DataFrame, hits: np.ndarray, policy: Policy = POLICY) -> SubgroupSearch:
    groupings = {str(name): group_rows(frame[name], policy=policy) for name in frame}
    return find_worst(groupings, hits, metric="selection_rate", policy=policy, seed=0)


@pytest.mark.parametrize("seed", range(20))
def test_a_planted_subgroup_of_three_columns_is_found(seed: int) -> None:
    rng = np.random.default_rng(seed)
    frame = _people(rng)
    inside = (frame.sex == "f") & (frame.age == "old") & (frame.town == "w")
    hits = rng.random(len(frame)) < np.where(inside, 0.2, 0.5)
    worst = _search(frame, hits).subgroups[0]
    assert set(worst.conditions) == {("sex", "f"), ("age", "old"), ("town", "w")}
    assert worst.p <= 0.01
    assert (worst.rows, worst.count) == (int(inside.sum()), int(hits[inside].sum()))


def test_without_bias_there_is_rarely_a_false_alarm() -> None:
    tables, alarms = 200, 0
    policy = POLICY.model_copy(update={"permutations": 99})
    for seed in range(tables):
        rng = np.random.default_rng(1_000 + seed)
        frame = _people(rng, 600)
        subgroups = _search(frame, rng.random(len(frame)) < 0.4, policy).subgroups
        alarms += bool(subgroups) and subgroups[0].p <= 0.05
    assert alarms / tables <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / tables)


def test_the_score_is_the_likelihood_ratio_of_two_rates_against_one() -> None:
    inside, outside = stats.binom(40, 10 / 40), stats.binom(160, 80 / 160)
    alone = stats.binom(40, 90 / 200).logpmf(10) + stats.binom(160, 90 / 200).logpmf(80)
    expected = inside.logpmf(10) + outside.logpmf(80) - alone
    assert scan_score(np.array([10]), np.array([40]), 90, 200)[0] == pytest.approx(expected)
    assert scan_score(np.array([30]), np.array([40]), 90, 200)[0] == 0


def test_every_conjunction_of_enough_rows_is_scored() -> None:
    frame = _people(np.random.default_rng(3))
    found = _search(frame, np.arange(len(frame)) % 2 == 0)
    sizes = [
        frame.groupby(list(columns)).size() for depth in (1, 2, 3) for columns in itertools.combinations(COLUMNS, depth)
    ]
    assert found.searched == sum(int((size >= POLICY.minimum_group).sum()) for size in sizes)
    assert found.too_small == sum(int((size < POLICY.minimum_group).sum()) for size in sizes)


def test_gaps_are_nobodys_subgroup_and_columns_beyond_the_limit_are_named() -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({f"c{place}": rng.choice(["a", "b", None], 400) for place in range(MOST_COLUMNS + 2)})
    hits = frame.c0.notna().to_numpy()
    found = _search(frame, hits)
    assert found.columns_left_out == ("c6", "c7")
    assert all(group != MISSING for one in found.subgroups for _, group in one.conditions)


def test_an_outcome_that_does_not_vary_has_no_worst_subgroup() -> None:
    frame = _people(np.random.default_rng(0), 300)
    found = _search(frame, np.ones(300, bool))
    assert (found.subgroups, found.permutations) == ((), None)


def test_a_crossing_has_every_combination_that_occurs_and_every_row() -> None:
    frame = _people(np.random.default_rng(1))
    frame.loc[:99, "town"] = None
    parts = {name: group_rows(frame[name], policy=POLICY) for name in ("sex", "town")}
    crossed = cross(parts, POLICY)
    expected = frame.fillna(MISSING).groupby(["sex", "town"]).size()
    rows = {tuple(name.split(" × ")): count for name, count in zip(crossed.names, crossed.rows.tolist(), strict=True)}
    assert rows == expected.to_dict()
    for name, comparable in zip(crossed.names, crossed.comparable, strict=True):
        assert comparable == (MISSING not in name)


def test_crossings_that_are_not_looked_at_are_named() -> None:
    frame = _people(np.random.default_rng(1), 200)
    groupings = {name: group_rows(frame[name], policy=POLICY) for name in COLUMNS}
    found, beyond = cross_columns(groupings, POLICY.model_copy(update={"maximum_crossings": 3}))
    assert tuple(found) == ("sex × age", "sex × town", "age × town")
    assert beyond == ("sex × age × town",)
    assert cross_columns(groupings, POLICY.model_copy(update={"crossing_depth": 1})) == ({}, ())


def test_bias_in_a_crossing_only_fails_the_report() -> None:
    rng = np.random.default_rng(4)
    frame = _people(rng, 12_000)
    # women are favoured in two towns and refused in the others: no single column shows it
    better = (frame.sex == "f") == frame.town.isin(["n", "s"])
    frame["got"] = np.where(rng.random(len(frame)) < np.where(better, 0.6, 0.4), "yes", "no")
    answers = Answers(target="got", task_type="classification", positive="yes", sensitive=("sex", "town"))
    report = measure_label_bias(frame, answers=answers, seed=0)
    assert {item.verdict for item in report.attributes} == {"pass"}
    assert report.crossings[0].verdict == report.verdict == "fail"
    assert ("sex × town", "fail") in {(item["attribute"], item["verdict"]) for item in report.verdicts}
