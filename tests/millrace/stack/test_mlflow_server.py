"""MLflow's server answers in the process that was started for it."""

import subprocess
import sys

import pytest

from millrace.stack import mlflow_server


def test_the_process_that_was_started_answers_itself(mlflow_url: str, process_on) -> None:
    process = process_on(int(mlflow_url.rpartition(":")[2]))
    assert process.cmdline()[1:4] == ["-m", "millrace.stack.mlflow_server", "server"]
    assert process.children() == []


def test_uvicorn_is_carried_out_with_what_it_was_given_and_all_else_is_started(monkeypatch: pytest.MonkeyPatch) -> None:
    ran = []
    monkeypatch.setattr("uvicorn.main.main", lambda words, **_: ran.append(words))
    monkeypatch.setattr(subprocess, "Popen", mlflow_server._CarriedOut)
    monkeypatch.setenv("GIVEN", "before")
    with subprocess.Popen([sys.executable, "-c", "print(7)"], stdout=subprocess.PIPE) as started:
        assert started.communicate()[0] == b"7\n"
    assert ran == []
    subprocess.Popen([sys.executable, "-m", "uvicorn", "--port", "1", "module:app"], env={"GIVEN": "by MLflow"})
    assert ran == [["--port", "1", "module:app"]]
    assert mlflow_server.os.environ["GIVEN"] == "by MLflow"
    assert subprocess.Popen is mlflow_server._Popen
