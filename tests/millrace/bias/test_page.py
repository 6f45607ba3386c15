import html
import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pandas as pd
import pytest

from millrace.bias import wording
from millrace.bias.label import measure_label_bias
from millrace.bias.page import render_bias_page
from millrace.bias.predictions import measure_model_bias
from millrace.bias.report import BiasReport
from millrace.bias.script import SCRIPT, SCRIPT_SOURCE
from millrace.bias.sections import SECTIONS
from millrace.contracts.task import Answers
from millrace.examples.loans import POSITIVE, SENSITIVE, TARGET, generate_loans
from millrace.pages import PageFacts, filters

FACTS = PageFacts("ada.loans", 3, "ab" * 32, "0.1.0+test", datetime(2026, 1, 2, 3, 4, tzinfo=UTC), name="Loans")
HOSTILE = '<script>alert("x")</script>\n\'&"><img src=x onerror=alert(1)>'


class _Reader(HTMLParser):
    """Tags, attributes and text of a page; fails on tags that are closed in the wrong order."""

    _VOID = frozenset({"meta", "line", "circle", "rect", "br", "input"})

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.words: list[str] = []
        self._open: list[str] = []
        self.feed(page)
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag not in self._VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def _label(frame: pd.DataFrame, **change: object) -> BiasReport:
    answers = Answers(target=TARGET, task_type="classification", positive=POSITIVE, sensitive=SENSITIVE)
    return measure_label_bias(frame, answers=answers.model_copy(update=change), seed=0)


def _model(frame: pd.DataFrame) -> BiasReport:
    answers = Answers(target=TARGET, task_type="classification", positive=POSITIVE, sensitive=SENSITIVE)
    return measure_model_bias(frame[TARGET], frame[TARGET], frame, answers=answers, seed=0)


def _scored(frame: pd.DataFrame) -> BiasReport:
    answers = Answers(target=TARGET, task_type="classification", positive=POSITIVE, sensitive=SENSITIVE)
    noise = np.random.default_rng(1).random(len(frame))
    scores = np.where(frame[TARGET] == POSITIVE, 0.3, 0.1) + 0.6 * noise
    said = np.where(scores > 0.5, POSITIVE, "no")
    company = {"scores": scores, "strata": frame.region, "features": frame[["debt", "purpose"]]}
    return measure_model_bias(frame[TARGET], said, frame, answers=answers, seed=0, **company)


def _regression(frame: pd.DataFrame) -> BiasReport:
    answers = Answers(target="debt", task_type="regression", sensitive=SENSITIVE)
    return measure_model_bias(frame.debt, frame.debt * 0.9, frame, answers=answers, seed=0)


# made in the test: every process that runs tests reads this file, whether it runs it or not
@pytest.mark.parametrize(
    "make",
    [
        lambda: _label(generate_loans(600)),
        lambda: _label(generate_loans(40)),
        lambda: _label(generate_loans(600), sensitive=()),
        lambda: _label(generate_loans(600), target="purpose", positive=None),
        lambda: _label(generate_loans(600), target="debt", positive=None, task_type="regression"),
        lambda: _model(generate_loans(600)),
        lambda: _model(generate_loans(20)),
        lambda: _regression(generate_loans(600)),
    ],
    ids=["label", "few rows", "no attribute", "classes", "numbers", "model", "model of few rows", "model of numbers"],
)
def test_every_kind_of_report_is_a_page_of_its_own(make: Callable[[], BiasReport]) -> None:
    page = render_bias_page(make(), facts=FACTS)
    read = _Reader(page)
    assert not {"link", "iframe", "img", "object", "form"} & set(read.tags)
    assert re.findall(r"<script[^>]*>(.*?)</script>", page, re.DOTALL) == [SCRIPT]
    assert SCRIPT_SOURCE in html.unescape(page.split("</head>")[0])
    assert not re.search(r"https?:|url\(|@import", page)
    assert not any(name.startswith("on") or name in {"src", "style"} for name, _ in read.attributes)
    assert [read.words.count(section.title) > 0 for section in SECTIONS] == [True] * 17
    assert all(value.startswith("#") for name, value in read.attributes if name == "href")
    assert "None" not in " ".join(read.words)
    assert not re.search(r"\bnan\b", " ".join(read.words))
    assert "default-src 'none'" in page


def test_hostile_names_and_values_are_text() -> None:
    frame = generate_loans(600).rename(columns={"sex": HOSTILE})
    frame["region"] = frame["region"].replace({"north": HOSTILE})
    frame[TARGET] = frame[TARGET].replace({"yes": HOSTILE})
    report = _label(frame, sensitive=(HOSTILE, "region"), positive=HOSTILE)
    facts = PageFacts("ada.loans", 1, "ab" * 32, "0", datetime.now(UTC), name=HOSTILE)
    page = render_bias_page(report, facts=facts)
    read = _Reader(page)
    assert "img" not in read.tags
    assert page.count("<script") == 1
    assert not any(name.startswith("on") for name, _ in read.attributes)
    assert "&lt;script&gt;" in page


def test_the_page_says_what_the_report_says() -> None:
    report = _label(generate_loans())
    words = " ".join(" ".join(_Reader(render_bias_page(report, facts=FACTS)).words).split())
    assert "In the recorded outcomes: sex fails; age is inconclusive; marital_status passes." in words
    for item in report.attributes[0].measures[0].values:
        assert f"{item.value:.1%}" in words
        assert f"{item.count:,} of {item.rows:,}" in words
    assert "ada.loans, version 3" in words


