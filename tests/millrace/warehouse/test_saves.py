# Above 300 lines because every save is held to the same list of promises.
import json
from typing import Any

import pytest
from sqlalchemy import func, select, update

from millrace.contracts.canonical import sha256_json
from millrace.contracts.errors import AttemptFenced, Conflict, NotFound
from millrace.contracts.events import BiasReported, ModelUploaded, XaiReported
from millrace.contracts.identifiers import DatasetKey
from millrace.contracts.references import Ref, dataset_ref
from millrace.contracts.task import Coordinates, StageRequest
from millrace.warehouse.models import get_model, list_models
from millrace.warehouse.reports import find_report, get_report, list_reports
from millrace.warehouse.saves import Made, SavedReport, TrainedModel, announce_model, save_model, save_report
from millrace.warehouse.schema import Model, Outbox, Report, StageAttempt, Statement
from millrace.warehouse.stage_work import StageWork, claim
from millrace.warehouse.statements import statement_document, statement_hash, statements_for
from millrace.warehouse.store import Warehouse

KEY = DatasetKey("ada", "loans")


def _made(work: StageWork, asset: str = "bias_report") -> Made:
    table = Ref(dataset_ref(KEY, work.version.version), work.version.table_sha256, part="table")
    return Made(asset, (table,), {"target": "approved", "share": 0.1}, seed=3, rows_in=3, rows_out=2, seconds=1)


def _save(warehouse: Warehouse, work: StageWork, kind: Any = "bias", **more: Any) -> SavedReport:
    fields = {
        "document": {"figures": [1.5, None], "text": "ä"},
        "html": "<p>ä</p>",
        "report_hash": "e" * 64,
        "summary": {"rows": 3},
        "made": _made(work),
    }
    return save_report(warehouse, work, kind=kind, **(fields | more))


def _trained(version: int = 1, **more: Any) -> TrainedModel:
    fields: dict[str, Any] = {
        "version": version,
        "registered_name": "ada.loans",
        "mlflow_run_id": f"mlrun{version}",
        "model_uri": f"models:/ada.loans/{version}",
        "tree_sha256": f"{version}" * 64,
        "framework": "sklearn",
        "task_type": "classification",
        "algorithm": "lgbm",
        "target_column": "approved",
        "size_bytes": 25_500_000,
        "metrics": {
            "train": {"accuracy": 0.95, "f1": 0.9},
            "validation": {"accuracy": 0.93},
            "test": {"accuracy": 0.92},
            "baseline": {"accuracy": 0.5},
        },
        "details": {"classes": ["false", "true"]},
    }
    return TrainedModel(**(fields | more))


def _count(warehouse: Warehouse, table: Any) -> int:
    with warehouse.read() as session:
        return session.scalar(select(func.count()).select_from(table)) or 0


def _events(warehouse: Warehouse, topic: str) -> list[Outbox]:
    with warehouse.read() as session:
        return list(session.scalars(select(Outbox).where(Outbox.topic == topic).order_by(Outbox.id)))


def _state(warehouse: Warehouse) -> str:
    with warehouse.read() as session:
        return session.scalars(select(StageAttempt.state)).one()


def test_a_bias_report_ends_its_stage_with_one_event(warehouse: Warehouse, make_attempt) -> None:
    work = claim(warehouse, make_attempt())
    saved = _save(warehouse, work)

    assert warehouse.artifacts.read_bytes(saved.html_sha256) == "<p>ä</p>".encode()
    assert json.loads(warehouse.artifacts.read_bytes(saved.json_sha256)) == {"figures": [1.5, None], "text": "ä"}
    (row,) = _events(warehouse, "bias-events")
    event = BiasReported.model_validate_json(row.value)
    assert (event.bias_report_id, event.target_column_name) == (saved.report_id, "approved")
    assert row.headers["millrace-pipeline"] == "pl-1"
    assert row.headers["millrace-attempt"] == "1"
    assert row.headers["content-sha256"] == saved.json_sha256
    assert row.headers["traceparent"] == work.trace_parent
    assert _state(warehouse) == "done"


def test_saving_again_by_the_same_run_changes_nothing(warehouse: Warehouse, make_attempt) -> None:
    work = claim(warehouse, make_attempt())
    first = _save(warehouse, work)

    assert _save(warehouse, work) == first
    assert _save(warehouse, work, document={"other": 1}) == first
    assert _count(warehouse, Report) == 1
    assert len(_events(warehouse, "bias-events")) == 1


