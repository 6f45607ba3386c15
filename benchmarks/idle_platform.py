"""What a platform that has nothing to do takes: seconds to its start and its end, memory, and processor time.

Resident memory is the sum over all its processes; pages that several of them share are counted once in the
proportional sum (PSS). Looked at after a pause in which the preloaded process of the runs gets ready.
"""

import argparse
import os
import tempfile
import time
from pathlib import Path

import psutil
from _platform import Platform, platform_at
from _report import report

BUDGETS = {"budget_ready_seconds": 40.0, "budget_resident_gb": 2.8, "budget_down_seconds": 20.0}
SETTLE_S = 60.0
GB = 1e9


def main() -> None:
    """Starts a platform, looks at it, ends it, and leaves results/idle_platform.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0, help="time over which the processor is looked at")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="idle-", ignore_cleanup_errors=True) as folder:
        began = time.perf_counter()
        with platform_at(Path(folder)) as platform:
            ready = time.perf_counter() - began
            time.sleep(SETTLE_S)
            processes = _processes(platform)
            before = {one: sum(one.cpu_times()[:2]) for one in processes}
            time.sleep(options.seconds)
            spent = sum(sum(one.cpu_times()[:2]) - cpu for one, cpu in before.items())
            memory = [one.memory_full_info() for one in processes]
            began = time.perf_counter()
            platform.command("down")
            down = time.perf_counter() - began
            left = [one for one in processes if one.is_running() and one.status() != psutil.STATUS_ZOMBIE]
    figures = {
        "ready_seconds": round(ready, 1),
        "processes": len(processes),
        "resident_gb": round(sum(one.rss for one in memory) / GB, 2),
        "proportional_gb": round(sum(one.pss for one in memory) / GB, 2),
        "processor_percent_of_a_core": round(100 * spent / options.seconds, 1),
        "down_seconds": round(down, 1),
        "processes_left": len(left),
        **BUDGETS,
    }
    report(
        "idle_platform", figures, seed=None, command=f"python benchmarks/idle_platform.py --seconds {options.seconds:g}"
    )


def _processes(platform: Platform) -> list[psutil.Process]:
    """All processes whose environment names the platform's home, but for this one's own."""
    home, own, found = platform.environment["MILLRACE_HOME"], {os.getpid(), os.getppid()}, []
    for one in psutil.process_iter():
        try:
            if one.pid not in own and one.environ().get("MILLRACE_HOME") == home:
                found.append(one)
        except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
            # another user's, or gone meanwhile
            continue
    return found


if __name__ == "__main__":
    main()
