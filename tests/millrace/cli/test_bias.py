import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from millrace.bias.policy import shipped_policy
from millrace.contracts.canonical import sha256_file
from millrace.examples.loans import generate_loans, write_csv

pytestmark = pytest.mark.usefixtures("home")


@pytest.fixture
def scored(tmp_path: Path) -> Path:
    """Loans with the predictions and scores of somebody else's model."""
    frame = generate_loans(800)
    rng = np.random.default_rng(1)
    frame["chance"] = np.where(frame.approved == "yes", 0.3, 0.1) + 0.6 * rng.random(len(frame))
    frame["said"] = np.where(frame.chance > 0.5, "yes", "no")
    path = tmp_path / "scored.csv"
    frame.to_csv(path, index=False)
    return path


def test_a_file_is_measured_without_the_platform(millrace: Callable[..., Any], tmp_path: Path) -> None:
    file = write_csv(tmp_path / "loans.csv", 800)
    ran = millrace("bias", str(file), "--target", "approved", "--sensitive", "sex, region", "--json")
    assert ran.code == 0, ran.out
    assert ran.last["proposed"] == {"task": "classification", "positive": "yes"}
    document = json.loads(Path(ran.last["json"]).read_text(encoding="utf-8"))
    assert document["input"]["sha256"] == sha256_file(file)
    assert document["report_hash"] == ran.last["report_hash"]
    assert document["verdicts"] == ran.last["verdicts"]
    assert set(document["software"]) >= {"millrace", "numpy", "scipy"}
    page = Path(ran.last["html"]).read_text(encoding="utf-8")
    assert page.startswith("<!doctype html")
    assert document["report_hash"] in page


def test_an_option_given_twice_is_not_dropped(millrace: Callable[..., Any], tmp_path: Path) -> None:
    file = write_csv(tmp_path / "loans.csv", 400)
    ran = millrace("bias", str(file), "--target", "approved", "--sensitive", "sex", "--sensitive", "region", "--json")
    assert {"sex", "region"} <= {verdict["attribute"] for verdict in ran.last["verdicts"]}


def test_the_same_file_gives_the_same_bytes(millrace: Callable[..., Any], tmp_path: Path) -> None:
    file = write_csv(tmp_path / "loans.csv", 400)
    found = []
    for place in ("one", "two"):
        out = tmp_path / place
        assert millrace("bias", str(file), "--target", "approved", "--sensitive", "sex", "--out", str(out)).code == 0
        found.append([path.read_bytes() for path in sorted(out.iterdir())])
    assert len(found[0]) == 4
    assert found[0] == found[1]


def test_predictions_of_another_model_are_measured_with_all_that_came_with_them(
    millrace: Callable[..., Any], scored: Path
) -> None:
    options = ["--predictions", "said", "--score", "chance", "--strata", "purpose"]
    ran = millrace("bias", str(scored), "--target", "approved", "--sensitive", "sex", *options, "--json")
    assert ran.code == 0, ran.out
    document = json.loads(Path(ran.last["json"]).read_text(encoding="utf-8"))
    assert document["subject"] == "model"
    (attribute,) = document["attributes"]
    assert attribute["reliability"]
    metrics = {item["metric"]: item for item in attribute["facets"][0]["metrics"]}
    assert len(metrics) == 21
    assert all(item["value"] is not None for item in metrics.values())


def test_a_policy_of_severity_error_holds_back_what_does_not_pass(millrace: Callable[..., Any], tmp_path: Path) -> None:
    file = write_csv(tmp_path / "loans.csv", 800)
    call = ["bias", str(file), "--target", "approved", "--sensitive", "sex"]
    ran = millrace(*call, "--policy", "strict", "--json")
    assert (ran.code, ran.last["holds_back"]) == (3, True)
    own = tmp_path / "own.yaml"
    own.write_text(yaml.safe_dump({**shipped_policy().model_dump(mode="json"), "name": "own"}), encoding="utf-8")
    told = millrace(*call, "--policy", str(own))
    assert told.code == 0
    assert "Policy own" in told.out