@pytest.mark.parametrize("kind", ["quality", "model_bias", "explanation"])
def test_reports_on_the_way_send_nothing_and_leave_the_attempt_open(
    warehouse: Warehouse, make_attempt, kind: str
) -> None:
    work = claim(warehouse, make_attempt())
    _save(warehouse, work, kind, html=None)

    assert _state(warehouse) == "claimed"
    assert {row.topic for row in _all(warehouse)} == {"dataset-events", "stage-events"}


def test_a_mitigation_on_the_way_is_told_and_moves_no_pipeline(warehouse: Warehouse, make_attempt) -> None:
    work = claim(warehouse, make_attempt("automl"))
    saved = _save(warehouse, work, "mitigation", model_version=1, made=_made(work, "bias_mitigation"))

    (row,) = _events(warehouse, "bias-events")
    event = BiasReported.model_validate_json(row.value)
    assert (event.bias_report_id, event.has_transformation_report) == (saved.report_id, True)
    assert {"millrace-pipeline", "millrace-attempt"} & row.headers.keys() == set()
    assert row.headers["traceparent"] == work.trace_parent
    assert _state(warehouse) == "claimed"
    with warehouse.read() as session:
        assert get_report(session, saved.report_id).pipeline_id == "pl-1"


def _all(warehouse: Warehouse) -> list[Outbox]:
    with warehouse.read() as session:
        return list(session.scalars(select(Outbox)))


def test_an_xai_report_ends_the_attempt_of_its_level(warehouse: Warehouse, make_attempt) -> None:
    work = claim(warehouse, make_attempt("xai", level="expert"))
    saved = _save(warehouse, work, "xai", level="expert", model_version=2, made=_made(work, "xai_report/expert"))

    (row,) = _events(warehouse, "xai-events")
    event = XaiReported.model_validate_json(row.value)
    assert (event.xai_report_id, event.level, event.report_type) == (saved.report_id, "expert", "model_explanation")
    assert (event.event_id, event.model_id) == (row.event_id, "loans")
    assert _state(warehouse) == "done"


@pytest.mark.parametrize("state", ["cancelled", "failed", "done", "requested"])
def test_a_save_is_fenced(warehouse: Warehouse, make_attempt, state: str) -> None:
    work = claim(warehouse, make_attempt())
    with warehouse.transaction() as session:
        session.execute(update(StageAttempt).values(state=state))
    before = _count(warehouse, Statement)

    with pytest.raises(AttemptFenced):
        _save(warehouse, work)
    with pytest.raises(AttemptFenced):
        save_model(warehouse, work, _trained(), made=_made(work, "model"), announce=True)

    assert _count(warehouse, Report) == 0
    assert _count(warehouse, Model) == 0
    assert _count(warehouse, Statement) == before
    assert _events(warehouse, "bias-events") == _events(warehouse, "automl-events") == []


def test_another_runs_save_is_fenced(warehouse: Warehouse, make_attempt) -> None:
    work = claim(warehouse, make_attempt())
    with warehouse.transaction() as session:
        session.execute(update(StageAttempt).values(dagster_run_id="run-2"))

    with pytest.raises(AttemptFenced, match="run-2"):
        _save(warehouse, work)


def test_cancelled_between_two_saves_of_a_run_the_first_is_kept_and_nothing_more(
    warehouse: Warehouse, make_attempt
) -> None:
    work = claim(warehouse, make_attempt())
    _save(warehouse, work, "quality", made=_made(work, "data_quality"))
    with warehouse.transaction() as session:
        session.execute(update(StageAttempt).values(state="cancelled"))

    with pytest.raises(AttemptFenced):
        _save(warehouse, work)
    with pytest.raises(AttemptFenced):
        _save(warehouse, work, "quality", made=_made(work, "data_quality"))
    assert _count(warehouse, Report) == 1


def test_a_report_by_hand_is_kept_and_told_without_a_pipeline(warehouse: Warehouse, make_attempt) -> None:
    make_attempt()
    work = claim(warehouse, StageRequest(key=KEY, stage="bias", run_id="hand"))
    saved = _save(warehouse, work)

    (row,) = _events(warehouse, "bias-events")
    assert "millrace-pipeline" not in row.headers
    assert _state(warehouse) == "requested"
    with warehouse.read() as session:
        assert get_report(session, saved.report_id).pipeline_id is None
        statement = session.scalars(select(Statement).where(Statement.asset == "bias_report")).one()
        assert (statement.approval, statement.attempt, statement.dagster_run_id) == ("none", None, "hand")


