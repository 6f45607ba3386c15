"""Methods side by side: warnings, the Pareto front, the recommendation, the document and the page."""

import json
import re
from dataclasses import replace
from typing import Any

import pytest

from millrace.bias.mitigation.compare import measure
from millrace.bias.mitigation.figures import Gap, Quality, Result, Scope, Value
from millrace.bias.mitigation.methods import untreated
from millrace.bias.mitigation.names import METHODS
from millrace.bias.mitigation.page import render_mitigation_page
from millrace.bias.mitigation.planes import plane
from millrace.bias.mitigation.report import TARGETS, Mitigated, mitigate, recommend
from millrace.bias.mitigation.setup import worst_attribute
from millrace.pages import PageFacts

FACTS = PageFacts("ada.people", 1, "ab" * 32, "0.1.0+test", None)
GAP = TARGETS["demographic-parity"]
SCOPE = Scope("hired", "yes", "sex", ("f", "m"), "demographic-parity", 100, 50, "LogisticRegression", 0)


@pytest.fixture(scope="module")
def done(plant) -> Mitigated:
    planted = plant()
    return mitigate(METHODS, planted.problem, planted.holdout, attribute="sex")


def _result(method: Any, gap: float, accuracy: float, *, opened: int = 0, direction: Any = "closed") -> Result:
    def value(number: float) -> Value:
        return Value(number, number - 0.01, number + 0.01)

    one = Gap("sex", GAP, None, "share", "lower", value(0.3), value(gap), value(gap - 0.3), direction)
    others = [replace(one, metric=f"other {place}", direction="opened") for place in range(opened)]
    quality = Quality("accuracy", value(0.8), value(accuracy), value(accuracy - 0.8))
    return Result(method, None, None, (quality,), (one, *others), ())


def test_every_method_tells_every_gap_and_quality_before_and_after(done) -> None:
    for result in done.report.results:
        assert {one.metric for one in result.qualities} == {"accuracy", "auc", "calibration_error"}
        assert {one.attribute for one in result.gaps} == {"sex", "town", "sex × town"}
        metrics = {one.metric for one in result.gaps if one.attribute == "sex"}
        assert {GAP, "equalized_odds_difference", "precision_difference", "auc_difference"} <= metrics
        gap = result.gap("sex", GAP)
        assert gap is not None
        assert gap.direction == "closed"
        assert gap.before.low <= gap.before.value <= gap.before.high


def test_a_gap_that_opens_while_another_closes_is_warned_of(plant) -> None:
    """The label itself differs between groups: equal selection then means unequal odds (Chouldechova 2017)."""
    planted = plant(push=1.5)
    report = mitigate(["threshold-optimizer"], planted.problem, planted.holdout, attribute="sex").report
    opened = {one.metric for one in report.results[0].gaps if one.attribute == "sex" and one.direction == "opened"}
    assert "false_positive_rate_difference" in opened or "precision_difference" in opened
    assert any("while it closes selection rate" in text for text in report.warnings)


def test_no_gap_no_recommendation(plant) -> None:
    planted = plant(push=0.0)
    report = mitigate(["reweighing"], planted.problem, planted.holdout, attribute="sex").report
    assert report.recommendation.method is None
    assert report.warnings == ()


def test_a_favourable_value_that_is_the_first_class_gives_the_mirrored_figures(plant) -> None:
    yes, no = (plant(rows=3_000, positive=one) for one in ("yes", "no"))
    first, second = (
        mitigate(["reweighing"], one.problem, one.holdout, attribute="sex").report.results[0] for one in (yes, no)
    )
    assert first.gap("sex", GAP).after.value == pytest.approx(second.gap("sex", GAP).after.value)
    auc = [next(one.after.value for one in result.qualities if one.metric == "auc") for result in (first, second)]
    assert auc[0] == pytest.approx(auc[1])


