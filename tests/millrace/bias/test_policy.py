from pathlib import Path

import pandas as pd
import pytest
import yaml
from pydantic import ValidationError

from millrace.bias.label import measure_label_bias
from millrace.bias.page import render_bias_page
from millrace.bias.policy import JUDGED, SHIPPED, Policy, better, read_policy, shipped_policy
from millrace.contracts.canonical import sha256_json
from millrace.contracts.errors import BadInput
from millrace.contracts.task import Answers
from millrace.pages import PageFacts

WHO = Answers(target="got", task_type="classification", positive="yes", sensitive=("who",))


def _changed(name: str = "four-fifths", **change: object) -> Policy:
    return Policy.model_validate({**shipped_policy(name).model_dump(), **change})


def _table(*groups: tuple[str, int, int]) -> pd.DataFrame:
    rows = [(name, "yes" if row < hits else "no") for name, hits, size in groups for row in range(size)]
    return pd.DataFrame(rows, columns=["who", "got"])


@pytest.mark.parametrize("name", SHIPPED)
def test_every_shipped_policy_says_its_sources_and_its_limits(name: str) -> None:
    policy = shipped_policy(name)
    assert policy.name == name
    assert len(policy.limits) > 80
    document = policy.document()
    assert all(entry["source"] for entry in (*document["lines"].values(), *document["settings"].values()))
    # without bands it has the hash of before they could be named
    said = policy.model_dump(mode="json", exclude={"bands"})
    assert document["sha256"] == policy.sha256 == sha256_json(said)
    assert policy.bands == {}


def test_strict_is_nowhere_more_lenient_than_four_fifths() -> None:
    usual, strict = shipped_policy("four-fifths"), shipped_policy("strict")
    for metric in JUDGED:
        first, second = usual.lines[metric].at, strict.lines[metric].at
        assert second > first if better(metric) == "higher" else second < first
    assert strict.confidence > usual.confidence
    assert (usual.severity, strict.severity) == ("warn", "error")


def test_the_hash_changes_with_anything_that_the_policy_says() -> None:
    usual = shipped_policy()
    assert usual.sha256 == _changed().sha256
    bands = {"bands": {"income": (1000.0,)}}
    for change in (
        {"version": 2},
        {"minimum_group": 31},
        {"limits": usual.limits + "."},
        {"severity": "error"},
        bands,
    ):
        assert _changed(**change).sha256 != usual.sha256


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"lines": {"selection_rat": {"at": 0.8, "source": "a convention"}}}, "selection_rat"),
        ({"lines": {}}, "lines"),
        ({"lines": {"auc_difference": {"at": float("nan"), "source": "a convention"}}}, "auc_difference"),
        ({"lines": {"auc_difference": {"at": 0.1}}}, "source"),
        ({"sources": {"minimum_grop": "a convention"}}, "minimum_grop"),
        ({"minimum_grop": 30}, "minimum_grop"),
        ({"bands": {"income": [2000, 1000]}}, "do not rise"),
        ({"bands": {"income": []}}, "bands.income"),
        ({"bands": {"income": [float("nan")]}}, "bands.income"),
        ({"confidence": 1.0}, "confidence"),
        ({"severity": "fatal"}, "severity"),
    ],
)
def test_a_policy_that_names_what_is_not_there_is_refused(change: dict[str, object], said: str, tmp_path: Path) -> None:
    path = tmp_path / "policy.yaml"
    path.write_text(yaml.safe_dump({**shipped_policy().model_dump(mode="json"), **change}), encoding="utf-8")
    with pytest.raises(BadInput, match=said) as caught:
        read_policy(path)
    assert caught.value.field == "policy"


@pytest.mark.parametrize("text", ["lines: [", "", "- 1", "\x00"])
def test_a_file_that_is_no_policy_is_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "policy.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(BadInput):
        read_policy(path)
    with pytest.raises(BadInput, match="cannot be read"):
        read_policy(tmp_path / "none.yaml")
    with pytest.raises(BadInput, match="four-fifths"):
        shipped_policy("five-sixths")


