"""Our own single-node Apache Kafka: prepared for the supervisor, or run directly as `EmbeddedBroker`."""

import shutil
import subprocess
import time
from pathlib import Path
from typing import Self

from millrace.contracts.errors import CannotReach
from millrace.kafka.broker_files import BrokerPlan, format_storage, java_command, write_files
from millrace.kafka.class_archive import class_archive
from millrace.kafka.clients import admin_config
from millrace.kafka.jars import broker_jars, cache_folder
from millrace.kafka.java import find_java
from millrace.settings import Settings

READY_SECONDS = 60.0
"""A warm start takes about 2 s, a cold one on a busy machine ten times that."""
_STOP_SECONDS = 15.0


def plan_broker(settings: Settings) -> BrokerPlan:
    """The broker that the settings describe."""
    return BrokerPlan(
        folder=settings.home / "kafka",
        port=settings.kafka_port,
        controller_port=settings.kafka_controller_port,
        heap=settings.kafka_heap,
        partitions=settings.partitions,
        retention_hours=settings.retention_hours,
    )


def prepare_broker(settings: Settings) -> list[str]:
    """The command that runs the broker in the foreground, its files written and its storage formatted.

    Raises:
        CannotReach: no Java, no jars, or the storage cannot be formatted.
        IntegrityBroken: a cached jar is not what was fetched.
    """
    plan = plan_broker(settings)
    java, jars = find_java(), broker_jars(settings)
    archive = class_archive(cache_folder(settings), java, jars)
    write_files(plan)
    format_storage(plan, java, jars, archive)
    return java_command(plan, java, jars, archive)


def broker_answers(config: dict[str, str | int | float | bool], *, timeout: float = 2.0) -> bool:
    """Whether the brokers of an admin configuration give their metadata within the timeout in seconds."""
    from confluent_kafka import KafkaException
    from confluent_kafka.admin import AdminClient

    try:
        AdminClient(config).list_topics(timeout=timeout)
    except KafkaException:
        return False
    return True


class EmbeddedBroker:
    """A broker as a child of this process; a context manager that starts, waits until it answers, and stops.

    The data stays in the settings' home: another `start` after `stop` or `kill` goes on with it.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.plan = plan_broker(settings)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def bootstrap(self) -> str:
        """What clients take as `bootstrap.servers`."""
        return self.plan.bootstrap

    @property
    def log(self) -> Path:
        """What the broker writes to its standard output."""
        return self.settings.logs / "broker.log"

    @property
    def pid(self) -> int | None:
        """The Java process while it lives."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    def start(self) -> Self:
        """Starts the process without waiting for it to answer."""
        if self.pid is None:
            command = prepare_broker(self.settings)
            self.log.parent.mkdir(parents=True, exist_ok=True)
            with self.log.open("ab") as log:
                self._process = subprocess.Popen(
                    command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
                )
        return self

    def wait_ready(self, *, seconds: float = READY_SECONDS) -> Self:
        """Comes back when the broker answers.

        Raises:
            CannotReach: it died or did not answer in time; gives the end of its log.
        """
        deadline = time.monotonic() + seconds
        while not broker_answers(admin_config(self.settings), timeout=1.0):
            if self.pid is None or time.monotonic() > deadline:
                tail = self.log.read_bytes()[-800:].decode("utf-8", "replace") if self.log.exists() else ""
                raise CannotReach(f"the broker on {self.bootstrap} does not answer: {tail}", remedy=f"see {self.log}")
        return self

    def stop(self) -> None:
        """Asks the broker to end, and kills it when it does not."""
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self.kill()
            self._process = None

    def kill(self) -> None:
        """Ends the broker as a crash would (SIGKILL); what it acknowledged is kept."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def wipe(self) -> None:
        """Deletes a stopped broker's data: the next start makes a new, empty cluster with new topic ids."""
        if self.pid is not None:
            raise CannotReach("the broker runs", remedy="stop it before wiping its data")
        shutil.rmtree(self.plan.data, ignore_errors=True)

    def __enter__(self) -> Self:
        try:
            return self.start().wait_ready()
        except BaseException:
            self.kill()
            raise

    def __exit__(self, *_: object) -> None:
        self.stop()
