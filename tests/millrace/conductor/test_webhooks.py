"""A user's addresses are told when a pipeline begins to wait for a person."""

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from millrace.conductor.happenings import RunsEnded
from millrace.conductor.webhooks import Webhooks, checked_target
from millrace.contracts.errors import BadInput
from millrace.contracts.events import now
from millrace.warehouse.schema import Webhook

ADA = "user:ada"


@dataclass
class Receiver:
    url: str
    status: int = 204
    got: list[tuple[dict[str, str], dict[str, object]]] = field(default_factory=list)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            mine.got.append((dict(self.headers), json.loads(body)))
            self.send_response(mine.status)
            self.send_header("Location", mine.url + "/elsewhere")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    mine = Receiver(f"http://localhost:{server.server_port}/hook?a=1")
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield mine
    server.shutdown()
    server.server_close()
    thread.join()


@dataclass
class Clock:
    at: datetime

    def __call__(self) -> datetime:
        return self.at


@pytest.fixture
def bell(make_bench, receiver):
    bench = make_bench()
    with bench.warehouse.transaction() as session:
        session.add(Webhook(id="wh-1", user_id="ada", url=receiver.url, created_at=now()))
        session.add(Webhook(id="wh-2", user_id="bob", url=receiver.url + "&bob", created_at=now()))
    clock = Clock(now())
    hooks = Webhooks(bench.warehouse, bench.settings, clock=clock)
    yield bench, hooks, clock
    hooks.close()


def test_each_beginning_of_a_wait_is_told_once(bell, receiver):
    bench, hooks, _ = bell
    pipeline = bench.upload()
    for _ in range(3):
        hooks.once()
    bench.conductor.answer(pipeline, None, actor=ADA)
    hooks.once()
    bench.work(pipeline, "bias")
    bench.deliver()
    for _ in range(3):
        hooks.once()
    bodies = [body for _, body in receiver.got]
    assert [(one["state"], one["stage"]) for one in bodies] == [
        ("waiting_for_answers", None),
        ("waiting_for_approval", "automl"),
    ]
    assert bodies[0]["pipeline_id"] == pipeline
    assert bodies[0]["url"] == f"{bench.settings.api_url}/pipelines/{pipeline}"
    headers = receiver.got[0][0]
    assert headers["Host"].startswith("localhost:")
    assert headers["Idempotency-Key"] == f"wh-1:{pipeline}:1"


def test_an_end_is_told_too_and_the_end_of_its_runs_is_not(bell, receiver):
    bench, hooks, _ = bell
    pipeline = bench.upload()
    bench.conductor.answer(pipeline, None, actor=ADA)
    bench.conductor.cancel(pipeline, actor=ADA)
    bench.conductor.advance(pipeline, RunsEnded(), cause="clock:runs-ended")
    hooks.once()
    hooks.once()
    assert [(body["event_type"], body["state"]) for _, body in receiver.got] == [("pipeline.ended", "cancelled")]


def test_a_delivery_that_fails_is_tried_again_with_pauses_and_given_up_in_the_end(bell, receiver):
    bench, hooks, clock = bell
    bench.upload()
    receiver.status = 500
    hooks.once()
    hooks.once()
    assert len(receiver.got) == 1
    for _ in range(40):
        clock.at += timedelta(seconds=5)
        hooks.once()
    assert len(receiver.got) == 5


def test_a_redirect_is_not_followed(bell, receiver):
    bench, hooks, _ = bell
    bench.upload()
    receiver.status = 302
    hooks.once()
    assert len(receiver.got) == 1


def test_what_waits_no_longer_is_not_told(bell, receiver):
    bench, hooks, _ = bell
    pipeline = bench.upload()
    bench.conductor.answer(pipeline, None, actor=ADA)
    hooks.once()
    assert receiver.got == []


def test_an_address_that_does_not_answer_holds_nothing_up(make_bench, free_port):
    bench = make_bench()
    with bench.warehouse.transaction() as session:
        session.add(Webhook(id="wh-1", user_id="ada", url=f"http://127.0.0.1:{free_port()}/", created_at=now()))
    hooks = Webhooks(bench.warehouse, bench.settings)
    bench.upload()
    hooks.once()
    hooks.close()


@pytest.mark.parametrize(
    "url",
    [
        "ftp://example.org/", "file:///etc/passwd", "http://", "http://user:pw@127.0.0.1/", "http://169.254.169.254/meta",
        "http://h:port/", "http://[::1/", "http://" + "x" * 70 + "/", "http://a..b/", "http://0.0.0.0/",
        "http://[fe80::1]/", "http://224.0.0.1/", "http://no-such-host.invalid/",
    ],
)  # fmt: skip
def test_addresses_that_are_never_called(url: str):
    with pytest.raises(BadInput) as caught:
        checked_target(url, inside_allowed=True)
    assert caught.value.field == "url"


@pytest.mark.parametrize("url", ["http://127.0.0.1/", "http://localhost:8080/", "http://10.0.0.1/", "http://[::1]/"])
def test_addresses_inside_are_called_only_by_a_platform_that_serves_this_machine_alone(url: str):
    assert checked_target(url, inside_allowed=True).url == url
    with pytest.raises(BadInput, match="may not be called"):
        checked_target(url, inside_allowed=False)


def test_the_address_that_was_checked_is_the_one_that_is_called():
    target = checked_target("https://localhost:8443/a/b?c=d", inside_allowed=True)
    assert target.pinned() in ("https://127.0.0.1:8443/a/b?c=d", "https://[::1]:8443/a/b?c=d")
    assert target.host_header() == "localhost:8443"
