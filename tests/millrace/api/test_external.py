from collections.abc import Callable
from typing import Any

import pytest
from starlette.testclient import TestClient

from millrace.api.outside_models import check_files, check_flavours
from millrace.bias.script import SCRIPT_SOURCE, source_of
from millrace.contracts.errors import UnsupportedFormat
from millrace.contracts.identifiers import DatasetKey
from millrace.contracts.task import StageRequest
from millrace.warehouse.saves import Made, TrainedModel, announce_model, save_model
from millrace.warehouse.stage_work import claim

Pump = Callable[[TestClient], None]
OUTSIDE = {"executors": {"bias": "external", "automl": "external", "xai": "external"}}
PAGE = "<!doctype html><title>x</title><script>alert(1)</script>"


def _begin(client: TestClient, upload: Any, pump: Pump, **settings: Any) -> str:
    upload(client)
    body = {
        "user_id": "ada",
        "dataset_id": "loans",
        "answers": {"target": "approved", "sensitive": ["sex"]},
        "settings": {**OUTSIDE, **settings},
    }
    one = client.post("/pipelines", json=body).json()["id"]
    pump(client)
    return str(one)


def _bias(one: str, **more: Any) -> dict[str, Any]:
    return {"pipeline_id": one, "attempt": 1, "document": {"verdicts": []}, "html": PAGE, "seconds": 1.5} | more


def _train(client: TestClient, one: str) -> None:
    # what hand_in_model does once MLflow has shown the files; MLflow itself is tried in the journeys
    store = client.app.state.warehouse
    request = StageRequest(
        key=DatasetKey("ada", "loans"), stage="automl", run_id="external:ada", pipeline_id=one, attempt=1
    )
    work = claim(store, request)
    figures = {"accuracy": 0.9}
    trained = TrainedModel(
        version=1, registered_name="ada.loans", mlflow_run_id="r" * 32, model_uri="models:/ada.loans/1",
        tree_sha256="a" * 64, framework="sklearn", task_type="classification", algorithm="lgbm",
        target_column="approved", size_bytes=1, metrics={"train": figures, "validation": figures, "test": figures},
        details={},
    )  # fmt: skip
    made = Made(asset="model", inputs=(), parameters={}, seed=0, rows_in=120, rows_out=None, seconds=1.0)
    announce_model(store, work, save_model(store, work, trained, made=made, announce=False))


def test_outside_workers_take_a_pipeline_to_its_end(client: TestClient, upload: Any, pump: Pump) -> None:
    one = _begin(client, upload, pump, levels=["beginner"])
    report = client.post("/bias-reports", json=_bias(one)).json()
    pump(client)
    waiting = client.get(f"/pipelines/{one}").json()
    assert (waiting["state"], waiting["stage"]) == ("waiting_for_approval", "automl")
    page = client.get(f"/ui/pipelines/{one}").text
    assert waiting["waiting_for"]["seen_sha256"] in page
    assert report["url"] in page
    assert client.post(f"/pipelines/{one}/approve", json={"seen_sha256": "0" * 64}).status_code == 409
    approved = client.post(f"/pipelines/{one}/approve", json={"seen_sha256": waiting["waiting_for"]["seen_sha256"]})
    assert approved.json()["state"] == "queued"
    _train(client, one)
    pump(client)
    client.post(f"/pipelines/{one}/approve", json={"stage": "xai"}).raise_for_status()
    explained = client.post("/xai-reports", json=_bias(one, level="beginner"))
    assert explained.status_code == 201, explained.text
    pump(client)
    assert client.get(f"/pipelines/{one}").json()["state"] == "completed"
    view = client.get("/xai-reports/ada/loans/loans/model_explanation/beginner/view")
    assert view.text == PAGE
    assert client.get(explained.json()["url"]).text == PAGE
    assert client.get("/ai-models/ada/loans").json()["version"] == "v1"
    assert client.get("/xai-reports", params={"user_id": "ada"}).json()[0]["level"] == "beginner"
    for absent in ("expert/view", "beginner/view?version=v2"):
        assert client.get(f"/xai-reports/ada/loans/loans/model_explanation/{absent}").status_code == 404
    assert client.get("/xai-reports/ada/loans/other/model_explanation/beginner/view").status_code == 404
    assert client.get("/xai-reports/ada/loans/loans/model_explanation/wizard/view").json()["field"] == "level"


