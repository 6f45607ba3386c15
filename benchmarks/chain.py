"""Seconds of the governed chain beyond the stages' own compute: from the upload to the three explanation reports.

The main job on the bundled example, on a platform that is up, with one run launcher and then the other. Every run has a
data set of its own, so that nothing is reused.
"""

import argparse
import json
import statistics
import tempfile
from pathlib import Path
from typing import Any

from _platform import Platform, platform_at
from _report import report

LAUNCHERS = {"warm": "true", "default": "false"}
BUDGET_S = 15.0


def main() -> None:
    """Runs the chain with each launcher and leaves results/chain.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--launchers", nargs="+", choices=tuple(LAUNCHERS), default=tuple(LAUNCHERS))
    parser.add_argument("--rounds", type=int, default=3, help="runs of the main job with each launcher (default 3)")
    parser.add_argument("--time-budget", type=int, default=10, help="seconds for training (default 10)")
    options = parser.parse_args()
    figures: dict[str, Any] = {"budget_overhead_seconds": BUDGET_S, "rounds": options.rounds}
    for launcher in options.launchers:
        with (
            tempfile.TemporaryDirectory(prefix="chain-", ignore_cleanup_errors=True) as folder,
            platform_at(Path(folder), MILLRACE_WARM_RUNS=LAUNCHERS[launcher]) as platform,
        ):
            rounds = [_chain(platform, f"round-{number}", options.time_budget) for number in range(options.rounds)]
        overheads = [one["overhead"] for one in rounds]
        figures[launcher] = {
            "overhead_seconds": round(statistics.median(overheads), 2),
            "worst_overhead_seconds": round(max(overheads), 2),
            "total_seconds": round(statistics.median(one["total"] for one in rounds), 2),
        }
    words = [
        "python",
        "benchmarks/chain.py",
        "--rounds",
        str(options.rounds),
        "--time-budget",
        str(options.time_budget),
    ]
    if tuple(options.launchers) != tuple(LAUNCHERS):
        words += ["--launchers", *options.launchers]
    report("chain", figures, seed=None, command=" ".join(words))


def _chain(platform: Platform, dataset: str, time_budget: int) -> dict[str, Any]:
    told = platform.command(
        "run", "--example", "--user", "bench", "--dataset", dataset, "--time-budget", str(time_budget), "--json"
    )
    if told.returncode != 0:
        raise SystemExit(told.stderr + told.stdout)
    seconds: dict[str, Any] = json.loads(told.stdout.strip().splitlines()[-1])["seconds"]
    return seconds


if __name__ == "__main__":
    main()
