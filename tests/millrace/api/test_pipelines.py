import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from starlette.testclient import TestClient

NEW = {"user_id": "ada", "dataset_id": "loans"}


def _begin(client: TestClient, upload: Any, **more: Any) -> dict[str, Any]:
    upload(client)
    answer = client.post("/pipelines", json=NEW | more)
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


def test_a_pipeline_begins_waits_and_takes_answers(client: TestClient, upload: Any) -> None:
    view = _begin(client, upload)
    assert view["state"] == "waiting_for_answers"
    assert view["waiting_for"]["command"] == f"millrace pipeline answer {view['id']}"
    assert view["proposals"]["target"][0]["value"] == "approved"
    answered = client.post(
        f"/pipelines/{view['id']}/answer",
        json={"answers": {"target": "approved", "sensitive": ["sex"]}, "settings": {"time_budget": 5}},
    ).json()
    assert answered["state"] == "queued"
    assert answered["answers"] == {
        "target": "approved", "task_type": "classification", "positive": "yes", "sensitive": ["sex"],
    }  # fmt: skip
    assert answered["settings"]["time_budget"] == 5
    history = client.get(f"/pipelines/{view['id']}/history").json()
    assert [one["actor"] for one in history][-1] == "user:ada"
    assert client.get(f"/pipelines/{view['id']}/history", params={"after": 1}).json() == history[1:]


def test_an_answer_without_a_body_accepts_the_proposal(client: TestClient, upload: Any) -> None:
    view = _begin(client, upload)
    assert client.post(f"/pipelines/{view['id']}/answer").json()["answers"]["target"] == "approved"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"answers": {"target": "aproved"}}, "target"),
        ({"answers": {"target": "approved", "task_type": "regression"}}, "task_type"),
        ({"answers": {"target": "approved", "task_type": "ranking"}}, "answers.task_type"),
        ({"answers": {"target": "approved", "positive": "maybe"}}, "positive"),
        ({"answers": {"target": "approved", "sensitive": ["gender"]}}, "sensitive"),
        ({"answers": {"target": "approved", "sensitive": ["approved"]}}, "sensitive"),
        ({"answers": {"targt": "approved"}}, "answers.targt"),
        ({"settings": {"time_budget": "ten"}}, "time_budget"),
        ({"settings": {"time_budget": -1}}, "time_budget"),
        ({"settings": {"time_budget": 0}}, "time_budget"),
        ({"settings": {"levels": ["wizard"]}}, "levels"),
        ({"settings": {"nonsense": 1}}, "nonsense"),
        ({"setings": {}}, "setings"),
    ],
)
def test_an_answer_that_cannot_work_names_the_field(
    client: TestClient, upload: Any, body: dict[str, Any], field: str
) -> None:
    view = _begin(client, upload)
    answer = client.post(f"/pipelines/{view['id']}/answer", json=body)
    assert answer.status_code == 422, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["field"] == field
    assert answer.json()["remedy"]
    assert client.get(f"/pipelines/{view['id']}").json()["state"] == "waiting_for_answers"


def test_a_near_name_is_suggested(client: TestClient, upload: Any) -> None:
    view = _begin(client, upload)
    answer = client.post(f"/pipelines/{view['id']}/answer", json={"answers": {"target": "Aproved"}})
    assert "'approved'" in answer.json()["detail"]


@pytest.mark.parametrize("content", [b'{"answers": ', b"\xff\xfe", b"[]", b'"x"', b"not json"])
def test_a_body_that_is_no_json_object_is_refused(client: TestClient, upload: Any, content: bytes) -> None:
    view = _begin(client, upload)
    answer = client.post(
        f"/pipelines/{view['id']}/answer", content=content, headers={"content-type": "application/json"}
    )
    assert answer.status_code in (400, 422), answer.text
    assert answer.headers["content-type"] == "application/problem+json"


def test_a_body_of_many_megabytes_is_refused(client: TestClient) -> None:
    answer = client.post(
        "/pipelines", content=b'{"x": "' + b"a" * (9 << 20) + b'"}', headers={"content-type": "application/json"}
    )
    assert answer.status_code == 413


def test_a_request_that_the_state_does_not_allow_says_what_is_possible(client: TestClient, upload: Any) -> None:
    view = _begin(client, upload)
    for request in ("approve", "reject", "retry"):
        answer = client.post(f"/pipelines/{view['id']}/{request}", json={})
        assert answer.status_code == 409
        assert f"millrace pipeline answer {view['id']}" in answer.json()["remedy"]
    assert client.post(f"/pipelines/{view['id']}/cancel").json()["state"] == "cancelled"
    assert client.post(f"/pipelines/{view['id']}/cancel").json()["state"] == "cancelled"


def test_the_same_idempotency_key_gives_the_same_pipeline(client: TestClient, upload: Any) -> None:
    upload(client)
    first, second = (client.post("/pipelines", json=NEW, headers={"Idempotency-Key": "k"}).json() for _ in range(2))
    other = client.post("/pipelines", json=NEW).json()
    assert first["id"] == second["id"] != other["id"]