def test_an_outside_workers_saves_by_hand_are_told_apart_by_content(warehouse: Warehouse, make_attempt) -> None:
    make_attempt()
    work = claim(warehouse, StageRequest(key=KEY, stage="bias", run_id="external:ada"))

    first = _save(warehouse, work)
    assert _save(warehouse, work) == first
    assert _save(warehouse, work, document={"other": 1}).report_id != first.report_id
    assert len(_events(warehouse, "bias-events")) == 2


def test_the_statement_of_a_report_names_what_went_in_and_out(warehouse: Warehouse, make_attempt) -> None:
    request = make_attempt()
    trigger = Coordinates("bias-trigger-events", "uuid", 1, 7)
    work = claim(warehouse, StageRequest(**{**vars(request), "trigger": trigger}))
    saved = _save(warehouse, work)

    with warehouse.read() as session:
        (row,) = statements_for(session, KEY, f"report:{saved.report_id}")
        document = statement_document(row)
        assert statement_hash(row) == row.statement_sha256 == saved.statement_sha256 == sha256_json(document)
    assert document["inputs"] == [
        {"ref": "dataset:ada.loans@v1", "sha256": work.version.table_sha256, "kind": "artifact", "part": "table"}
    ]
    assert [(one["part"], one["sha256"]) for one in document["outputs"]] == [
        ("json", saved.json_sha256),
        ("html", saved.html_sha256),
    ]
    assert document["trigger"] == trigger.to_json()
    assert (document["approval"], document["pipeline_id"], document["attempt"]) == ("pipeline:pl-1", "pl-1", 1)
    assert (document["seed"], document["rows_in"], document["rows_out"], document["seconds"]) == (3, 3, 2, 1.0)


def test_one_changed_figure_changes_the_hash_of_a_statement(warehouse: Warehouse, upload) -> None:
    upload()
    with warehouse.read() as session:
        row = session.scalars(select(Statement)).one()
        assert statement_hash(row) == row.statement_sha256
        for column in statement_document(row):
            before = getattr(row, column)
            setattr(row, column, before.replace(year=1999) if column == "created_at" else _other(before))
            assert statement_hash(row) != row.statement_sha256, column
            setattr(row, column, before)
        session.expunge_all()


def _other(value: Any) -> Any:
    if isinstance(value, dict):
        return {**value, "more": 1}
    if isinstance(value, list):
        return [*value, 1]
    return value + 1 if isinstance(value, int | float) else f"{value}x"


def test_a_model_is_saved_and_told_at_once_when_asked(warehouse: Warehouse, make_attempt) -> None:
    work = claim(warehouse, make_attempt("automl"))
    facts = save_model(warehouse, work, _trained(), made=_made(work, "model"), announce=True)

    (row,) = _events(warehouse, "automl-events")
    event = ModelUploaded.model_validate_json(row.value)
    assert (event.model_id, event.version, event.model_size_mb) == ("loans", "v1", 25.5)
    assert (event.training_accuracy, event.validation_accuracy, event.test_accuracy) == (0.95, 0.93, 0.92)
    assert row.headers["content-sha256"] == "1" * 64
    assert _state(warehouse) == "done"
    with warehouse.read() as session:
        assert get_model(session, KEY) == facts == get_model(session, KEY, 1)
        (statement,) = statements_for(session, KEY, "model:ada.loans@v1")
        assert statement.outputs[0] == {
            "ref": "model:ada.loans@v1", "sha256": "1" * 64, "kind": "model", "part": None,
        }  # fmt: skip


def test_what_training_counted_is_an_artifact_of_the_model_and_nobody_else_can_claim_one(
    warehouse: Warehouse, make_attempt
) -> None:
    work = claim(warehouse, make_attempt("automl"))
    forged = {"family": "lgbm", "accounting_sha256": "f" * 64}
    plain = save_model(warehouse, work, _trained(details=forged), made=_made(work, "model"), announce=False)
    assert plain.details == {"family": "lgbm"}
    counts = b'{"steps": []}'
    facts = save_model(
        warehouse, work, _trained(version=2, details=forged), made=_made(work, "model"), announce=False,
        accounting=counts,
    )  # fmt: skip
    sha256 = facts.details["accounting_sha256"]
    assert warehouse.artifacts.read_bytes(sha256) == counts
    with warehouse.read() as session:
        (statement,) = statements_for(session, KEY, "model:ada.loans@v2")
    assert statement.outputs[1] == {
        "ref": "model:ada.loans@v2", "sha256": sha256, "kind": "artifact", "part": "accounting",
    }  # fmt: skip


