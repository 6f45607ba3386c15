import dataclasses
import json
import re

import numpy as np
import pandas as pd
import pytest

from millrace.bias.label import measure_label_bias
from millrace.bias.page import render_bias_page
from millrace.bias.policy import shipped_policy
from millrace.bias.predictions import measure_model_bias
from millrace.bias.shift import GROWTH, ShiftReport, shift_groups
from millrace.contracts.task import Answers
from millrace.pages import PageFacts

POLICY = shipped_policy()
ANSWERS = Answers(target="hired", task_type="classification", positive="yes", sensitive=("sex", "town"))


def _people(rows: int = 2_000, seed: int = 0) -> tuple[pd.DataFrame, np.ndarray]:
    rng = np.random.default_rng(seed)
    sex = rng.choice(["f", "m"], rows, p=[0.3, 0.7])
    town = np.where(rng.random(rows) < np.where(sex == "f", 0.8, 0.3), "n", "s")
    return pd.DataFrame({"sex": sex, "town": town}), rng.random(rows) < np.where(sex == "f", 0.45, 0.55)


def _shift(columns: pd.DataFrame, hits: np.ndarray, predicted: np.ndarray | None = None) -> ShiftReport:
    return shift_groups(columns, favourable=hits, predicted=predicted, policy=POLICY)


def test_the_rate_of_everybody_follows_the_shares() -> None:
    """Closed form: the mean of the groups' rates by the shares after the shift."""
    columns, hits = _people()
    for one in _shift(columns, hits).shifts:
        inside = (columns[one.attribute] == one.group).to_numpy()
        expected = one.grown * hits[inside].mean() + (1 - one.grown) * hits[~inside].mean()
        assert one.selection_after == pytest.approx(expected)
        assert one.selection_before == pytest.approx(hits.mean())
        assert one.grown == pytest.approx(inside.mean() + GROWTH)


def test_a_related_columns_verdict_is_that_of_a_table_with_the_new_shares() -> None:
    columns, hits = _people(20_000)
    share = (columns.sex == "f").mean()
    weight = np.where(columns.sex == "f", (share + GROWTH) / share, (1 - share - GROWTH) / (1 - share))
    (grown,) = [one for one in _shift(columns, hits).shifts if one.group == "f"]
    rates = [np.average(hits[columns.town == town], weights=weight[columns.town == town]) for town in ("n", "s")]
    before = [hits[columns.town == town].mean() for town in ("n", "s")]
    assert min(rates) / max(rates) != pytest.approx(min(before) / max(before), abs=1e-3)
    for item in grown.changed:
        if (item.attribute, item.metric) == ("town", "selection_rate_ratio"):
            assert item.value_after == pytest.approx(min(rates) / max(rates), abs=1e-3)


def test_a_small_group_that_grows_settles_a_doubt_and_one_that_gives_way_raises_it() -> None:
    """Half of both groups is selected: what changes is only how well that is known."""
    for small, verdicts in ((60, ("inconclusive", "pass")), (160, ("pass", "inconclusive"))):
        sex = np.array(["f"] * small + ["m"] * (1_000 - small))
        shifts = _shift(pd.DataFrame({"sex": sex}), np.arange(1_000) % 2 == 0).shifts
        growing = "f" if small == 60 else "m"
        (grown,) = [one for one in shifts if one.group == growing]
        ratio = {item.metric: (item.verdict_before, item.verdict_after) for item in grown.changed}
        assert ratio["selection_rate_ratio"] == verdicts


def test_before_the_shift_the_verdicts_are_the_reports_own() -> None:
    columns, hits = _people()
    frame = columns.assign(hired=np.where(hits, "yes", "no"))
    report = measure_label_bias(frame, answers=ANSWERS, seed=0)
    said = np.roll(hits, 3)
    model = measure_model_bias(frame.hired, np.where(said, "yes", "no"), columns, answers=ANSWERS, seed=0)
    for measured, predicted in ((report, None), (model, said)):
        own = {
            (one["attribute"], one["metric"]): (one["value"], one["verdict"])
            for one in measured.verdicts
            if "×" not in one["attribute"]
        }
        found = _shift(columns, hits, predicted)
        judged = {metric for _, metric in own if metric != "equalized_odds_difference"}
        assert {one.judged for one in found.shifts} == {2 * len(judged)}
        for one in found.shifts:
            for item in one.changed:
                value, verdict = own[item.attribute, item.metric]
                assert item.verdict_before == verdict
                assert item.value_before == pytest.approx(value)


def test_a_group_that_cannot_grow_and_groups_that_are_not_compared_are_left_alone() -> None:
    sex = np.array(["m"] * 950 + ["f"] * 45 + ["x"] * 5)
    found = _shift(pd.DataFrame({"sex": sex}), np.arange(1_000) % 2 == 0)
    assert found.not_grown == (("sex", "m"),)
    assert [one.group for one in found.shifts] == ["f"]


def test_the_part_stands_in_the_document_and_on_the_page() -> None:
    columns, hits = _people()
    frame = columns.assign(hired=np.where(hits, "yes", "no"))
    report = measure_label_bias(frame, answers=ANSWERS, seed=0)
    report = dataclasses.replace(report, parts=(_shift(columns, hits),))
    document = json.loads(json.dumps(report.document()))
    assert len(document["parts"]["shift"]["shifts"]) == 4
    page = render_bias_page(report, facts=PageFacts("ada.people", 1, "ab" * 32, "0.1.0+test", None))
    assert "grows by 10 points" in page
    pointers = {one for one in re.findall(r'data-figure="(/parts/shift/[^" ]+)"', page)}
    assert len(pointers) >= 4 * 4
