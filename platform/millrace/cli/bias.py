"""`millrace bias FILE`: the bias report of a file, without the platform."""

from pathlib import Path
from typing import Annotated

import typer

from millrace.cli.default_command import WithDefault
from millrace.cli.output import Json, guarded

_WHAT, _MODEL, _HOW, _CURE = "What is measured", "Predictions of a model", "How", "Mitigation"


app = typer.Typer(
    cls=WithDefault,
    help="Measure bias in any file (the command `file`, which needs no name), or compare two reports.",
    no_args_is_help=True,
)


@app.command("file")
@guarded
def bias(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="CSV (comma, semicolon or tab) or Parquet file, also with gzip.")
    ],
    target: Annotated[str, typer.Option(help="Column with what really happened.", rich_help_panel=_WHAT)],
    sensitive: Annotated[
        list[str],
        typer.Option(
            help="Sensitive columns, separated by commas or each with an option of its own.", rich_help_panel=_WHAT
        ),
    ],
    positive: Annotated[
        str | None, typer.Option(help="Favourable value of the target; proposed when left out.", rich_help_panel=_WHAT)
    ] = None,
    above: Annotated[
        float | None,
        typer.Option(
            help="Asks of a target of numbers whether it is above this one, which is then favourable.",
            rich_help_panel=_WHAT,
        ),
    ] = None,
    task: Annotated[
        str | None,
        typer.Option(help="classification or regression; proposed when left out.", rich_help_panel=_WHAT),
    ] = None,
    strata: Annotated[
        str | None,
        typer.Option(help="Column within which Clarify's conditional disparity compares.", rich_help_panel=_WHAT),
    ] = None,
    weights: Annotated[
        str | None,
        typer.Option(
            help="Column with how many people a row stands for (whole numbers), or with a weight of each row.",
            rich_help_panel=_WHAT,
        ),
    ] = None,
    predictions: Annotated[
        str | None,
        typer.Option(
            "--predictions",
            "--prediction",
            help="Column with a model's predictions of the target.",
            rich_help_panel=_MODEL,
        ),
    ] = None,
    score: Annotated[
        str | None,
        typer.Option(
            help="Column with the model's score of the favourable value: AUC and calibration.", rich_help_panel=_MODEL
        ),
    ] = None,
    policy: Annotated[
        str,
        typer.Option(help="four-fifths, nyc-ll144, strict, or a YAML file of your own.", rich_help_panel=_HOW),
    ] = "four-fifths",
    proxies: Annotated[
        bool,
        typer.Option(
            "--proxies", help="Also search the other columns for what tells the sensitive ones.", rich_help_panel=_HOW
        ),
    ] = False,
    shift: Annotated[
        bool,
        typer.Option("--shift", help="Also tell the verdicts when a group's share grows.", rich_help_panel=_HOW),
    ] = False,
    seed: Annotated[int, typer.Option(min=0, help="Seed of resamples and permutations.", rich_help_panel=_HOW)] = 0,
    mitigate: Annotated[
        str | None,
        typer.Option(
            help="Methods to try, separated by commas: reweighing, correlation-remover, exponentiated-gradient, "
            "threshold-optimizer, or all.",
            rich_help_panel=_CURE,
        ),
    ] = None,
    treat: Annotated[
        str | None,
        typer.Option(
            help="Sensitive column to treat, several crossed; the one with the worst verdict when left out.",
            rich_help_panel=_CURE,
        ),
    ] = None,
    aim: Annotated[
        str, typer.Option(help="demographic-parity or equalized-odds.", rich_help_panel=_CURE)
    ] = "demographic-parity",
    previous: Annotated[
        Path | None,
        typer.Option(
            help="JSON of an earlier report to compare with; the page shows what changed.", rich_help_panel=_HOW
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder for the page and the document; the file's own when left out.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Measure bias in any file: in its label, or in the predictions of a model, also somebody else's.

    Needs no platform. Writes a page (HTML) and its document (JSON) that hold every figure with its interval, and the
    impact ratios (CSV and HTML). The same file with the same options gives the same bytes. Exit code 3 when the
    policy's severity is error and the verdict is anything but pass.

    Examples:

      millrace bias loans.csv --target approved --sensitive sex,age

      millrace bias scored.csv --target hired --sensitive sex,race --predictions said --score chance --policy nyc-ll144

      millrace bias loans.csv --target approved --sensitive sex,age --mitigate all --treat sex
    """
    from millrace.cli.bias_job import measure
    from millrace.cli.bias_options import BiasOptions

    options = BiasOptions(
        file=file, target=target, sensitive=",".join(sensitive), positive=positive, task=task, strata=strata,
        predictions=predictions, score=score, policy=policy, proxies=proxies, shift=shift, seed=seed, previous=previous,
        weights=weights, out=out, mitigate=mitigate, treat=treat, aim=aim, above=above,
    )  # fmt: skip
    raise typer.Exit(measure(options, as_json=as_json))


@app.command("diff")
@guarded
def diff(
    before: Annotated[Path, typer.Argument(metavar="A.json", help="JSON of the earlier report.")],
    after: Annotated[Path, typer.Argument(metavar="B.json", help="JSON of the later report.")],
    as_json: Json = False,
) -> None:
    """Compare two bias reports: which verdicts changed, which figures moved beyond their intervals.

    Both must be about the same subject, target, task and favourable value. Exit code 3 when a distance fails now that
    did not fail before.

    Examples:

      millrace bias diff january-bias.json june-bias.json
    """
    from millrace.cli.bias_diff import compare_files

    raise typer.Exit(compare_files(before, after, as_json=as_json))
