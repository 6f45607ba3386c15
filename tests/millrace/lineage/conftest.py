import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from millrace.contracts.canonical import sha256_bytes, sha256_json
from millrace.contracts.events import now
from millrace.contracts.identifiers import DatasetKey
from millrace.contracts.references import Ref, dataset_ref, model_ref, report_ref
from millrace.contracts.stages import LEVELS
from millrace.contracts.task import Answers, PipelineSettings, StageRequest
from millrace.lineage.verification import Verification
from millrace.lineage.verify import verify
from millrace.warehouse.artifacts import record_artifact
from millrace.warehouse.datasets import get_version
from millrace.warehouse.saves import Made, TrainedModel, announce_model, save_model, save_report
from millrace.warehouse.schema import Dataset, DatasetVersion, History, Pipeline, StageAttempt
from millrace.warehouse.stage_work import StageWork
from millrace.warehouse.statements import Origin, record_statement
from millrace.warehouse.store import Warehouse, open_warehouse

KEY = DatasetKey("ada", "loans")
NOWHERE = "http://127.0.0.1:9"
"""Port 9 (discard) answers nothing: models stay unchecked."""
PIPELINE = "pl-00000000000000000001"
STATES = ("waiting_for_answers", "queued", "running", "queued", "running", "completed")


@dataclass(frozen=True)
class World:
    """A warehouse with one completed pipeline, and what it left by name."""

    warehouse: Warehouse
    refs: dict[str, str]
    hashes: dict[str, str]

    def verify(self, ref: str | None = None) -> Verification:
        return verify(self.warehouse, mlflow_url=NOWHERE, ref=ref)

    def damage(self, sha256: str) -> None:
        """Flips one bit in the middle of an artifact."""
        path = self.warehouse.artifacts.local_path(sha256)
        path.chmod(0o644)
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.write_bytes(data)

    def execute(self, statement: str, **parameters: Any) -> int:
        """Rows changed by SQL that nobody but an attacker would run: the triggers are dropped first."""
        with self.warehouse.engine.begin() as connection:
            triggers = connection.execute(text("SELECT name FROM sqlite_master WHERE type = 'trigger'")).scalars().all()
            for trigger in triggers:
                connection.execute(text(f'DROP TRIGGER "{trigger}"'))
            connection.execute(text("PRAGMA defer_foreign_keys = ON"))
            return connection.execute(text(statement), parameters).rowcount

    def statement_id(self, asset: str) -> int:
        with self.warehouse.engine.connect() as connection:
            found = connection.execute(text("SELECT id FROM statements WHERE asset = :asset"), {"asset": asset})
            return int(found.scalar_one())


@pytest.fixture
def warehouse(make_settings: Callable[..., Any], tmp_path: Path, with_tables: Callable[..., Any]) -> Warehouse:
    return open_warehouse(with_tables(make_settings(tmp_path)))


@pytest.fixture
def world(_finished: World, make_settings: Callable[..., Any], tmp_path: Path) -> World:
    """A copy that the test may damage."""
    settings = make_settings(tmp_path)
    shutil.copytree(Path(str(_finished.warehouse.engine.url.database)).parent, settings.home)
    return World(open_warehouse(settings), dict(_finished.refs), dict(_finished.hashes))


