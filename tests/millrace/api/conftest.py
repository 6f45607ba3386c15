import hashlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from fastapi import FastAPI
from sqlalchemy import select
from starlette.testclient import TestClient

from millrace.api.app import create_app
from millrace.contracts.task import Coordinates
from millrace.settings import Settings
from millrace.warehouse.schema import Outbox

CSV = b"age,sex,income,approved\n" + b"".join(
    f"{20 + i % 50},{'mf'[i % 2]},{1000 + 7 * i},{'yes' if (i * 7) % 5 > 1 else 'no'}\n".encode() for i in range(120)
)
TOKENS = {"ada": "ada-secret", "eve": "eve-secret"}


@pytest.fixture
def api_settings(tmp_path: Path) -> Callable[..., Settings]:
    def make(**environment: Any) -> Settings:
        return Settings(
            MILLRACE_HOME=tmp_path / "home",
            MLFLOW_TRACKING_URI="http://127.0.0.1:9",
            MILLRACE_KAFKA_PORT=9,
            MILLRACE_DAGSTER_PORT=9,
            **environment,
        )

    return make


@pytest.fixture
def client(api_settings: Callable[..., Settings], with_tables: Callable[[Settings], Settings]) -> Iterator[TestClient]:
    with TestClient(create_app(with_tables(api_settings())), base_url="http://127.0.0.1:8000") as found:
        yield found


@pytest.fixture
def guarded_client(api_settings: Callable[..., Settings]) -> Iterator[TestClient]:
    """An API with a token for each of two users."""
    pairs = ",".join(f"{user}={hashlib.sha256(token.encode()).hexdigest()}" for user, token in TOKENS.items())
    with TestClient(create_app(api_settings(MILLRACE_API_TOKENS=pairs)), base_url="http://127.0.0.1:8000") as found:
        yield found


@pytest.fixture
def bearer() -> Callable[[str], dict[str, str]]:
    return lambda user: {"Authorization": f"Bearer {TOKENS[user]}"}


@pytest.fixture
def upload() -> Callable[..., Any]:
    def send(
        client: TestClient,
        content: bytes = CSV,
        *,
        user: str = "ada",
        dataset: str = "loans",
        file_name: str = "loans.csv",
        name: str = "Loans",
        headers: dict[str, str] | None = None,
    ) -> Any:
        return client.post(
            "/datasets/upload",
            files={"file": (file_name, content)},
            data={"user_id": user, "dataset_id": dataset, "name": name},
            headers=headers,
        )

    return send


@dataclass(frozen=True)
class _Record:
    value: bytes
    headers: dict[str, str]
    coordinates: Coordinates


@pytest.fixture
def pump() -> Callable[[TestClient], None]:
    """Gives the conductor every event that waits in the outbox, as relay, broker and consumer would."""
    given: set[int] = set()

    def work(client: TestClient) -> None:
        state = client.app.state
        while True:
            with state.warehouse.read() as session:
                rows = session.scalars(
                    select(Outbox).where(Outbox.topic.in_(state.settings.topics.for_conductor())).order_by(Outbox.id)
                ).all()
            new = [row for row in rows if row.id not in given]
            if not new:
                return
            for row in new:
                given.add(row.id)
                at = Coordinates(row.topic, "topic-id", 0, row.id)
                state.conductor.on_event(_Record(row.value, row.headers, at))

    return work


@dataclass
class Served:
    """A real server in a thread."""

    app: FastAPI
    port: int
    server: uvicorn.Server
    url: str = field(init=False)

    def __post_init__(self) -> None:
        self.url = f"http://127.0.0.1:{self.port}"


@pytest.fixture
def served(api_settings: Callable[..., Settings]) -> Iterator[Callable[..., Served]]:
    running: list[tuple[uvicorn.Server, threading.Thread]] = []

    def serve(**environment: Any) -> Served:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        app = create_app(api_settings(MILLRACE_API_PORT=port, **environment))
        server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="warning", timeout_graceful_shutdown=2))
        thread = threading.Thread(target=server.run)
        thread.start()
        running.append((server, thread))
        while not server.started and thread.is_alive():
            time.sleep(0.02)
        assert server.started
        return Served(app, port, server)

    yield serve
    for server, thread in running:
        server.should_exit = True
        thread.join(timeout=15)
        assert not thread.is_alive()
