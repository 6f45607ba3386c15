import json
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import select
from starlette.testclient import TestClient

from millrace.warehouse.schema import DatasetVersion, Outbox

MULTIPART = {"content-type": "multipart/form-data; boundary=x"}


def _leftovers(client: TestClient) -> list[Path]:
    """Files under the home that are neither artifacts nor the database."""
    home = client.app.state.settings.home
    return [
        path
        for path in home.rglob("*")
        if path.is_file() and "artifacts" not in path.parts and not path.name.startswith("warehouse.db")
    ]


def _rows(client: TestClient, table: type) -> list[Any]:
    with client.app.state.warehouse.read() as session:
        return list(session.scalars(select(table)))


def test_an_upload_becomes_a_version_with_an_event(client: TestClient, upload: Any) -> None:
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    answer = upload(client, headers={"traceparent": f"00-{trace}-00f067aa0ba902b7-01"})
    assert answer.status_code == 201
    told = answer.json()
    assert (told["version"], told["record_count"], told["column_count"], told["created"]) == (1, 120, 4, True)
    assert answer.headers["location"] == "/datasets/ada/loans/versions/1"
    (sent,) = _rows(client, Outbox)
    assert sent.event_id == told["event_id"]
    assert sent.headers["traceparent"].split("-")[1] == trace
    assert json.loads(sent.value)["sha256"] == told["sha256"]
    assert _leftovers(client) == []


def test_the_same_bytes_again_are_the_same_version_and_no_second_event(client: TestClient, upload: Any) -> None:
    upload(client)
    again = upload(client)
    assert again.status_code == 200
    assert (again.json()["version"], again.json()["created"]) == (1, False)
    assert len(_rows(client, Outbox)) == 1
    assert upload(client, b"a,b\n1,2\n3,4\n").json()["version"] == 2
    assert [one["version"] for one in client.get("/datasets/ada/loans/versions").json()] == [2, 1]


def test_any_version_comes_back_as_it_was(client: TestClient, upload: Any) -> None:
    first = b"a;b\r\n1;2\r\n3;4\r\n"
    upload(client, first, file_name='../..\\e\tvil".csv')
    upload(client)
    answer = client.get("/datasets/ada/loans/versions/1/download")
    assert answer.content == first
    assert answer.headers["x-content-type-options"] == "nosniff"
    disposition = answer.headers["content-disposition"]
    assert disposition.startswith("attachment")
    assert ".." not in disposition
    assert "/" not in disposition
    assert client.get("/datasets/ada/loans/versions/3/download").status_code == 404


def test_fields_may_come_after_the_file(client: TestClient) -> None:
    parts = [
        b'name="file"; filename="x.csv"\r\n\r\na,b\n1,2\n3,4\n',
        b'name="user_id"\r\n\r\nada',
        b'name="dataset_id"\r\n\r\nx',
    ]
    body = b"".join(b"--x\r\nContent-Disposition: form-data; " + part + b"\r\n" for part in parts) + b"--x--\r\n"
    answer = client.post("/datasets/upload", content=body, headers=MULTIPART)
    assert answer.status_code == 201, answer.text
    assert answer.json()["name"] == "x"


@pytest.mark.parametrize("value", ["a/b", "..", "a|b", "a\0b", "a" * 65, "\N{GRINNING FACE}", "", " ", "a.b"])
@pytest.mark.parametrize("field", ["user_id", "dataset_id"])
def test_an_identifier_that_is_not_valid_is_named(client: TestClient, field: str, value: str) -> None:
    data = {"user_id": "ada", "dataset_id": "loans"} | {field: value}
    answer = client.post("/datasets/upload", files={"file": ("x.csv", b"a,b\n1,2\n")}, data=data)
    assert answer.status_code == 422
    assert answer.json()["field"] == field
    assert answer.json()["remedy"]
    assert _rows(client, DatasetVersion) == []
    assert _leftovers(client) == []


def _wide(columns: int) -> bytes:
    return (",".join(f"c{i}" for i in range(columns)) + "\n" + ",".join("1" for _ in range(columns)) + "\n").encode()


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b"", 422),
        (b"a,b,c\n", 422),
        (_wide(5000), 422),
        (b"a,a,b\n1,2,3\n", 422),
        (b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 8, 415),
        (b"a,b\n1,2\n1,2,3,4\n5,6\n", 422),
    ],
    ids=["empty", "header only", "5,000 columns", "duplicate columns", "PNG", "ragged"],
)
def test_a_file_that_cannot_be_used_is_refused_whole(
    client: TestClient, upload: Any, content: bytes, status: int
) -> None:
    answer = upload(client, content)
    told = answer.json()
    assert answer.status_code in (status, 413), told
    assert told["type"].startswith("urn:millrace:problem:")
    assert told["field"]
    assert told["remedy"]
    assert _rows(client, DatasetVersion) == []
    assert _rows(client, Outbox) == []
    assert _leftovers(client) == []


