"""The three pages: what they say, and that nothing of the data can act in them."""

import base64
import hashlib
import re
from collections.abc import Callable
from datetime import UTC, datetime
from html.parser import HTMLParser
from typing import Any, get_args

import numpy as np
import pandas as pd
import pytest
from lightgbm import LGBMClassifier, LGBMRegressor
from sklearn.pipeline import Pipeline

from millrace.contracts.stages import LEVELS, Level
from millrace.explain.compute import explain
from millrace.explain.pages import PageLink, render_level
from millrace.explain.result import CaseKind, Explanation
from millrace.explain.words import CASE_RULES, CASE_TITLES, frequency
from millrace.pages import PageFacts

Fit = Callable[..., Pipeline]
HOSTILE = "<script>alert(1)</script>"
FACTS = PageFacts(
    dataset="ann.loans",
    version=2,
    sha256="ab" * 32,
    code_version="0.1.0",
    created_at=datetime(2026, 1, 2, 3, 4, tzinfo=UTC),
    name=f'"{HOSTILE}',
    model="v3",
)
METRICS = {
    "train": {"accuracy": 0.95, "roc_auc": 0.97, "log_loss": 0.1, "f1": 0.9, "balanced_accuracy": 0.9},
    "test": {"accuracy": 0.9, "roc_auc": 0.91, "log_loss": 0.2, "f1": 0.8, "balanced_accuracy": 0.85},
    "baseline": {"accuracy": 0.6, "roc_auc": 0.5, "log_loss": 0.6, "f1": 0.0, "balanced_accuracy": 0.5},
}


class Page(HTMLParser):
    """Tags, attributes and text of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture(scope="module")
def results(known: pd.DataFrame, fit_pipeline: Fit) -> dict[str, Explanation]:
    features = ["size", "colour", "noise"]
    made = {}
    for target in ("answer", "kind", "price"):
        regression = target == "price"
        estimator: Any = LGBMRegressor if regression else LGBMClassifier
        model = fit_pipeline(estimator(n_estimators=10, verbose=-1), known, target, features)
        figures = {"test": {"r2": 0.8, "mae": 0.2, "rmse": 0.3}, "baseline": {"r2": 0.0, "mae": 1.0, "rmse": 1.2}}
        made[target] = explain(
            model,
            known,
            target=target,
            task_type="regression" if regression else "classification",
            features=features,
            seed=0,
            metrics=figures if regression else METRICS,
        )
    return made


@pytest.fixture(scope="module")
def hostile(fit_pipeline: Fit) -> Explanation:
    generator = np.random.default_rng(0)
    cell = generator.choice([HOSTILE, "</svg><img src=x onerror=alert(1)>", "=cmd()", "a\nb\u202e"], 300)
    names = [f'{HOSTILE}"', "'; DROP TABLE", "a\nb", "javascript:alert(1)"]
    frame = pd.DataFrame({name: generator.normal(size=300) for name in names[1:]})
    frame.insert(0, names[0], cell)
    frame[f"<b>{HOSTILE}"] = np.where(frame[names[1]] > 0, HOSTILE, "</title><b>")
    model = fit_pipeline(LGBMClassifier(n_estimators=5, verbose=-1), frame, f"<b>{HOSTILE}", names)
    return explain(
        model, frame, target=f"<b>{HOSTILE}", task_type="classification", features=names, seed=0, metrics=METRICS
    )


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("target", ["answer", "kind", "price"])
def test_a_page_stands_alone(results: dict[str, Explanation], level: Level, target: str) -> None:
    html = render_level(results[target], level, facts=FACTS, links=[PageLink("Bias report", "/bias-reports/1/view")])
    page = Page(html)
    assert len(html.encode()) < 3_000_000
    assert not {tag for tag, _ in page.tags} & {"script", "iframe", "object", "embed", "img", "form", "input"}
    assert [attrs for tag, attrs in page.tags if tag == "link"] == []
    assert not [attrs for _, attrs in page.tags if "src" in attrs or any(name.startswith("on") for name in attrs)]
    links = [attrs["href"] or "" for tag, attrs in page.tags if tag == "a"]
    assert all(link.startswith(("/bias-reports/", "data:application/json")) for link in links)
    assert not re.search(r"url\(|@import", html)
    assert results[target].report_hash in page.text
    drawings = [attrs for tag, attrs in page.tags if tag == "svg"]
    assert all(drawing.get("role") == "img" and drawing.get("aria-label") for drawing in drawings)
    assert len([tag for tag, _ in page.tags if tag == "h1"]) == 1


@pytest.mark.parametrize("level", LEVELS)
def test_nothing_of_the_data_acts_in_a_page(hostile: Explanation, level: Level) -> None:
    html = render_level(hostile, level, facts=FACTS, links=[PageLink("x", "javascript:alert(1)")])
    page = Page(html)
    assert not {tag for tag, _ in page.tags} & {"script", "img", "b"}
    assert not [attrs for _, attrs in page.tags if any(name.startswith("on") for name in attrs)]
    assert not [attrs for tag, attrs in page.tags if tag == "a" and (attrs["href"] or "").startswith("javascript:")]
    assert HOSTILE in page.text
    assert "\u202e" not in html


def test_the_levels_show_one_result(results: dict[str, Explanation]) -> None:
    leading = results["answer"].features[0]
    for level in get_args(Level):
        assert leading.name in Page(render_level(results["answer"], level, facts=FACTS)).text
    beginner = Page(render_level(results["answer"], "beginner", facts=FACTS)).text
    assert not re.search(r"SHAP|log-odds|AUC", beginner)
    expert = Page(render_level(results["answer"], "expert", facts=FACTS))
    assert str(results["answer"].additivity.residual) in expert.text
    download = next(attrs["href"] or "" for tag, attrs in expert.tags if tag == "a" and "download" in attrs)
    document = base64.b64decode(download.partition(",")[2])
    assert hashlib.sha256(document).hexdigest() == results["answer"].report_hash


def test_the_same_result_gives_the_same_page(results: dict[str, Explanation]) -> None:
    first, second = (render_level(results["kind"], "expert", facts=FACTS) for _ in range(2))
    assert first == second


@pytest.mark.parametrize(
    ("share", "words"),
    [
        (0.0, "fewer than 1 of 100"),
        (0.031, "about 3 of 100"),
        (0.7, "about 7 of 10"),
        (0.95, "about 95 of 100"),
        (1.0, "more than 99 of 100"),
    ],
)
def test_probabilities_are_natural_frequencies(share: float, words: str) -> None:
    assert frequency(share) == words


def test_every_kind_of_case_has_its_words() -> None:
    assert set(CASE_TITLES) == set(get_args(CaseKind)) == {kind for kind, _ in CASE_RULES}


def test_a_model_that_says_one_thing_only_has_pages_too(known: pd.DataFrame, fit_pipeline: Fit) -> None:
    model = fit_pipeline(LGBMRegressor(n_estimators=1, verbose=-1), known.assign(price=1.0), "price", ["size", "noise"])
    result = explain(model, known, target="price", task_type="regression", features=["size", "noise"], seed=0)
    assert result.dependence == ()
    for level in LEVELS:
        assert "No column" in Page(render_level(result, level, facts=FACTS)).text or level == "expert"
