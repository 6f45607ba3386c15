"""The broker's classes as its Java runtime lays them out in memory, made once: a start maps them instead of reading,
checking and linking thousands of classes from the jars. Java calls this class data sharing; it ignores an archive of
another runtime or of other jars.
"""

import hashlib
import logging
import socket
import subprocess
import tempfile
import time
from pathlib import Path

from millrace.contracts.errors import CannotReach
from millrace.kafka.broker_files import JAVA_OPTIONS, BrokerPlan, format_storage, java_command, write_files
from millrace.kafka.jars import Jars, locked, sha256_of
from millrace.kafka.java import Java

_READY_SECONDS = 60.0
_DUMP_SECONDS = 120.0
"""Laying out 7,000 classes takes about 8 s; a machine under load gets more."""
_log = logging.getLogger(__name__)
_hashed: set[Path] = set()
"""Archives whose hash this process has compared."""


def class_archive(cache: Path, java: Java, jars: Jars) -> Path | None:
    """The archive in the cache folder for this runtime and these jars, made on the first use, and made anew where its
    bytes are not what was made; None where there is none, and the cause is logged.

    What Java refuses is kept in a file beside the archive's place, so that it is tried once; a folder that cannot be
    written is tried again.
    """
    archive = cache / f"{jars.folder.name}-{_identity(java, jars)}.jsa"
    if archive in _hashed and archive.exists():
        return archive
    if not _intact(archive):
        cause = _made(archive, java, jars)
        if cause is not None:
            _log.warning("kafka.no_class_archive cause=%s", cause)
            return None
    _hashed.add(archive)
    return archive


def _made(archive: Path, java: Java, jars: Jars) -> str | None:
    """Makes the archive, unless another process does; gives why there is none."""
    failed = archive.with_suffix(".failed")
    try:
        with locked(archive.with_suffix(".lock")):
            if failed.exists():
                return failed.read_text(encoding="utf-8").strip()
            if not _intact(archive):
                try:
                    _make(archive, java, jars)
                except (CannotReach, subprocess.SubprocessError) as error:
                    failed.write_text(f"{error}\n", encoding="utf-8")
                    return str(error)
    except OSError as error:
        return str(error)
    return None


def _intact(archive: Path) -> bool:
    # Java maps it as it is: it would crash with half a file
    said = archive.with_suffix(".sha256")
    return archive.exists() and said.exists() and said.read_text(encoding="utf-8") == sha256_of(archive)


def _identity(java: Java, jars: Jars) -> str:
    program = java.path.resolve()
    facts = (program, program.stat().st_size, program.stat().st_mtime_ns, JAVA_OPTIONS, jars.class_path, jars.names)
    return hashlib.sha256(repr(facts).encode()).hexdigest()[:12]


def _make(archive: Path, java: Java, jars: Jars) -> None:
    with tempfile.TemporaryDirectory(dir=archive.parent, prefix=f"{archive.stem}.") as work:
        classes, made = Path(work) / "classes", Path(work) / archive.name
        _list_classes(classes, java, jars, Path(work))
        command = [
            str(java.path), "-Xshare:dump", f"-XX:SharedClassListFile={classes}", f"-XX:SharedArchiveFile={made}",
            *JAVA_OPTIONS, "-cp", jars.class_path,
        ]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, timeout=_DUMP_SECONDS, check=False)
        if done.returncode != 0 or not made.exists():
            raise CannotReach(f"Java made no archive: {(done.stderr or done.stdout).strip()[-300:]}")
        made.chmod(0o644)
        archive.with_suffix(".sha256").write_text(sha256_of(made), encoding="utf-8")
        made.rename(archive)
    _log.info("kafka.class_archive_made path=%s", archive)


def _list_classes(target: Path, java: Java, jars: Jars, work: Path) -> None:
    """Writes the names of the classes that a broker loads until it answers."""
    with socket.socket() as one, socket.socket() as other:
        for held in (one, other):
            held.bind(("127.0.0.1", 0))
        plan = BrokerPlan(work / "broker", one.getsockname()[1], other.getsockname()[1], partitions=1)
    write_files(plan)
    format_storage(plan, java, jars)
    program, *words = java_command(plan, java, jars)
    log = work / "log"
    with log.open("wb") as output:
        broker = subprocess.Popen(
            [program, f"-XX:DumpLoadedClassList={target}", *words],
            stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True,
        )  # fmt: skip
    try:
        deadline = time.monotonic() + _READY_SECONDS
        while not _accepts(plan.port):
            if broker.poll() is not None or time.monotonic() > deadline:
                said = log.read_bytes()[-300:].decode("utf-8", "replace")
                raise CannotReach(f"the broker whose classes are listed did not answer: {said}")
            time.sleep(0.05)
        broker.terminate()
        broker.wait(_READY_SECONDS)
    finally:
        broker.kill()
        broker.wait()


def _accepts(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True
