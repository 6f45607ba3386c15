"""The bias report of 1,000,000 rows, against fairlearn's bootstrap of a part of it in the same run; then 5,000 rows.

Ours is the whole report on label and predictions: every metric, three columns with all crossings, 200 bootstraps, the
worst subgroup searched. fairlearn's part is five rates by the crossing of the three columns, with MetricFrame, at
20,000 rows: its 200 resamples of 1,000,000 would take more than an hour.
"""

import argparse
import resource
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from _report import report
from fairlearn.metrics import MetricFrame, false_positive_rate, selection_rate, true_positive_rate
from sklearn.metrics import accuracy_score, precision_score

from millrace.bias.label import measure_label_bias
from millrace.bias.policy import Policy, shipped_policy
from millrace.bias.predictions import measure_model_bias
from millrace.contracts.task import Answers

SEED = 20_261_125
COLUMNS = {"sex": 2, "race": 5, "region": 8}
ANSWERS = Answers(target="got", task_type="classification", positive="yes", sensitive=tuple(COLUMNS))
SUBSET = {
    "selection_rate": selection_rate,
    "accuracy": accuracy_score,
    "true_positive_rate": true_positive_rate,
    "false_positive_rate": false_positive_rate,
    "precision": precision_score,
}


def main() -> None:
    """Measures and leaves results/bias.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--bootstraps", type=int, default=200)
    options = parser.parse_args()
    policy = Policy.model_validate({**shipped_policy().model_dump(), "bootstraps": options.bootstraps})
    # imports of the libraries are not what is measured
    _ours(_table(2_000), policy)
    frame = _table(options.rows)
    ours = _seconds(lambda: _ours(frame, policy))
    # before fairlearn's copies of a table
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    part = _table(20_000)
    part_ours = _seconds(lambda: _ours(part, policy))
    part_theirs = _seconds(lambda: _fairlearn(part, options.bootstraps))
    small = _table(5_000)
    figures = {
        "rows": options.rows,
        "columns": len(COLUMNS),
        "bootstraps": options.bootstraps,
        "report_seconds": round(ours, 2),
        "budget_report_seconds": 15,
        "budget_ratio": 20,
        "of_20000_rows": {
            "report_seconds": round(part_ours, 2),
            "fairlearn_seconds": round(part_theirs, 1),
            "ratio": round(part_theirs / part_ours, 1),
        },
        "peak_memory_mb": round(memory),
        "budget_peak_memory_mb": 1500,
        "report_of_5000_rows_seconds": round(_seconds(lambda: _ours(small, policy)), 2),
        "budget_report_of_5000_rows_seconds": 3,
    }
    report("bias", figures, seed=SEED, command="python benchmarks/bias.py")


def _seconds(work: Callable[[], None]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _table(rows: int) -> pd.DataFrame:
    rng = np.random.default_rng(SEED)
    groups = {name: rng.integers(0, size, rows) for name, size in COLUMNS.items()}
    chance = 0.5 - 0.08 * (groups["sex"] == 1) - 0.02 * groups["race"]
    truth = rng.random(rows) < chance
    said = np.where(rng.random(rows) < 0.15, ~truth, truth)
    words = np.array(["no", "yes"])
    frame = pd.DataFrame({name: np.char.add(f"{name} ", codes.astype(str)) for name, codes in groups.items()})
    return frame.assign(
        got=words[truth.astype(int)], said=words[said.astype(int)], score=0.5 * said + 0.5 * rng.random(rows)
    )


def _ours(frame: pd.DataFrame, policy: Policy) -> None:
    measure_label_bias(frame, answers=ANSWERS, seed=SEED, policy=policy, strata="region")
    whole: dict[str, Any] = {"scores": frame.score, "strata": frame.region, "features": frame[["score"]]}
    measure_model_bias(frame.got, frame.said, frame, answers=ANSWERS, seed=SEED, policy=policy, **whole).document()


def _fairlearn(frame: pd.DataFrame, bootstraps: int) -> None:
    MetricFrame(
        metrics=SUBSET,
        y_true=(frame.got == "yes").astype(int),
        y_pred=(frame.said == "yes").astype(int),
        sensitive_features=frame[list(COLUMNS)],
        n_boot=bootstraps,
        ci_quantiles=[0.025, 0.975],
        random_state=SEED,
    )


if __name__ == "__main__":
    main()
