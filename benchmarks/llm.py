"""What the document processor adds to the language model's own time, through a real broker and a server that waits.

The server is a process of its own that answers each request after a fixed time and adds up how long it had them, from
the request's last byte to the reply's. Time counts from the first request's arrival until the last result is
committed; broker, audit trail with its flushes, schema check, statistics and transactions are all in it. With one
request at a time, what the server did not have is the processor's; with eight, the eighth part of the server's time is
taken off.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from _platform import free_ports
from _report import report

from millrace.kafka.broker import EmbeddedBroker
from millrace.kafka.stream_loop import StreamLoop
from millrace.settings import Settings
from millrace.streams.documents.producing import produce_documents
from millrace.streams.documents.work import document_options, document_step

SEED = 20_261_127
BUDGET_MS = 10.0
AT_ONCE = (1, 8)
ANSWER = {"summary": "Revenue rose.", "sentiment": "positive", "key_points": ["revenue"], "risks": ["rates"]}


class Model(BaseHTTPRequestHandler):
    """Answers a chat completion after the server's time; GET tells what the server had."""

    protocol_version = "HTTP/1.1"
    # a reply is two writes, which Nagle's algorithm would hold back for the client's delayed acknowledgement
    disable_nagle_algorithm = True

    def log_message(self, format: str, *args: Any) -> None:
        """Silent."""

    def do_GET(self) -> None:
        """Sum of seconds, and when the first request came."""
        self._reply({"seconds": self.server.seconds, "first": self.server.first})  # type: ignore[attr-defined]

    def do_POST(self) -> None:
        """The answer, after a while."""
        self.rfile.read(int(self.headers["content-length"]))
        began = time.monotonic()
        server: Any = self.server
        with server.lock:
            server.first = server.first or began
        time.sleep(server.delay)
        message = {"role": "assistant", "content": json.dumps(ANSWER)}
        usage = {"prompt_tokens": 400, "completion_tokens": 40}
        self._reply({"model": "bench", "usage": usage, "choices": [{"message": message, "finish_reason": "stop"}]})
        with server.lock:
            server.seconds += time.monotonic() - began

    def _reply(self, value: Any) -> None:
        body = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def serve(port: int, delay: float) -> None:
    """The server in this process, for ever."""
    server: Any = ThreadingHTTPServer(("127.0.0.1", port), Model)
    server.lock, server.delay, server.seconds, server.first = threading.Lock(), delay, 0.0, 0.0
    server.serve_forever()


def main() -> None:
    """Runs each number of requests at once, and leaves results/llm.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--documents", type=int, default=600)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--delay-ms", type=float, default=20.0)
    parser.add_argument("--serve", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve is not None:
        serve(options.serve, options.delay_ms / 1000)
        return
    with tempfile.TemporaryDirectory(prefix="millrace-bench-", ignore_cleanup_errors=True) as folder:
        ports = free_ports(2)
        settings = Settings.model_validate(
            {"MILLRACE_HOME": Path(folder), "MILLRACE_KAFKA_PORT": ports[0], "MILLRACE_KAFKA_CONTROLLER_PORT": ports[1],
             "MILLRACE_TOPIC_PARTITIONS": 1}
        )  # fmt: skip
        with EmbeddedBroker(settings):
            _round(settings, "warm-up", 1, 50, options.delay_ms)
            rounds = {
                at_once: [
                    _round(settings, f"{at_once}-{number}", at_once, options.documents, options.delay_ms)
                    for number in range(options.rounds)
                ]
                for at_once in AT_ONCE
            }
    figures: dict[str, Any] = {
        "documents": options.documents,
        "server_delay_ms": options.delay_ms,
        "budget_overhead_ms": BUDGET_MS,
    }
    for at_once, taken in rounds.items():
        overheads = [1000 * (wall - had / at_once) / options.documents for wall, had in taken]
        figures[f"at_once_{at_once}"] = {
            "overhead_per_document_ms": round(statistics.median(overheads), 2),
            "overhead_worst_round_ms": round(max(overheads), 2),
            "documents_per_second": round(statistics.median(options.documents / wall for wall, _ in taken), 1),
        }
    report("llm", figures, seed=SEED, command="python benchmarks/llm.py")


def _round(settings: Settings, name: str, at_once: int, documents: int, delay_ms: float) -> tuple[float, float]:
    """Seconds from the first request to the last commit, and seconds that the server had requests."""
    (port,) = free_ports(1)
    server = subprocess.Popen([sys.executable, __file__, "--serve", str(port), "--delay-ms", str(delay_ms)])
    try:
        own = settings.model_copy(
            update={
                "llm_url": f"http://127.0.0.1:{port}", "llm_concurrency": at_once,
                "llm_input_topic": f"docs-{name}", "llm_output_topic": f"results-{name}", "stream_prefix": name,
            }
        )  # fmt: skip
        produce_documents(own, count=documents, seed=SEED)
        _told(port)
        step, _ = document_step(own, stop=threading.Event())
        loop = StreamLoop(own, document_options(own, slot=0), step)
        totals = loop.run(count=documents, timeout=300)
        step.close()
        if (totals.outputs, totals.aborted) != (documents, 0):
            raise SystemExit(f"{totals.outputs} of {documents} results, {totals.aborted} aborted transactions")
        told = _told(port)
        return (loop.committed_at or 0.0) - told["first"], told["seconds"]
    finally:
        server.kill()
        server.wait()


def _told(port: int) -> dict[str, float]:
    deadline = time.monotonic() + 20
    while True:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5) as reply:
                told: dict[str, float] = json.load(reply)
                return told
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


if __name__ == "__main__":
    main()
