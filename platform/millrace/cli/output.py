"""What a command leaves behind: words for a person, or one JSON object, and an exit code."""

import functools
import inspect
import json
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, ParamSpec, TypeVar

import typer

from millrace.contracts.errors import MillraceError

if TYPE_CHECKING:
    from rich.console import Console

P = ParamSpec("P")
R = TypeVar("R")

DONE, BAD_INPUT, STAGE_FAILED, WAITING, UNREACHABLE, BROKEN, INTERRUPTED = 0, 2, 3, 4, 5, 6, 130

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object, last on standard output.")]


@functools.cache
def console() -> "Console":
    """Where words for a person go: standard output."""
    from rich.console import Console

    return Console(highlight=False)


@functools.cache
def errors() -> "Console":
    """Where complaints and progress beside a JSON object go: standard error."""
    from rich.console import Console

    return Console(stderr=True, highlight=False)


def emit(value: Any) -> None:
    """Prints one JSON value as one line."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False, default=str) + "\n")
    sys.stdout.flush()


def guarded(command: Callable[P, R]) -> Callable[P, R]:
    """The command with errors of ours told plainly, and their exit codes; its help in paragraphs of any width."""

    @functools.wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return command(*args, **kwargs)
        except MillraceError as error:
            _tell(error, as_json=bool(kwargs.get("as_json")))
            raise typer.Exit(error.exit_code) from error

    # Typer keeps line breaks within a paragraph, which a narrow terminal then breaks a second time
    paragraphs = inspect.cleandoc(command.__doc__ or "").split("\n\n")
    run.__doc__ = "\n\n".join(one if one.startswith(" ") else " ".join(one.split()) for one in paragraphs)
    return run


def _tell(error: MillraceError, *, as_json: bool) -> None:
    from rich.text import Text

    errors().print(Text.assemble(("error: ", "bold red"), error.message), soft_wrap=True)
    if error.field:
        errors().print(Text.assemble(("field: ", "bold"), error.field), soft_wrap=True)
    if error.remedy:
        errors().print(Text.assemble(("to fix: ", "bold"), error.remedy), soft_wrap=True)
    if as_json:
        emit({**error.attrs(), "exit_code": error.exit_code})