def test_the_candidate_opens_fewest_gaps_then_leaves_the_smallest() -> None:
    results = [
        _result("reweighing", 0.10, 0.80, opened=1),
        _result("correlation-remover", 0.15, 0.80),
        _result("exponentiated-gradient", 0.12, 0.79),
        _result("threshold-optimizer", 0.00, 0.80),
    ]
    assert recommend(results, SCOPE).method == "exponentiated-gradient"


@pytest.mark.parametrize(
    "result",
    [
        _result("threshold-optimizer", 0.0, 0.8),
        _result("reweighing", 0.1, 0.74),
        _result("reweighing", 0.1, 0.8, direction="unclear"),
        Result("reweighing", "it could not", None, (), (), ()),
    ],
    ids=["cannot be kept", "too inexact", "closes nothing for certain", "failed"],
)
def test_what_is_no_candidate(result: Result) -> None:
    assert recommend([result], SCOPE).method is None


def test_the_pareto_front_holds_what_nothing_beats() -> None:
    results = [
        _result("reweighing", 0.10, 0.80),
        _result("correlation-remover", 0.20, 0.79),
        _result("exponentiated-gradient", 0.05, 0.70),
    ]
    found = plane(results, "sex", GAP)
    assert found is not None
    assert [(one.label, one.front) for one in found.points] == [
        ("Untreated", False),
        ("Reweighing", True),
        ("Correlation remover", False),
        ("Exponentiated gradient", True),
    ]
    assert plane([Result("reweighing", "no", None, (), (), ())], "sex", GAP) is None


def test_a_method_that_cannot_be_used_says_why_and_the_others_go_on(plant) -> None:
    planted = plant(rows=2_000, sensitive_columns=())
    found = mitigate(["correlation-remover", "reweighing"], planted.problem, planted.holdout, attribute="sex")
    failed, worked = found.report.results
    assert "does not read the attribute" in str(failed.failed)
    assert worked.failed is None
    assert list(found.after) == ["reweighing"]
    assert "could not be used" in render_mitigation_page(found.report, facts=FACTS)


def test_the_document_is_json_and_the_same_twice(plant, done) -> None:
    document = json.loads(json.dumps(done.report.document(), allow_nan=False))
    planted = plant()
    again = mitigate(METHODS, planted.problem, planted.holdout, attribute="sex").report
    assert document == json.loads(json.dumps(again.document()))
    assert again.report_hash == done.report.report_hash
    assert document["methods"]["threshold-optimizer"]["needs_attribute"]


def _at(document: Any, pointer: str) -> Any:
    for part in pointer.removeprefix("/").split("/"):
        document = document[int(part)] if isinstance(document, list) else document[part]
    return document


def test_every_figure_on_the_page_is_in_the_document(done) -> None:
    document, page = done.report.document(), render_mitigation_page(done.report, facts=FACTS)
    pointers = {one for group in re.findall(r'data-figure="([^"]+)"', page) for one in group.split()}
    assert len(pointers) > 200
    for pointer in pointers:
        _at(document, pointer)
    assert page.count("<svg") == 2
    assert "answers by lot" in page
    assert done.report.recommendation.reason in page


def test_hostile_names_are_text(plant, done) -> None:
    hostile = "<script>alert(1)</script>"
    scope = replace(done.report.scope, attribute=hostile, groups=(hostile,), positive=hostile)
    results = tuple(
        replace(one, warnings=(hostile,), gaps=tuple(replace(gap, attribute=hostile) for gap in one.gaps))
        for one in done.report.results
    )
    page = render_mitigation_page(replace(done.report, scope=scope, results=results), facts=FACTS)
    assert "<script" not in page
    assert "&lt;script" in page


def test_the_column_with_the_worst_verdict_is_the_one_to_treat(plant) -> None:
    planted = plant()
    found = measure(planted.holdout, untreated(planted.problem))
    assert [one.verdict for one in found.attributes] == ["fail", "pass"]
    assert worst_attribute(found) == "sex"
    assert worst_attribute(replace(found, attributes=found.attributes[::-1])) == "sex"
    assert worst_attribute(replace(found, attributes=())) is None
