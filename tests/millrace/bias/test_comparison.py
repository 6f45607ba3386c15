"""Two reports of the same question: what is said to have changed, and what is not."""

import copy
import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pandas as pd
import pytest
from jsonschema import Draft202012Validator

from millrace.bias.comparison import compare
from millrace.bias.document import FILE
from millrace.bias.label import measure_label_bias
from millrace.bias.page import render_bias_page
from millrace.bias.policy import shipped_policy
from millrace.bias.report import BiasReport
from millrace.contracts.errors import BadInput
from millrace.contracts.task import Answers
from millrace.pages import PageFacts

ANSWERS = Answers(target="got", task_type="classification", positive="yes", sensitive=("who",))


def _report(*groups: tuple[str, int, int], policy: str = "four-fifths") -> BiasReport:
    rows = [(name, "yes" if row < hits else "no") for name, hits, size in groups for row in range(size)]
    frame = pd.DataFrame(rows, columns=["who", "got"])
    return measure_label_bias(frame, answers=ANSWERS, seed=0, policy=shipped_policy(policy))


FAIR = _report(("a", 500, 1000), ("b", 500, 1000))
UNFAIR = _report(("a", 500, 1000), ("b", 200, 1000))


def test_a_report_compared_with_itself_shows_no_change() -> None:
    found = compare(FAIR.document(), FAIR.document())
    assert (found.verdicts, found.moved, found.groups_new, found.groups_gone) == ((), (), (), ())
    assert found.compared > 3
    assert not found.policy_changed


def test_verdicts_that_changed_and_figures_beyond_their_intervals_are_named_and_no_others() -> None:
    found = compare(FAIR.document(), UNFAIR.document())
    assert (found.verdict_before, found.verdict_after) == ("pass", "fail")
    changes = {(one.metric, one.before, one.after) for one in found.verdicts}
    assert changes == {("selection_rate_ratio", "pass", "fail"), ("selection_rate_difference", "pass", "fail")}
    moved = {(one.metric, one.group): one for one in found.moved}
    assert set(moved) == {
        ("selection_rate_ratio", None), ("selection_rate_difference", None), ("selection_rate", "b"),
    }  # fmt: skip
    assert moved["selection_rate", "b"].before == 0.5
    assert moved["selection_rate", "b"].after == 0.2
    assert {moved[name, None].better for name in ("selection_rate_ratio", "selection_rate_difference")} == {"worse"}
    back = compare(UNFAIR.document(), FAIR.document())
    assert {one.better for one in back.moved if one.group is None} == {"better"}


def test_a_figure_moves_only_when_each_value_is_outside_the_others_interval() -> None:
    before = _report(("a", 5000, 10000), ("b", 5000, 10000))
    # the few rows of the second report allow the first one's rate
    assert compare(before.document(), _report(("a", 24, 40), ("b", 20, 40)).document()).moved == ()


def test_groups_that_came_and_went_and_another_policy_are_said() -> None:
    found = compare(FAIR.document(), _report(("a", 500, 1000), ("c", 500, 1000), policy="strict").document())
    assert (found.groups_new, found.groups_gone) == ((("who", "c"),), (("who", "b"),))
    assert found.policy_changed


def test_what_was_infinite_or_not_measured_is_carried_as_the_documents_write_it() -> None:
    before, after = FAIR.document(), copy.deepcopy(UNFAIR.document())
    item = after["attributes"][0]["disparities"][0]
    item.update(value="Infinity", low="Infinity", high="Infinity")
    found = compare(before, after)
    assert "Infinity" in {one.after for one in found.moved}
    item.update(value=None, low=None, high=None)
    assert item["metric"] not in {one.metric for one in compare(before, after).moved if one.group is None}


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"target": "other"}, "target"),
        ({"positive": "no"}, "positive"),
        ({"subject": "model"}, "subject"),
        ({"task_type": "regression"}, "task_type"),
    ],
)
def test_reports_of_different_questions_are_refused(change: dict[str, Any], field: str) -> None:
    with pytest.raises(BadInput) as caught:
        compare(FAIR.document(), {**FAIR.document(), **change})
    assert caught.value.field == field


def test_a_report_from_before_policies_named_bands_can_be_compared() -> None:
    """An upgrade must not make every earlier report one that cannot be read."""
    earlier = json.loads(json.dumps(FAIR.document()))
    del earlier["policy"]["bands"]
    assert compare(earlier, FAIR.document()).verdicts == ()


@pytest.mark.parametrize("document", [{}, {"verdicts": []}, {"subject": "label"}])
def test_what_is_no_report_is_refused(document: dict[str, Any]) -> None:
    with pytest.raises(BadInput) as caught:
        compare(document, FAIR.document())
    assert caught.value.field == "earlier"


def test_the_page_and_the_document_have_the_comparison() -> None:
    hostile = _report(("a", 500, 1000), ("<script>x</script>", 200, 1000))
    report = replace(hostile, parts=(compare(FAIR.document(), hostile.document()),))
    document = json.loads(json.dumps(report.document()))
    assert list(Draft202012Validator(json.loads(FILE.read_text())).iter_errors(document)) == []
    assert document["parts"]["comparison"]["groups_gone"] == [["who", "b"]]
    page = render_bias_page(report, facts=PageFacts("x", 1, "ab" * 32, "0", datetime(2026, 1, 1, tzinfo=UTC)))
    assert "Compared with the report before" in page
    assert "There is no earlier report" not in page
    assert "<script>x" not in page