def test_a_model_is_told_after_its_bias_report_and_once(warehouse: Warehouse, make_attempt) -> None:
    work = claim(warehouse, make_attempt("automl"))
    model = save_model(warehouse, work, _trained(), made=_made(work, "model"), announce=False)
    _save(warehouse, work, "model_bias", model_version=1, made=_made(work, "model_bias_report"))
    assert _events(warehouse, "automl-events") == []
    assert _state(warehouse) == "claimed"

    announce_model(warehouse, work, model)
    announce_model(warehouse, work, model)

    assert len(_events(warehouse, "automl-events")) == 1
    assert _state(warehouse) == "done"


def test_the_same_model_saved_again_is_the_one_that_is_there(warehouse: Warehouse, make_attempt) -> None:
    work = claim(warehouse, make_attempt("automl"))
    first = save_model(warehouse, work, _trained(), made=_made(work, "model"), announce=True)

    assert save_model(warehouse, work, _trained(), made=_made(work, "model"), announce=True) == first
    assert len(_events(warehouse, "automl-events")) == 1
    with pytest.raises(Conflict, match="another model v1"):
        save_model(warehouse, work, _trained(tree_sha256="9" * 64), made=_made(work, "model"), announce=True)


def test_regression_tells_r2_where_the_payload_says_accuracy(warehouse: Warehouse, make_attempt) -> None:
    work = claim(warehouse, make_attempt("automl"))
    metrics = {
        split: {"r2": value, "mae": 1.0} for split, value in (("train", 0.9), ("validation", 0.8), ("test", 0.7))
    }
    trained = _trained(task_type="regression", metrics=metrics)
    save_model(warehouse, work, trained, made=_made(work, "model"), announce=True)

    event = ModelUploaded.model_validate_json(_events(warehouse, "automl-events")[0].value)
    assert (event.model_type, event.training_accuracy, event.test_accuracy) == ("regression", 0.9, 0.7)


def test_a_figure_that_json_cannot_carry_is_refused_before_anything_is_saved(
    warehouse: Warehouse, make_attempt
) -> None:
    work = claim(warehouse, make_attempt())
    with pytest.raises(ValueError, match="JSON compliant"):
        _save(warehouse, work, document={"figure": float("nan")})
    assert _count(warehouse, Report) == 0
    assert _state(warehouse) == "claimed"


def test_reports_are_found_by_what_they_are(warehouse: Warehouse, make_attempt) -> None:
    work = claim(warehouse, make_attempt("xai", level="beginner"))
    explanation = _save(
        warehouse, work, "explanation", html=None, model_version=1, report_hash="a" * 64,
        made=_made(work, "explanation"),
    )  # fmt: skip
    page = _save(warehouse, work, "xai", level="beginner", model_version=1, made=_made(work, "xai_report/beginner"))

    with warehouse.read() as session:
        found = find_report(session, KEY, kind="explanation", report_hash="a" * 64)
        assert found is not None
        assert found.report_id == explanation.report_id
        assert find_report(session, KEY, kind="xai", level="expert") is None
        newest = find_report(session, KEY, kind="xai", level="beginner", model_version=1, version=1)
        assert newest is not None
        assert newest.report_id == page.report_id
        assert find_report(session, DatasetKey("eve", "loans")) is None
        assert [one.report_id for one in list_reports(session, "ada")] == [page.report_id, explanation.report_id]
        assert list_reports(session, "eve") == []
        assert len(list_reports(session, None, dataset_id="loans", kind="xai")) == 1
        with pytest.raises(NotFound):
            get_report(session, "xr-none")


def test_models_are_listed_newest_first_and_by_owner(warehouse: Warehouse, make_attempt) -> None:
    work = claim(warehouse, make_attempt("automl"))
    for version in (1, 2):
        save_model(warehouse, work, _trained(version), made=_made(work, "model"), announce=False)

    with warehouse.read() as session:
        assert [one.version for one in list_models(session, "ada", dataset_id="loans")] == [2, 1]
        assert list_models(session, "eve") == []
        assert get_model(session, KEY).version == 2
        with pytest.raises(NotFound, match="v9"):
            get_model(session, KEY, 9)
