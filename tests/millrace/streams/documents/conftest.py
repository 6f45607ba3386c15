"""A scripted server of chat completions, which plays what a real one does on a bad day, and topics to read by it."""

import asyncio
import contextlib
import json
import random
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Message

from millrace.contracts.documents import FinancialDocument
from millrace.contracts.task import Coordinates
from millrace.kafka.topics import create_topics
from millrace.settings import Settings
from millrace.streams.documents.analysis import analyse
from millrace.streams.documents.answer import ANSWER_SCHEMA
from millrace.streams.documents.chat import ChatClient
from millrace.streams.documents.prompt import parameters_of

ReadAll = Callable[[Settings, str], list[Message]]
ANSWER = {"summary": "Revenue rose.", "sentiment": "positive", "key_points": ["revenue"], "risks": []}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: "ScriptedServer"

    def log_message(self, format: str, *args: Any) -> None:
        """Silent."""

    def do_GET(self) -> None:
        self._reply(200, {"object": "list", "data": [{"id": self.server.model}]})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        with contextlib.suppress(BrokenPipeError, ConnectionResetError), self.server.counted(body) as play:
            if self.server.seconds:
                time.sleep(self.server.seconds)
            self._play(play, body)

    def _play(self, play: str, body: dict[str, Any]) -> None:
        if play.isdigit():
            headers = {"retry-after": self.server.retry_after} if self.server.retry_after else {}
            self._reply(int(play), {"error": {"message": f"scripted {play}"}}, **headers)
        elif play == "context":
            self._reply(400, {"error": {"message": "This model's maximum context length is 512 tokens."}})
        elif play == "hang":
            self.server.closing.wait(60)
            self.close_connection = True
        elif play == "cut":
            self._head(200, 1_000)
            self.wfile.write(b'{"choices": [{"mess')
            self.close_connection = True
        elif play == "drip":
            self._head(200, 100_000)
            while not self.server.closing.wait(0.02):
                self.wfile.write(b" ")
                self.wfile.flush()
        elif play == "endless":
            self._head(200, 1 << 40)
            while not self.server.closing.is_set():
                self.wfile.write(b" " * 65_536)
        elif play == "garbage":
            self._reply(200, b"<html>\xff\x00 bad gateway</html>")
        elif play == "empty":
            self._reply(200, {"choices": []})
        else:
            self._reply(200, self._completion(play, body))

    def _completion(self, play: str, body: dict[str, Any]) -> dict[str, Any]:
        text, finish, refusal = json.dumps(self.server.answer(body)), "stop", None
        match play:
            case "fenced":
                text = f"Here it is:\n```json\n{text}\n```"
            case "prose":
                text = "The company did well."
            case "wrong":
                text = '{"summary": "x", "sentiment": "sideways"}'
            case "truncated":
                text, finish = text[: len(text) // 2], "length"
            case "whole-but-long":
                finish = "length"
            case "sorry":
                text = "I'm sorry, but I can't help with that."
            case "refusal":
                text, refusal = "", "I will not."
            case "filter":
                text, finish = "", "content_filter"
            case "surrogate":
                text = '{"summary": "\\ud800", "sentiment": "neutral", "key_points": [], "risks": []}'
            case "braces":
                text = "{" * 50_000
        message = {"role": "assistant", "content": text} | ({"refusal": refusal} if refusal else {})
        prompt = sum(len(one["content"]) for one in body["messages"]) // 4
        return {
            "id": "x", "object": "chat.completion", "created": 0, "model": f"{body['model']}@scripted",
            "choices": [{"index": 0, "message": message, "finish_reason": finish}],
            "usage": {"prompt_tokens": prompt, "completion_tokens": len(text) // 4},
        }  # fmt: skip

    def _reply(self, status: int, value: Any, **headers: str) -> None:
        body = value if isinstance(value, bytes) else json.dumps(value).encode()
        self._head(status, len(body), **headers)
        self.wfile.write(body)

    def _head(self, status: int, length: int, **headers: str) -> None:
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(length))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()


class ScriptedServer(ThreadingHTTPServer):
    """Plays for each request the next play of the first script whose name stands in the prompt; the last goes on.

    Without a script it answers well. `log` holds (script's name or "", play) of every request.
    """

    daemon_threads = True
    request_queue_size = 256

    def __init__(self, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.scripts: dict[str, list[str]] = {}
        self.log: list[tuple[str, str]] = []
        self.bodies: list[dict[str, Any]] = []
        self.answer: Callable[[dict[str, Any]], dict[str, Any]] = lambda body: ANSWER
        self.model = "scripted"
        self.seconds = 0.0
        self.retry_after = ""
        self.closing = threading.Event()
        self.under_way = 0
        self.most_under_way = 0
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    @contextlib.contextmanager
    def counted(self, body: dict[str, Any]) -> Iterator[str]:
        prompt = body["messages"][0]["content"]
        with self._lock:
            name = next((one for one in self.scripts if one in prompt), "")
            plays = self.scripts.get(name, ["ok"])
            play = plays.pop(0) if len(plays) > 1 else plays[0]
            self.log.append((name, play))
            self.bodies.append(body)
            self.under_way += 1
            self.most_under_way = max(self.most_under_way, self.under_way)
        try:
            yield play
        finally:
            with self._lock:
                self.under_way -= 1

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is part of the play."""

    def end(self) -> None:
        self.closing.set()
        self.shutdown()
        self._thread.join()
        self.server_close()


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    one = ScriptedServer()
    yield one
    one.end()


@pytest.fixture
def make_server() -> Iterator[Callable[..., ScriptedServer]]:
    """`make_server(port)`: another one, such as after the first was ended."""
    made: list[ScriptedServer] = []

    def make(port: int = 0) -> ScriptedServer:
        made.append(ScriptedServer(port))
        return made[-1]

    yield make
    for one in made:
        one.end()


@pytest.fixture
def llm_settings(tmp_path, make_settings, server) -> Callable[..., Settings]:
    """Settings that lead to the scripted server, with a short deadline; variables by their names."""

    def make(**more: Any) -> Settings:
        return make_settings(tmp_path, **{"LLM_URL": server.url, "LLM_TIMEOUT": 5, "MODEL_NAME": "tiny"} | more)

    return make


@pytest.fixture
def run_async() -> Callable[..., Any]:
    return asyncio.run


@pytest.fixture
def document() -> FinancialDocument:
    return FinancialDocument(
        document_id="d-1", document_type="news", title="Acme", text="Acme's revenue rose by 4 % to 12 million."
    )


AT = Coordinates("docs", "topic-id", 2, 17)


@pytest.fixture
def at() -> Coordinates:
    return AT


@pytest.fixture
def analyse_once(llm_settings, run_async, at):
    def once(document, **more):
        settings = llm_settings(**more)
        parameters = parameters_of(settings, ANSWER_SCHEMA)

        async def one():
            async with ChatClient(settings) as client:
                return await analyse(
                    client, document, at=at, parameters=parameters, context=settings.llm_context, code_version="1"
                )

        return run_async(one())

    return once


@pytest.fixture
def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def stream(broker_settings: Settings, server: ScriptedServer, tmp_path: Path) -> Callable[..., Settings]:
    """Settings of a processor with topics and a group of its own on the session's broker."""
    name = f"docs-{uuid.uuid4().hex[:8]}"

    def make(**more: Any) -> Settings:
        facts = {
            "home": tmp_path / "llm-home", "llm_url": server.url, "llm_model": "tiny", "llm_timeout": 1.0,
            "llm_input_topic": name, "llm_output_topic": f"{name}-results", "partitions": 2, "stream_prefix": name,
            "llm_port": 20_000 + random.randrange(9_000),
        }  # fmt: skip
        settings = broker_settings.model_copy(update=facts | more)
        create_topics(settings, settings.topics.for_documents())
        return settings

    return make


@pytest.fixture
def read(read_committed: ReadAll) -> ReadAll:
    """`read(settings, topic)`: everything committed in the topic."""
    return read_committed


@pytest.fixture
def results(read_committed: ReadAll) -> Callable[[Settings], list[dict[str, Any]]]:
    return lambda settings: [json.loads(one.value()) for one in read_committed(settings, settings.topics.llm_results)]


@pytest.fixture
def letters(read_committed: ReadAll) -> Callable[[Settings], dict[bytes, str]]:
    """Key → error of each dead letter."""

    def look(settings: Settings) -> dict[bytes, str]:
        found = read_committed(settings, f"{settings.topics.documents}.dlq")
        return {one.key(): dict(one.headers())["millrace-dlq-error"].decode() for one in found}

    return look
