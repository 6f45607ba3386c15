"""Seconds that `millrace lineage verify` takes on 10,000 statements with two small artifacts each."""

import argparse
import random
import tempfile
import time
from pathlib import Path

from _report import report
from sqlalchemy.orm import Session

from millrace.contracts.events import now
from millrace.contracts.identifiers import DatasetKey
from millrace.contracts.references import Ref, dataset_ref, report_ref
from millrace.lineage.verify import verify
from millrace.settings import Settings
from millrace.warehouse.artifacts import record_artifact
from millrace.warehouse.schema import Dataset, DatasetVersion, Report
from millrace.warehouse.statements import Made, Origin, record_statement
from millrace.warehouse.store import Warehouse, open_warehouse

SEED = 20_261_121
PAGE_BYTES = 4_096
PER_DATASET = 100


def main() -> None:
    """Fills a warehouse, then verifies it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--statements", type=int, default=10_000)
    count = parser.parse_args().statements
    with tempfile.TemporaryDirectory() as folder:
        warehouse = open_warehouse(Settings.model_validate({"MILLRACE_HOME": Path(folder)}), migrate=True)
        _fill(warehouse, count)
        began = time.perf_counter()
        found = verify(warehouse, mlflow_url="http://127.0.0.1:9")
        seconds = time.perf_counter() - began
    assert found.integrity == "intact", found.failures[:3]
    assert found.checked.statements == count
    figures = {
        "statements": count,
        "artifacts": found.checked.artifacts,
        "seconds": round(seconds, 2),
        "statements_per_second": round(count / seconds),
        "budget_seconds": 5.0,
    }
    report("lineage_verify", figures, seed=SEED, command="python benchmarks/lineage_verify.py")


def _fill(warehouse: Warehouse, count: int) -> None:
    draw = random.Random(SEED)
    for number in range(0, count, PER_DATASET):
        with warehouse.transaction() as session:
            key = DatasetKey("bench", f"data-{number}")
            table = _data_set(warehouse, session, key, draw)
            for _ in range(min(PER_DATASET, count - number) - 1):
                _report(warehouse, session, key, table, draw)


def _data_set(warehouse: Warehouse, session: Session, key: DatasetKey, draw: random.Random) -> Ref:
    session.add(Dataset(user_id=key.user_id, dataset_id=key.dataset_id, name="", created_at=now()))
    session.flush()
    raw, table = (_bytes(warehouse, session, draw) for _ in range(2))
    session.add(
        DatasetVersion(
            user_id=key.user_id, dataset_id=key.dataset_id, version=1, sha256=raw, table_sha256=table, file_name="",
            format="csv", size_bytes=0, record_count=0, column_count=0, profile={}, meta={}, created_at=now(),
        )
    )  # fmt: skip
    ref = dataset_ref(key, 1)
    _state(session, key, (), (Ref(ref, raw, part="raw"), Ref(ref, table, part="table")))
    return Ref(ref, table, part="table")


def _report(warehouse: Warehouse, session: Session, key: DatasetKey, table: Ref, draw: random.Random) -> None:
    name = f"br-{draw.getrandbits(80):020x}"
    page, document = (_bytes(warehouse, session, draw) for _ in range(2))
    session.add(
        Report(
            report_id=name, kind="bias", user_id=key.user_id, dataset_id=key.dataset_id, version=1, html_sha256=page,
            json_sha256=document, report_hash=document, summary={}, created_at=now(),
        )
    )  # fmt: skip
    ref = report_ref(name)
    _state(session, key, (table,), (Ref(ref, document, part="json"), Ref(ref, page, part="html")))


def _bytes(warehouse: Warehouse, session: Session, draw: random.Random) -> str:
    stored = warehouse.artifacts.put_bytes(draw.randbytes(PAGE_BYTES), media_type="text/html")
    record_artifact(session, stored)
    return stored.sha256


def _state(session: Session, key: DatasetKey, inputs: tuple[Ref, ...], outputs: tuple[Ref, ...]) -> None:
    made = Made("bias_report", inputs, {"target": "granted"}, seed=7, rows_in=1, rows_out=1, seconds=1.0)
    record_statement(session, key=key, version=1, made=made, outputs=outputs, origin=Origin(code_version="bench"))


if __name__ == "__main__":
    main()
