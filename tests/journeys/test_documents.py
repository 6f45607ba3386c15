"""Documents on the whole platform: the process that asks a model about them is killed, and none is lost or doubled."""

import json
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

import pytest
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, TopicPartition

pytestmark = [pytest.mark.slow, pytest.mark.broker, pytest.mark.timeout(400)]
STREAM = "process_documents"
ANSWER = {"summary": "It did well.", "sentiment": "positive", "key_points": [], "risks": []}
DOCUMENTS = 120


class _Model(BaseHTTPRequestHandler):
    """Answers each request after a while, as a model does; the seconds are the server's to change."""

    def log_message(self, *_: object) -> None:
        pass

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.server.asked.release()  # type: ignore[attr-defined]
        time.sleep(0.3)
        body = json.dumps({
            "model": "m-1", "usage": {"prompt_tokens": 7, "completion_tokens": 3},
            "choices": [{"message": {"content": json.dumps(ANSWER)}, "finish_reason": "stop"}],
        }).encode()  # fmt: skip
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def handle(self) -> None:
        try:
            super().handle()
        except ConnectionError:
            # who asked was killed
            return


@pytest.fixture
def model(platform: Any) -> Iterator[ThreadingHTTPServer]:
    server = ThreadingHTTPServer(("127.0.0.1", urlsplit(platform.environment["LLM_URL"]).port or 0), _Model)
    server.daemon_threads = True
    server.asked = threading.Semaphore(0)  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def _read(platform: Any, topic: str) -> list[bytes | None]:
    """Keys of all committed messages of the topic."""
    consumer = Consumer(
        {"bootstrap.servers": platform.bootstrap, "group.id": "journey", "isolation.level": "read_committed",
         "enable.partition.eof": True, "enable.auto.commit": False}
    )  # fmt: skip
    found: list[bytes | None] = []
    for partition in consumer.list_topics(topic, timeout=20).topics[topic].partitions:
        consumer.assign([TopicPartition(topic, partition, OFFSET_BEGINNING)])
        while True:
            message = consumer.poll(5)
            assert message is not None
            if message.error() is None:
                found.append(message.key())
            elif message.error().code() == KafkaError._PARTITION_EOF:
                break
    consumer.close()
    return found


def _member(platform: Any) -> dict[str, Any]:
    return dict(platform.member(STREAM))


def test_a_killed_process_of_documents_is_followed_by_another_and_none_is_lost_or_doubled(
    platform: Any, waits: Any, model: Any
) -> None:
    platform.command("stream", "start", STREAM)
    waits(lambda: _member(platform)["alive"], "a process of the stream")
    produced = platform.command("llm", "produce", "--count", str(DOCUMENTS), "--bad", "0.1", "--json")
    assert produced.code == 0, produced.errors

    # killed while requests are under way, twice
    killed = None
    for _ in range(2):
        for _ in range(20):
            assert model.asked.acquire(timeout=60)
        killed = _member(platform)["pid"]
        os.kill(killed, signal.SIGKILL)
        began = time.monotonic()
        waits(lambda before=killed: _member(platform)["alive"] and _member(platform)["pid"] != before, "its successor")
        assert time.monotonic() - began < 30

    def ended() -> list[bytes | None]:
        return _read(platform, "llm-results") + _read(platform, "financial-documents.dlq")

    waits(lambda: len(ended()) >= DOCUMENTS, "that all documents have ended", seconds=120)
    asked = Counter(_read(platform, "financial-documents"))
    assert Counter(ended()) == asked
    assert sum(asked.values()) == DOCUMENTS
    assert platform.command("stream", "status", STREAM, "--json").json()["lag_records"] == 0
    platform.command("stream", "stop", STREAM)
    waits(lambda: not _member(platform)["alive"], "the end")
    streams = platform.command("stream", "list", "--json").json()["streams"]
    assert [one["alive"] for one in next(one for one in streams if one["stream"] == STREAM)["members"]] == [False]
    verified = platform.command("llm", "verify", "--json")
    assert verified.code == 0, verified.output
