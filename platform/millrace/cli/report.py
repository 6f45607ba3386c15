"""`millrace report …`: list reports, open one in the browser, save it."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from millrace.cli.output import Json, console, emit, guarded

if TYPE_CHECKING:
    from millrace.cli.client import Api

app = typer.Typer(help="List, open and save reports.", no_args_is_help=True)

_FAMILIES = ("quality-reports", "bias-reports", "xai-reports")
Id = Annotated[str, typer.Argument(metavar="REPORT", help="Id of the report; see `millrace report list`.")]


@app.command("list")
@guarded
def list_(
    user: Annotated[str | None, typer.Option(help="Only this user's.")] = None,
    dataset: Annotated[str | None, typer.Option(help="Only of this data set.")] = None,
    kind: Annotated[str | None, typer.Option(help="quality, bias, model_bias, mitigation or xai.")] = None,
    as_json: Json = False,
) -> None:
    """List reports, newest first."""
    from millrace.cli.client import connect

    wanted = {"user_id": user, "dataset_id": dataset, "kind": kind}
    with connect() as api:
        found = [one for family in _FAMILIES for one in api.get(f"/{family}", **wanted)]
    found.sort(key=lambda one: one["created_at"], reverse=True)
    if as_json:
        emit({"reports": found})
        return
    from millrace.cli.tables import reports_table

    shown = [one for one in found if one["url"]]
    console().print(reports_table(shown) if shown else "No reports yet. Begin with `millrace run FILE`.")


@app.command("open")
@guarded
def open_(report: Id, as_json: Json = False) -> None:
    """Show a report's page in the browser; where there is none, print its address."""
    import webbrowser

    from millrace.cli.client import connect
    from millrace.contracts.errors import NotFound

    with connect() as api:
        found = find(api, report)
    if found["url"] is None:
        raise NotFound(f"report {report} has no page", remedy=f"save its document: `millrace report save {report}`")
    url = api.url + found["url"]
    opened = not as_json and webbrowser.open(url)
    if as_json:
        emit({"report_id": report, "url": url})
    elif not opened:
        console().print(url, soft_wrap=True)


@app.command()
@guarded
def save(
    report: Id,
    to: Annotated[Path, typer.Option("--to", help="Folder for the page and the document.")] = Path(),
    as_json: Json = False,
) -> None:
    """Save a report's page (HTML, works offline) and its document (JSON) as files."""
    from millrace.cli.client import connect
    from millrace.cli.copies import save_report

    with connect() as api:
        saved = save_report(api, find(api, report), to.absolute())
    if as_json:
        emit({"report_id": report, **saved})
        return
    for path in filter(None, saved.values()):
        console().print(path, soft_wrap=True)


def find(api: "Api", report_id: str) -> dict[str, Any]:
    """The report and its document.

    Raises:
        NotFound: there is no such report.
    """
    from urllib.parse import quote

    from millrace.contracts.errors import NotFound

    for family in _FAMILIES:
        try:
            found: dict[str, Any] = api.get(f"/{family}/{quote(report_id, safe='')}")
        except NotFound:
            continue
        return found
    raise NotFound(
        f"there is no report {report_id!r}", field="report_id", remedy="list reports with `millrace report list`"
    )
