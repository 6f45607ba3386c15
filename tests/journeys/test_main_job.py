"""`millrace run`: the main job, and what it prints for machines."""

from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.broker]


def test_run_ends_with_one_object_that_names_every_result(platform: Any, loans: Path) -> None:
    told = platform.command(
        "run", str(loans), "--target", "approved", "--sensitive", "sex,marital_status", "--positive", "yes",
        "--time-budget", "2", "--user", "grace", "--dataset", "main-job", "--json",
    )  # fmt: skip
    assert told.code == 0, told.errors
    result = told.json()
    assert set(result) >= {"pipeline_id", "status", "dataset", "bias", "model_bias", "model", "xai", "seconds"}
    assert result["status"] == "completed"
    assert set(result["dataset"]) >= {"user_id", "dataset_id", "version", "sha256", "rows", "columns"}
    assert result["dataset"]["rows"] == 3000
    attributes = {"sex", "marital_status", "sex × marital_status"}
    assert {v["attribute"] for v in result["bias"]["verdicts"]} == attributes
    for part in (result["bias"], result["model_bias"], *result["xai"]):
        assert Path(part["html"]).read_text().lstrip().lower().startswith("<!doctype html")
    assert [one["level"] for one in result["xai"]] == ["beginner", "intermediate", "expert"]
    assert set(result["seconds"]) >= {"total", "stages", "overhead"}


@pytest.mark.parametrize(
    ("words", "field"),
    [
        (["--target", "aproved"], "approved"),
        (["--target", "approved", "--time-budget", "ten"], "time"),
        (["--target", "approved", "--time-budget", "-1"], "time"),
        (["--target", "approved", "--time-budget", "0"], "time"),
        (["--target", "approved", "--task", "clustering"], "task"),
        (["--target", "approved", "--sensitive", "height"], "height"),
        (["--target", "approved", "--positive", "perhaps"], "perhaps"),
        (["--target", "approved", "--user", "a/b"], "user"),
    ],
)
def test_bad_options_are_named_with_exit_code_2(platform: Any, loans: Path, words: list[str], field: str) -> None:
    told = platform.command("run", str(loans), "--dataset", "bad-options", *words)
    assert told.code == 2, told.output + told.errors
    assert field in told.errors + told.output
