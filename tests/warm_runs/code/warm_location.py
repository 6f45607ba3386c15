"""The code location of the tests: jobs that say in a file of their run's name that, where, and with what they run."""

import json
import os
import random
import signal
import time
from pathlib import Path

import psutil
from dagster import Definitions, OpExecutionContext, in_process_executor, job, op

WARM_RUNS_PRELOAD = ("extra_words", "no_such_module")
HERE = Path(__file__).parent
WORD = "first"
YAML = (HERE / "words.yaml").read_text().strip()
MANIFEST = (HERE / "target" / "manifest.json").read_text().strip()
DOTENV = os.environ["WARM_TEST_WORD"]


def tell(context: OpExecutionContext, **more: object) -> None:
    """Writes what the test wants to know, in one step."""
    path = Path(os.environ["WARM_TEST_OUT"]) / context.run_id
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    told = {"pid": os.getpid(), "at": time.time(), "code": WORD, "yaml": YAML, "manifest": MANIFEST, "env": DOTENV}
    part.write_text(json.dumps(told | more))
    # a second execution of the same run would find the name taken
    os.link(part, path)


def sleep_forever() -> None:
    """Until somebody ends it."""
    while True:
        time.sleep(0.05)


@op
def say(context: OpExecutionContext) -> None:
    """Ends at once."""
    tell(context)


@op
def sleep(context: OpExecutionContext) -> None:
    """Ends when interrupted."""
    tell(context)
    sleep_forever()


@op
def stubborn(context: OpExecutionContext) -> None:
    """Ends when killed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    tell(context)
    sleep_forever()


@op
def look(context: OpExecutionContext) -> None:
    """Tells what came over the fork."""
    links = {}
    for name in os.listdir("/proc/self/fd"):
        try:
            links[name] = os.readlink(f"/proc/self/fd/{name}")
        except FileNotFoundError:
            continue
    import extra_words

    print(f"printed by {context.run_id}")
    tell(
        context, links=links, random=random.random(), session=os.getsid(0), parent=os.getppid(),
        children=[child.cmdline() for child in psutil.Process().children()], extra_from=extra_words.IMPORTED_BY,
    )  # fmt: skip


@job(executor_def=in_process_executor)
def inside() -> None:
    """What a child inherits."""
    look()


@job(executor_def=in_process_executor)
def quick() -> None:
    """Ends at once."""
    say()


@job(executor_def=in_process_executor)
def slow() -> None:
    """Ends when interrupted."""
    sleep()


@job(executor_def=in_process_executor)
def deaf() -> None:
    """Ends when killed."""
    stubborn()


@job
def many_processes() -> None:
    """A process for each step."""
    say()


@job
def deaf_processes() -> None:
    """A process for each step, which ends when killed."""
    stubborn()


defs = Definitions(jobs=[quick, slow, deaf, many_processes, deaf_processes, inside])
