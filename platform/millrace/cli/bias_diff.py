"""What `millrace bias diff` does, and how an earlier report's document is read."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from millrace.cli.output import DONE, STAGE_FAILED, console, emit
from millrace.contracts.errors import BadInput

if TYPE_CHECKING:
    from millrace.bias.comparison import Comparison

MOST_BYTES = 200 << 20
"""Far above the largest report; a file beyond it is something else."""


def read_document(path: Path, *, field: str) -> dict[str, Any]:
    """The document of a report.

    Raises:
        BadInput: the file is not there, too large, or no JSON object.
    """
    remedy = "name the JSON file that stands beside a report's page"
    try:
        if path.stat().st_size > MOST_BYTES:
            raise BadInput(f"{path} is too large for a report", field=field, remedy=remedy)
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise BadInput(f"{path} cannot be read as a report: {error}", field=field, remedy=remedy) from error
    if not isinstance(found, dict):
        raise BadInput(f"{path} holds no JSON object", field=field, remedy=remedy)
    return found


def compare_files(before: Path, after: Path, *, as_json: bool) -> int:
    """Tells what changed; gives the exit code.

    Raises:
        BadInput: a file is no report, or they are about different things.
    """
    from millrace.bias.comparison import compare

    found = compare(read_document(before, field="before"), read_document(after, field="after"))
    if as_json:
        emit(found.document())
    else:
        _tell(found)
    return STAGE_FAILED if any(one.after == "fail" for one in found.verdicts) else DONE


def _tell(found: "Comparison") -> None:
    from rich.text import Text

    from millrace.bias.wording import plain_text
    from millrace.cli.tables import plain_table

    out = console()
    out.print(
        Text(
            f"verdict: {found.verdict_before or 'none'} before, {found.verdict_after or 'none'} now; "
            f"{found.rows_before:,} rows before, {found.rows_after:,} now"
        ),
        soft_wrap=True,
    )
    if found.policy_changed:
        out.print(Text("the policy is another one: verdicts may differ because the lines do", style="yellow"))
    verdicts = plain_table("Verdicts that changed", "before", "now", "value before", "value now")
    for one in found.verdicts:
        name = f"{one.attribute} {one.metric.replace('_', ' ')}"
        values = plain_text(one.value_before), plain_text(one.value_after)
        verdicts.add_row(Text(name), one.before or "not judged", one.after or "not judged", *values)
    moved = plain_table("Figures beyond their intervals", "before", "now", "direction")
    for item in found.moved:
        name = " ".join(part for part in (item.attribute, item.group, item.metric.replace("_", " ")) if part)
        moved.add_row(Text(name), _range(item.before, item.before_low, item.before_high),
                      _range(item.after, item.after_low, item.after_high), item.better)  # fmt: skip
    out.print(verdicts if found.verdicts else "no verdict changed")
    out.print(moved if found.moved else f"none of {found.compared} figures moved beyond its interval")


def _range(value: float | str | None, low: float | str | None, high: float | str | None) -> str:
    from millrace.bias.wording import plain_text

    return f"{plain_text(value)} ({plain_text(low)} to {plain_text(high)})"
