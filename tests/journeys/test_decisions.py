"""What a person stops, stops: reject, cancel, a newer version."""

import time
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.broker]

LIVE = """
query Live($id: String!) {
  runsOrError(filter: {tags: [{key: "millrace/pipeline", value: $id}]}) { ... on Runs { results { runId status } } }
}
"""


def _runs(platform: Any, pipeline_id: str) -> list[str]:
    return [run["status"] for run in platform.graphql(LIVE, id=pipeline_id)["runsOrError"]["results"]]


def test_a_rejected_pipeline_trains_nothing(
    platform: Any, loans: Path, answers: dict[str, Any], quick: dict[str, Any]
) -> None:
    platform.upload(loans, "ada", "rejected")
    pipeline_id = platform.pipeline_of("ada", "rejected")["id"]
    platform.api.post(
        f"/pipelines/{pipeline_id}/answer", json={"answers": answers, "settings": quick}
    ).raise_for_status()
    platform.reaches(pipeline_id, "waiting_for_approval", stage="automl")
    rejected = platform.command("pipeline", "reject", pipeline_id, "--reason", "the label is not what we decide on")
    assert rejected.code == 0, rejected.errors
    ended = platform.reaches(pipeline_id, "rejected")
    assert ended["model"] is None


@pytest.fixture
def unfair(unfair_loans: Any, tmp_path: Path) -> Path:
    path = tmp_path / "unfair.csv"
    unfair_loans.to_csv(path, index=False)
    return path


def test_a_policy_that_holds_back_stops_autopilot_until_a_person_decides(platform: Any, unfair: Path) -> None:
    options = ("--user", "ada", "--dataset", "held", "--target", "approved", "--sensitive", "sex", "--time-budget", "2")
    told = platform.command("run", str(unfair), *options, "--bias-policy", "strict", "--levels", "beginner", "--json")
    assert told.code == 4, told.errors
    waiting = platform.pipeline_of("ada", "held")
    assert (waiting["state"], waiting["stage"], waiting["model"]) == ("waiting_for_approval", "automl", None)
    assert waiting["settings"]["policy"] == "autopilot"
    assert "bias policy strict holds it back: sex selection rate ratio fail" in waiting["waiting_for"]["why"]
    assert platform.command("pipeline", "approve", waiting["id"], "--stage", "automl").code == 0
    # the model repeats the bias: it is held back in its turn
    again = platform.reaches(waiting["id"], "waiting_for_approval", stage="xai")
    assert "bias policy strict holds it back" in again["waiting_for"]["why"]
    # what can be done lies on the table before a person decides, and has moved nothing by itself
    reports = {one["kind"]: one for one in again["reports"]}
    assert reports["mitigation"]["summary"]["asked_by"] == "policy"
    page = platform.api.get(f"/bias-reports/{reports['model_bias']['report_id']}/view").text
    assert f"/bias-reports/{reports['mitigation']['report_id']}/view" in page
    assert again["model"]["version"] == "v1"
    assert platform.command("pipeline", "reject", waiting["id"], "--reason", "unfair").code == 0
    assert platform.reaches(waiting["id"], "rejected")["reports"]


def test_cancelling_ends_the_running_run_within_ten_seconds(
    platform: Any, loans: Path, answers: dict[str, Any], waits: Any
) -> None:
    platform.upload(loans, "ada", "cancelled")
    pipeline_id = platform.pipeline_of("ada", "cancelled")["id"]
    settings = {"time_budget": 120, "approvals": []}
    platform.api.post(
        f"/pipelines/{pipeline_id}/answer", json={"answers": answers, "settings": settings}
    ).raise_for_status()
    platform.reaches(pipeline_id, "running", stage="automl")
    # into the search itself
    time.sleep(6)
    asked = time.monotonic()
    platform.api.post(f"/pipelines/{pipeline_id}/cancel", json={}).raise_for_status()
    waits(lambda: "CANCELED" in _runs(platform, pipeline_id), "the run's end", seconds=10)
    assert time.monotonic() - asked < 10
    waits(lambda: not platform.pipeline(pipeline_id)["ending_runs"], "the record of the end")
    revision = platform.pipeline(pipeline_id)["revision"]
    time.sleep(2)
    after = platform.pipeline(pipeline_id)
    assert (after["state"], after["revision"], after["model"]) == ("cancelled", revision, None)


def test_a_new_version_supersedes_the_pipeline_of_the_old_one(
    platform: Any, loans: Path, tmp_path: Path, waits: Any
) -> None:
    platform.upload(loans, "ada", "superseded")
    first = platform.pipeline_of("ada", "superseded")["id"]
    newer = tmp_path / "newer.csv"
    newer.write_text(loans.read_text().rsplit("\n", 2)[0] + "\n")
    assert platform.upload(newer, "ada", "superseded")["version"] == 2
    ended = platform.reaches(first, "superseded")
    assert ended["superseded_by"] == platform.pipeline_of("ada", "superseded")["id"]


def test_the_same_bytes_again_are_the_same_version_and_no_second_pipeline(platform: Any, loans: Path) -> None:
    assert platform.upload(loans, "ada", "twice")["version"] == 1
    platform.pipeline_of("ada", "twice")
    assert platform.upload(loans, "ada", "twice")["version"] == 1
    time.sleep(2)
    assert len(platform.api.get("/pipelines", params={"user_id": "ada", "dataset_id": "twice"}).json()) == 1