def test_a_missing_field_or_file_is_named(client: TestClient) -> None:
    file = {"file": ("x.csv", b"a,b\n1,2\n")}
    for data, field in (({"user_id": "ada"}, "dataset_id"), ({"dataset_id": "x"}, "user_id")):
        answer = client.post("/datasets/upload", files=file, data=data)
        assert (answer.status_code, answer.json()["field"]) == (422, field)
    body = b'--x\r\nContent-Disposition: form-data; name="user_id"\r\n\r\nada\r\n--x--\r\n'
    answer = client.post(
        "/datasets/upload",
        content=body.replace(b"--x--", b'--x\r\nContent-Disposition: form-data; name="dataset_id"\r\n\r\nd\r\n--x--'),
        headers=MULTIPART,
    )
    assert (answer.status_code, answer.json()["field"]) == (422, "file")
    assert _leftovers(client) == []


@pytest.mark.parametrize(
    ("content", "headers", "status"),
    [
        (b"{}", {"content-type": "application/json"}, 415),
        (b"", {"content-type": "multipart/form-data"}, 415),
        (b"junk", MULTIPART, 422),
        (b'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\na,b\n1,', MULTIPART, 422),
    ],
    ids=["json", "no boundary", "junk", "breaks off"],
)
def test_a_broken_form_leaves_nothing(client: TestClient, content: bytes, headers: dict[str, str], status: int) -> None:
    answer = client.post("/datasets/upload", content=content, headers=headers)
    assert answer.status_code == status
    assert answer.json()["remedy"]
    assert _rows(client, DatasetVersion) == []
    assert _leftovers(client) == []


def _endless(total: int) -> Iterator[bytes]:
    yield b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.csv"\r\n\r\na,b\n'
    for _ in range(total // 65_536):
        yield b"1,2\n" * 16_384


def test_the_size_limit_holds_while_the_file_arrives(served: Callable[..., Any]) -> None:
    running = served(MILLRACE_MAX_UPLOAD_BYTES=1 << 20)
    # chunked: no length is declared, so only counting can tell
    answer = httpx.post(f"{running.url}/datasets/upload", content=_endless(8 << 20), headers=MULTIPART, timeout=30)
    assert answer.status_code == 413
    assert "MILLRACE_MAX_UPLOAD_BYTES" in answer.json()["remedy"]
    declared = httpx.post(
        f"{running.url}/datasets/upload",
        files={"file": ("a.csv", b"1" * (3 << 20))},
        data={"user_id": "a", "dataset_id": "b"},
        timeout=30,
    )
    assert declared.status_code == 413


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_the_documented_curl_line_works(served: Callable[..., Any], tmp_path: Path) -> None:
    running = served()
    (tmp_path / "dataset.csv").write_text("a,b,target\n1,2,yes\n3,4,no\n5,6,yes\n")
    line = [
        "curl", "-sS", "-X", "POST", f"http://localhost:{running.port}/datasets/upload", "-F", "file=@dataset.csv",
        "-F", "user_id=user123", "-F", "dataset_id=test-dataset-1", "-F", "name=Test Dataset",
    ]  # fmt: skip
    done = subprocess.run(line, cwd=tmp_path, capture_output=True, text=True, timeout=30, check=True)
    told = json.loads(done.stdout)
    assert (told["user_id"], told["dataset_id"], told["name"], told["version"]) == (
        "user123", "test-dataset-1", "Test Dataset", 1,
    )  # fmt: skip


def test_other_requests_are_served_while_an_upload_arrives(served: Callable[..., Any]) -> None:
    running = served()
    go_on = threading.Event()

    def slow() -> Iterator[bytes]:
        yield from _endless(1 << 20)
        go_on.wait(20)
        yield b'\r\n--x\r\nContent-Disposition: form-data; name="user_id"\r\n\r\nada\r\n'
        yield b'--x\r\nContent-Disposition: form-data; name="dataset_id"\r\n\r\nslow\r\n--x--\r\n'

    answers: list[httpx.Response] = []
    sender = threading.Thread(
        target=lambda: answers.append(
            httpx.post(f"{running.url}/datasets/upload", content=slow(), headers=MULTIPART, timeout=60)
        )
    )
    sender.start()
    time.sleep(0.3)
    started = time.monotonic()
    assert httpx.get(f"{running.url}/datasets").json() == []
    assert time.monotonic() - started < 5
    go_on.set()
    sender.join(60)
    assert answers[0].status_code == 201, answers[0].text
    assert httpx.get(f"{running.url}/datasets").json()[0]["dataset_id"] == "slow"