def test_a_pipeline_on_data_that_is_not_there_is_refused(client: TestClient) -> None:
    answer = client.post("/pipelines", json=NEW)
    assert answer.status_code == 404
    assert client.post("/pipelines", json=NEW | {"user_id": "../x"}).json()["field"] == "user_id"


def test_lists_are_filtered(client: TestClient, upload: Any) -> None:
    view = _begin(client, upload)
    assert [one["id"] for one in client.get("/pipelines", params={"user_id": "ada"}).json()] == [view["id"]]
    assert client.get("/pipelines", params={"user_id": "eve"}).json() == []
    assert client.get("/pipelines", params={"state": "completed"}).json() == []
    assert client.get("/pipelines", params={"version": 2}).json() == []
    assert client.get("/pipelines", params={"state": "sleeping"}).status_code == 422
    assert client.get("/pipelines", params={"limit": 0}).json()["field"] == "limit"


def test_a_policy_is_followed_by_later_pipelines(client: TestClient, upload: Any) -> None:
    put = client.put("/users/ada/policy", json={"time_budget": 7, "levels": ["expert"]})
    assert put.json()["set"] == {"time_budget": 7, "levels": ["expert"]}
    assert client.get("/users/ada/policy").json() == put.json()
    assert _begin(client, upload)["settings"]["levels"] == ["expert"]
    refused = client.put("/users/ada/policy", json={"time_budget": "ten"})
    assert (refused.status_code, refused.json()["field"]) == (422, "time_budget")
    assert client.get("/users/ada/policy").json() == put.json()


def test_webhooks_come_and_go(client: TestClient) -> None:
    made = client.post("/webhooks", json={"user_id": "ada", "url": "http://127.0.0.1:9/x"})
    assert made.status_code == 201
    assert client.get("/webhooks", params={"user_id": "ada"}).json() == [made.json()]
    for url in ("ftp://x/y", "javascript:alert(1)", "http://", "http://u:p@h/", "http://[", "x" * 3000):
        refused = client.post("/webhooks", json={"user_id": "ada", "url": url})
        assert (refused.status_code, refused.json()["field"]) == (422, "url"), url
    assert client.delete(f"/webhooks/{made.json()['id']}").status_code == 204
    assert client.delete(f"/webhooks/{made.json()['id']}").status_code == 404


def _events(text: str) -> list[tuple[str, str, dict[str, Any]]]:
    found = []
    for block in text.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines() if ": " in line and not line.startswith(":"))
        if "event" in fields:
            found.append((fields["event"], fields["id"], json.loads(fields["data"])))
    return found


def test_progress_is_streamed_and_resumes(served: Callable[..., Any]) -> None:
    running = served()
    with httpx.Client(base_url=running.url, timeout=20) as http:
        file = {"file": ("x.csv", b"a,approved\n" + b"1,yes\n2,no\n" * 20)}
        http.post("/datasets/upload", files=file, data=NEW).raise_for_status()
        one = http.post("/pipelines", json=NEW).json()["id"]
        with http.stream("GET", f"/pipelines/{one}/events") as stream:
            assert stream.headers["content-type"].startswith("text/event-stream")
            lines, text = stream.iter_lines(), ""
            for line in lines:
                text += line + "\n"
                if line.startswith("data: "):
                    break
            httpx.post(f"{running.url}/pipelines/{one}/answer").raise_for_status()
            for line in lines:
                text += line + "\n"
                if '"queued"' in line:
                    break
        states = [data["to_state"] for event, _, data in _events(text + "\n") if event == "transition"]
        assert states[0] == "waiting_for_answers"
        assert "queued" in states
        http.post(f"/pipelines/{one}/cancel").raise_for_status()
        running.app.state.warehouse.engine.dispose()
        history = http.get(f"/pipelines/{one}/history").json()
        with http.stream("GET", f"/pipelines/{one}/events", headers={"Last-Event-ID": "1"}) as stream:
            for line in stream.iter_lines():
                text = line
                if line.startswith("id: "):
                    break
        assert text == f"id: {history[1]['seq']}"


def test_health_tells_each_part(client: TestClient) -> None:
    answer = client.get("/health/ready")
    told = answer.json()
    assert answer.status_code == 200
    assert told["status"] == "degraded"
    assert {part["name"]: part["ok"] for part in told["parts"]} == {
        "database": True, "broker": False, "relay": True, "mlflow": False, "dagster": False,
    }  # fmt: skip


def test_metrics_show_the_outbox_and_the_pipelines(client: TestClient, upload: Any) -> None:
    _begin(client, upload)
    text = client.get("/metrics").text
    assert "millrace_outbox_backlog 1.0" in text
    assert 'millrace_pipelines{state="waiting_for_answers"} 1.0' in text
    assert 'route="/datasets/upload"' in text


def test_the_description_of_the_api_is_published(client: TestClient) -> None:
    paths = client.get("/openapi.json").json()["paths"]
    assert "multipart/form-data" in paths["/datasets/upload"]["post"]["requestBody"]["content"]
    assert "/xai-reports/{user_id}/{dataset_id}/{model_id}/{report_type}/{level}/view" in paths
    assert "/" not in paths
