"""`millrace stream model` and `models`: what scores events, another model in its place, and what there was."""

import os
from typing import TYPE_CHECKING, Annotated, Any

import typer

from millrace.cli.output import Json, console, emit, guarded

if TYPE_CHECKING:
    from rich.table import Table

    from millrace.warehouse.scoring_models import ScoringModelFacts

_STREAM = "score_events"


@guarded
def model(
    source: Annotated[
        str | None,
        typer.Argument(
            help="Hub id, folder, vader, models:/user.dataset/3, models:/user.dataset@champion, or "
            "models:/score_events/2 to go back (default: show the model)."
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Show the model that is pinned for scoring, or choose another one.

    Its forms (as it is, ONNX, eight bits) are timed on this processor and compared with the model on the golden set;
    the fastest that loses at most half a point is recorded in MLflow and in the lineage, and pinned. Running processes
    take it up within seconds. A data set's model must read one column of text and nothing else; of `@champion` every
    later one is taken up by itself.
    """
    from rich.text import Text

    from millrace.settings import load
    from millrace.text.adopt import adopt
    from millrace.warehouse.scoring_models import pinned_of
    from millrace.warehouse.store import open_warehouse

    # MLflow draws a bar for each file that it moves
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    settings = load()
    store = open_warehouse(settings, migrate=True)
    if source is None:
        pinned = pinned_of(store, _STREAM)
    else:
        pinned = adopt(settings, store, _STREAM, source, actor=f"cli:{settings.user}")
    if as_json:
        emit({"stream": _STREAM, "model": pinned})
        return
    if pinned is None:
        wanted = f"MILLRACE_SCORING_MODEL={settings.scoring_model}"
        console().print(f"none is pinned yet; the first start chooses by {wanted}")
        return
    facts = f"{pinned['source']}, {pinned.get('form', 'lexicon')}, version {pinned['version']}"
    console().print(Text(f"{facts}, recorded as {pinned.get('ref', 'nothing yet')}"), soft_wrap=True)
    if pinned.get("follows"):
        console().print(Text(f"follows {pinned['follows']}"))
    if pinned.get("candidates"):
        console().print(_candidates(pinned["candidates"]))


@guarded
def models(as_json: Json = False) -> None:
    """List the models that score events or did, the newest first."""
    from millrace.settings import load
    from millrace.warehouse.scoring_models import list_scoring_models, pinned_of
    from millrace.warehouse.store import open_warehouse

    store = open_warehouse(load(), migrate=True)
    with store.read() as session:
        found = list_scoring_models(session, _STREAM)
    pinned = (pinned_of(store, _STREAM) or {}).get("ref")
    if as_json:
        emit(
            {"stream": _STREAM, "models": [{**vars(one), "ref": one.ref, "pinned": one.ref == pinned} for one in found]}
        )
        return
    console().print(_listed(found, pinned))


def _listed(found: "list[ScoringModelFacts]", pinned: str | None) -> "Table":
    from rich.text import Text

    from millrace.cli.tables import plain_table

    table = plain_table("", "model", "source", "version", "chosen", "by", whole="model")
    for one in found:
        chosen = f"{one.created_at:%Y-%m-%d %H:%M}"
        table.add_row(
            "→" if one.ref == pinned else "", one.ref, Text(one.source), Text(one.model_version), chosen, one.chosen_by
        )
    return table


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
