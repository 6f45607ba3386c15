"""`millrace pipeline …`: look at pipelines, answer, approve, reject, retry, cancel."""

from typing import Annotated, Any

import typer

from millrace.cli.output import STAGE_FAILED, WAITING, Json, console, emit, guarded

app = typer.Typer(help="Look at pipelines and decide on them.", no_args_is_help=True)

Id = Annotated[str, typer.Argument(metavar="PIPELINE", help="Id of the pipeline, such as pl-3f9c….")]
ApprovedStage = Annotated[
    str | None, typer.Option(help="Stage to decide on, automl or xai; the one that waits when left out.")
]


@app.command("list")
@guarded
def list_(
    user: Annotated[str | None, typer.Option(help="Only this user's.")] = None,
    dataset: Annotated[str | None, typer.Option(help="Only of this data set.")] = None,
    state: Annotated[str | None, typer.Option(help="Only in this state, such as waiting_for_answers.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=500, help="At most so many.")] = 30,
    as_json: Json = False,
) -> None:
    """List pipelines, newest first."""
    from millrace.cli.client import connect

    with connect() as api:
        found = api.get("/pipelines", user_id=user, dataset_id=dataset, state=state, limit=limit)
    if as_json:
        emit({"pipelines": found})
        return
    from millrace.cli.tables import pipelines_table

    console().print(pipelines_table(found) if found else "No pipelines yet. Begin one with `millrace run FILE`.")


@app.command()
@guarded
def show(
    pipeline: Id,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Stay until it ends or waits for a person.")] = False,
    as_json: Json = False,
) -> None:
    """Show a pipeline: state, what it waits for, proposals, results, time by stage.

    With --follow the exit code says how it ended: 0 completed, 3 failed or ended otherwise, 4 waiting for a person.
    """
    from millrace.cli.client import connect
    from millrace.cli.follow import follow as follow_
    from millrace.cli.tables import print_pipeline

    with connect() as api:
        view = follow_(api, pipeline, to_stderr=as_json) if follow else api.get(f"/pipelines/{pipeline}")
    if as_json:
        emit(view)
    else:
        print_pipeline(view)
    if follow:
        raise typer.Exit(exit_code(view))


@app.command()
@guarded
def answer(
    pipeline: Id,
    target: Annotated[str | None, typer.Option(help="Column to be predicted.")] = None,
    task: Annotated[str | None, typer.Option(help="classification or regression.")] = None,
    positive: Annotated[str | None, typer.Option(help="Favourable value of the target.")] = None,
    sensitive: Annotated[
        list[str] | None,
        typer.Option(help="Sensitive columns, separated by commas or each with an option of its own; '' for none."),
    ] = None,
    time_budget: Annotated[str | None, typer.Option(help="Seconds for training.")] = None,
    levels: Annotated[str | None, typer.Option(help="Levels of the explanations, separated by commas.")] = None,
    autopilot: Annotated[bool, typer.Option("--autopilot", help="Go on to the end without asking again.")] = False,
    as_json: Json = False,
) -> None:
    """Answer the conductor's questions; what is left out is taken from its proposal."""
    from millrace.cli import words

    answers: dict[str, Any] = {}
    if target is not None:
        answers["target"] = target
    if task is not None:
        answers["task_type"] = words.task(task)
    if positive is not None:
        answers["positive"] = positive
    if (columns := words.joined(sensitive)) is not None:
        answers["sensitive"] = words.names(columns)
    settings: dict[str, Any] = {"policy": "autopilot"} if autopilot else {}
    if time_budget is not None:
        settings["time_budget"] = words.seconds(time_budget, field="time_budget")
    if levels is not None:
        settings["levels"] = words.levels(levels)
    body = {"answers": answers or None, "settings": settings}
    _ask(pipeline, "answer", body, as_json=as_json)


@app.command()
@guarded
def approve(
    pipeline: Id,
    stage: ApprovedStage = None,
    seen: Annotated[
        str | None, typer.Option(help="Content hash that was looked at; the approval fails when it has changed.")
    ] = None,
    note: Annotated[str, typer.Option(help="Note for the history.")] = "",
    as_json: Json = False,
) -> None:
    """Approve the stage that waits. The approval is bound to the hash of what is shown now."""
    body = {"stage": stage, "seen_sha256": seen, "note": note}
    _ask(pipeline, "approve", body, as_json=as_json)


@app.command()
@guarded
def reject(
    pipeline: Id,
    stage: ApprovedStage = None,
    reason: Annotated[str, typer.Option(help="Reason for the history.")] = "",
    as_json: Json = False,
) -> None:
    """End the pipeline before the stage that waits for approval."""
    _ask(pipeline, "reject", {"stage": stage, "reason": reason}, as_json=as_json)


@app.command()
@guarded
def retry(pipeline: Id, as_json: Json = False) -> None:
    """Try again from the stage that failed; what is done stays done."""
    _ask(pipeline, "retry", {}, as_json=as_json)


@app.command()
@guarded
def cancel(
    pipeline: Id,
    reason: Annotated[str, typer.Option(help="Reason for the history.")] = "",
    as_json: Json = False,
) -> None:
    """End the pipeline now; its runs are ended, and nothing more of it is saved."""
    _ask(pipeline, "cancel", {"reason": reason}, as_json=as_json)


@app.command()
@guarded
def history(pipeline: Id, as_json: Json = False) -> None:
    """Show every transition: when, who, why, and the hash of what was seen."""
    from millrace.cli.client import connect

    with connect() as api:
        found = api.get(f"/pipelines/{pipeline}/history")
    if as_json:
        emit({"pipeline_id": pipeline, "history": found})
        return
    from millrace.cli.tables import history_table

    console().print(history_table(found))


def exit_code(view: dict[str, Any]) -> int:
    """The exit code that tells how a pipeline stands."""
    if view["state"] == "completed":
        return 0
    return WAITING if view["waiting_for"] else STAGE_FAILED


def _ask(pipeline: str, request: str, body: dict[str, Any], *, as_json: bool) -> None:
    from millrace.cli.client import connect

    with connect() as api:
        view: dict[str, Any] = api.post(f"/pipelines/{pipeline}/{request}", body)
    if as_json:
        emit(view)
        return
    from rich.text import Text

    console().print(Text.assemble((view["state_text"], "bold"), f": {view['message']}"))
    console().print(Text(f"follow it with `millrace pipeline show --follow {view['id']}`", style="dim"))
