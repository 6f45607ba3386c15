"""What a benchmark leaves: one JSON file with the figures and everything needed to judge them.

Scripts are run as `python benchmarks/<name>.py` and begin with `from _report import report`.
"""

import json
import os
import platform
import sys
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"
_PACKAGES = (
    "millrace",
    "dagster",
    "confluent-kafka",
    "sqlalchemy",
    "duckdb",
    "pandas",
    "scikit-learn",
    "lightgbm",
    "flaml",
    "fairlearn",
    "shap",
    "mlflow",
)


def report(name: str, figures: dict[str, Any], *, seed: int | None, command: str) -> dict[str, Any]:
    """The document written to `results/<name>.json` and printed: figures, seed, command, machine, versions.

    `figures` maps a name to a number (unit at the end of the name: `p50_seconds`, `mb_per_second`, `ratio`) or to a
    dictionary of such. `command` is the line that gives these figures again.
    """
    document = {
        "name": name,
        "figures": figures,
        "seed": seed,
        "command": command,
        "measured_on": datetime.now(UTC).date().isoformat(),
        "machine": machine(),
        "versions": versions(),
    }
    RESULTS.mkdir(exist_ok=True)
    text = json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    (RESULTS / f"{name}.json").write_text(text, encoding="utf-8")
    sys.stdout.write(text)
    return document


def machine() -> dict[str, Any]:
    """Processor, cores, memory and kernel; nothing that names the machine."""
    return {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_gib": _memory_gib(),
        "system": platform.system(),
        "architecture": platform.machine(),
    }


def versions() -> dict[str, str]:
    """Python's version and those of the packages that the figures rest on."""
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def _processor() -> str:
    facts = Path("/proc/cpuinfo")
    if facts.exists():
        for line in facts.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or "unknown"


def _memory_gib() -> float | None:
    names = getattr(os, "sysconf_names", {})
    if "SC_PHYS_PAGES" not in names:
        return None
    return round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / (1 << 30), 1)
