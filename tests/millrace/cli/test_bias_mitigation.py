"""`millrace bias FILE --mitigate`: what a person sees, the files, and the refusals."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from millrace.examples.loans import generate_loans, write_csv

pytestmark = pytest.mark.usefixtures("home")
CALL = ["--target", "approved", "--sensitive", "sex,region"]


@pytest.fixture
def loans(tmp_path: Path) -> Path:
    return write_csv(tmp_path / "loans.csv", 3_000)


def test_methods_are_compared_on_a_file_and_the_same_file_gives_the_same_bytes(
    millrace: Callable[..., Any], loans: Path, tmp_path: Path
) -> None:
    found = []
    for place in ("one", "two"):
        out = tmp_path / place
        ran = millrace("bias", str(loans), *CALL, "--mitigate", "reweighing,threshold-optimizer", "--out", str(out),
                       "--json")  # fmt: skip
        assert ran.code == 0, ran.out
        found.append([path.read_bytes() for path in sorted(out.iterdir())])
    assert found[0] == found[1]
    told = ran.last["mitigation"]
    assert told["reweighing"]["gap_after"] < told["reweighing"]["gap_before"]
    document = json.loads(Path(ran.last["mitigation_json"]).read_text(encoding="utf-8"))
    # sex has the planted gap
    assert document["scope"]["attribute"] == "sex"
    assert [one["method"] for one in document["results"]] == ["reweighing", "threshold-optimizer"]
    assert {gap["attribute"] for gap in document["results"][0]["gaps"]} == {"sex", "region", "sex × region"}
    page = Path(ran.last["mitigation_html"]).read_text(encoding="utf-8")
    assert document["report_hash"] in page
    beside = json.loads(Path(ran.last["json"]).read_text(encoding="utf-8"))["parts"]["mitigation"]
    assert (beside["asked_by"], beside["report_hash"]) == ("person", document["report_hash"])
    assert '<a href="loans-mitigation.html">' in Path(ran.last["html"]).read_text(encoding="utf-8")


def test_a_person_reads_a_line_for_each_method(millrace: Callable[..., Any], loans: Path) -> None:
    ran = millrace("bias", str(loans), *CALL, "--mitigate", "correlation-remover", "--treat", "sex,region",
                   "--aim", "equalized-odds")  # fmt: skip
    assert ran.code == 0, ran.out
    assert "Correlation remover" in ran.out
    assert "sex × region" in ran.out


@pytest.mark.parametrize(
    ("options", "field"),
    [
        (["--mitigate", "prayer"], "mitigate"),
        (["--mitigate", "all", "--aim", "justice"], "aim"),
        (["--mitigate", "all", "--treat", "income"], "attribute"),
        (["--treat", "sex"], "treat"),
        (["--mitigate", "all", "--predictions", "approved"], "mitigate"),
    ],
)
def test_what_cannot_be_meant_is_refused_by_name(
    millrace: Callable[..., Any], loans: Path, options: list[str], field: str
) -> None:
    ran = millrace("bias", str(loans), *CALL, *options, "--json")
    assert ran.code == 2, ran.out
    assert ran.last["field"] == field
    assert ran.last["remedy"]


def test_a_target_of_numbers_or_of_three_values_is_refused(millrace: Callable[..., Any], tmp_path: Path) -> None:
    frame = generate_loans(300)
    frame["grade"] = ["a", "b", "c"] * 100
    path = tmp_path / "odd.csv"
    frame.to_csv(path, index=False)
    for target, task in (("debt", "regression"), ("grade", "classification")):
        ran = millrace("bias", str(path), "--target", target, "--sensitive", "sex", "--task", task,
                       "--mitigate", "reweighing", "--json")  # fmt: skip
        assert ran.code == 2, ran.out
        assert "two values" in ran.last["message"]
