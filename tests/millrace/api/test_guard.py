from typing import Any

import pytest
from starlette.testclient import TestClient


def test_a_name_rebound_to_this_machine_is_refused(client: TestClient) -> None:
    for host in ("evil.example:8000", "127.0.0.1.evil.example", "", "[", "user@evil.example"):
        assert client.get("/datasets", headers={"Host": host}).status_code == 421, host
    for host in ("localhost:8000", "127.0.0.1:8000", "[::1]:8000"):
        assert client.get("/datasets", headers={"Host": host}).status_code == 200, host


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "http://127.0.0.1:9999"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_a_change_asked_for_by_another_site_is_refused(
    client: TestClient, upload: Any, headers: dict[str, str]
) -> None:
    assert upload(client, headers=headers).status_code == 403
    assert (
        client.post("/pipelines", json={}, headers=headers).json()["type"] == "urn:millrace:problem:cross-site-request"
    )
    assert client.get("/datasets").json() == []


def test_our_own_pages_and_clients_that_are_no_browser_may_change(client: TestClient, upload: Any) -> None:
    own = {"Origin": "http://127.0.0.1:8000", "Sec-Fetch-Site": "same-origin"}
    assert upload(client, headers=own).status_code == 201
    assert upload(client).status_code == 200