def test_a_report_page_runs_no_script_but_ours_and_loads_nothing(client: TestClient, upload: Any, pump: Pump) -> None:
    one = _begin(client, upload, pump)
    report = client.post("/bias-reports", json=_bias(one)).json()
    answer = client.get(report["url"])
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    (scripts,) = (part.split()[1:] for part in policy.split("; ") if part.startswith("script-src"))
    assert scripts == [SCRIPT_SOURCE]
    assert source_of("alert(1)") not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert client.get(report["json_url"]).json()["document"] == {"verdicts": []}
    assert client.get(f"/xai-reports/{report['report_id']}").status_code == 404


def test_a_report_is_its_owners_alone(
    guarded_client: TestClient, upload: Any, pump: Pump, bearer: Callable[[str], dict[str, str]]
) -> None:
    ada, eve = bearer("ada"), bearer("eve")
    upload(guarded_client, headers=ada)
    key = {"user_id": "ada", "dataset_id": "loans"}
    body = key | {"answers": {"target": "approved"}, "settings": OUTSIDE}
    one = guarded_client.post("/pipelines", json=body, headers=ada).json()["id"]
    pump(guarded_client)
    assert guarded_client.post("/bias-reports", json=_bias(one), headers=eve).status_code == 404
    report = guarded_client.post("/bias-reports", json=_bias(one), headers=ada).json()
    for path in (report["url"], report["json_url"]):
        assert guarded_client.get(path, headers=ada).status_code == 200
        assert guarded_client.get(path, headers=eve).status_code == 404
        assert guarded_client.get(path).status_code == 401
    assert guarded_client.get("/bias-reports", headers=eve).json() == []


def test_a_stage_of_dagster_is_not_taken_from_outside(client: TestClient, upload: Any, pump: Pump) -> None:
    one = _begin(client, upload, pump, executors={})
    refused = client.post("/bias-reports", json=_bias(one))
    assert refused.status_code == 409
    assert "executors" in refused.json()["remedy"]


def test_a_cancelled_attempt_takes_nothing_more(client: TestClient, upload: Any, pump: Pump) -> None:
    one = _begin(client, upload, pump)
    client.post(f"/pipelines/{one}/cancel")
    refused = client.post("/bias-reports", json=_bias(one))
    assert (refused.status_code, refused.json()["type"]) == (409, "urn:millrace:problem:attempt-fenced")
    assert client.get("/bias-reports").json() == []


def test_a_failure_from_outside_is_retried_when_it_is_transient(client: TestClient, upload: Any, pump: Pump) -> None:
    one = _begin(client, upload, pump)
    failure = {"pipeline_id": one, "stage": "bias", "attempt": 1, "error_class": "Busy", "message": "later"}
    client.post("/stage-failures", json={**failure, "transient": True}).raise_for_status()
    pump(client)
    assert client.get(f"/pipelines/{one}").json()["state"] == "retrying"


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"document": None}, "document"),
        ({"attempt": 0}, "attempt"),
        ({"surprise": 1}, "surprise"),
        ({"seconds": -1}, "seconds"),
    ],
)
def test_what_is_handed_in_wrongly_is_named(
    client: TestClient, upload: Any, pump: Pump, change: dict[str, Any], field: str
) -> None:
    one = _begin(client, upload, pump)
    answer = client.post("/bias-reports", json=_bias(one, **change))
    assert (answer.status_code, answer.json()["field"]) == (422, field)


def test_numbers_that_json_cannot_carry_are_refused(client: TestClient, upload: Any, pump: Pump) -> None:
    one = _begin(client, upload, pump)
    body = f'{{"pipeline_id": "{one}", "attempt": 1, "document": {{"x": NaN}}}}'
    answer = client.post("/bias-reports", content=body, headers={"content-type": "application/json"})
    assert (answer.status_code, answer.json()["field"]) == (422, "document")


def test_pickles_and_code_are_refused() -> None:
    check_files(["MLmodel", "model.skops", "conda.yaml", "requirements.txt"])
    for name in (
        "model.pkl",
        "python_model.cloudpickle",
        "deep/model.joblib",
        "weights.bin",
        "x.PKL",
        "code/a.py",
        "m",
    ):
        with pytest.raises(UnsupportedFormat, match="pickles are refused"):
            check_files(["MLmodel", name])


def test_a_model_that_asks_to_trust_more_than_ours_is_refused() -> None:
    ours = {"serialization_format": "skops", "skops_trusted_types": ["numpy.dtype"]}
    check_flavours({"sklearn": ours, "python_function": {}})
    for sklearn in (
        None,
        {"serialization_format": "cloudpickle"},
        ours | {"skops_trusted_types": ["numpy.dtype", "os.system"]},
    ):
        with pytest.raises(UnsupportedFormat):
            check_flavours({"sklearn": sklearn})
