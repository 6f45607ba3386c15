"""Kill -9 of every part of a running platform, one at a time and then at random: does each pipeline end truthfully?

`python benchmarks/kill_table.py --random 20`. A pipeline ends truthfully when it completes by itself, or fails, says
so, and completes after `millrace pipeline retry`. After each pipeline its lineage is verified.
"""

import argparse
import json
import os
import random
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx
import psutil
from _platform import Platform, platform_at
from _report import report

PARTS = ("broker", "api", "conductor", "daemon", "code-server", "run")
BUDGET_S = 5
GIVE_UP_S = 300
LATEST_S = 14.0
"""Latest kill after the upload: a pipeline that nothing happens to ends after 15 s."""


def main() -> None:
    """Prints and writes the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--random", type=int, default=20, help="random kills after one of each part (default 20)")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS, help="parts to kill (default all)")
    parser.add_argument("--seed", type=int, default=7)
    options = parser.parse_args()
    rng = random.Random(options.seed)
    with tempfile.TemporaryDirectory(prefix="kill-table-") as folder, platform_at(Path(folder)) as platform:
        source = Path(folder) / "loans.csv"
        _write_loans(source)
        kills = [*options.parts, *(rng.choice(options.parts) for _ in range(options.random))]
        rows = [_one(platform, source, number, part, rng.uniform(0.0, LATEST_S)) for number, part in enumerate(kills)]
    figures = {
        "pipelines": len(rows),
        "completed_alone": sum(row["ended"] == "completed" and not row["retried"] for row in rows),
        "completed_after_retry": sum(row["ended"] == "completed" and row["retried"] > 0 for row in rows),
        "not_truthful": sum(row["ended"] != "completed" or not row["verified"] for row in rows),
        "killed": {part: sum(row["killed"] for row in rows if row["part"] == part) for part in options.parts},
    }
    parts = "" if tuple(options.parts) == PARTS else f" --parts {' '.join(options.parts)}"
    command = f"python benchmarks/kill_table.py --random {options.random} --seed {options.seed}{parts}"
    report("kill_table", figures, seed=options.seed, command=command)
    sys.exit(1 if figures["not_truthful"] else 0)


def _write_loans(path: Path) -> None:
    from millrace.examples.loans import generate_loans

    generate_loans(rows=1000, seed=5).to_csv(path, index=False)


def _one(platform: Platform, source: Path, number: int, part: str, after_s: float) -> dict[str, Any]:
    began = time.monotonic()
    pipeline_id = _begin(platform, source, f"kill-{number}")
    killed = False
    retried = 0
    while time.monotonic() - began < GIVE_UP_S:
        if not killed and time.monotonic() - began >= after_s:
            # a run is not always there to be killed: tried until one is
            killed = _kill(platform, part)
        now = _look(platform, pipeline_id)
        if now is not None and now["terminal"]:
            if now["state"] != "failed" or retried >= 3:
                break
            retried += 1
            _patiently(platform, "POST", f"/pipelines/{pipeline_id}/retry", {})
        time.sleep(0.3)
    ended = _look(platform, pipeline_id) or {"state": "unreachable", "message": ""}
    verified = platform.command("lineage", "verify", "--json").returncode == 0
    row = {
        "part": part, "after_seconds": round(after_s, 1), "killed": killed, "ended": ended["state"],
        "retried": retried, "verified": verified, "seconds": round(time.monotonic() - began, 1),
    }  # fmt: skip
    sys.stderr.write(json.dumps(row) + "\n")
    return row


def _begin(platform: Platform, source: Path, dataset: str) -> str:
    with source.open("rb") as stream:
        content = stream.read()
    httpx.post(
        f"{platform.api}/datasets/upload",
        data={"user_id": "killer", "dataset_id": dataset, "name": dataset},
        files={"file": ("loans.csv", content)},
        timeout=60,
    ).raise_for_status()
    deadline = time.monotonic() + 60
    while True:
        found = _patiently(platform, "GET", f"/pipelines?user_id=killer&dataset_id={dataset}", None)
        if found:
            break
        if time.monotonic() > deadline:
            raise SystemExit(f"no pipeline of {dataset} within 60 s")
        time.sleep(0.2)
    answers = {"target": "approved", "task_type": "classification", "positive": "yes", "sensitive": ["sex"]}
    settings = {"time_budget": BUDGET_S, "approvals": []}
    _patiently(platform, "POST", f"/pipelines/{found[0]['id']}/answer", {"answers": answers, "settings": settings})
    return str(found[0]["id"])


def _patiently(platform: Platform, method: str, path: str, body: Any) -> Any:
    # the API may be the part that was killed a moment ago
    deadline = time.monotonic() + 60
    while True:
        try:
            answer = httpx.request(method, platform.api + path, json=body, timeout=30)
        except httpx.TransportError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.3)
            continue
        if answer.status_code == 409:
            return None
        return answer.raise_for_status().json()


def _look(platform: Platform, pipeline_id: str) -> dict[str, Any] | None:
    try:
        answer = httpx.get(f"{platform.api}/pipelines/{pipeline_id}", timeout=30)
    except httpx.TransportError:
        return None
    found: dict[str, Any] = answer.raise_for_status().json()
    return found


def _kill(platform: Platform, part: str) -> bool:
    pid = _run_process(platform) if part == "run" else platform.pid(part)
    if pid is None:
        return False
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True


def _run_process(platform: Platform) -> int | None:
    """A process that executes a run: a fork of the preloaded one, or what Dagster's default launcher spawned."""
    for process in psutil.process_iter(["pid", "cmdline"]):
        words = " ".join(process.info["cmdline"] or [])
        try:
            if "multiprocessing.spawn" not in words and not (
                "warm_runs.zygote" in words and "warm_runs.zygote" in " ".join(process.parents()[0].cmdline())
            ):
                continue
            if process.environ().get("MILLRACE_HOME") == str(platform.home):
                return int(process.info["pid"])
        except (psutil.Error, IndexError):
            continue
    return None


if __name__ == "__main__":
    main()
