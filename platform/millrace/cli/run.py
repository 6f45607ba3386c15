"""`millrace run FILE`: from a file to its reports."""

from pathlib import Path
from typing import Annotated

import typer

from millrace.cli.output import Json, guarded

_DATA, _TASK, _AFTER = "Data set", "What it is for", "Afterwards"


@guarded
def run(
    file: Annotated[
        Path | None,
        typer.Argument(metavar="FILE", help="CSV (comma, semicolon or tab) or Parquet file, also with gzip."),
    ] = None,
    target: Annotated[str | None, typer.Option(help="Column to be predicted.", rich_help_panel=_TASK)] = None,
    task: Annotated[str | None, typer.Option(help="classification or regression.", rich_help_panel=_TASK)] = None,
    sensitive: Annotated[
        list[str] | None,
        typer.Option(
            help="Sensitive columns, separated by commas or each with an option of its own; '' for none.",
            rich_help_panel=_TASK,
        ),
    ] = None,
    positive: Annotated[str | None, typer.Option(help="Favourable value of the target.", rich_help_panel=_TASK)] = None,
    time_budget: Annotated[
        str | None, typer.Option(help="Seconds for training, such as 60.", rich_help_panel=_TASK)
    ] = None,
    levels: Annotated[
        str | None,
        typer.Option(help="Levels of the explanations: beginner, intermediate, expert.", rich_help_panel=_TASK),
    ] = None,
    bias_policy: Annotated[
        str | None,
        typer.Option(
            help="four-fifths, nyc-ll144 or strict; strict holds back what does not pass.", rich_help_panel=_TASK
        ),
    ] = None,
    ask: Annotated[
        bool, typer.Option("--ask", help="Ask about each answer and approval on the terminal.", rich_help_panel=_TASK)
    ] = False,
    user: Annotated[str | None, typer.Option(help="Owner; MILLRACE_USER when left out.", rich_help_panel=_DATA)] = None,
    dataset: Annotated[
        str | None,
        typer.Option(help="Id of the data set; made from the file's name when left out.", rich_help_panel=_DATA),
    ] = None,
    name: Annotated[str | None, typer.Option(help="Name of the data set for people.", rich_help_panel=_DATA)] = None,
    example: Annotated[
        bool,
        typer.Option(
            "--example", help="Use the bundled loan applications, whose planted bias is known.", rich_help_panel=_DATA
        ),
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Folder for copies of the reports; under MILLRACE_HOME when left out.", rich_help_panel=_AFTER
        ),
    ] = None,
    stop: Annotated[
        bool,
        typer.Option("--stop", help="Stop the platform afterwards if it was started here.", rich_help_panel=_AFTER),
    ] = False,
    as_json: Json = False,
) -> None:
    """Take a file to its bias reports, model and explanations.

    Uploads FILE, answers the conductor's questions from the options (what is left out is taken from its proposal, and
    said so), follows the pipeline, and ends with what was found and where the reports are. The platform is started
    when it is not up, and stays up. The same file again is the same version of the data set, in a new pipeline.

    Examples:

      millrace run loans.csv --target approved --sensitive sex,age

      millrace run --example

      millrace run prices.csv --target price --time-budget 120 --json
    """
    from millrace.cli.job import Job, Options, check_options
    from millrace.cli.words import joined
    from millrace.settings import load

    options = check_options(
        Options(
            file=file, example=example, target=target, task=task, sensitive=joined(sensitive), positive=positive,
            time_budget=time_budget, levels=levels, bias_policy=bias_policy, ask=ask, user=user, dataset=dataset,
            name=name, out=out,
        ),
        load(),
    )  # fmt: skip
    raise typer.Exit(Job(options, as_json=as_json, stop=stop).run())
