"""Section 12 of a bias report: the mitigation in short, and the way to all of it."""

import re
from dataclasses import replace
from typing import Any

import pytest

from millrace.bias.mitigation.compare import measure
from millrace.bias.mitigation.methods import untreated
from millrace.bias.mitigation.names import Method
from millrace.bias.mitigation.report import mitigate
from millrace.bias.mitigation.section import MitigationSection, section_of
from millrace.bias.page import render_bias_page
from millrace.bias.report import BiasReport
from millrace.pages import PageFacts

FACTS = PageFacts("ada.people", 1, "ab" * 32, "0.1.0+test", None)
ADDRESS = "/bias-reports/mt-1/view"
METHODS: tuple[Method, ...] = ("reweighing", "correlation-remover")


@pytest.fixture(scope="module")
def found(plant) -> tuple[BiasReport, dict[str, Any]]:
    planted = plant(rows=1_500, sensitive_columns=())
    done = mitigate(METHODS, planted.problem, planted.holdout, attribute="sex").report
    report = measure(planted.holdout, untreated(planted.problem))
    return report, {**done.document(), "report_hash": done.report_hash}


def _shown(report: BiasReport, section: MitigationSection) -> str:
    page = render_bias_page(replace(report, parts=(section,)), facts=FACTS)
    (html,) = re.findall(r'<section id="mitigation">.*?</section>', page, flags=re.DOTALL)
    return str(html)


def _at(document: Any, pointer: str) -> Any:
    for part in pointer.removeprefix("/").split("/"):
        document = document[int(part)] if isinstance(document, list) else document[part]
    return document


def test_the_methods_stand_side_by_side_and_every_figure_is_in_both_documents(found) -> None:
    report, document = found
    section = section_of(document, asked_by="policy", address=ADDRESS, candidate="model:ada.people.candidate@v1")
    twin, html = replace(report, parts=(section,)).document(), _shown(report, section)
    assert [one["method"] for one in twin["parts"]["mitigation"]["tried"]] == list(METHODS)
    for tried, result in zip(twin["parts"]["mitigation"]["tried"], document["results"], strict=True):
        gaps = {(gap["attribute"], gap["metric"]): gap for gap in result["gaps"]}
        gap = gaps.get(("sex", "selection_rate_difference"))
        assert (tried["after"], tried["failed"]) == (gap["after"] if gap else None, result["failed"])
        assert tried["closed"] == sum(gap["direction"] == "closed" for gap in result["gaps"])
    pointers = {one for group in re.findall(r'data-figure="([^"]+)"', html) for one in group.split()}
    assert len(pointers) > 10
    for pointer in pointers:
        _at(twin, pointer)
    assert f'<a href="{ADDRESS}">' in html
    assert "model:ada.people.candidate@v1" in html
    assert "It replaces nothing until a person decides so" in html
    assert document["recommendation"]["reason"] in html
    assert "does not read the attribute" in html
    assert "The policy asked for a mitigation" in html


def test_the_address_and_the_candidates_number_are_not_part_of_the_hash(found) -> None:
    report, document = found
    both = [
        section_of(document, asked_by="person", address=address, candidate=candidate)
        for address, candidate in ((ADDRESS, ""), ("other.html", "model:ada.people.candidate@v7"))
    ]
    first, second = (replace(report, parts=(one,)).report_hash for one in both)
    assert first == second != report.report_hash
    assert replace(report, parts=(replace(both[0], asked_by="policy"),)).report_hash != first


def test_what_the_policy_asked_for_and_could_not_be_done_says_why(found) -> None:
    report, _ = found
    reason = "only a classification with two values can be mitigated, not <b>regression</b>"
    html = _shown(report, MitigationSection(asked_by="policy", could_not=reason))
    assert "It could not be done: only a classification" in html
    assert "<b>" not in html
    assert "No mitigation was tried" not in html


def test_a_hostile_column_is_text(found) -> None:
    report, document = found
    hostile = "<script>alert(1)</script>"
    scope = {**document["scope"], "attribute": hostile}
    html = _shown(report, section_of({**document, "scope": scope}, asked_by="person", address=""))
    assert "<script" not in html
    assert "&lt;script" in html


def test_another_kind_of_document_is_refused(found) -> None:
    report, _ = found
    with pytest.raises(ValueError, match="validation error"):
        section_of(report.document(), asked_by="person", address="")
