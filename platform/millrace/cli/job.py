"""What `millrace run` does, step by step."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from millrace.cli import words
from millrace.cli.client import Api
from millrace.cli.output import INTERRUPTED, console, emit, errors
from millrace.contracts.errors import BadInput, CannotReach, Conflict
from millrace.contracts.identifiers import DatasetKey, dataset_key
from millrace.contracts.stages import Level, TaskType
from millrace.settings import Settings

if TYPE_CHECKING:
    from rich.console import Console

_UPTAKE_SECONDS = 90.0
"""From the stored upload to its pipeline: the relay sends the event, the conductor takes it. Usually under a second."""


@dataclass(frozen=True)
class Options:
    """The options of `millrace run` as typed."""

    file: Path | None = None
    example: bool = False
    target: str | None = None
    task: str | None = None
    sensitive: str | None = None
    positive: str | None = None
    time_budget: str | None = None
    levels: str | None = None
    bias_policy: str | None = None
    ask: bool = False
    user: str | None = None
    dataset: str | None = None
    name: str | None = None
    out: Path | None = None


@dataclass(frozen=True)
class Plan:
    """The options, checked."""

    file: Path
    key: DatasetKey
    name: str
    answers: dict[str, Any]
    settings: dict[str, Any]
    ask: bool
    out: Path
    platform: Settings
    given: tuple[str, ...] = field(default=())


def check_options(options: Options, settings: Settings) -> Plan:
    """What is to be done; the bundled example is written where it is asked for.

    Raises:
        BadInput: an option that cannot work; names it.
    """
    budget = None if options.time_budget is None else words.seconds(options.time_budget, field="time_budget")
    levels: tuple[Level, ...] | None = None if options.levels is None else words.levels(options.levels)
    task: TaskType | None = None if options.task is None else words.task(options.task)
    options, path = _with_file(options, settings)
    key = dataset_key(options.user or settings.user, options.dataset or words.dataset_id_of(path))
    answers: dict[str, Any] = {}
    if options.target is not None:
        answers["target"] = options.target
    if task is not None:
        answers["task_type"] = task
    if options.positive is not None:
        answers["positive"] = options.positive
    if options.sensitive is not None:
        answers["sensitive"] = words.names(options.sensitive)
    chosen: dict[str, Any] = {"policy": "ask" if options.ask else "autopilot"}
    if budget is not None:
        chosen["time_budget"] = budget
    if levels is not None:
        chosen["levels"] = levels
    if options.bias_policy is not None:
        chosen["bias_policy"] = options.bias_policy
    return Plan(
        file=path,
        key=key,
        name=options.name or path.name,
        answers=answers,
        settings=chosen,
        ask=options.ask,
        out=(options.out or settings.home / "reports").absolute(),
        platform=settings,
        given=tuple(answers),
    )


def _with_file(options: Options, settings: Settings) -> tuple[Options, Path]:
    if options.example:
        from millrace.examples import loans

        if options.file is not None:
            raise BadInput("a file and --example exclude each other", field="file", remedy="leave one of them out")
        folder = settings.home / "examples"
        folder.mkdir(parents=True, exist_ok=True)
        path = loans.write_csv(folder / "loans.csv")
        if options.target is None:
            options = replace(
                options,
                target=loans.TARGET,
                positive=options.positive or loans.POSITIVE,
                sensitive=options.sensitive if options.sensitive is not None else ",".join(loans.SENSITIVE),
            )
        return replace(options, name=options.name or "Loan applications (example)"), path
    if options.file is None:
        raise BadInput("no file is named", field="file", remedy="give a CSV or Parquet file, or --example")
    if not options.file.is_file():
        what = "is a folder" if options.file.is_dir() else "does not exist"
        raise BadInput(f"{options.file} {what}", field="file", remedy="give a CSV or Parquet file, or --example")
    return options, options.file


class Job:
    """One `millrace run`."""

    def __init__(self, plan: Plan, *, as_json: bool, stop: bool) -> None:
        self.plan = plan
        self.as_json = as_json
        self.stop = stop
        self.api = Api(plan.platform)
        # a JSON object is the last thing on standard output; progress goes beside it
        self.screen: Console = errors() if as_json else console()
        self.pipeline_id: str | None = None

    def run(self) -> int:
        """Does it all; the exit code."""
        started_here = False
        try:
            started_here = self._bring_up()
            return self._work()
        except KeyboardInterrupt:
            self._interrupted()
            return INTERRUPTED
        finally:
            self.api.__exit__()
            if started_here and self.stop:
                self._take_down()

    def _bring_up(self) -> bool:
        if self.api.alive():
            return False
        from millrace.cli.platform_commands import bring_up

        bring_up(self.plan.platform)
        return True

    def _take_down(self) -> None:
        from millrace.stack.up import stop

        with self._doing("stopping the platform"):
            stop(self.plan.platform)

    def _work(self) -> int:
        from millrace.cli.asking import decide
        from millrace.cli.follow import follow
        from millrace.cli.pipeline import exit_code
        from millrace.cli.summary import outcome, print_outcome

        plan, began = self.plan, time.monotonic()
        with self._doing(f"uploading {plan.file.name}"):
            stored = self.api.upload(
                plan.file, user_id=plan.key.user_id, dataset_id=plan.key.dataset_id, name=plan.name
            )
        upload_seconds = time.monotonic() - began
        self._say_stored(stored)
        view = self._begin(stored)
        self.pipeline_id = view["id"]
        if not plan.ask:
            self._say_answers(view)
        while True:
            view = follow(self.api, view["id"], to_stderr=self.as_json, started=began)
            if not (view["waiting_for"] and plan.ask and decide(self.api, view, given=plan.answers)):
                break
        found = outcome(
            self.api, view, out=plan.out, upload_seconds=upload_seconds, total_seconds=time.monotonic() - began
        )
        if self.as_json:
            emit(found)
        else:
            print_outcome(found, view, api_url=self.api.url)
        return exit_code(view)

    def _begin(self, stored: dict[str, Any]) -> dict[str, Any]:
        plan = self.plan
        fresh = {"user_id": plan.key.user_id, "dataset_id": plan.key.dataset_id, "version": stored["version"]}
        answers = None if plan.ask else plan.answers
        if stored["created"]:
            with self._doing("waiting for the conductor to take it up"):
                view = self._taken_up(stored)
            if view["state"] == "waiting_for_answers":
                if plan.ask:
                    return view
                return self._answer(view)
            # the user's own policy answered already: what was asked for here counts
            self._cancel(view["id"], "replaced by the pipeline that `millrace run` begins")
        begun: dict[str, Any] = self.api.post("/pipelines", {**fresh, "answers": answers, "settings": plan.settings})
        # without answers a pipeline on autopilot that has doubts waits all the same
        if begun["state"] == "waiting_for_answers" and not plan.ask:
            return self._answer(begun)
        return begun

    def _answer(self, view: dict[str, Any]) -> dict[str, Any]:
        try:
            answered: dict[str, Any] = self.api.post(
                f"/pipelines/{view['id']}/answer",
                {"answers": self.plan.answers or None, "settings": self.plan.settings},
            )
        except BadInput:
            self._cancel(view["id"], "the answers given to `millrace run` cannot work")
            raise
        return answered

    def _cancel(self, pipeline_id: str, reason: str) -> None:
        try:
            self.api.post(f"/pipelines/{pipeline_id}/cancel", {"reason": reason})
        except Conflict:
            # it has ended by itself in the meantime
            return

    def _taken_up(self, stored: dict[str, Any]) -> dict[str, Any]:
        until = time.monotonic() + _UPTAKE_SECONDS
        while time.monotonic() < until:
            found = self.api.get(
                "/pipelines", user_id=stored["user_id"], dataset_id=stored["dataset_id"], version=stored["version"]
            )
            if found:
                first: dict[str, Any] = found[0]
                return first
            time.sleep(0.25)
        raise CannotReach(
            "the data set is stored, but the conductor has not taken it up; it will, once broker and conductor work",
            remedy="see what is wrong with `millrace doctor` and `millrace status`",
        )

    def _say_stored(self, stored: dict[str, Any]) -> None:
        from rich.text import Text

        what = "stored as" if stored["created"] else "these bytes are there already:"
        data = f"{stored['user_id']}.{stored['dataset_id']} version {stored['version']}"
        size = f"{stored['record_count']:,} rows, {stored['column_count']} columns"
        self.screen.print(Text(f"{what} {data} ({size})"), soft_wrap=True)

    def _say_answers(self, view: dict[str, Any]) -> None:
        from rich.text import Text

        if view["answers"] is None:
            return
        for part, label in (
            ("target", "target"), ("task_type", "task"), ("positive", "favourable value"), ("sensitive", "sensitive"),
        ):  # fmt: skip
            value = view["answers"][part]
            if isinstance(value, list):
                value = ", ".join(value)
            origin = "given" if part in self.plan.given else "proposed"
            self.screen.print(Text(f"  {label}: {value or 'none'} ({origin})"), soft_wrap=True)

    @contextmanager
    def _doing(self, what: str) -> Iterator[None]:
        if self.screen.is_terminal:
            with self.screen.status(what):
                yield
        else:
            self.screen.print(what, markup=False, soft_wrap=True)
            yield

    def _interrupted(self) -> None:
        from rich.text import Text

        if self.pipeline_id is None:
            errors().print("interrupted before a pipeline began")
        else:
            one = self.pipeline_id
            errors().print(Text(f"interrupted; pipeline {one} goes on"), soft_wrap=True)
            errors().print(Text(f"  follow it: millrace pipeline show --follow {one}"), soft_wrap=True)
            errors().print(Text(f"  end it:    millrace pipeline cancel {one}"), soft_wrap=True)
        if self.as_json:
            emit({"pipeline_id": self.pipeline_id, "status": "interrupted"})
