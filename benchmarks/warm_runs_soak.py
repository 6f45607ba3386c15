"""Random launches, terminations, edits and kills of warm runs: does every run end truthfully, and is nothing left?

A run that was left alone ends SUCCESS, or FAILURE where it was launched on broken code and says so. A terminated run is
CANCELED, or had ended before; one whose process was killed is FAILURE, or had ended before. No run is executed twice,
and after the pool has been stopped no process of the soak is left.
"""

import argparse
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from _report import report
from _soak_parts import CODE, FAULT, Parts, soak_parts

SETTLE_SECONDS = 180
"""Longest wait for the last runs."""
LONG_SECONDS = 3600.0
"""A body that lasts until it is ended."""
ACTIONS = {"launch": 60, "terminate": 16, "edit": 6, "kill_child": 8, "kill_zygote": 5, "kill_pool": 3, "burst": 2}


@dataclass
class Told:
    """A run, and what has been done to it."""

    run_id: str
    job: str
    lasting: bool
    deaf: bool = False
    terminated: bool = False
    killed: bool = False


class Soak:
    """The mix, and the check at its end."""

    def __init__(self, parts: Parts, seed: int) -> None:
        self._parts = parts
        self._chance = random.Random(seed)
        self._runs: list[Told] = []
        self._broken = False
        self.done: Counter[str] = Counter()

    def step(self) -> None:
        """One action at random."""
        (name,) = self._chance.choices(list(ACTIONS), list(ACTIONS.values()))
        self.done[name] += 1
        getattr(self, f"_{name}")()

    def finish(self) -> list[str]:
        """Ends what lasts, waits for every run's end, stops the pool; what is not as it should be."""
        from dagster import DagsterInstance

        self._parts.write(CODE)
        with DagsterInstance.from_config(str(self._parts.home)) as instance:
            deadline = time.monotonic() + SETTLE_SECONDS
            while time.monotonic() < deadline and not self._all_ended(instance):
                time.sleep(0.5)
            problems = [problem for run in self._runs for problem in self._judge(instance, run)]
        for name in ("daemon", "webserver", "pool", "code-server"):
            self._parts.stop(name)
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline and self._parts.left():
            time.sleep(0.5)
        return [*problems, *(f"process {pid} is left" for pid in self._parts.left())]

    def count(self) -> dict[str, int]:
        """Figures: runs, and how often each action was done."""
        return {"runs": len(self._runs), **dict(sorted(self.done.items()))}

    def _launch(self) -> None:
        lasting = self._chance.random() < 0.25 and sum(run.lasting and not run.terminated for run in self._runs) < 4
        job = "steps" if self._chance.random() < 0.1 else "one"
        seconds = LONG_SECONDS if lasting else self._chance.choice([0.0, 0.0, 0.5, 3.0])
        deaf = lasting and self._chance.random() < 0.3
        self._runs.append(Told(self._parts.launch(job, seconds=seconds, deaf=deaf), job, lasting, deaf))

    def _burst(self) -> None:
        for _ in range(15):
            self._runs.append(Told(self._parts.launch("one", seconds=0.0, deaf=False), "one", False))

    def _terminate(self) -> None:
        candidates = [run for run in self._runs if not run.terminated]
        if candidates:
            # the newest are the ones that may not have begun
            self._terminate_one(self._chance.choice(candidates[-6:]))

    def _terminate_one(self, run: Told) -> None:
        run.terminated = self._parts.terminate(run.run_id)

    def _edit(self) -> None:
        self._broken = not self._broken and self._chance.random() < 0.4
        self._parts.write(CODE + f"\nEDITED = {time.time()}\n" + (FAULT if self._broken else ""))

    def _kill_child(self) -> None:
        for run in self._chance.sample(self._runs, len(self._runs)):
            pids = self._parts.executing(run.run_id) if run.job == "one" else []
            if pids:
                run.killed = True
                _kill(pids[0])
                return

    def _kill_zygote(self) -> None:
        for pid in self._parts.zygotes():
            _kill(pid)

    def _kill_pool(self) -> None:
        self._parts.stop("pool", signal.SIGKILL)
        time.sleep(self._chance.uniform(0.0, 3.0))
        self._parts.start_pool()

    def _all_ended(self, instance: Any) -> bool:
        for run in self._runs:
            if run.lasting and not run.terminated and not instance.get_run_by_id(run.run_id).is_finished:
                self._terminate_one(run)
            if run.deaf and run.terminated and not run.killed and _of_default_launcher(instance, run.run_id):
                # Dagster's own launcher never kills what ignores the interrupt, and says FAILURE when somebody does
                for pid in self._parts.executing(run.run_id):
                    run.killed = True
                    _kill(pid)
        return all(instance.get_run_by_id(run.run_id).is_finished for run in self._runs)

    def _judge(self, instance: Any, run: Told) -> list[str]:
        from dagster import DagsterRunStatus as Status

        status = instance.get_run_by_id(run.run_id).status
        log = "\n".join(_messages(instance, run.run_id))
        begun, done = self._parts.marks(run.run_id, "begun"), self._parts.marks(run.run_id, "done")
        allowed = set()
        if done:
            allowed.add(Status.SUCCESS)
        if run.terminated:
            allowed.add(Status.CANCELED)
        if run.killed or "planted fault" in log:
            allowed.add(Status.FAILURE)
        if "No preloaded process could execute the run" in log:
            self.done["failed_for_want_of_a_process"] += 1
            allowed.add(Status.FAILURE)
        about = f"run {run.run_id} of {run.job}, terminated={run.terminated} killed={run.killed} done={bool(done)}"
        problems = [] if status in allowed else [f"{about}: {status.value}\n{log}"]
        if done and not run.terminated and not run.killed and status != Status.SUCCESS:
            problems.append(f"{about}: its body was done and it is {status.value}")
        if len(begun) > 1:
            problems.append(f"{about}: executed by {begun}")
        self.done[f"ended_{status.value.lower()}"] += 1
        return problems


def main() -> int:
    """0 when everything was as it should be; 1 otherwise, with what was not on standard error."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--keep", action="store_true", help="keep the folder with the logs")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="warm-runs-soak-"))
    with soak_parts(folder) as parts:
        soak = Soak(parts, options.seed)
        pauses = random.Random(options.seed + 1)
        end = time.monotonic() + 60 * options.minutes
        while time.monotonic() < end:
            soak.step()
            time.sleep(pauses.uniform(0.05, 0.8))
        problems = soak.finish()
    for problem in problems:
        sys.stderr.write(problem + "\n")
    command = f"python benchmarks/warm_runs_soak.py --minutes {options.minutes:g} --seed {options.seed}"
    figures = {"minutes": options.minutes, **soak.count(), "not_as_it_should_be": len(problems)}
    report("warm_runs_soak", figures, seed=options.seed, command=command)
    if not options.keep and not problems:
        import shutil

        shutil.rmtree(folder, ignore_errors=True)
    return 1 if problems else 0


def _of_default_launcher(instance: Any, run_id: str) -> bool:
    run = instance.get_run_by_id(run_id)
    return ".dagster/grpc_info" in run.tags


def _messages(instance: Any, run_id: str) -> list[str]:
    said = []
    for record in instance.all_logs(run_id):
        data = record.dagster_event.event_specific_data if record.dagster_event else None
        said += [record.message, str(getattr(data, "error", ""))]
    return said


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


if __name__ == "__main__":
    sys.exit(main())
