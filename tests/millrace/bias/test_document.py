"""The JSON twin: its published schema, its bytes, and that the page shows no number that it lacks."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from jsonschema import Draft202012Validator

from millrace.bias.document import FILE, schema_text
from millrace.bias.label import measure_label_bias
from millrace.bias.origin import Source, document_text, whole_document
from millrace.bias.predictions import measure_model_bias
from millrace.bias.report import BiasReport
from millrace.contracts.canonical import sha256_json
from millrace.contracts.task import Answers
from millrace.examples.loans import POSITIVE, SENSITIVE, TARGET, generate_loans

SCHEMA = Draft202012Validator(json.loads(FILE.read_text(encoding="utf-8")))
SOURCE = Source(file="loans.csv", sha256="ab" * 32)
FRAME = generate_loans(600)


@dataclass(frozen=True)
class Odd:
    """A part whose figures JSON cannot carry as they are."""

    name: str = "odd"
    section: int = 9
    template: str = "odd.html"

    def document(self) -> dict[str, Any]:
        return {"whole": 1, "infinite": float("inf"), "unknown": float("nan"), "third": 1 / 3}


@cache
def _reports() -> dict[str, BiasReport]:
    answers = Answers(target=TARGET, task_type="classification", positive=POSITIVE, sensitive=SENSITIVE)
    scores = np.where(FRAME[TARGET] == POSITIVE, 0.3, 0.1) + 0.6 * np.random.default_rng(1).random(len(FRAME))
    said = np.where(scores > 0.5, POSITIVE, "no")
    company = {"scores": scores, "strata": FRAME.region, "features": FRAME[["debt", "purpose"]]}
    numbers = Answers(target="debt", task_type="regression", sensitive=SENSITIVE)
    return {
        "label": measure_label_bias(FRAME, answers=answers, seed=0),
        "few rows": measure_label_bias(FRAME[:20], answers=answers, seed=0),
        "no attribute": measure_label_bias(FRAME, answers=answers.model_copy(update={"sensitive": ()}), seed=0),
        "model": measure_model_bias(FRAME[TARGET], said, FRAME, answers=answers, seed=0, **company),
        "never selected": measure_model_bias(FRAME[TARGET], ["no"] * 600, FRAME, answers=answers, seed=0),
        "numbers": measure_model_bias(FRAME.debt, FRAME.debt * 0.9, FRAME, answers=numbers, seed=0),
    }


KINDS = ("label", "few rows", "no attribute", "model", "never selected", "numbers")


def test_every_kind_is_tested() -> None:
    assert set(_reports()) == set(KINDS)


def test_the_checked_in_schema_is_up_to_date() -> None:
    assert FILE.read_text(encoding="utf-8") == schema_text(), "run `python -m millrace.bias.document`"


@pytest.mark.parametrize("name", KINDS)
def test_every_document_keeps_to_the_schema(name: str) -> None:
    document = json.loads(document_text(whole_document(_reports()[name], SOURCE)))
    assert [error.message for error in SCHEMA.iter_errors(document)] == []


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("verdict",), "fine"),
        (("attributes", 0, "disparities", 0, "value"), "0.8"),
        (("attributes", 0, "groups", 0, "rows"), None),
        (("policy", "severity"), "none"),
        (("surprise",), 1),
    ],
)
def test_the_schema_refuses_what_a_reader_would_stumble_over(place: tuple[str | int, ...], value: object) -> None:
    document = json.loads(document_text(whole_document(_reports()["label"], SOURCE)))
    at: Any = document
    for part in place[:-1]:
        at = at[part]
    at[place[-1]] = value
    assert list(SCHEMA.iter_errors(document))


def test_the_hash_is_of_everything_but_the_origin() -> None:
    report = _reports()["label"]
    document = whole_document(report, SOURCE)
    origin = {name: document.pop(name) for name in ("report_hash", "input", "software")}
    assert origin["report_hash"] == report.report_hash == sha256_json(document)
    assert origin["input"] == {"file": "loans.csv", "sha256": "ab" * 32}
    assert {"millrace", "python", "numpy", "scipy"} <= set(origin["software"])


@pytest.mark.parametrize("name", KINDS)
def test_every_metric_of_the_document_has_its_formula_there(name: str) -> None:
    document = _reports()[name].document()
    for attribute in (*document["attributes"], *document["crossings"]):
        metrics = {one["metric"] for one in attribute["measures"]}
        metrics |= {value["metric"] for facet in attribute["facets"] for value in facet["metrics"]}
        assert all(document["formulas"][metric]["formula"] for metric in metrics)
        for item in attribute["disparities"]:
            kinds = [kind for kind in document["distances"] if item["metric"].endswith("_" + kind)]
            assert item["metric"].removesuffix("_" + max(kinds, key=len)) in document["formulas"]


def test_a_part_of_another_module_stands_in_the_document_and_in_the_hash() -> None:
    report = replace(_reports()["label"], parts=(Odd(),))
    document = report.document()
    assert document["parts"] == {"odd": {"whole": 1, "infinite": "Infinity", "unknown": None, "third": 0.3333333333}}
    assert report.report_hash != _reports()["label"].report_hash
    assert [error.message for error in SCHEMA.iter_errors(json.loads(json.dumps(document)))] == []


_WORK = """
import sys
from millrace.bias.origin import Source, document_text, whole_document
from millrace.bias.predictions import measure_model_bias
from millrace.bias.page import render_bias_page
from millrace.contracts.task import Answers
from millrace.examples.loans import generate_loans
from millrace.pages import PageFacts

frame = generate_loans(400)
said = ["yes" if row % 3 else "no" for row in range(len(frame))]
scores = [(row * 37 % 100) / 100 for row in range(len(frame))]
answers = Answers(target="approved", task_type="classification", positive="yes", sensitive=("sex", "application_date"))
report = measure_model_bias(
    frame.approved, said, frame, answers=answers, seed=3, scores=scores, strata=frame.region,
    features=frame[["debt", "purpose"]],
)
sys.stdout.reconfigure(encoding="utf-8", newline="")
sys.stdout.write(document_text(whole_document(report, Source(file="\\u00e4.csv", sha256="0" * 64))))
facts = PageFacts("\\u00e4.csv", None, "0" * 64, "0", None, report_hash=report.report_hash)
sys.stdout.write(render_bias_page(report, facts=facts))
"""
PLACES = [
    {"LC_ALL": "C", "TZ": "UTC", "PYTHONHASHSEED": "0", "PYTHONUTF8": "0", "OMP_NUM_THREADS": "1"},
    {"LC_ALL": "de_DE.UTF-8", "LANG": "de_DE.UTF-8", "TZ": "Pacific/Auckland", "PYTHONHASHSEED": "2"},
    {"LC_ALL": "tr_TR.UTF-8", "LANG": "tr_TR.UTF-8", "TZ": "America/St_Johns", "PYTHONHASHSEED": "77"},
]


def test_document_and_page_are_the_same_bytes_in_any_locale_timezone_and_hash_seed(tmp_path: Path) -> None:
    running = [
        subprocess.Popen(
            [sys.executable, "-c", _WORK],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **place},
            cwd=tmp_path,
            stdout=subprocess.PIPE,
        )
        for place in PLACES
    ]
    texts = [process.communicate()[0] for process in running]
    assert [process.returncode for process in running] == [0, 0, 0]
    assert len(texts[0]) > 50_000
    assert texts[0] == texts[1] == texts[2]
