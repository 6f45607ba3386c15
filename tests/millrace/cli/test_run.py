import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest


def test_a_file_becomes_reports_and_one_json_object(
    millrace: Callable[..., Any], platform: Callable[..., Any], home: Path, loans: str
) -> None:
    platform()
    ran = millrace("run", loans, "--target", "approved", "--sensitive", "sex", "--time-budget", "5", "--json")
    assert ran.code == 0, ran.err
    found = ran.last
    assert list(found) == ["pipeline_id", "status", "dataset", "bias", "model_bias", "model", "xai", "seconds"]
    assert found["status"] == "completed"
    assert {name: found["dataset"][name] for name in ("user_id", "dataset_id", "version", "rows", "columns")} == {
        "user_id": "local", "dataset_id": "Loan-data-1", "version": 1, "rows": 120, "columns": 4,
    }  # fmt: skip
    assert found["bias"]["verdicts"][0]["verdict"] == "fail"
    assert list(found["bias"]) == ["report_id", "html", "json", "verdicts"]
    assert found["model"]["test_metrics"] == {"accuracy": 0.9}
    assert [one["level"] for one in found["xai"]] == ["beginner", "intermediate", "expert"]
    for path in (found["bias"]["html"], found["model_bias"]["json"], found["xai"][2]["html"]):
        assert Path(path).is_file()
        assert Path(path).is_relative_to(home)
    assert found["xai"][0]["url"].endswith("/model_explanation/beginner/view?version=v1")
    seconds = found["seconds"]
    assert set(seconds["stages"]) == {"dataset", "bias", "automl", "xai"}
    assert 0 <= seconds["overhead"] <= seconds["total"]
    assert "task: classification (proposed)" in ran.err
    assert "target: approved (given)" in ran.err


def test_a_person_reads_a_summary(millrace: Callable[..., Any], platform: Callable[..., Any], loans: str) -> None:
    platform()
    ran = millrace(
        "run", loans, "--target", "approved", "--levels", "expert,beginner", "--out", str(Path(loans).parent)
    )
    assert ran.code == 0, ran.err
    for words in (
        "Completed",
        "selection rate ratio",
        "0.50 to 0.70",
        "1 fail",
        "fail",
        "baseline",
        "explanation, expert",
        "in all",
    ):
        assert words in ran.out
    assert "explanation, intermediate" not in ran.out


def test_the_same_file_again_is_the_same_version_in_a_new_pipeline(
    millrace: Callable[..., Any], platform: Callable[..., Any], loans: str
) -> None:
    platform()
    first, second = (millrace("run", loans, "--target", "approved", "--json") for _ in range(2))
    assert first.last["dataset"] == second.last["dataset"]
    assert first.last["pipeline_id"] != second.last["pipeline_id"]


def test_a_failed_stage_ends_with_its_error_and_code_3(
    millrace: Callable[..., Any], platform: Callable[..., Any], loans: str
) -> None:
    platform(broken="automl")
    ran = millrace("run", loans, "--target", "approved", "--json")
    assert ran.code == 3
    assert ran.last["status"] == "failed"
    assert ran.last["model"] is None
    assert ran.last["bias"]["report_id"]
    assert "planted failure" in ran.last["error"]["message"]
    told = millrace("run", loans, "--target", "approved")
    assert told.code == 3
    assert "millrace pipeline retry" in told.out


def test_without_a_terminal_ask_ends_with_the_command_to_type(
    millrace: Callable[..., Any], platform: Callable[..., Any], loans: str
) -> None:
    platform()
    ran = millrace("run", loans, "--ask", "--json")
    assert ran.code == 4
    one = ran.last["pipeline_id"]
    assert ran.last["waiting_for"]["command"] == f"millrace pipeline answer {one}"
    answered = millrace("pipeline", "answer", one, "--target", "approved", "--sensitive", "", "--json")
    assert answered.last["answers"]["sensitive"] == []
    waiting = millrace("pipeline", "show", one, "--follow", "--json")
    assert waiting.code == 4
    assert waiting.last["state"] == "waiting_for_approval"
    seen = waiting.last["waiting_for"]["seen_sha256"]
    assert millrace("pipeline", "approve", one, "--seen", "0" * 64).code == 2
    assert millrace("pipeline", "approve", one, "--seen", seen).code == 0
    assert millrace("pipeline", "show", one, "-f").code == 4
    assert millrace("pipeline", "reject", one, "--reason", "not fair").code == 0
    ended = millrace("pipeline", "show", one, "-f", "--json")
    assert (ended.code, ended.last["state"]) == (3, "rejected")
    assert any(
        "not fair" in entry["message"] for entry in millrace("pipeline", "history", one, "--json").last["history"]
    )


