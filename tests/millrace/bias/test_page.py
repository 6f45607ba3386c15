import re
from datetime import UTC, datetime
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest

from millrace.bias.label import measure_label_bias
from millrace.bias.page import render_bias_page
from millrace.bias.predictions import measure_model_bias
from millrace.bias.report import BiasReport
from millrace.contracts.task import Answers
from millrace.examples.loans import POSITIVE, SENSITIVE, TARGET, generate_loans
from millrace.pages import PageFacts

FACTS = PageFacts("ada.loans", 3, "ab" * 32, "0.1.0+test", datetime(2026, 1, 2, 3, 4, tzinfo=UTC), name="Loans")
HOSTILE = '<script>alert("x")</script>\n\'&"><img src=x onerror=alert(1)>'


class _Reader(HTMLParser):
    """Tags, attributes and text of a page; fails on tags that are closed in the wrong order."""

    _VOID = frozenset({"meta", "line", "circle", "rect", "br"})

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


def _regression(frame: pd.DataFrame) -> BiasReport:
    answers = Answers(target="debt", task_type="regression", sensitive=SENSITIVE)
    return measure_model_bias(frame.debt, frame.debt * 0.9, frame, answers=answers, seed=0)


@pytest.mark.parametrize(
    "report",
    [
        _label(generate_loans(600)),
        _label(generate_loans(40)),
        _label(generate_loans(600), sensitive=()),
        _label(generate_loans(600), target="purpose", positive=None),
        _label(generate_loans(600), target="debt", positive=None, task_type="regression"),
        _model(generate_loans(600)),
        _model(generate_loans(20)),
        _regression(generate_loans(600)),
    ],
    ids=["label", "few rows", "no attribute", "classes", "numbers", "model", "model of few rows", "model of numbers"],
)
def test_every_kind_of_report_is_a_page_of_its_own(report: BiasReport) -> None:
    page = render_bias_page(report, facts=FACTS)
    read = _Reader(page)
    assert not {"script", "link", "iframe", "img", "object", "form"} & set(read.tags)
    assert not re.search(r"https?:|url\(|@import", page)
    assert not any(name.startswith("on") or name in {"src", "style"} for name, _ in read.attributes)
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
    assert not {"script", "img"} & set(read.tags)
    assert "<script" not in page
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
    assert "At a glance" not in " ".join(read.words)


def test_every_chart_has_a_name_and_a_table_beside_it() -> None:
    page = render_bias_page(_model(generate_loans(600)), facts=FACTS)
    assert page.count("<svg") == page.count('role="img"') == page.count("<desc>")
    assert page.count("<table") >= page.count('id="attribute-')


def test_the_largest_report_stays_small() -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({f"s{index}": rng.integers(0, 25, 3_000).astype(str) for index in range(6)})
    target = rng.integers(0, 12, 3_000).astype(str)
    answers = Answers(target="y", task_type="classification", sensitive=tuple(frame.columns))
    report = measure_model_bias(target, target, frame, answers=answers, seed=0)
    assert len(render_bias_page(report, facts=FACTS).encode()) < 3_000_000


def test_the_same_report_gives_the_same_page() -> None:
    first, second = (render_bias_page(_label(generate_loans(300)), facts=FACTS) for _ in range(2))
    assert first == second