@pytest.mark.parametrize(
    ("options", "field"),
    [
        (["--target", "aproved", "--sensitive", "sex"], "target"),
        (["--target", "approved", "--sensitive", "sexx"], "sensitive"),
        (["--target", "approved", "--sensitive", " , "], "sensitive"),
        (["--target", "approved", "--sensitive", "approved"], "sensitive"),
        (["--target", "approved", "--sensitive", "sex", "--task", "ranking"], "task"),
        (["--target", "approved", "--sensitive", "sex", "--positive", "maybe"], "positive"),
        (["--target", "approved", "--sensitive", "sex", "--policy", "five-sixths"], "policy"),
        (["--target", "approved", "--sensitive", "sex", "--score", "debt"], "score"),
        (["--target", "approved", "--sensitive", "sex", "--strata", "town"], "strata"),
        (["--target", "approved", "--sensitive", "sex", "--predictions", "said"], "predictions"),
        (["--target", "approved", "--sensitive", "sex", "--predictions", "sex"], "predictions"),
        (["--target", "purpose", "--sensitive", "sex", "--task", "regression"], "task_type"),
    ],
)
def test_bad_options_are_refused_and_named(
    millrace: Callable[..., Any], tmp_path: Path, options: list[str], field: str
) -> None:
    file = write_csv(tmp_path / "loans.csv", 60)
    ran = millrace("bias", str(file), *options, "--json")
    assert (ran.code, ran.last["field"]) == (2, field)
    assert ran.last["remedy"]


def test_a_file_that_is_not_there_is_refused(millrace: Callable[..., Any], tmp_path: Path) -> None:
    ran = millrace("bias", str(tmp_path / "none.csv"), "--target", "y", "--sensitive", "sex", "--json")
    assert (ran.code, ran.last["field"]) == (2, "file")


def test_proxies_are_searched_when_asked_and_not_in_what_a_model_said(
    millrace: Callable[..., Any], scored: Path
) -> None:
    call = ["bias", str(scored), "--target", "approved", "--sensitive", "sex", "--predictions", "said", "--json"]
    assert json.loads(Path(millrace(*call).last["json"]).read_text(encoding="utf-8"))["parts"].keys() == {"accounting"}
    ran = millrace(*call, "--proxies")
    assert ran.code == 0, ran.out
    found = json.loads(Path(ran.last["json"]).read_text(encoding="utf-8"))["parts"]["proxies"]
    assert {"income", "debt"} <= {one["feature"] for one in found["attributes"][0]["features"]}
    assert "said" not in {one["feature"] for one in found["attributes"][0]["features"]}


def test_two_reports_are_compared_by_command_and_on_the_page(millrace: Callable[..., Any], tmp_path: Path) -> None:
    for name, seed in (("one", 1), ("two", 2)):
        frame = generate_loans(1500, seed=seed)
        if name == "two":
            frame.loc[frame.sex == "female", "approved"] = "no"
            frame.loc[frame.index[frame.sex == "female"][:40], "approved"] = "yes"
        frame.to_csv(tmp_path / f"{name}.csv", index=False)
    call = ("--target", "approved", "--positive", "yes", "--sensitive", "sex", "--json")
    first = millrace("bias", str(tmp_path / "one.csv"), *call)
    second = millrace("bias", str(tmp_path / "two.csv"), *call, "--previous", first.last["json"])
    assert second.code == 0, second.out
    document = json.loads(Path(second.last["json"]).read_text(encoding="utf-8"))
    assert "female" in {one["group"] for one in document["parts"]["comparison"]["moved"]}
    assert "Compared with the report before" in Path(second.last["html"]).read_text(encoding="utf-8")
    assert "Impact ratio" in Path(second.last["impact_ratios_html"]).read_text(encoding="utf-8")
    told = millrace("bias", "diff", first.last["json"], second.last["json"], "--json")
    assert told.last["moved"] == document["parts"]["comparison"]["moved"]
    assert told.code == (3 if any(one["after"] == "fail" for one in told.last["verdicts"]) else 0)
    plain = millrace("bias", "diff", first.last["json"], second.last["json"])
    assert "female" in plain.out


