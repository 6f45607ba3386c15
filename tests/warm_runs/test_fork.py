"""What a child shares with the process it was forked from, and what it must not share."""

import os
from pathlib import Path
from typing import Any

import pytest
from dagster import DagsterRunStatus

pytestmark = pytest.mark.slow

MOST_PRELOADED_MB = 300
"""Resident memory of a process that holds Dagster and a small code location."""
MOST_CHILD_MB = 100
"""What a running child adds to the memory of the machine: its private pages."""


def test_nothing_that_must_not_be_shared_crosses_the_fork(warm: Any) -> None:
    seen = []
    for _ in range(2):
        run_id = warm.launch("inside")
        seen.append(warm.said(run_id))
        assert warm.ends(run_id) == DagsterRunStatus.SUCCESS
    preloaded = Path(f"/proc/{seen[0]['parent']}")
    of_parent = {os.readlink(link) for link in (preloaded / "fd").iterdir() if int(link.name) > 2}
    assert len(list((preloaded / "task").iterdir())) == 1
    # neither a database, nor a log, nor a connection: the pool's channel and the wake-up pipe are all it holds
    assert {name.split(":")[0] for name in of_parent} <= {"socket", "pipe"}
    assert len(of_parent) <= 3
    for child in seen:
        inherited = {link for name, link in child["links"].items() if int(name) > 2} & of_parent
        assert inherited == set()
        assert child["session"] == child["pid"]
        assert child["extra_from"] == child["parent"]
    assert seen[0]["random"] != seen[1]["random"]


def test_memory_is_bounded_and_preloaded_pages_are_shared(warm: Any) -> None:
    runs = [warm.launch("slow") for _ in range(3)]
    children = [warm.said(run_id)["pid"] for run_id in runs]
    preloaded = _memory_mb(warm.preloaded_pid())
    assert preloaded["Rss"] < MOST_PRELOADED_MB
    for pid in children:
        memory = _memory_mb(pid)
        private = memory["Private_Clean"] + memory["Private_Dirty"]
        assert private < MOST_CHILD_MB, memory
        assert memory["Pss"] < 0.7 * memory["Rss"], memory


def _memory_mb(pid: int) -> dict[str, float]:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    return {name: int(rest.split()[0]) / 1024 for name, _, rest in (line.partition(":") for line in lines)}
