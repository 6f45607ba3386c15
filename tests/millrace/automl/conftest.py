"""Tables of each task."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest


@pytest.fixture(scope="session")
def make_table() -> Callable[..., pd.DataFrame]:
    """A mixed table whose target follows `amount`, `region` and `since`."""

    def make(task: str, *, rows: int = 800, seed: int = 3) -> pd.DataFrame:
        generator = np.random.default_rng(seed)
        amount = generator.gamma(2.0, 500.0, rows)
        region = generator.choice(["north", "south", "east", "rare"], rows, p=[0.4, 0.3, 0.29, 0.01])
        since = pd.Timestamp("2020-01-01") + pd.to_timedelta(generator.integers(0, 1000, rows), unit="D")
        score = amount / 1000 + (region == "north") * 1.5 + (since.year == 2020) * 1.0
        score = score + generator.normal(0, 0.4, rows)
        frame = pd.DataFrame(
            {
                "row": np.arange(rows),
                "amount": np.where(generator.random(rows) < 0.05, np.nan, amount),
                "age": generator.integers(18, 90, rows),
                "region": pd.Series(region, dtype=object).where(generator.random(rows) > 0.05, None),
                "member": pd.Series(generator.random(rows) < 0.5, dtype=object).where(
                    generator.random(rows) > 0.1, None
                ),
                "since": pd.Series(since).where(generator.random(rows) > 0.05),
                "account": [f"acc-{number:06d}" for number in generator.permutation(rows)],
                "remark": [f"a remark about case {number} that nobody else has" for number in range(rows)],
                "constant": "same",
                "empty": np.full(rows, np.nan),
                "city": [f"city {number % 60}" for number in range(rows)],
            }
        )
        if task == "regression":
            frame["target"] = score * 100
        elif task == "binary":
            frame["target"] = np.where(score > np.median(score), "approved", "refused")
        else:
            frame["target"] = np.select([score < 1.2, score < 2.4], ["low", "middle"], "high")
        return frame

    return make


@pytest.fixture
def run_clean(tmp_path: Path) -> Callable[..., str]:
    """What a fresh isolated interpreter prints when it runs the code with the arguments."""

    def run(code: str, *arguments: str) -> str:
        command = [sys.executable, "-I", "-c", code, *arguments]
        done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=120)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run