@pytest.mark.parametrize("text", ["", "[]", "{}", "no json", "\xff"])
def test_a_file_that_is_no_report_is_refused(millrace: Callable[..., Any], tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.json"
    path.write_text(text, encoding="latin-1")
    ran = millrace("bias", "diff", str(path), str(path), "--json")
    assert ran.code == 2
    assert ran.last["field"] in {"before", "earlier"}


def test_the_file_may_stand_after_the_options_and_help_shows_both_commands(
    millrace: Callable[..., Any], tmp_path: Path
) -> None:
    file = write_csv(tmp_path / "loans.csv", 300)
    assert millrace("bias", "--target", "approved", "--sensitive", "sex", str(file)).code == 0
    assert "diff" in millrace("bias", "--help").out


def test_a_table_of_counts_is_measured_as_the_people_it_stands_for(
    millrace: Callable[..., Any], tmp_path: Path
) -> None:
    counts = tmp_path / "counts.csv"
    counts.write_text("sex,hired,n\nf,yes,120\nf,no,280\nm,yes,200\nm,no,200\n", encoding="utf-8")
    call = ("--target", "hired", "--positive", "yes", "--sensitive", "sex", "--json")
    ran = millrace("bias", str(counts), *call, "--weights", "n")
    assert ran.code == 0, ran.out
    document = json.loads(Path(ran.last["json"]).read_text(encoding="utf-8"))
    assert document["rows"] == 800
    assert [one["value"] for one in document["verdicts"] if one["metric"] == "selection_rate_ratio"] == [0.6]
    assert any("4 rows stand for 800 people" in note for note in document["notes"])
    assert document["weights"] is None
    reading, weights, kept = document["parts"]["accounting"]["steps"]
    assert [(one["rows_in"], one["rows_out"]) for one in (reading, weights, kept)] == [(4, 4), (4, 800), (800, 800)]
    assert [group["share_out"] for group in weights["attributes"][0]["groups"]] == [0.5, 0.5]
    counts.write_text(counts.read_text().replace("280", "-280"), encoding="utf-8")
    refused = millrace("bias", str(counts), *call, "--weights", "n")
    assert (refused.code, refused.last["field"]) == (2, "weights")


def test_weights_with_fractions_are_measured_as_weights(millrace: Callable[..., Any], tmp_path: Path) -> None:
    file = write_csv(tmp_path / "loans.csv", 600)
    frame = pd.read_csv(file)
    frame["w"] = np.where(frame.sex == "female", 0.4, 1.7)
    frame.to_csv(file, index=False)
    call = ("bias", str(file), "--target", "approved", "--sensitive", "sex", "--weights", "w", "--json")
    ran = millrace(*call)
    assert ran.code == 0, ran.out
    document = json.loads(Path(ran.last["json"]).read_text(encoding="utf-8"))
    assert document["input"]["weights"] == "w"
    assert document["weights"]["effective_rows"] == pytest.approx(frame.w.sum() ** 2 / (frame.w**2).sum())
    shares = {one["name"]: one["share"] for one in document["attributes"][0]["groups"]}
    assert shares["female"] == pytest.approx(frame.w[frame.sex == "female"].sum() / frame.w.sum())
    assert any("600 rows are worth" in note for note in document["notes"])
    # the table of Local Law 144 counts people
    assert "impact_ratios" not in ran.last
    for option, field in (("--shift", "shift"), ("--proxies", "proxies"), ("--mitigate=reweighing", "mitigate")):
        refused = millrace(*call, option)
        assert (refused.code, refused.last["field"]) == (2, field)
    steps = document["parts"]["accounting"]["steps"]
    assert [(one["step"], one["rows_out"]) for one in steps] == [("reading", 600), ("target", 600)]


def test_the_step_that_lost_mostly_one_group_is_named(millrace: Callable[..., Any], tmp_path: Path) -> None:
    frame = generate_loans(1_000)
    frame["region"] = frame.region.replace({"north": "NA"})
    chance = np.random.default_rng(1).random(len(frame))
    lost = chance < np.where(frame.sex == "female", 0.4, 0.05)
    frame["approved"] = frame.approved.mask(lost)
    frame.to_csv(tmp_path / "loans.csv", index=False)
    call = ("--target", "approved", "--positive", "yes", "--sensitive", "sex,region")
    told = millrace("bias", str(tmp_path / "loans.csv"), *call)
    assert told.code == 0, told.out
    women = (frame.sex == "female").to_numpy()
    share = f"removed {lost[women].mean():.1%} of the rows of sex female and {lost[~women].mean():.1%} of everyone"
    said = " ".join(told.out.split())
    assert f"Leaving out rows without a target {share}" in said
    assert f'took {(frame.region == "NA").sum()} cells of region that say "NA" for missing values' in said
    document = json.loads((tmp_path / "loans-bias.json").read_text(encoding="utf-8"))
    reading, target = document["parts"]["accounting"]["steps"]
    assert (reading["rows_in"], target["rows_in"], target["rows_out"]) == (1_000, 1_000, document["rows"])
    clean = write_csv(tmp_path / "clean.csv", 1_000)
    ran = millrace("bias", str(clean), *call)
    assert "Leaving out rows" not in ran.out
    assert "No step on the way took noticeably more" in (tmp_path / "clean-bias.html").read_text(encoding="utf-8")


def test_the_verdicts_after_a_shift_are_told_when_asked(millrace: Callable[..., Any], scored: Path) -> None:
    call = ["bias", str(scored), "--target", "approved", "--sensitive", "sex,region", "--shift", "--json"]
    for more in ([], ["--predictions", "said"]):
        ran = millrace(*call, *more)
        assert ran.code == 0, ran.out
        found = json.loads(Path(ran.last["json"]).read_text(encoding="utf-8"))["parts"]["shift"]
        assert {one["attribute"] for one in found["shifts"]} == {"sex", "region"}
    refused = millrace(
        "bias", str(scored), "--target", "debt", "--sensitive", "sex", "--task", "regression", "--shift", "--json"
    )
    assert (refused.code, refused.last["field"]) == (2, "shift")
