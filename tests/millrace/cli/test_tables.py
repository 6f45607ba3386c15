"""Tables on a narrow terminal."""

import io

import pytest
from rich.console import Console
from rich.table import Table

from millrace.cli.tables import history_table, pipelines_table

ID = "pl-06aed867fda0ad4c374b"
AT = "2026-01-02T03:04:05+00:00"


def printed(table: Table, *, width: int) -> str:
    out = io.StringIO()
    Console(file=out, width=width).print(table)
    return out.getvalue()


@pytest.mark.parametrize("width", [60, 80, 200])
def test_an_id_and_a_time_stay_in_one_piece_to_be_copied(width: int) -> None:
    pipeline = {
        "id": ID, "user_id": "a-user-of-some-length", "dataset_id": "a-data-set-of-some-length", "version": 1,
        "state": "waiting_for_answers", "state_text": "waiting for answers", "seconds": {"total": 75.0},
        "message": "the data set is stored; target, task type and sensitive columns are for a person to confirm",
    }  # fmt: skip
    assert ID in printed(pipelines_table([pipeline]), width=width)
    entry = {
        "seq": 1, "at": AT, "actor": "user:a-user-of-some-length", "to_state": "waiting_for_answers",
        "message": pipeline["message"], "seen_sha256": "0" * 64,
    }  # fmt: skip
    assert "2026-01-02 03:04:05" in printed(history_table([entry]), width=width)
