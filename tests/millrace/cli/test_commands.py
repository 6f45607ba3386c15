import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from millrace.cli import words
from millrace.contracts.errors import BadInput


def test_reports_are_listed_and_saved(
    millrace: Callable[..., Any], platform: Callable[..., Any], loans: str, tmp_path: Path
) -> None:
    platform()
    run = millrace("run", loans, "--target", "approved", "--json").done
    listed = millrace("report", "list", "--json").last["reports"]
    assert {one["kind"] for one in listed} == {"bias", "model_bias", "xai"}
    assert run["bias"]["report_id"] in millrace("report", "list", "--kind", "bias").out
    saved = millrace("report", "save", run["bias"]["report_id"], "--to", str(tmp_path / "x"), "--json").last
    assert Path(saved["html"]).read_text() == "<!doctype html><title>x</title>"
    opened = millrace("report", "open", run["xai"][0]["report_id"], "--json").last
    assert opened["url"] == run["xai"][0]["url"]
    assert millrace("report", "save", "br-none", "--json").code == 2
    assert run["pipeline_id"] in millrace("pipeline", "list").out
    assert "Loan data" in millrace("pipeline", "show", run["pipeline_id"]).out


def test_lineage_is_shown_and_verified(millrace: Callable[..., Any], platform: Callable[..., Any], loans: str) -> None:
    platform()
    run = millrace("run", loans, "--target", "approved", "--json").done
    shown = millrace("lineage", "show", "local.Loan-data-1", "--json")
    assert shown.code == 0
    assert shown.last["ref"] == "dataset:local.Loan-data-1@v1"
    assert run["bias"]["report_id"] in millrace("lineage", "show", f"report:{run['bias']['report_id']}").out
    assert millrace("lineage", "show", "model:nobody.nothing", "--json").code == 2


def test_lineage_verify_finds_an_altered_artifact(
    millrace: Callable[..., Any], platform: Callable[..., Any], loans: str, home: Path
) -> None:
    platform()
    run = millrace("run", loans, "--target", "approved", "--json").done
    raw = run["dataset"]["sha256"]
    assert millrace("lineage", "verify", "local.Loan-data-1").code == 0
    path = home / "artifacts" / raw[:2] / raw[2:4] / raw
    path.chmod(0o644)
    path.write_bytes(path.read_bytes().replace(b"yes", b"no ", 1))
    ran = millrace("lineage", "verify", "local.Loan-data-1", "--json")
    assert ran.code == 6
    assert ran.last["integrity"] == "broken"
    assert ran.last["failures"][0]["ref"] == "dataset:local.Loan-data-1@v1"


@pytest.mark.parametrize(
    "command",
    [["pipeline", "list"], ["pipeline", "show", "pl-x"], ["pipeline", "cancel", "pl-x"], ["report", "list"],
     ["pipeline", "show", "-f", "pl-x"]],
)  # fmt: skip
def test_an_api_that_does_not_answer_is_code_5(
    millrace: Callable[..., Any], home: Path, command: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("millrace.cli.follow._PATIENCE_SECONDS", 0.0)
    ran = millrace(*command, "--json")
    assert ran.code == 5
    assert "millrace up" in ran.last["remedy"]


def test_a_setting_that_is_wrong_is_named(
    millrace: Callable[..., Any], home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MILLRACE_API_PORT", "many")
    ran = millrace("pipeline", "list", "--json")
    assert (ran.code, ran.last["field"]) == (2, "MILLRACE_API_PORT")


def test_a_pipeline_that_is_not_there_is_code_2(millrace: Callable[..., Any], platform: Callable[..., Any]) -> None:
    platform()
    for name in ("show", "answer", "approve", "reject", "retry", "cancel", "history"):
        assert millrace("pipeline", name, "pl-none").code == 2, name
    assert millrace("pipeline", "answer", "pl-none", "--no-such-option").code == 2


def test_every_command_has_help_and_json(millrace: Callable[..., Any]) -> None:
    groups = {
        (): ["run", "up", "down", "status", "doctor", "env"],
        ("pipeline",): ["list", "show", "answer", "approve", "reject", "retry", "cancel", "history"],
        ("report",): ["list", "open", "save"],
        ("lineage",): ["show", "verify"],
        ("stream",): [
            "start",
            "stop",
            "restart",
            "list",
            "status",
            "produce",
            "sink",
            "watch",
            "demo",
            "model",
            "models",
        ],
        ("topics",): ["create", "list"],
        ("dlq",): ["list", "show", "replay"],
    }
    for group, names in groups.items():
        listed = millrace(*group, "--help").out
        for name in names:
            assert name in listed
            text = millrace(*group, name, "--help").out
            assert "--json" in text, (group, name)


def test_help_is_there_at_once() -> None:
    script = Path(sys.executable).with_name("millrace")
    spent = []
    for _ in range(3):
        started = time.monotonic()
        done = subprocess.run([str(script), "--help"], capture_output=True, text=True, timeout=30, check=True)
        spent.append(time.monotonic() - started)
    assert "millrace" in done.stdout
    # 0.3 s on an idle machine; the limit is for a busy one, and says that nothing heavy is imported
    assert min(spent) < 2.0


def test_help_imports_nothing_heavy() -> None:
    code = "import sys, millrace.cli.main; print(*sorted({name.split('.')[0] for name in sys.modules}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True)
    assert not {"pydantic", "httpx", "sqlalchemy", "fastapi", "pandas", "duckdb", "mlflow"} & set(done.stdout.split())


def test_names_are_read_with_commas_and_quotes() -> None:
    assert words.names("sex, age ,marital status") == ("sex", "age", "marital status")
    assert words.names('"a,b",c') == ("a,b", "c")
    assert words.names("") == ()


@pytest.mark.parametrize(
    ("name", "made"),
    [
        ("Loan data (1).csv.gz", "Loan-data-1"), ("x.parquet", "x"), ("....csv", "dataset"), ("é.csv", "dataset"),
        ("a" * 90 + ".csv", "a" * 64), ("_x-.tsv", "x"),
    ],
)  # fmt: skip
def test_an_identifier_is_made_from_any_file_name(name: str, made: str) -> None:
    assert words.dataset_id_of(Path(name)) == made


def test_levels_come_in_their_usual_order() -> None:
    assert words.levels("expert, Beginner") == ("beginner", "expert")
    with pytest.raises(BadInput, match="wizard"):
        words.levels("expert,wizard")


@pytest.mark.parametrize(("seconds", "text"), [(0.44, "0.4 s"), (12.2, "12 s"), (185, "3 min 05 s")])
def test_durations_are_said_as_people_do(seconds: float, text: str) -> None:
    assert words.duration(seconds) == text
