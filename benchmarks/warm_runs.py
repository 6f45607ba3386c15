"""Seconds from an event, or a click, to the asset's code: runs forked from a preloaded process, and Dagster's own way.

Broker, code server, web pages and daemon of the benchmark's own. One result for each launcher, storage and load; in it
the event's way with the queued coordinator and its lanes, the same without the queue, a launch from the web pages
(without the queue, and with it), and a burst of 50 events at once, which ends when the last body has begun.
"""

import argparse
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Iterable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from _orchestration import Orchestration, busy_core, orchestration
from _report import report

WARM_UP_EVENTS = 2
LAUNCHERS = ("warm", "default")
STORAGES = ("sqlite", "postgres")
LOADS = ("idle", "busy")
WAYS = ("queued", "direct")
CLICKS, BURST = 10, 50
BUDGETS = {
    "budget_queued_p50_seconds": 1.3,
    "budget_queued_p95_seconds": 2.8,
    "budget_direct_p50_seconds": 0.7,
    "budget_pages_p50_seconds": 0.7,
    "budget_burst_last_seconds": 12,
}


def main() -> None:
    """Runs the cells that were asked for; each leaves results/warm_runs-LAUNCHER-STORAGE-LOAD.json."""
    options = _options()
    for storage in options.storages:
        for load in options.loads:
            for launcher in options.launchers:
                figures = {way: _way(launcher, storage, load, way, options) for way in options.ways}
                report(
                    f"warm_runs-{launcher}-{storage}-{load}",
                    {**figures, "events": options.events, **BUDGETS},
                    seed=options.seed,
                    command=_command(launcher, storage, load, options),
                )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--launchers", nargs="+", choices=LAUNCHERS, default=LAUNCHERS, help="ours, or Dagster's own")
    parser.add_argument("--storages", nargs="+", choices=STORAGES, default=STORAGES, help="of Dagster's instance")
    parser.add_argument("--loads", nargs="+", choices=LOADS, default=LOADS, help="busy: one core has other work")
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=WAYS, help="queued coordinator, or none")
    parser.add_argument("--events", type=int, default=30, help="events, one at a time (default 30)")
    parser.add_argument("--spacing", type=float, nargs=2, default=(2.0, 7.0), help="seconds between them, uniform")
    parser.add_argument("--clicks", type=int, default=CLICKS, help="launches from the web pages")
    parser.add_argument("--burst", type=int, default=BURST, help="events at once; 0 leaves it out")
    parser.add_argument("--seed", type=int, default=7)
    return parser.parse_args()


def _command(launcher: str, storage: str, load: str, options: argparse.Namespace) -> str:
    words = ["python benchmarks/warm_runs.py", f"--launchers {launcher} --storages {storage} --loads {load}"]
    if tuple(options.ways) != WAYS:
        words.append(f"--ways {' '.join(options.ways)}")
    words.append(f"--events {options.events}")
    if (options.clicks, options.burst) != (CLICKS, BURST):
        words.append(f"--clicks {options.clicks} --burst {options.burst}")
    words.append(f"--seed {options.seed}")
    return " ".join(words)


def _way(launcher: str, storage: str, load: str, way: str, options: argparse.Namespace) -> dict[str, Any]:
    with (
        tempfile.TemporaryDirectory(prefix="millrace-bench-", ignore_cleanup_errors=True) as folder,
        orchestration(Path(folder), warm=launcher == "warm", queue=way == "queued", storage=storage) as parts,
    ):
        for number in range(WARM_UP_EVENTS):
            parts.send(number)
            parts.wait_for_runs(number + 1)
        with busy_core() if load == "busy" else nullcontext():
            return _measure(parts, options)


def _measure(parts: Orchestration, options: argparse.Namespace) -> dict[str, Any]:
    chance = random.Random(options.seed)
    done = WARM_UP_EVENTS
    events: dict[str, float] = {}
    for number in range(done, done + options.events):
        time.sleep(chance.uniform(*options.spacing))
        events[str(number)] = parts.send(number)
    done += options.events
    parts.wait_for_runs(done)
    clicks: dict[str, float] = {}
    for _ in range(options.clicks):
        # at no fixed time within the daemon's second
        time.sleep(chance.uniform(0.0, 1.0))
        run_id, moment = parts.launch()
        clicks[run_id] = moment
        done += 1
        parts.wait_for_runs(done)
    burst: dict[str, float] = {}
    if options.burst:
        first = WARM_UP_EVENTS + options.events
        moment = parts.send(first, options.burst)
        burst = {str(number): moment for number in range(first, first + options.burst)}
        parts.wait_for_runs(done + options.burst)
    starts = parts.starts()
    missing = {**events, **clicks, **burst}.keys() - starts.keys()
    if missing:
        raise SystemExit("\n".join(parts.ended_without_a_start(missing)))
    figures: dict[str, Any] = {"event": _spread(starts[one] - moment for one, moment in events.items())}
    if clicks:
        figures["pages"] = _spread(starts[one] - moment for one, moment in clicks.items())
    if burst:
        seconds = sorted(starts[one] - moment for one, moment in burst.items())
        figures["burst"] = {
            "first_seconds": round(seconds[0], 3),
            "p50_seconds": round(statistics.median(seconds), 3),
            "last_seconds": round(seconds[-1], 3),
        }
    return figures


def _spread(seconds: Iterable[float]) -> dict[str, float]:
    ordered = sorted(seconds)
    cuts = statistics.quantiles(ordered, n=100, method="inclusive")
    return {
        "p50_seconds": round(statistics.median(ordered), 3),
        "p95_seconds": round(cuts[94], 3),
        "max_seconds": round(ordered[-1], 3),
    }


if __name__ == "__main__":
    sys.exit(main())
