"""Looks at everything the platform needs on this machine, and says what to do about each thing."""

import os
import shutil
import sys
import sysconfig
from collections.abc import Callable, Mapping
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

import psutil

from millrace.contracts.errors import CannotReach, MillraceError
from millrace.settings import GIB, Settings
from millrace.stack.findings import Finding, fail, ok, warn
from millrace.stack.ports import holder, taken
from millrace.stack.programs import programs
from millrace.stack.report import ProcessStatus
from millrace.stack.up import status

_PACKAGES = ("dagster", "confluent-kafka", "mlflow", "sqlalchemy", "duckdb", "pandas", "scikit-learn", "pyspark")
_MEMORY_BYTES = 3 * GIB
"""The idle platform's 2.8 GB, and a little room; training comes on top."""
_KAFKA_VARIABLES = ("KAFKA_BOOTSTRAP", "KAFKA_BOOTSTRAP_SERVERS", "KAFKA_BROKERS")


def examine(settings: Settings, *, environment: Mapping[str, str] = os.environ) -> list[Finding]:
    """The findings, in the order in which they should be mended. Nothing is changed by looking."""
    running = status(settings)
    up = bool(running)
    looks: list[Callable[[], list[Finding]]] = [
        lambda: [*_versions(), _bytecode(environment)],
        lambda: _java(settings),
        lambda: [_disk(settings), _memory(up)],
        lambda: _ports(settings, up=up),
        lambda: [_kafka_variable(settings, environment), _broker(settings, up=up)],
        lambda: [_database(settings), *_dagster_database(settings), _access(settings)],
        lambda: [_process(one) for one in running],
    ]
    return [finding for look in looks for finding in look()]


def _process(one: ProcessStatus) -> Finding:
    if not one.restarts:
        return ok(one.name, f"ready, pid {one.pid}") if one.running else warn(one.name, one.state, f"read {one.log}")
    seen = f"{one.state}; restarted {one.restarts} times, the last after {one.last_exit}"
    return (warn if one.running else fail)(one.name, seen, f"read {one.log}")


def _versions() -> list[Finding]:
    found, missing = [], []
    for package in _PACKAGES:
        try:
            found.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            missing.append(package)
    if missing:
        return [fail("packages", f"missing: {', '.join(missing)}", "install the platform again: `make install`")]
    return [ok("packages", ", ".join(found))]


def _bytecode(environment: Mapping[str, str]) -> Finding:
    spec = find_spec("dagster")
    if spec is not None and spec.cached is not None and Path(spec.cached).exists():
        return ok("bytecode", "packages are compiled")
    if not environment.get("PYTHONDONTWRITEBYTECODE"):
        return ok("bytecode", "packages are compiled as they are first used")
    return warn(
        "bytecode", "PYTHONDONTWRITEBYTECODE is set and packages are not compiled: every process compiles them again",
        f"unset it, or run `{sys.executable} -m compileall -q {sysconfig.get_path('purelib')}` once",
    )  # fmt: skip


def _java(settings: Settings) -> list[Finding]:
    from millrace.kafka.fetch import VERSION
    from millrace.kafka.jars import MANIFEST, cache_folder, verify
    from millrace.kafka.java import find_java

    if settings.mode == "KAFKA":
        return [ok("java", "not needed: a cluster is used")]
    try:
        java = find_java()
    except CannotReach as error:
        return [fail("java", error.message, error.remedy or "")]
    found = [ok("java", f"Java {java.version} from {java.source}: {java.path}")]
    folder = cache_folder(settings) / f"kafka-{VERSION}"
    if not (folder / MANIFEST).exists():
        return [*found, warn("broker jars", f"not in {folder} yet", "`millrace up` fetches 43 MB with Maven or Ivy")]
    try:
        jars = verify(folder, hashes=True)
    except MillraceError as error:
        return [*found, fail("broker jars", error.message, error.remedy or "")]
    return [*found, ok("broker jars", f"{len(jars.names)} jars of Kafka {VERSION} in {folder}, hashes as fetched")]


def _disk(settings: Settings) -> Finding:
    place: Path = settings.home
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free
    seen = f"{free / GIB:.1f} GiB free for {settings.home}"
    if free < GIB:
        return fail("disk", seen, "free space there, or set MILLRACE_HOME to a larger disk")
    if free < 2 * settings.max_upload_bytes:
        return warn(
            "disk", seen, "an upload of the largest size needs more; free space or lower MILLRACE_MAX_UPLOAD_BYTES"
        )
    return ok("disk", seen)


def _memory(up: bool) -> Finding:
    free = psutil.virtual_memory().available
    seen = f"{free / GIB:.1f} GiB available"
    if not up and free < _MEMORY_BYTES:
        return warn("memory", seen, "the platform takes 2.8 GB and training more: end other programs")
    return ok("memory", seen)


