"""`millrace`: the command groups put together. Each imports what it needs when it runs, so that help is quick."""

import io
import sys

import typer

from millrace.cli import bias, dlq, lineage, llm, pipeline, platform_commands, report, stream, topics
from millrace.cli.run import run

app = typer.Typer(
    name="millrace",
    help="Kafka in, governed models out: data sets become bias reports, models and explanations, with their lineage.",
    epilog="Exit codes: 0 done, 2 bad input, 3 a stage failed, 4 waiting for a person, 5 a part cannot be reached, "
    "6 integrity broken, 130 interrupted.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
app.command(rich_help_panel="The main job")(run)
app.add_typer(bias.app, name="bias", rich_help_panel="The main job")
app.command("up", rich_help_panel="The platform on this machine")(platform_commands.up)
app.command("down", rich_help_panel="The platform on this machine")(platform_commands.down)
app.command("status", rich_help_panel="The platform on this machine")(platform_commands.status)
app.command("doctor", rich_help_panel="The platform on this machine")(platform_commands.doctor)
app.command("env", rich_help_panel="The platform on this machine")(platform_commands.env)
app.add_typer(pipeline.app, name="pipeline", rich_help_panel="Pipelines and results")
app.add_typer(report.app, name="report", rich_help_panel="Pipelines and results")
app.add_typer(lineage.app, name="lineage", rich_help_panel="Pipelines and results")
app.add_typer(stream.app, name="stream", rich_help_panel="Streams")
app.add_typer(llm.app, name="llm", rich_help_panel="Streams")
app.add_typer(topics.app, name="topics", rich_help_panel="Kafka")
app.add_typer(dlq.app, name="dlq", rich_help_panel="Kafka")


def main() -> None:
    """The console script."""
    # a terminal that cannot show a character gets a question mark instead of an end
    for out in (sys.stdout, sys.stderr):
        if isinstance(out, io.TextIOWrapper):
            out.reconfigure(errors="replace")
    app()


if __name__ == "__main__":
    main()
