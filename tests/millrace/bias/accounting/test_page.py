"""The steps on the page at its three levels, and in the document by its schema."""

import dataclasses
import html
import json
import re
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest
from jsonschema import Draft202012Validator

from millrace.bias.accounting.counter import count_rows
from millrace.bias.accounting.figures import Accounting
from millrace.bias.accounting.judging import account
from millrace.bias.accounting.words import PLAIN_LIMIT
from millrace.bias.document import FILE
from millrace.bias.label import measure_label_bias
from millrace.bias.page import render_bias_page
from millrace.bias.policy import shipped_policy
from millrace.bias.report import BiasReport
from millrace.contracts.filled import FilledValues
from millrace.contracts.task import Answers
from millrace.pages import PageFacts

POLICY = shipped_policy()
SCHEMA = Draft202012Validator(json.loads(FILE.read_text(encoding="utf-8")))
FACTS = PageFacts("ada.people", 1, "ab" * 32, "0.1.0+test", None)
HOSTILE = "<script>alert(1)</script>\u202e"


def _report(*, rows: int = 1_200, lost: float = 0.4, towns: int = 3) -> BiasReport:
    """A report of a table of which mostly women have no target, as if a model had been trained on the rest."""
    rng = np.random.default_rng(0)
    sex = rng.choice(["f", "m", HOSTILE], rows, p=[0.4, 0.5, 0.1])
    town = rng.choice([f"town {number}" for number in range(towns)], rows).astype(object)
    town[rng.random(rows) < 0.05] = None
    frame = pd.DataFrame({"sex": sex, HOSTILE: town, "hired": rng.choice(["yes", "no"], rows)})
    frame.loc[(frame.sex == "f") & (rng.random(rows) < lost), "hired"] = None
    answers = Answers(target="hired", task_type="classification", positive="yes", sensitive=("sex", HOSTILE))
    counter = count_rows(frame, sensitive=answers.sensitive, policy=POLICY)
    labelled = np.flatnonzero(frame.hired.notna())
    missing = rng.random(len(labelled)) < 0.1
    none = int(frame[HOSTILE].isna().sum())
    steps = [
        counter.reading(rows, {"sex": {}, HOSTILE: {"": 5, "NA": none - 5}}),
        counter.step("quality", came=counter.everybody(), kept=counter.everybody()),
        counter.step("target", came=counter.everybody(), kept=labelled),
        counter.step("training", came=labelled, kept=labelled[labelled % 5 > 0]),
        counter.step("validation", came=labelled[labelled % 5 > 0], kept=labelled[labelled % 5 > 1]),
        counter.step("holdout", came=labelled, kept=labelled[labelled % 5 == 0]),
        counter.imputation(
            labelled,
            [FilledValues(HOSTILE, "(missing)", "(missing)", False, frame[HOSTILE].isna().to_numpy()[labelled]),
             FilledValues("pay", 1.5, "1.5", True, missing)],
        ),
    ]  # fmt: skip
    part = account(steps, policy=POLICY, sensitive=(*answers.sensitive, "faith"))
    report = measure_label_bias(frame, answers=answers, seed=0)
    return dataclasses.replace(report, parts=(part,))


def _part(report: BiasReport) -> Accounting:
    (part,) = report.parts
    assert isinstance(part, Accounting)
    return part


def _at(document: Any, pointer: str) -> Any:
    for part in pointer.removeprefix("/").split("/"):
        document = document[int(part)] if isinstance(document, list) else document[part]
    return document


def _section(page: str, anchor: str) -> str:
    (found,) = re.findall(rf'<section id="{anchor}">.*?</section>', page, flags=re.DOTALL)
    return str(found)


def _words(markup: str) -> str:
    return " ".join(html.unescape(re.sub(r"<[^>]+>", "", markup)).split())


@cache
def _told() -> BiasReport:
    return _report()


@cache
def _page() -> str:
    return render_bias_page(_told(), facts=FACTS)


def test_the_document_keeps_to_its_schema_and_the_part_is_in_the_hash() -> None:
    document = json.loads(json.dumps(_told().document()))
    assert [error.message for error in SCHEMA.iter_errors(document)] == []
    assert dataclasses.replace(_told(), parts=()).report_hash != _told().report_hash == _report().report_hash
    for spoilt in ({"steps": "none"}, {"surprise": 1}, {"line": "low"}):
        document["parts"]["accounting"] |= spoilt
        assert list(SCHEMA.iter_errors(document))
        document = json.loads(json.dumps(_told().document()))
    document["parts"]["accounting"]["steps"][0]["step"] = "guessing"
    assert list(SCHEMA.iter_errors(document))


def test_every_figure_of_the_section_is_in_the_document() -> None:
    document = json.loads(json.dumps(_told().document()))
    section = _section(_page(), "causes")
    shown = re.findall(r'data-figure="([^"]+)"[^>]*>([^<]*)<', section)
    assert len(shown) > 200
    for pointers, text in shown:
        values = [_at(document, pointer) for pointer in pointers.split()]
        if len(values) == 1 and pointers.endswith(("/rows_in", "/rows_out", "/kept", "/filled", "/values")):
            assert text == f"{values[0]:,}"
        elif len(values) == 1 and "rate" in pointers:
            assert text == ("–" if values[0] is None else f"{values[0]:.1%}")


