import re
from typing import Any

from starlette.testclient import TestClient

HOSTILE = "<script>alert(1)</script>\"'"
DATA = b'"<img src=x onerror=alert(1)>",approved\n' + b"1,yes\n2,no\n" * 20


def _begin(client: TestClient, upload: Any, **more: Any) -> str:
    stored = upload(client, **more).json()
    key = {"user_id": stored["user_id"], "dataset_id": stored["dataset_id"]}
    return str(client.post("/pipelines", json=key).json()["id"])


def test_the_first_page_lists_pipelines_and_data(client: TestClient, upload: Any) -> None:
    assert "curl" in client.get("/").text
    one = _begin(client, upload)
    text = client.get("/").text
    assert f"/ui/pipelines/{one}" in text
    assert "waiting for answers" in text
    assert "/datasets/ada/loans/versions/1/download" in text


def test_hostile_names_are_shown_and_never_run(client: TestClient, upload: Any) -> None:
    one = _begin(client, upload, content=DATA, name=HOSTILE, file_name="<b>x.csv")
    for path in ("/", f"/ui/pipelines/{one}"):
        answer = client.get(path)
        assert "<script>alert" not in answer.text
        assert "<img src=x" not in answer.text
        assert "&lt;script&gt;" in answer.text
        policy = answer.headers["content-security-policy"]
        nonce = re.search(r"script-src 'nonce-([\w-]+)'", policy)
        assert nonce is not None
        assert set(re.findall(r"<script[^>]*>", answer.text)) <= {f'<script nonce="{nonce.group(1)}">'}


def test_a_person_answers_with_the_form(client: TestClient, upload: Any) -> None:
    one = _begin(client, upload)
    text = client.get(f"/ui/pipelines/{one}").text
    assert "% sure" in text
    assert 'name="target" value="approved" checked' in text
    answer = client.post(
        f"/ui/pipelines/{one}/answer",
        data={"target": "approved", "sensitive": ["sex"], "sensitive_other": "age", "time_budget": "9"},
        headers={"Origin": "http://127.0.0.1:8000"},
        follow_redirects=False,
    )
    assert (answer.status_code, answer.headers["location"]) == (303, f"/ui/pipelines/{one}")
    view = client.get(f"/pipelines/{one}").json()
    assert view["state"] == "queued"
    assert view["answers"]["sensitive"] == ["sex", "age"]
    assert view["settings"]["time_budget"] == 9


def test_a_form_that_cannot_work_says_why(client: TestClient, upload: Any) -> None:
    one = _begin(client, upload)
    answer = client.post(f"/ui/pipelines/{one}/answer", data={"target_other": "<b>"})
    assert answer.status_code == 422
    assert "&lt;b&gt;" in answer.text
    assert client.post(f"/ui/pipelines/{one}/approve").status_code == 409
    assert client.get(f"/pipelines/{one}").json()["state"] == "waiting_for_answers"


def test_a_person_cancels_with_the_form(client: TestClient, upload: Any) -> None:
    one = _begin(client, upload)
    assert client.post(f"/ui/pipelines/{one}/cancel", follow_redirects=False).status_code == 303
    assert client.get(f"/pipelines/{one}").json()["state"] == "cancelled"
