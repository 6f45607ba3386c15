"""`millrace lineage …`: where a thing comes from, and whether everything is still what was recorded."""

import os
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from millrace.cli.output import BROKEN, DONE, UNREACHABLE, Json, console, emit, guarded

if TYPE_CHECKING:
    from rich.text import Text
    from rich.tree import Tree

    from millrace.lineage.tree import Branch, LineageTree, Node
    from millrace.lineage.verification import Verification

app = typer.Typer(help="Show where things come from, and verify that nothing has changed.", no_args_is_help=True)

_FORMS = "dataset:user.data@v1, model:user.data@v1, report:ID, model:score_events, or user.data for its newest version"


@app.command()
@guarded
def show(
    ref: Annotated[str, typer.Argument(metavar="REF", help=f"{_FORMS}.")],
    direction: Annotated[
        Literal["up", "down", "both"], typer.Option(help="up: what it was made from; down: what was made from it.")
    ] = "both",
    as_json: Json = False,
) -> None:
    """Show what a model, a report or a data set was made from, and what was made from it."""
    from millrace.lineage.tree import show as found
    from millrace.settings import load
    from millrace.warehouse.store import open_warehouse

    tree = found(open_warehouse(load()), ref, direction=direction)
    if as_json:
        emit(tree.to_json())
        return
    console().print(_drawn(tree))


@app.command()
@guarded
def verify(
    ref: Annotated[
        str | None, typer.Argument(metavar="[REF]", help=f"{_FORMS}. Everything when left out.", show_default=False)
    ] = None,
    as_json: Json = False,
) -> None:
    """Hash every artifact and model again, and compare with what was recorded and with the next one's input.

    Names every broken node. Exit code 6 when something was altered or is missing, 5 when something could not be
    looked at.
    """
    from millrace.lineage.verify import verify as verified
    from millrace.settings import load
    from millrace.warehouse.store import open_warehouse

    # MLflow draws a bar for each model it downloads
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    settings = load()
    found = verified(open_warehouse(settings), mlflow_url=settings.mlflow, ref=ref)
    code = BROKEN if found.failures or found.gaps else UNREACHABLE if found.unchecked else DONE
    if as_json:
        emit(found.to_json())
    else:
        _tell(found)
    raise typer.Exit(code)


def _tell(found: "Verification") -> None:
    from rich.text import Text

    for style, lines in (("red", found.failures), ("red", found.gaps), ("yellow", found.unchecked)):
        for line in lines:
            console().print(Text(str(line), style=style), soft_wrap=True)
    checked = found.checked
    verdict = f"integrity {found.integrity}, {found.completeness}"
    style = "bold green" if verdict == "integrity intact, complete" else "bold red"
    console().print(
        Text(verdict, style=style),
        Text(
            f"  {checked.nodes} things, {checked.statements} statements, {checked.artifacts} artifacts and "
            f"{checked.models} {'model' if checked.models == 1 else 'models'} hashed again",
        ),
        soft_wrap=True,
    )


def _drawn(found: "LineageTree") -> "Tree":
    from rich.tree import Tree

    root = Tree(_words(found.node), guide_style="dim")
    for label, branches in (("made from", found.up), ("used for", found.down)):
        if branches:
            below = root.add(label, style="dim")
            for branch in branches:
                _grow(below, branch)
    return root


def _grow(tree: "Tree", branch: "Branch") -> None:
    words = _words(branch.node)
    if branch.repeated:
        words.append("  (shown above)", style="dim")
    child = tree.add(words, style="default")
    for one in branch.branches:
        _grow(child, one)


def _words(node: "Node") -> "Text":
    from rich.text import Text

    words = Text(node.ref, style="bold not dim")
    for part in node.parts:
        words.append(f"  {part.part or part.kind} {part.sha256[:12]}", style="not bold dim")
    if node.made_at:
        words.append(f"  {node.made_at[:19]}", style="not bold dim")
    return words
