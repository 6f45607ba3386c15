"""The HTTP face of a process without pages: /health/live, /health/ready and /metrics."""

import json
import threading
from collections.abc import Callable, Iterable, Mapping
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from prometheus_client import CollectorRegistry, make_wsgi_app

from millrace.contracts.errors import CannotReach

Start = Callable[..., Any]


class Readiness:
    """Which parts are there; ready when all are."""

    def __init__(self, *parts: str) -> None:
        self._lock = threading.Lock()
        self._parts = dict.fromkeys(parts, False)

    def set(self, part: str, there: bool) -> None:
        """Notes whether the part is there."""
        with self._lock:
            self._parts[part] = there

    def parts(self) -> Mapping[str, bool]:
        """Part → whether it is there."""
        with self._lock:
            return dict(self._parts)


class _Handler(WSGIRequestHandler):
    timeout = 5

    def log_message(self, format: str, *args: Any) -> None:
        """Probes are asked every second: no line each."""


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True
    # a second process on the port must fail, not share it
    allow_reuse_port = False


class HealthServer:
    """Serves on a thread of its own until closed."""

    def __init__(
        self, host: str, port: int, *, registry: CollectorRegistry, readiness: Readiness, setting: str
    ) -> None:
        """Serves at once; `setting` names the variable that moves the port.

        Raises:
            CannotReach: the port is taken.
        """
        metrics = make_wsgi_app(registry)

        def app(environ: dict[str, Any], start: Start) -> Iterable[bytes]:
            match environ.get("PATH_INFO"):
                case "/health/live":
                    return _answer(start, 200, {"status": "live"})
                case "/health/ready":
                    parts = readiness.parts()
                    status = 200 if all(parts.values()) else 503
                    return _answer(start, status, {"status": "ready" if status == 200 else "waiting", "parts": parts})
                case "/metrics":
                    answer: Iterable[bytes] = metrics(environ, start)
                    return answer
                case _:
                    return _answer(start, 404, {"status": "not found"})

        try:
            self._server = _Server((host, port), _Handler)
        except OSError as error:
            raise CannotReach(
                f"port {port} is taken ({error.strerror})",
                field=setting,
                remedy=f"set {setting} to a free port",
            ) from error
        self._server.set_app(app)
        self.port: int = self._server.server_port
        self._thread = threading.Thread(target=self._server.serve_forever, name="health", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stops serving."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(timeout=2)


def _answer(start: Start, status: int, body: Mapping[str, Any]) -> list[bytes]:
    words = {200: "200 OK", 404: "404 Not Found", 503: "503 Service Unavailable"}
    data = json.dumps(body).encode()
    start(words[status], [("Content-Type", "application/json"), ("Content-Length", str(len(data)))])
    return [data]
