import dataclasses
import re
from typing import Any

import numpy as np
import pandas as pd
import pytest

from millrace.bias.label import measure_label_bias
from millrace.bias.page import render_bias_page
from millrace.bias.proxies.figures import ProxyReport
from millrace.bias.proxies.search import find_proxies
from millrace.bias.report import BiasReport
from millrace.contracts.task import Answers
from millrace.pages import PageFacts

FACTS = PageFacts("ada.people", 1, "ab" * 32, "0.1.0+test", None)
HOSTILE = "<script>alert(1)</script>"


def _report(task: str = "classification") -> BiasReport:
    rng = np.random.default_rng(0)
    sex = rng.choice(["f", HOSTILE], 600)
    bits = rng.integers(0, 2, (2, 600))
    frame = pd.DataFrame(
        {
            "sex": sex,
            "town": np.where(bits.sum(axis=0) % 2, "n", "s"),
            HOSTILE: np.where(rng.random(600) < 0.9, sex, "f"),
            "one": np.where(bits[0], "a", "b"),
            "other": np.where(bits[1], "a", "b"),
            "key": [f"k{row}" for row in range(600)],
            "hired": np.where(rng.random(600) < 0.5, "yes", "no"),
            "pay": rng.standard_normal(600),
        }
    )
    target, positive = ("hired", "yes") if task == "classification" else ("pay", None)
    frame = frame.drop(columns="pay" if target == "hired" else "hired")
    answers = Answers(target=target, task_type=task, positive=positive, sensitive=("sex", "town"))
    found = measure_label_bias(frame, answers=answers, seed=0)
    proxies = find_proxies(frame, answers=answers, seed=0)
    assert proxies is not None
    return dataclasses.replace(found, parts=(proxies,))


def _proxies(report: BiasReport) -> ProxyReport:
    (part,) = report.parts
    assert isinstance(part, ProxyReport)
    return part


def _at(document: Any, pointer: str) -> Any:
    for part in pointer.removeprefix("/").split("/"):
        document = document[int(part)] if isinstance(document, list) else document[part]
    return document


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_every_figure_of_the_section_is_in_the_document_and_nothing_is_markup(task: str) -> None:
    report = _report(task)
    document, page = report.document(), render_bias_page(report, facts=FACTS)
    (section,) = re.findall(r'<section id="proxies">.*?</section>', page, flags=re.DOTALL)
    pointers = {one for group in re.findall(r'data-figure="([^"]+)"', section) for one in group.split()}
    assert len(pointers) > 40
    for pointer in pointers:
        _at(document, pointer)
    assert "<script" not in section
    assert "&lt;script" in section
    (chain, *_) = _proxies(report).attributes[1].chains
    assert {"one", "other"} <= {*chain.features}
    assert " with ".join(chain.features) in section
    assert "key (an identifier" in section


def test_what_could_not_be_searched_says_so() -> None:
    report = _report()
    proxies = _proxies(report)
    flat = tuple(dataclasses.replace(one, groups=()) for one in proxies.attributes)
    shown = dataclasses.replace(report, parts=(dataclasses.replace(proxies, attributes=flat),))
    assert "Could not check" in render_bias_page(shown, facts=FACTS)