@pytest.fixture(scope="session")
def _finished(make_settings: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> World:
    warehouse = open_warehouse(make_settings(tmp_path_factory.mktemp("finished")), migrate=True)
    refs: dict[str, str] = {}
    hashes: dict[str, str] = {}
    refs["dataset"] = _upload(warehouse, hashes)
    _pipeline(warehouse)
    table = Ref(refs["dataset"], hashes["table"], part="table")

    def report(asset: str, kind: Any, *inputs: Ref, level: Any = None, model_version: int | None = None) -> Ref:
        document = {"asset": asset, "rows": 4}
        saved = save_report(
            warehouse,
            _work(warehouse, stage="bias" if kind in ("quality", "bias") else "xai", level=level, kind=kind),
            kind=kind,
            document=document,
            html=None if kind == "explanation" else f"<p>{asset} of Ada's loans</p>",
            report_hash=sha256_json(document),
            summary={},
            made=_made(asset, *inputs),
            level=level,
            model_version=model_version,
        )
        refs[asset] = report_ref(saved.report_id)
        hashes[f"{asset} json"], hashes[f"{asset} html"] = saved.json_sha256, saved.html_sha256 or ""
        return Ref(refs[asset], saved.json_sha256, part="json")

    report("data_quality", "quality", table)
    report("bias_report", "bias", table)
    work = _work(warehouse, stage="automl")
    counts = b'{"steps": []}'
    model = save_model(warehouse, work, _trained(), made=_made("model", table), announce=False, accounting=counts)
    refs["model"], hashes["model accounting"] = model_ref(KEY, model.version), sha256_bytes(counts)
    trained = Ref(refs["model"], model.tree_sha256, kind="model")
    report("model_bias_report", "model_bias", table, trained, model_version=1)
    announce_model(warehouse, work, model)
    explanation = report("explanation", "explanation", table, trained, model_version=1)
    for level in LEVELS:
        report(f"xai_report/{level}", "xai", explanation, level=level, model_version=1)
    # what is closed is in the database's own file, which is copied
    warehouse.engine.dispose()
    return World(warehouse, refs, hashes)


def _upload(warehouse: Warehouse, hashes: dict[str, str]) -> str:
    raw = warehouse.artifacts.put_bytes(b"age,granted\n30,yes\n41,no\n52,yes\n63,no\n", media_type="text/csv")
    table = warehouse.artifacts.put_bytes(b"PAR1 stands for the same rows PAR1", media_type="application/parquet")
    hashes.update(raw=raw.sha256, table=table.sha256)
    ref = dataset_ref(KEY, 1)
    with warehouse.transaction() as session:
        session.add(Dataset(user_id=KEY.user_id, dataset_id=KEY.dataset_id, name="Loans", created_at=now()))
        session.flush()
        for stored in (raw, table):
            record_artifact(session, stored)
        session.add(
            DatasetVersion(
                user_id=KEY.user_id, dataset_id=KEY.dataset_id, version=1, sha256=raw.sha256,
                table_sha256=table.sha256, file_name="loans.csv", format="csv", size_bytes=raw.size_bytes,
                record_count=4, column_count=2, meta={}, created_at=now(),
                profile={"columns": [], "row_count": 4, "duplicate_rows": 0},
            )
        )  # fmt: skip
        record_statement(
            session,
            key=KEY,
            version=1,
            made=_made("dataset"),
            outputs=[Ref(ref, raw.sha256, part="raw"), Ref(ref, table.sha256, part="table")],
            origin=Origin(code_version="0.1.0"),
        )
    return ref


def _pipeline(warehouse: Warehouse) -> None:
    with warehouse.transaction() as session:
        session.add(
            Pipeline(
                id=PIPELINE, cause_event_id="e-1", user_id=KEY.user_id, dataset_id=KEY.dataset_id, version=1,
                sha256="0" * 64, state="completed", stage=None, settings=PipelineSettings().model_dump(mode="json"),
                proposals={}, answers=_answers().model_dump(mode="json"), approvals={"automl": "a" * 64},
                ending_runs=False, trace_id="0" * 32, revision=len(STATES), created_at=now(), updated_at=now(),
            )
        )  # fmt: skip
        session.flush()
        for seq, (before, after) in enumerate(zip((None, *STATES), STATES, strict=False), start=1):
            session.add(
                History(
                    pipeline_id=PIPELINE, seq=seq, at=now(), actor="conductor", cause="event:e", from_state=before,
                    to_state=after, stage=None, message="", seen_sha256="a" * 64 if seq == 4 else None, detail={},
                )
            )  # fmt: skip
        for number, (stage, level) in enumerate([("bias", ""), ("automl", ""), *(("xai", level) for level in LEVELS)]):
            session.add(
                StageAttempt(
                    pipeline_id=PIPELINE, stage=stage, level=level, attempt=1, state="claimed",
                    trigger_event_id=f"t-{number}", dagster_run_id=f"run-{stage}{level}", requested_at=now(),
                    claimed_at=now(),
                )
            )  # fmt: skip


def _work(warehouse: Warehouse, *, stage: Any, level: Any = None, kind: str = "") -> StageWork:
    if kind == "model_bias":
        stage, level = "automl", None
    elif kind == "explanation":
        level = "beginner"
    with warehouse.read() as session:
        version = get_version(session, KEY, 1)
    return StageWork(
        request=StageRequest(
            KEY, stage, f"run-{stage}{level or ''}", level=level, pipeline_id=PIPELINE, attempt=1, event_id="t"
        ),
        version=version,
        answers=_answers(),
        settings=PipelineSettings(),
        settings_source="pipeline",
        approval=f"pipeline:{PIPELINE}",
        trace_parent=None,
    )


def _answers() -> Answers:
    return Answers(target="granted", task_type="classification", positive="yes")


def _made(asset: str, *inputs: Ref) -> Made:
    return Made(asset, inputs, {"target": "granted"}, seed=7, rows_in=4, rows_out=4, seconds=1.0)


def _trained() -> TrainedModel:
    return TrainedModel(
        version=1, registered_name="ada.loans", mlflow_run_id="m" * 32, model_uri="models:/ada.loans/1",
        tree_sha256=sha256_bytes(b"the model's files"), framework="lightgbm", task_type="classification",
        algorithm="LGBMClassifier", target_column="granted", size_bytes=1000,
        metrics={split: {"accuracy": 0.5} for split in ("train", "validation", "test", "baseline")}, details={},
    )  # fmt: skip
