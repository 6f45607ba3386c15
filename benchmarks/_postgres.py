"""A PostgreSQL server of a benchmark's own, from the server programs of the machine."""

import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from signal import SIGINT
from typing import Any

from _platform import free_ports

READY_SECONDS = 30


@contextmanager
def postgres() -> Iterator[str]:
    """URL of an empty database on a server that lives as long as the context; SystemExit without server programs.

    It names the driver that Dagster is written for: SQLAlchemy 2.1 takes psycopg 3 by itself, which refuses its NOTIFY.
    """
    programs = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
    if not programs:
        raise SystemExit("PostgreSQL's server programs are not under /usr/lib/postgresql: install them")
    folder = Path(tempfile.mkdtemp(prefix="millrace-bench-postgres-"))
    owner = _owner(folder)
    (port,) = free_ports(1)
    try:
        subprocess.run(
            [programs[-1] / "initdb", "-D", folder / "data", "-U", "millrace", "-A", "trust", "-E", "UTF8"],
            check=True, capture_output=True, cwd=folder, **owner,
        )  # fmt: skip
        server = subprocess.Popen(
            [programs[-1] / "postgres", "-D", folder / "data", "-p", str(port), "-k", "",
             "-c", "listen_addresses=127.0.0.1", "-c", "max_connections=300"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=folder, start_new_session=True, **owner,
        )  # fmt: skip
        try:
            _wait(port)
            yield f"postgresql+psycopg2://millrace@127.0.0.1:{port}/postgres"
        finally:
            server.send_signal(SIGINT)
            server.wait(READY_SECONDS)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _owner(folder: Path) -> dict[str, Any]:
    # the server programs refuse root
    if os.geteuid() != 0:
        return {}
    names = {entry.pw_name for entry in pwd.getpwall()}
    entry = pwd.getpwnam("postgres" if "postgres" in names else "nobody")
    os.chown(folder, entry.pw_uid, entry.pw_gid)
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}


def _wait(port: int) -> None:
    import psycopg

    deadline = time.monotonic() + READY_SECONDS
    while True:
        try:
            psycopg.connect(host="127.0.0.1", port=port, user="millrace", dbname="postgres").close()
        except psycopg.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return