@pytest.mark.parametrize(
    ("frame", "policy", "verdict"),
    [
        (_table(("a", 500, 1000), ("b", 480, 1000)), "four-fifths", "pass"),
        (_table(("a", 500, 1000), ("b", 250, 1000)), "four-fifths", "fail"),
        (_table(("a", 100, 200), ("b", 80, 200)), "four-fifths", "inconclusive"),
        (_table(("a", 15, 30), ("b", 13, 30), ("c", 16, 30), ("d", 14, 30)), "four-fifths", "not assessable"),
        (_table(("a", 500, 1000), ("b", 480, 1000)), "strict", "inconclusive"),
    ],
)
def test_each_verdict_comes_from_a_case_made_for_it(frame: pd.DataFrame, policy: str, verdict: str) -> None:
    report = measure_label_bias(frame, answers=WHO, seed=0, policy=shipped_policy(policy))
    assert report.verdict == verdict


def test_too_little_power_is_not_assessable_and_says_so() -> None:
    frame = _table(("a", 15, 30), ("b", 13, 30), ("c", 16, 30), ("d", 14, 30))
    (attribute,) = measure_label_bias(frame, answers=WHO, seed=0).attributes
    assert all("Too few rows" in item.reason for item in attribute.disparities)
    lenient = _changed(minimum_power=0.0)
    assert measure_label_bias(frame, answers=WHO, seed=0, policy=lenient).verdict == "inconclusive"


def test_a_metric_without_a_line_is_shown_and_not_judged() -> None:
    report = measure_label_bias(
        _table(("a", 500, 1000), ("b", 250, 1000)), answers=WHO, seed=0, policy=shipped_policy("nyc-ll144")
    )
    assert [item["metric"] for item in report.verdicts] == ["selection_rate_ratio"]
    difference = report.attributes[0].disparities[1]
    assert (difference.metric, difference.verdict, difference.line) == ("selection_rate_difference", None, None)
    assert difference.low is not None


def test_when_the_policy_judges_nothing_that_was_measured_nothing_passes() -> None:
    frame = pd.DataFrame({"who": ["a", "b"] * 100, "pay": range(200)})
    policy = _changed(lines={"selection_rate_ratio": shipped_policy().lines["selection_rate_ratio"].model_dump()})
    answers = Answers(target="pay", task_type="regression", sensitive=("who",))
    report = measure_label_bias(frame, answers=answers, seed=0, policy=policy)
    assert report.verdict == "not assessable"


def test_groups_below_the_share_of_ll144_are_counted_and_not_compared() -> None:
    frame = _table(("a", 500, 2000), ("b", 480, 2000), ("c", 1, 60))
    report = measure_label_bias(frame, answers=WHO, seed=0, policy=shipped_policy("nyc-ll144"))
    small = report.attributes[0].groups[2]
    assert (small.name, small.rows, small.compared) == ("c", 60, False)
    assert "below 2%" in small.remark
    assert report.verdict == "pass"


def test_shares_stand_beside_those_of_the_reference_population_that_the_policy_names() -> None:
    policy = _changed(reference={"who": {"a": 0.5, "c": 0.1}}, reference_source="The census of 2021, adults")
    report = measure_label_bias(_table(("a", 50, 600), ("b", 50, 400)), answers=WHO, seed=0, policy=policy)
    groups = {group.name: group for group in report.attributes[0].groups}
    assert (groups["a"].reference, groups["a"].reference_gap) == (0.5, pytest.approx(0.1))
    assert (groups["b"].reference, groups["b"].reference_gap) == (None, None)
    page = render_bias_page(report, facts=PageFacts("x", None, "ab" * 32, "0", None))
    assert "10.0 points</td>" in page
    assert "The census of 2021, adults" in page


@pytest.mark.parametrize(
    "change",
    [
        {"reference": {"who": {"a": 0.7, "b": 0.7}}, "reference_source": "x"},
        {"reference": {"who": {"a": -0.1}}, "reference_source": "x"},
        {"reference": {"who": {"a": 0.5}}},
    ],
)
def test_a_reference_population_that_cannot_be_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        _changed(**change)
