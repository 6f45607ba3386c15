"""The bias report of a later version says what changed since the earlier one, and names it as an input."""

import io
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import select

from millrace.conductor.service import Conductor
from millrace.contracts.identifiers import DatasetKey
from millrace.contracts.task import Answers
from millrace.settings import Settings
from millrace.warehouse.schema import Report, Statement
from millrace.warehouse.store import Warehouse
from millrace.warehouse.uploads import receive, store_upload

pytestmark = pytest.mark.filterwarnings("default")
KEY = DatasetKey("ada", "loans")


def test_a_later_version_is_compared_with_the_report_of_the_earlier_one(
    begin: Callable[..., Any], launch: Callable[..., Any], conductor: Conductor, live: Settings, warehouse: Warehouse
) -> None:
    first = begin()
    assert launch("bias_job", first).success
    rows = "\n".join(f"{n},{'fm'[n % 2]},{'yes' if n % 2 else 'no'},same" for n in range(90))
    text = f"number,sex,approved,flat\n{rows}\n"
    received = receive(io.BytesIO(text.encode()), file_name="f.csv", settings=live, warehouse=warehouse)
    store_upload(warehouse, live, received, key=KEY, name="loans")
    answers = Answers(target="approved", task_type="classification", positive=None, sensitive=("sex",))
    pipeline_id = conductor.create(KEY, answers=answers, settings={"time_budget": 2}, actor="user:ada")
    second = replace(first, pipeline_id=pipeline_id, event_id=f"{pipeline_id}-bias-1")
    assert launch("bias_job", second).success
    with warehouse.read() as session:
        older, newer = session.scalars(select(Report).where(Report.kind == "bias").order_by(Report.version)).all()
        statement = session.scalars(
            select(Statement).where(Statement.asset == "bias_report", Statement.version == 2)
        ).one()
    before, after = (json.loads(warehouse.artifacts.read_bytes(one.json_sha256)) for one in (older, newer))
    assert "comparison" not in before["parts"]
    found = after["parts"]["comparison"]
    assert (found["rows_before"], found["rows_after"]) == (60, 90)
    assert {(one["group"], one["metric"]) for one in found["moved"]} >= {("m", "selection_rate:yes")}
    assert found["before_input"] == before["input"]["sha256"]
    assert after["input"]["dataset"] == "ada.loans"
    assert f"report:{older.report_id}" in {one["ref"] for one in statement.inputs}