def _ports(settings: Settings, *, up: bool) -> list[Finding]:
    ports = [
        (program.name, port)
        for program in programs(settings, broker=[] if settings.mode == "LOCAL_SIM" else None)
        for port in program.ports
    ]
    if up:
        return [ok("ports", f"held by the platform: {', '.join(str(port.number) for _, port in ports)}")]
    found = [
        fail(
            "ports", f"{port.number} for {name} is taken by {holder(port.number)}", f"set {port.setting} to a free port"
        )
        for name, port in ports
        if taken(port)
    ]
    return found or [ok("ports", f"free: {', '.join(str(port.number) for _, port in ports)}")]


def _kafka_variable(settings: Settings, environment: Mapping[str, str]) -> Finding:
    there = [name for name in _KAFKA_VARIABLES if environment.get(name)]
    if settings.mode == "LOCAL_SIM":
        if there and environment[there[0]] != settings.bootstrap:
            return warn(
                "kafka address", f"{settings.bootstrap}: our own broker, and {there[0]} is not used",
                f"set MILLRACE_MODE=KAFKA to use {there[0]}",
            )  # fmt: skip
        return ok("kafka address", f"{settings.bootstrap}: our own broker")
    if len(there) > 1:
        return warn(
            "kafka address", f"{settings.bootstrap} from {there[0]}, which goes before {', '.join(there[1:])}",
            "set one of them only",
        )  # fmt: skip
    return ok("kafka address", f"{settings.bootstrap} from {there[0] if there else 'the settings'}")


def _broker(settings: Settings, *, up: bool) -> Finding:
    from millrace.kafka.broker import broker_answers
    from millrace.kafka.clients import admin_config
    from millrace.kafka.secure import explain

    if broker_answers(admin_config(settings)):
        secured = "SASL_SSL" if settings.kafka_api_key else "no credentials"
        return ok("broker", f"{settings.bootstrap} answers ({secured})")
    if settings.mode == "LOCAL_SIM" and not up:
        return ok("broker", "not up; `millrace up` starts it")
    seen = f"{settings.bootstrap} does not answer; events wait in the outbox"
    if settings.mode == "LOCAL_SIM":
        return fail("broker", seen, f"read {settings.logs / 'broker.log'}")
    why = explain(settings)
    if why is not None:
        return fail("broker", why.message, why.remedy or "")
    return fail("broker", seen, "check KAFKA_BOOTSTRAP, API_KEY, API_SECRET and the network")


def _database(settings: Settings) -> Finding:
    from sqlalchemy import make_url
    from sqlalchemy.exc import SQLAlchemyError

    from millrace.warehouse.engine import make_engine
    from millrace.warehouse.migrations import HEAD, revision_of

    url = make_url(settings.database)
    if url.get_backend_name() == "sqlite" and url.database and not Path(url.database).exists():
        return ok("database", f"{url.database} is not there yet; `millrace up` makes it")
    try:
        engine = make_engine(settings.database)
        with engine.connect() as connection:
            revision = revision_of(connection)
        engine.dispose()
    except (SQLAlchemyError, ValueError, ImportError) as error:
        reason = str(error).splitlines()[0]
        return fail("database", f"{url.render_as_string()}: {reason}", "check MILLRACE_DATABASE_URL and its server")
    shown = url.render_as_string()
    if revision != HEAD:
        return warn("database", f"{shown} is at revision {revision}, the code at {HEAD}", "`millrace up` migrates it")
    return ok("database", f"{shown} at revision {revision}")


def _dagster_database(settings: Settings) -> list[Finding]:
    if settings.dagster_database_url is None:
        return []
    from sqlalchemy import create_engine, make_url
    from sqlalchemy.exc import SQLAlchemyError

    name = "dagster database"
    if find_spec("dagster_postgres") is None:
        return [fail(name, "the package dagster-postgres is missing", "install Millrace with its extra postgres")]
    shown = make_url(settings.dagster_database_url).render_as_string()
    try:
        engine = create_engine(settings.dagster_database_url)
        engine.connect().close()
        engine.dispose()
    except (SQLAlchemyError, ImportError) as error:
        reason = str(error).splitlines()[0]
        return [fail(name, f"{shown}: {reason}", "check MILLRACE_DAGSTER_DATABASE_URL and its server")]
    return [ok(name, shown)]


def _access(settings: Settings) -> Finding:
    if settings.api_tokens is not None:
        return ok("access", f"{settings.host}, with bearer tokens")
    if settings.host in ("127.0.0.1", "::1", "localhost"):
        return ok("access", f"{settings.host} only, no tokens needed")
    return fail(
        "access", f"{settings.host} without tokens: the API will not start",
        "set MILLRACE_API_TOKENS, or MILLRACE_HOST=127.0.0.1",
    )  # fmt: skip