@pytest.mark.parametrize(
    ("options", "field"),
    [
        (["--time-budget", "ten"], "time_budget"),
        (["--time-budget", "-1"], "time_budget"),
        (["--time-budget", "0"], "time_budget"),
        (["--time-budget", "99999999"], "time_budget"),
        (["--levels", "wizard"], "levels"),
        (["--levels", ","], "levels"),
        (["--task", "ranking"], "task_type"),
        (["--user", "a/b"], "user_id"),
        (["--dataset", ".."], "dataset_id"),
        (["--dataset", "a" * 65], "dataset_id"),
        (["--example"], "file"),
    ],
)
def test_an_option_that_cannot_work_is_named_before_anything_starts(
    millrace: Callable[..., Any], home: Path, loans: str, options: list[str], field: str
) -> None:
    ran = millrace("run", loans, "--target", "approved", "--json", *options)
    assert ran.code == 2
    assert ran.last["field"] == field
    assert ran.last["remedy"]
    assert "to fix:" in ran.err
    assert not home.exists()


@pytest.mark.parametrize("file", ["nowhere.csv", "."])
def test_a_file_that_is_not_there_is_named(millrace: Callable[..., Any], home: Path, file: str) -> None:
    ran = millrace("run", file, "--target", "x", "--json")
    assert (ran.code, ran.last["field"]) == (2, "file")


def test_a_target_that_is_not_there_ends_with_near_names_and_no_pipeline_left_waiting(
    millrace: Callable[..., Any], platform: Callable[..., Any], loans: str
) -> None:
    platform()
    ran = millrace("run", loans, "--target", "aproved", "--json")
    assert (ran.code, ran.last["field"]) == (2, "target")
    assert "'approved'" in ran.last["message"]
    states = {one["state"] for one in millrace("pipeline", "list", "--json").last["pipelines"]}
    assert states == {"cancelled"}


def test_a_file_that_cannot_be_used_is_refused(
    millrace: Callable[..., Any], platform: Callable[..., Any], tmp_path: Path
) -> None:
    platform()
    (tmp_path / "empty.csv").write_bytes(b"")
    ran = millrace("run", str(tmp_path / "empty.csv"), "--target", "x", "--json")
    assert (ran.code, ran.last["error"]) == (2, "bad-input")


def test_the_json_object_is_the_last_line_and_the_only_one(
    millrace: Callable[..., Any], platform: Callable[..., Any], loans: str
) -> None:
    platform()
    ran = millrace("run", loans, "--target", "approved", "--json")
    (line,) = ran.out.strip().splitlines()
    assert json.loads(line)["status"] == "completed"


def test_ctrl_c_leaves_the_pipeline_running_and_says_how_to_go_on(
    millrace: Callable[..., Any], platform: Callable[..., Any], loans: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    platform()
    monkeypatch.setattr("millrace.cli.follow._views", interrupted)
    ran = millrace("run", loans, "--target", "approved", "--json")
    assert ran.code == 130
    one = ran.last["pipeline_id"]
    assert f"millrace pipeline show --follow {one}" in ran.err
    assert f"millrace pipeline cancel {one}" in ran.err


def test_a_user_whose_policy_is_autopilot_gets_what_the_options_say(
    millrace: Callable[..., Any], platform: Callable[..., Any], loans: str
) -> None:
    app = platform()
    httpx.put(f"{app.state.settings.api_url}/users/local/policy", json={"policy": "autopilot"}).raise_for_status()
    ran = millrace("run", loans, "--target", "sex", "--levels", "expert", "--sensitive", "", "--json")
    assert ran.code == 0, ran.err
    view = millrace("pipeline", "show", ran.last["pipeline_id"], "--json").last
    assert (view["answers"]["target"], view["settings"]["levels"]) == ("sex", ["expert"])