def test_the_step_is_named_in_words_at_every_level() -> None:
    plain, section = _page().split('<div class="analyst">')[0], _section(_page(), "causes")
    sentence = (
        r"Leaving out rows without a target removed \d\d\.\d% of the rows of sex f and 0\.0% of everyone else's\."
    )
    for level in (plain, section):
        assert re.search(sentence, _words(level))
        assert "cells of &lt;script&gt;alert(1)&lt;/script&gt;\\u202e that say" in level
    assert "Who was lost on the way" in plain
    assert "named above" in section
    assert "Find out why rows of sex f were lost on the way" in plain
    deep = section.split('<div class="deep">')[1]
    assert "every group against everyone else" in deep
    assert "every group against everyone else" not in section.split('<div class="deep">')[0]
    assert "Values filled in, by group" in section.split('<div class="deep">')[0]


def test_names_are_text_and_what_nobody_counted_is_said() -> None:
    assert _page().count("<script") == 1
    assert "\u202e" not in _page()
    section = _section(_page(), "causes")
    assert "&lt;script&gt;" in section
    assert "Could not check faith" in _words(section)
    assert "the steps that the rows went through were not counted" not in _page()


def test_a_clean_table_says_so_and_a_report_without_counts_could_not_check() -> None:
    part = _part(_told())
    clean = account_of_everybody()
    page = render_bias_page(dataclasses.replace(_told(), parts=(clean,)), facts=FACTS)
    assert "No step is named: every step kept all rows of the groups that were counted." in _words(
        _section(page, "causes")
    )
    assert "No step on the way took noticeably more" in page
    assert "lost on the way;" not in page
    nobody = dataclasses.replace(
        part, steps=tuple(dataclasses.replace(one, attributes=(), filled=()) for one in part.steps)
    )
    page = render_bias_page(dataclasses.replace(_told(), parts=(nobody,)), facts=FACTS)
    assert "the groups of no sensitive column were counted" in page
    assert "Who was lost on the way" not in page
    without = render_bias_page(dataclasses.replace(_told(), parts=()), facts=FACTS)
    assert "Could not check: the steps that the rows went through were not counted" in without


def account_of_everybody() -> Accounting:
    counter = count_rows(pd.DataFrame({"sex": ["f", "m"] * 20}), sensitive=["sex"], policy=POLICY)
    step = counter.step("target", came=counter.everybody(), kept=counter.everybody())
    return account([step], policy=POLICY, sensitive=["sex"])


@pytest.mark.parametrize("texts", [PLAIN_LIMIT, PLAIN_LIMIT + 3])
def test_the_page_in_plain_words_stays_short(texts: int) -> None:
    columns = [f"c{number}" for number in range(texts)]
    frame = pd.DataFrame({name: ["f", None] * 20 for name in columns})
    counter = count_rows(frame, sensitive=columns, policy=POLICY)
    part = account([counter.reading(40, {name: {"NA": 20} for name in columns})], policy=POLICY, sensitive=columns)
    page = render_bias_page(dataclasses.replace(_told(), parts=(part,)), facts=FACTS)
    plain = page.split('<div class="analyst">')[0]
    assert plain.count("for missing values") == PLAIN_LIMIT
    assert ("3 more of the kind" in plain) == (texts > PLAIN_LIMIT)
    assert _section(page, "causes").count("for missing values") == texts


def test_every_kind_of_finding_has_a_sentence() -> None:
    counter = count_rows(pd.DataFrame({"sex": ["f"] * 60 + ["m"] * 60 + ["x"]}), sensitive=["sex"], policy=POLICY)
    every, men = counter.everybody(), np.arange(60, 121)
    steps = [
        counter.step(name, came=every, kept=kept)
        for name in ("training", "validation", "holdout", "target")
        for kept in (men, np.arange(120))
    ]
    part = account(steps, policy=POLICY, sensitive=["sex"])
    told = {f"{one.title} {''.join(word.text for word in one.words)}" for one in part.findings("/parts/accounting")}
    assert told == {
        "Choosing the rows to train on put 0.0% of the rows of sex f into training and 100.0% of everyone else's."
        " Their share went from 49.6% to 0.0%.",
        "Choosing the rows to train on put none of the rows of sex x into training (1 in all). The model has never "
        "seen one.",
        "Keeping rows back to compare models left 0.0% of the rows of sex f to train on and 100.0% of everyone else's."
        " Their share went from 49.6% to 0.0%.",
        "Keeping rows back to compare models left none of the rows of sex x to train on (1 in all). The model has "
        "never seen one.",
        "Choosing the rows to test on (hold-out) put 0.0% of the rows of sex f into the hold-out and 100.0% of "
        "everyone else's. Their share went from 49.6% to 0.0%.",
        "Choosing the rows to test on (hold-out) put none of the rows of sex x into the hold-out (1 in all). How the "
        "model treats them was not tested.",
        "Leaving out rows without a target removed 100.0% of the rows of sex f and 0.0% of everyone else's. Their "
        "share went from 49.6% to 0.0%.",
        "Leaving out rows without a target left none of the rows of sex x (1 in all).",
    }
