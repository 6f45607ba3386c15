"""Upload of a 500 MB CSV to the API: MB/s from the first byte to the answer, and the memory it took at the most.

The memory is that of the API's process and of the one that prepares the table, added up at each moment (resident set
sizes, so shared libraries count twice), looked at every 20 ms.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil
from _platform import free_ports
from _report import report

SEED = 20_261_121
SAMPLE_SECONDS = 0.02
BOUNDARY = "millrace-bench"
# 93 bytes a row: ten columns of every type, some cells missing, two columns with a value of their own in every row
ROWS_A_MEGABYTE = 11_300


def main() -> None:
    """Makes the file, uploads it and leaves results/upload.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, default=500)
    megabytes = parser.parse_args().megabytes
    with tempfile.TemporaryDirectory(prefix="millrace-bench-") as folder:
        file = Path(folder) / "large.csv"
        # in a process of its own: DuckDB's memory is not to be taken for the uploader's
        subprocess.run(
            [sys.executable, "-c", _MAKE, str(file), str(megabytes * ROWS_A_MEGABYTE), str(SEED)], check=True
        )
        size = file.stat().st_size / 1e6
        with _api(Path(folder)) as (process, url), _memory_of(process) as peaks:
            idle = peaks["api"]
            began = time.perf_counter()
            with httpx.Client(timeout=1_800, trust_env=False) as client:
                answer = client.post(
                    f"{url}/datasets/upload",
                    content=_form(file),
                    headers={"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"},
                )
            seconds = time.perf_counter() - began
        answer.raise_for_status()
    figures = {
        "file_mb": round(size),
        "rows": answer.json()["record_count"],
        "seconds": round(seconds, 1),
        "mb_per_second": round(size / seconds, 1),
        "idle_api_mb": idle,
        "api_peak_mb": peaks["api"],
        "reader_peak_mb": peaks["reader"],
        "both_peak_mb": peaks["both"],
        "budget_peak_mb": 300,
    }
    report("upload", figures, seed=SEED, command="python benchmarks/upload.py")


_MAKE = """
import sys, duckdb
path, rows, seed = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
duckdb.sql('SET enable_progress_bar = false')
u = lambda salt: f"(hash(i + {seed} * {salt}) % 1000000 / 1000000.0)"
duckdb.sql(f\"\"\"COPY (SELECT i AS id, 18 + CAST(60 * {u(1)} AS INTEGER) AS age, round({u(2)} * 100000, 2) AS income,
  ['north', 'south', 'east', 'west'][1 + CAST(floor(4 * {u(3)}) AS INTEGER)] AS region,
  CASE WHEN {u(4)} < 0.05 THEN NULL ELSE round({u(5)} * 10, 4) END AS score,
  DATE '2020-01-01' + CAST(1500 * {u(6)} AS INTEGER) AS opened, md5(CAST(i AS VARCHAR))[:16] AS code,
  {u(7)} < 0.3 AS approved, CAST(1000 * {u(8)} AS INTEGER) AS visits,
  'customer number ' || CAST(100000 * {u(9)} AS INTEGER) AS note FROM range({rows}) t(i))
  TO '{path}' (HEADER)\"\"\")
"""


def _form(file: Path) -> Iterator[bytes]:
    for name, value in (("user_id", "bench"), ("dataset_id", "large"), ("name", "Large")):
        yield f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
    disposition = 'form-data; name="file"; filename="large.csv"'
    yield f"--{BOUNDARY}\r\nContent-Disposition: {disposition}\r\nContent-Type: text/csv\r\n\r\n".encode()
    with file.open("rb") as stream:
        while chunk := stream.read(1 << 20):
            yield chunk
    yield f"\r\n--{BOUNDARY}--\r\n".encode()


@contextmanager
def _api(folder: Path) -> Iterator[tuple[psutil.Process, str]]:
    (port,) = free_ports(1)
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("MILLRACE_", "KAFKA_"))}
    environment = {**inherited, "MILLRACE_HOME": str(folder / "home"), "MILLRACE_API_PORT": str(port)}
    log = (folder / "api.log").open("wb")
    api = subprocess.Popen([sys.executable, "-m", "millrace.api.main"], env=environment, stdout=log, stderr=log)
    url = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                httpx.get(f"{url}/health/live", trust_env=False).raise_for_status()
                break
            except httpx.HTTPError:
                if api.poll() is not None or time.monotonic() > deadline:
                    raise SystemExit((folder / "api.log").read_text()) from None
                time.sleep(0.1)
        yield psutil.Process(api.pid), url
    finally:
        api.terminate()
        api.wait(30)
        log.close()


@contextmanager
def _memory_of(process: psutil.Process) -> Iterator[dict[str, int]]:
    peaks = {"api": process.memory_info().rss // 1_000_000, "reader": 0, "both": 0}
    stop = threading.Event()

    def watch() -> None:
        while not stop.wait(SAMPLE_SECONDS):
            api = process.memory_info().rss
            reader = 0
            for child in process.children(recursive=True):
                try:
                    reader += child.memory_info().rss
                except psutil.NoSuchProcess:
                    continue
            for name, value in (("api", api), ("reader", reader), ("both", api + reader)):
                peaks[name] = max(peaks[name], value // 1_000_000)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield peaks
    finally:
        stop.set()
        watcher.join()


if __name__ == "__main__":
    main()
