"""`millrace stream model`: what scores events, and another model in its place."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from millrace.cli.output import Json, console, emit, guarded

if TYPE_CHECKING:
    from rich.table import Table

_STREAM = "score_events"


@guarded
def model(
    source: Annotated[str | None, typer.Argument(help="Hub id, folder, or vader (default: show the model).")] = None,
    track: Annotated[bool, typer.Option(help="Record it in MLflow.")] = True,
    as_json: Json = False,
) -> None:
    """Show the model that is pinned for scoring, or choose another one.

    Its forms (as it is, ONNX, eight bits) are timed on this processor and compared with the model on the golden set;
    the fastest that loses at most half a point is pinned, and running processes take it up within seconds.
    """
    from rich.text import Text

    from millrace.settings import load
    from millrace.streams.wanted import pin, wanted_of
    from millrace.text.choice import choose
    from millrace.text.tracking import record
    from millrace.warehouse.store import open_warehouse

    settings = load()
    store = open_warehouse(settings, migrate=True)
    pinned = wanted_of(store, _STREAM).pinned
    if source is not None:
        pinned = choose(source, cache=settings.home / "models")
        if track:
            pinned = record(pinned, uri=settings.mlflow, name=_STREAM)
        pin(store, _STREAM, pinned, actor=f"cli:{settings.user}")
    if as_json:
        emit({"stream": _STREAM, "model": pinned})
        return
    if pinned is None:
        wanted = f"MILLRACE_SCORING_MODEL={settings.scoring_model}"
        console().print(f"none is pinned yet; the first start chooses by {wanted}")
        return
    console().print(Text(f"{pinned['source']}, {pinned.get('form', 'lexicon')}, version {pinned['version']}"))
    if pinned.get("candidates"):
        console().print(_candidates(pinned["candidates"]))


def _candidates(found: list[dict[str, Any]]) -> "Table":
    from millrace.cli.tables import plain_table

    table = plain_table("form", "texts a second", "accuracy", "agreement", "points lost", "refused", whole="form")
    for one in found:
        accuracy = "" if one["accuracy"] is None else f"{one['accuracy']:.3f}"
        table.add_row(
            one["form"], f"{one['texts_per_second']:.1f}", accuracy, f"{one['agreement']:.3f}",
            f"{one['loss_points']:.2f}", "yes" if one["refused"] else "",
        )  # fmt: skip
    return table