def test_without_sensitive_columns_the_page_shows_no_verdict() -> None:
    read = _Reader(render_bias_page(_label(generate_loans(100), sensitive=()), facts=FACTS))
    assert "There is no verdict." in " ".join(read.words)
    assert "no sensitive column was named" in " ".join(read.words)


def test_every_chart_has_a_name_and_a_table_beside_it() -> None:
    page = render_bias_page(_model(generate_loans(600)), facts=FACTS)
    assert page.count("<svg") == page.count('role="img"') == page.count("<desc>") > 10
    assert page.count("<table") > 20


class _Figures(HTMLParser):
    """(pointers, text) of every element that carries a figure."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, str]] = []
        self._open: list[tuple[str, str, list[str]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in _Reader._VOID:
            self._open.append((tag, dict(attrs).get("data-figure") or "", []))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Nothing: a shape holds no figure."""

    def handle_endtag(self, tag: str) -> None:
        _, pointers, words = self._open.pop()
        if pointers:
            self.found.append((pointers, " ".join("".join(words).split())))

    def handle_data(self, data: str) -> None:
        if self._open:
            self._open[-1][2].append(data)


def _at(document: Any, pointer: str) -> Any:
    for part in pointer.removeprefix("/").split("/"):
        document = document[int(part)] if isinstance(document, list) else document[part]
    return document


def _written(value: Any) -> set[str]:
    """Every way in which the page may write the value."""
    if value is None:
        return {filters.ABSENT}
    if isinstance(value, str):
        return {{"Infinity": "∞", "-Infinity": "−∞"}[value]}
    return {
        filters.percent(value), filters.points(value), filters.number(value), filters.whole(value),
        f"{value:.2f}", f"{value:.2f} SD", wording.p_text(value),
        # of a hundred people; a setting or a bin's edge as it stands
        f"{value * 100:.0f}", str(value),
    }  # fmt: skip


FIGURED: dict[str, Callable[[], BiasReport]] = {
    "label": lambda: _label(generate_loans(900)),
    "model": lambda: _scored(generate_loans(900)),
    "numbers": lambda: _regression(generate_loans(600)),
    "classes": lambda: _label(generate_loans(600), target="purpose", positive=None),
}


@pytest.fixture(scope="module", params=FIGURED)
def figured(request: pytest.FixtureRequest) -> BiasReport:
    # made when a test wants it: every process that runs tests loads this file
    return FIGURED[request.param]()


def test_every_figure_resolves_to_the_same_number_in_the_document(figured: BiasReport) -> None:
    document = json.loads(json.dumps(figured.document()))
    figures = _Figures(render_bias_page(figured, facts=FACTS)).found
    assert len(figures) > 250
    for pointers, text in figures:
        values = [_at(document, pointer) for pointer in pointers.split()]
        if len(values) == 1 and isinstance(values[0], list):
            assert text == ", ".join(map(str, values[0]))
        elif len(values) == 1:
            assert text.removesuffix(", not compared").removesuffix(" rows") in _written(values[0]), (pointers, text)
        elif None in values:
            assert text == filters.ABSENT, (pointers, text, values)
        elif " of " in text:
            assert text.removesuffix(", not compared") == f"{values[0]:,} of {values[1]:,}"
        else:
            low, high = text.split(" to ")
            assert high in _written(values[1]), (pointers, text, values)
            assert any(one.startswith(low) for one in _written(values[0])), (pointers, text, values)


class _Bare(HTMLParser):
    """Texts with a digit where a figure belongs (number cells, values of charts, sentences) that carry no pointer."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self._open: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in _Reader._VOID:
            self._open.append((tag, dict(attrs)))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Nothing: a shape holds no figure."""

    def handle_endtag(self, tag: str) -> None:
        self._open.pop()

    def handle_data(self, data: str) -> None:
        if not re.search(r"\d", data) or any("data-figure" in attrs for _, attrs in self._open):
            return
        if any("data-explorer" in attrs for _, attrs in self._open):
            return
        classes = {one for _, attrs in self._open for one in (attrs.get("class") or "").split()}
        inside = {tag for tag, _ in self._open}
        if ("td" in inside and "number" in classes) or ("svg" in inside and classes & {"value", "note"}):
            self.found.append(data)


def test_no_figure_stands_without_its_place_in_the_document(figured: BiasReport) -> None:
    assert _Bare(render_bias_page(figured, facts=FACTS)).found == []


def test_a_figure_without_a_place_would_be_found() -> None:
    assert _Bare('<table><tr><td class="number">4</td></tr></table>').found == ["4"]


def test_groups_of_a_crossing_that_are_not_compared_are_named_with_their_rows() -> None:
    report = _label(generate_loans(600))
    words = " ".join(" ".join(_Reader(render_bias_page(report, facts=FACTS)).words).split())
    left_out = [group for group in report.crossings[0].groups if not group.compared]
    assert left_out
    assert all(f"{group.name}: {group.rows}" in words for group in left_out)


def test_the_same_report_gives_the_same_page() -> None:
    first, second = (render_bias_page(_label(generate_loans(300)), facts=FACTS) for _ in range(2))
    assert first == second
