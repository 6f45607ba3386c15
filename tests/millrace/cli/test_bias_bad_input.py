"""What `millrace bias` says to a person whose file or options cannot be used: what is wrong, where, and what to do."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from millrace.bias.policy import shipped_policy

pytestmark = pytest.mark.usefixtures("home")
ROWS = 200


@pytest.fixture
def people(tmp_path: Path) -> Callable[..., str]:
    """`people(**columns)`: a file of people with a target `got`, and these columns besides."""

    def write(**columns: object) -> str:
        rng = np.random.default_rng(0)
        plain = {"sex": rng.choice(["f", "m"], ROWS), "got": rng.choice(["yes", "no"], ROWS)}
        path = tmp_path / "people.csv"
        pd.DataFrame(plain | columns).to_csv(path, index=False)
        return str(path)

    return write


def _call(file: str, *options: str) -> list[str]:
    return ["bias", file, "--target", "got", "--sensitive", "sex", "--positive", "yes", *options]


def test_predictions_in_other_words_than_the_targets_are_refused(
    millrace: Callable[..., Any], people: Callable[..., str]
) -> None:
    file = people(said=np.arange(ROWS) % 2)
    for option in ("--predictions", "--prediction"):
        ran = millrace(*_call(file, option, "said"))
        assert ran.code == 2
        assert "(0, 1) is a value of 'got'" in ran.err
        assert "in the target's own words" in ran.err


def test_a_target_that_is_its_own_prediction_is_refused(
    millrace: Callable[..., Any], people: Callable[..., str]
) -> None:
    ran = millrace(*_call(people(), "--predictions", "got"))
    assert ran.code == 2
    assert "both the target and the predictions" in ran.err


def test_missing_predictions_and_scores_are_counted(millrace: Callable[..., Any], people: Callable[..., str]) -> None:
    said = np.where(np.arange(ROWS) < 100, "yes", "no").astype(object)
    scores = np.linspace(0, 1, ROWS)
    said[[4, 9]], scores[7] = None, np.nan
    ran = millrace(*_call(people(said=said), "--predictions", "said"))
    assert (ran.code, "2 of 200 predictions missing; the first is that of row 5" in ran.err) == (2, True)
    said[[4, 9]] = "no"
    ran = millrace(*_call(people(said=said, chance=scores), "--predictions", "said", "--score", "chance"))
    assert (ran.code, "1 of 200 scores missing, infinite or no number; the first is nan" in ran.err) == (2, True)


def test_a_column_that_cannot_be_assessed_says_why(millrace: Callable[..., Any], people: Callable[..., str]) -> None:
    ran = millrace(*_call(people(sex="f")))
    assert ran.code == 0
    assert "Fewer than two groups have 30 rows or more to compare" in " ".join(ran.out.split())


def test_a_third_value_of_the_target_is_told(millrace: Callable[..., Any], people: Callable[..., str]) -> None:
    ran = millrace(*_call(people(got=np.array(["yes", "no", "may<b>be", "no"])[np.arange(ROWS) % 4])))
    assert ran.code == 0
    assert "Of the 3 values only yes is favourable; no, may<b>be count as not." in " ".join(ran.out.split())


@pytest.mark.parametrize(
    ("change", "said", "remedy"),
    [
        ({"lines": {"fairness_index": {"at": 0.8, "source": "Somebody said so."}}}, "fairness_index", "equalized_odds"),
        ({"severity": "loud"}, "severity", "complete examples"),
    ],
)
def test_a_policy_that_cannot_be_used_names_the_place_and_its_remedy(
    millrace: Callable[..., Any],
    people: Callable[..., str],
    tmp_path: Path,
    change: dict[str, object],
    said: str,
    remedy: str,
) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text(yaml.safe_dump(shipped_policy().model_dump(mode="json") | change), encoding="utf-8")
    ran = millrace(*_call(people(), "--policy", str(policy)))
    assert ran.code == 2
    assert said in ran.err
    assert remedy in ran.err


def test_a_terminal_that_cannot_show_a_crossings_sign_gets_the_report_all_the_same(
    people: Callable[..., str], tmp_path: Path
) -> None:
    call = _call(people(town=np.array(["a", "b"])[np.arange(ROWS) % 2]), "--sensitive", "town")
    code = f"import sys; sys.argv = {['millrace', *call]!r}; from millrace.cli.main import main; main()"
    ran = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "PYTHONIOENCODING": "ascii"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (ran.returncode, "Traceback" in ran.stderr) == (0, False)
    assert "sex ? town" in ran.stdout
    assert (tmp_path / "people-bias.html").exists()


def test_a_threshold_for_a_target_of_numbers_gives_the_figures_of_the_same_question_in_words(
    millrace: Callable[..., Any], people: Callable[..., str]
) -> None:
    rng = np.random.default_rng(3)
    wage = rng.integers(20, 80, ROWS).astype(float)
    wage[7] = np.nan
    words = np.where(wage > 50, "above 50", "at most 50").astype(object)
    words[7] = None
    found = []
    for got, options in ((wage, ["--above", "50"]), (words, ["--positive", "above 50"])):
        ran = millrace("bias", people(got=got), "--target", "got", "--sensitive", "sex", "--json", *options)
        assert ran.code == 0, ran.err
        found.append(json.loads(Path(ran.last["json"]).read_text(encoding="utf-8")))
    asked, said = found
    assert asked["attributes"] == said["attributes"]
    assert (asked["positive"], asked["task_type"], asked["rows"]) == ("above 50", "classification", ROWS - 1)
    assert asked["input"]["above"] == 50
    assert "got was read as whether it is above 50." in asked["notes"]


@pytest.mark.parametrize(
    ("options", "field", "told"),
    [
        (["--above", "nan"], "above", "no finite number"),
        (["--above", "9"], "above", "every value of 'wage' is at most 9"),
        (["--above", "1", "--positive", "yes"], "positive", "a favourable value of its own"),
        (["--above", "1", "--task", "regression"], "task", "a favourable value of its own"),
        (["--above", "1", "--predictions", "got"], "predictions", "which is not a number"),
    ],
)
def test_a_threshold_that_cannot_be_meant_is_refused(
    millrace: Callable[..., Any], people: Callable[..., str], options: list[str], field: str, told: str
) -> None:
    ran = millrace("bias", people(wage=np.arange(ROWS) % 4), "--target", "wage", "--sensitive", "sex", *options)
    assert ran.code == 2
    assert told in ran.err
    assert field in ran.err
