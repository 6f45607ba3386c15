"""`millrace topics …`: Kafka topics."""

from typing import TYPE_CHECKING

import typer

from millrace.cli.output import Json, console, emit, guarded

if TYPE_CHECKING:
    from millrace.settings import Settings

app = typer.Typer(help="Create and list the Kafka topics.", no_args_is_help=True)


@app.command()
@guarded
def create(as_json: Json = False) -> None:
    """Create the topics of chain and streams with their dead-letter topics; those that are there stay as they are."""
    from millrace.kafka.topics import create_topics

    settings = _settings()
    made = create_topics(settings)
    if as_json:
        emit({"created": made, "topics": sorted(settings.topics.all())})
        return
    for name in made:
        console().print(f"created {name}")
    there = len(settings.topics.all()) - len(made)
    console().print(f"{len(made)} created, {there} there already")


@app.command("list")
@guarded
def list_(as_json: Json = False) -> None:
    """List the topics of the broker, and say which of ours are missing."""
    from millrace.cli.tables import plain_table
    from millrace.kafka.topics import list_topics

    settings = _settings()
    found = list_topics(settings)
    missing = sorted(set(settings.topics.all()) - {one.name for one in found})
    if as_json:
        emit({"topics": [vars(one) for one in found], "missing": missing})
        return
    table = plain_table("topic", "partitions", "id")
    for one in found:
        table.add_row(one.name, str(one.partitions), one.topic_id)
    console().print(table)
    if missing:
        console().print(f"missing: {', '.join(missing)}; make them with `millrace topics create`", style="yellow")


def _settings() -> "Settings":
    from millrace.settings import load

    return load()
