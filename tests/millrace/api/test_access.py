import hashlib
from collections.abc import Callable
from typing import Any

import pytest
from starlette.testclient import TestClient

from millrace.api.access import check_binding, parse_tokens, user_of
from millrace.contracts.errors import BadInput
from millrace.settings import Settings

Bearer = Callable[[str], dict[str, str]]


def test_without_a_token_everything_but_health_is_refused(guarded_client: TestClient) -> None:
    for path in ("/", "/datasets", "/pipelines", "/metrics", "/docs", "/openapi.json", "/bias-reports", "/webhooks"):
        answer = guarded_client.get(path)
        assert answer.status_code == 401, path
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.headers["www-authenticate"].startswith("Bearer")
    assert guarded_client.get("/health/live").status_code == 200
    assert guarded_client.get("/health/ready").status_code == 200


def test_a_wrong_token_is_refused_and_a_right_one_passes(guarded_client: TestClient, bearer: Bearer) -> None:
    assert guarded_client.get("/datasets", headers={"Authorization": "Bearer ada-secreT"}).status_code == 401
    assert guarded_client.get("/datasets", headers={"Authorization": "Basic ada-secret"}).status_code == 401
    assert guarded_client.get("/datasets", headers=bearer("ada")).status_code == 200


def test_a_user_sees_nothing_of_another(guarded_client: TestClient, bearer: Bearer, upload: Any) -> None:
    ada, eve = bearer("ada"), bearer("eve")
    assert upload(guarded_client, headers=ada).status_code == 201
    begun = guarded_client.post("/pipelines", json={"user_id": "ada", "dataset_id": "loans"}, headers=ada).json()
    hook = guarded_client.post("/webhooks", json={"user_id": "ada", "url": "https://example.org/x"}, headers=ada).json()
    base = f"/pipelines/{begun['id']}"
    for path in (
        "/datasets/ada/loans", "/datasets/ada/loans/versions", "/datasets/ada/loans/versions/1",
        "/datasets/ada/loans/versions/1/profile", "/datasets/ada/loans/versions/1/download", base, f"{base}/history",
        f"{base}/events", f"/ui/pipelines/{begun['id']}", "/ai-models/ada/loans", "/ai-models/ada/loans/v1",
        "/xai-reports/ada/loans/loans/model_explanation/beginner/view", "/users/ada/policy",
        "/datasets?user_id=ada", "/pipelines?user_id=ada", "/bias-reports?user_id=ada", "/webhooks?user_id=ada",
    ):  # fmt: skip
        assert guarded_client.get(path, headers=eve).status_code == 404, path
    for path in ("answer", "approve", "reject", "retry", "cancel"):
        assert guarded_client.post(f"{base}/{path}", json={}, headers=eve).status_code == 404, path
        assert guarded_client.post(f"/ui{base}/{path}", data={"target": "x"}, headers=eve).status_code == 404, path
    assert guarded_client.post(
        "/pipelines", json={"user_id": "ada", "dataset_id": "loans"}, headers=eve
    ).status_code == 404  # fmt: skip
    assert guarded_client.put("/users/ada/policy", json={"policy": "autopilot"}, headers=eve).status_code == 404
    assert guarded_client.delete(f"/webhooks/{hook['id']}", headers=eve).status_code == 404
    assert upload(guarded_client, headers=eve).status_code == 404
    assert guarded_client.get("/datasets", headers=eve).json() == []
    assert guarded_client.get("/pipelines", headers=eve).json() == []
    assert "loans" not in guarded_client.get("/", headers=eve).text
    assert guarded_client.get(base, headers=ada).json()["state"] == "waiting_for_answers"


def test_what_is_not_mine_and_what_is_not_there_look_the_same(
    guarded_client: TestClient, bearer: Bearer, upload: Any
) -> None:
    upload(guarded_client, headers=bearer("ada"))
    begun = guarded_client.post("/pipelines", json={"user_id": "ada", "dataset_id": "loans"}, headers=bearer("ada"))
    there = guarded_client.get(f"/pipelines/{begun.json()['id']}", headers=bearer("eve")).json()
    absent = guarded_client.get("/pipelines/pl-00000000000000000000", headers=bearer("eve")).json()
    for told in (there, absent):
        del told["trace_id"], told["detail"]
    assert there == absent


def test_a_browser_signs_in_with_the_token(guarded_client: TestClient) -> None:
    assert guarded_client.get("/login").status_code == 200
    assert guarded_client.post("/login", data={"token": "wrong"}).status_code == 401
    answer = guarded_client.post("/login", data={"token": "ada-secret"}, follow_redirects=False)
    assert answer.status_code == 303
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert guarded_client.get("/").status_code == 200


def test_an_address_that_others_reach_needs_tokens(api_settings: Callable[..., Settings]) -> None:
    for host in ("0.0.0.0", "192.0.2.7", "::"):
        with pytest.raises(BadInput, match="no bearer tokens") as refused:
            check_binding(api_settings(MILLRACE_HOST=host))
        assert refused.value.field == "MILLRACE_API_TOKENS"
    check_binding(api_settings(MILLRACE_HOST="127.0.0.1"))
    check_binding(api_settings(MILLRACE_HOST="::1"))
    check_binding(api_settings(MILLRACE_HOST="0.0.0.0", MILLRACE_API_TOKENS="ada=" + "a" * 64))


def test_tokens_are_user_and_sha256() -> None:
    digest = hashlib.sha256(b"secret").hexdigest()
    tokens = parse_tokens(f" ada={digest.upper()} , eve={'0' * 64},")
    assert user_of("secret", tokens) == "ada"
    assert user_of("", tokens) is None
    for broken in ("ada=secret", "ada", f"={digest}", f"a/b={digest}", f"ada={'g' * 64}"):
        with pytest.raises(BadInput):
            parse_tokens(broken)
