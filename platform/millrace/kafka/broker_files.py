"""The files of our own broker: server.properties, logging and a formatted storage folder."""

import base64
import subprocess
import uuid
from dataclasses import dataclass
from pathlib import Path

from millrace.contracts.errors import CannotReach
from millrace.kafka.jars import Jars
from millrace.kafka.java import Java
from millrace.kafka.limits import LARGEST_MESSAGE_BYTES

JAVA_OPTIONS = (
    # C1 only and one collector thread: ready sooner, and tens of MiB less resident
    "-XX:TieredStopAtLevel=1",
    "-XX:+UseSerialGC",
)
_FORMAT_TIMEOUT_SECONDS = 60.0
"""Formatting takes 0.8 s; a machine under load gets more."""


@dataclass(frozen=True)
class BrokerPlan:
    """A single-node broker: where it keeps its files, the loopback ports it takes, its heap and retention."""

    folder: Path
    port: int
    controller_port: int
    heap: str = "512m"
    partitions: int = 4
    retention_hours: int = 168

    @property
    def bootstrap(self) -> str:
        """What clients take as `bootstrap.servers`."""
        return f"127.0.0.1:{self.port}"

    @property
    def properties(self) -> Path:
        """The broker's configuration file."""
        return self.folder / "server.properties"

    @property
    def data(self) -> Path:
        """The log and metadata folder."""
        return self.folder / "data"


def properties_text(plan: BrokerPlan) -> str:
    """The broker's configuration: KRaft, one node that is broker and controller, loopback listeners only."""
    lines = {
        "process.roles": "broker,controller",
        "node.id": 1,
        "controller.quorum.voters": f"1@127.0.0.1:{plan.controller_port}",
        "listeners": f"PLAINTEXT://127.0.0.1:{plan.port},CONTROLLER://127.0.0.1:{plan.controller_port}",
        "advertised.listeners": f"PLAINTEXT://127.0.0.1:{plan.port}",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "controller.listener.names": "CONTROLLER",
        "inter.broker.listener.name": "PLAINTEXT",
        "log.dirs": plan.data,
        "num.partitions": plan.partitions,
        "auto.create.topics.enable": "false",
        "log.retention.hours": plan.retention_hours,
        "message.max.bytes": LARGEST_MESSAGE_BYTES,
        # one node: nothing to replicate to, no members to wait for
        "offsets.topic.replication.factor": 1,
        "offsets.topic.num.partitions": 4,
        "transaction.state.log.replication.factor": 1,
        "transaction.state.log.min.isr": 1,
        "transaction.state.log.num.partitions": 4,
        "share.coordinator.state.topic.replication.factor": 1,
        "share.coordinator.state.topic.min.isr": 1,
        "group.initial.rebalance.delay.ms": 0,
        # empty records twice a second, each flushed to disk, for metrics of other controllers: a third of its idle work
        "metadata.max.idle.interval.ms": 0,
        # a killed broker's successor is let in when the old session has run out (9 s by default)
        "broker.heartbeat.interval.ms": 500,
        "broker.session.timeout.ms": 3_000,
        "num.network.threads": 2,
        "num.io.threads": 4,
        "log.cleaner.dedupe.buffer.size": 16 << 20,
        # there is no second replica: what streams acknowledged survives a power cut but for the last second
        "log.flush.interval.messages": 10_000,
        "log.flush.interval.ms": 1_000,
    }
    return "".join(f"{name}={value}\n" for name, value in lines.items())


def java_command(plan: BrokerPlan, java: Java, jars: Jars, archive: Path | None = None) -> list[str]:
    """The command line that runs the broker in the foreground, logging to standard output; `archive` is one of its
    classes."""
    return [
        str(java.path),
        *_mapped(archive),
        f"-Xmx{plan.heap}",
        "-Xms64m",
        *JAVA_OPTIONS,
        "-XX:+ExitOnOutOfMemoryError",
        "-Djava.awt.headless=true",
        f"-Dlog4j2.configurationFile={plan.folder / 'log4j2.properties'}",
        "-cp",
        jars.class_path,
        "kafka.Kafka",
        str(plan.properties),
    ]


def write_files(plan: BrokerPlan) -> None:
    """Writes the configuration; what is there is replaced."""
    plan.folder.mkdir(parents=True, exist_ok=True)
    plan.properties.write_text(properties_text(plan), encoding="utf-8")
    (plan.folder / "log4j2.properties").write_text(_LOGGING, encoding="utf-8")


def format_storage(plan: BrokerPlan, java: Java, jars: Jars, archive: Path | None = None) -> bool:
    """Formats the storage folder when it is new; says whether it was. A formatted folder is left alone.

    Raises:
        CannotReach: the broker's own tool failed; gives its last words.
    """
    if (plan.data / "meta.properties").exists():
        return False
    command = [
        str(java.path), *_mapped(archive), "-Xmx128m", *JAVA_OPTIONS,
        f"-Dlog4j2.configurationFile={plan.folder / 'log4j2.properties'}", "-cp", jars.class_path,
        "kafka.tools.StorageTool", "format", "--cluster-id", _cluster_id(), "--config", str(plan.properties),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=_FORMAT_TIMEOUT_SECONDS, check=False)
    if done.returncode != 0:
        said = (done.stderr or done.stdout).strip()[-300:]
        raise CannotReach(
            f"the broker's storage in {plan.data} could not be formatted: {said}",
            field="MILLRACE_HOME",
            remedy="run `millrace doctor`",
        )
    return True


def _mapped(archive: Path | None) -> list[str]:
    return [] if archive is None else [f"-XX:SharedArchiveFile={archive}"]


def _cluster_id() -> str:
    # Kafka's identifiers are base64 of a UUID and must not begin with a dash
    return "m" + base64.urlsafe_b64encode(uuid.uuid4().bytes).decode("ascii")[1:22]


_LOGGING = """\
status = error
appender.out.type = Console
appender.out.name = out
appender.out.layout.type = PatternLayout
appender.out.layout.pattern = %d{yyyy-MM-dd HH:mm:ss,SSS} %p %c{1} %m%n
rootLogger.level = warn
rootLogger.appenderRef.out.ref = out
logger.server.name = kafka.server.KafkaRaftServer
logger.server.level = info
logger.shutdown.name = org.apache.kafka.common.utils.LoggingSignalHandler
logger.shutdown.level = info
"""
