"""What tests of streams and of pages share: work in threads, waiting, everything that a topic holds, and a browser."""

import base64
import contextlib
import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, Message, TopicPartition
from websockets.sync.client import connect

from millrace.kafka.clients import reader_config
from millrace.settings import Settings


@pytest.fixture
def background() -> Iterator[Callable[[Callable[[threading.Event], None]], threading.Event]]:
    """Runs functions of a stop event in threads; the end of the test stops them and raises what they raised."""
    running: list[tuple[threading.Thread, threading.Event, list[BaseException]]] = []

    def run(work: Callable[[threading.Event], None]) -> threading.Event:
        stop, raised = threading.Event(), []

        def guarded() -> None:
            try:
                work(stop)
            except BaseException as error:  # noqa: BLE001 (handed to the test's thread below)
                raised.append(error)

        thread = threading.Thread(target=guarded)
        thread.start()
        running.append((thread, stop, raised))
        return stop

    yield run
    for thread, stop, raised in running:
        stop.set()
        thread.join(20)
        assert not thread.is_alive(), "the loop did not end within 20 s"
        if raised:
            raise raised[0]


@pytest.fixture
def wait_for() -> Callable[..., None]:
    def wait(condition: Callable[[], object], *, seconds: float = 30) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, f"not true within {seconds} s"
            time.sleep(0.02)

    return wait


def read_all(settings: Settings, topic: str) -> list[Message]:
    """Everything that is committed in the topic, partition by partition."""
    consumer = Consumer(reader_config(settings, enable_partition_eof=True))
    found: list[Message] = []
    for partition in consumer.list_topics(topic, timeout=20).topics[topic].partitions:
        consumer.assign([TopicPartition(topic, partition, OFFSET_BEGINNING)])
        deadline = time.monotonic() + 20
        while True:
            message = consumer.poll(1)
            assert time.monotonic() < deadline, f"{topic}/{partition} has no end"
            if message is None:
                continue
            if message.error() is None:
                found.append(message)
            elif message.error().code() == KafkaError._PARTITION_EOF:
                break
    consumer.close()
    return found


@pytest.fixture
def read_committed() -> Callable[[Settings, str], list[Message]]:
    """`read_committed(settings, topic)`: everything that is committed in the topic, partition by partition."""
    return read_all


class Browser:
    """A page in Chromium, spoken to by its DevTools protocol: `--dump-dom` does not wait for a stream's events."""

    def __init__(self, chromium: str, folder: Path, url: str) -> None:
        self._process = subprocess.Popen(
            [chromium, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder}",
             "--remote-debugging-port=0", "--window-size=1000,1500", url],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        self._held = contextlib.ExitStack()
        self._number = 0
        self.events: list[dict[str, Any]] = []
        """What the protocol told beside its answers."""
        port, deadline = folder / "DevToolsActivePort", time.monotonic() + 20
        try:
            while not (port.exists() and "\n" in port.read_text()):
                assert time.monotonic() < deadline, "Chromium did not start"
                time.sleep(0.05)
            pages = httpx.get(f"http://127.0.0.1:{port.read_text().splitlines()[0]}/json", timeout=10).json()
            address = next(page["webSocketDebuggerUrl"] for page in pages if page["type"] == "page")
            self._socket = self._held.enter_context(connect(address, max_size=None))
        except BaseException:
            self.close()
            raise

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """The answer to a command of the protocol."""
        self._number += 1
        self._socket.send(json.dumps({"id": self._number, "method": method, "params": parameters}))
        while True:
            told = json.loads(self._socket.recv(20))
            if told.get("id") == self._number:
                found: dict[str, Any] = told["result"]
                return found
            self.events.append(told)

    def value(self, expression: str) -> Any:
        """What the expression is in the page; a promise is waited for."""
        answer = self.call("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        return answer["result"].get("value")

    def picture(self) -> bytes:
        """The page as PNG."""
        return base64.b64decode(self.call("Page.captureScreenshot", captureBeyondViewport=True)["data"])

    def close(self) -> None:
        """Ends the browser."""
        self._held.close()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait(10)


@pytest.fixture
def browse(chromium: str, tmp_path: Path) -> Iterator[Callable[[str], Browser]]:
    """`browse(url)` opens a page in a Chromium of its own, which the end of the test ends."""
    opened: list[Browser] = []

    def at(url: str) -> Browser:
        opened.append(Browser(chromium, tmp_path / f"profile-{len(opened)}", url))
        return opened[-1]

    yield at
    for one in opened:
        one.close()
