"""Seconds that the code location takes to import, against a bare `import dagster`: every run pays them."""

import statistics
import subprocess
import sys
import time
from pathlib import Path

from _report import report

ROOT = Path(__file__).parent.parent
ROUNDS = 11


def main() -> None:
    """Alternates the two, so that a slower moment of the machine meets both."""
    seconds: dict[str, list[float]] = {"dagster": [], "definitions": []}
    for module in seconds:
        _import(module)
    for _ in range(ROUNDS):
        for module, times in seconds.items():
            times.append(_import(module))
    bare, location = statistics.median(seconds["dagster"]), statistics.median(seconds["definitions"])
    figures = {
        "dagster_seconds": round(bare, 3),
        "location_seconds": round(location, 3),
        "ratio": round(location / bare, 3),
        "budget_ratio": 1.5,
        "rounds": ROUNDS,
    }
    report("import_time", figures, seed=None, command="python benchmarks/import_time.py")


def _import(module: str) -> float:
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", f"import {module}"], cwd=ROOT, check=True)
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
