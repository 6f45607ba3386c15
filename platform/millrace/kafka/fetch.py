"""Fetches the broker's jars with Maven, or with the Ivy that PySpark's wheel carries."""

import importlib.util
import logging
import secrets
import shutil
import ssl
import subprocess
import warnings
from pathlib import Path

from millrace.contracts.errors import CannotReach
from millrace.kafka.java import find_java

VERSION = "4.1.1"
_COORDINATES = (
    ("org.apache.kafka", "kafka_2.13", VERSION),
    # the binding that Kafka's own distribution adds; without it the broker logs nothing
    ("org.apache.logging.log4j", "log4j-slf4j-impl", "2.24.3"),
)
_TIMEOUT_SECONDS = 600.0
"""A cold fetch of 43 MB took 12 s with Maven and 40 s with Ivy; slow lines get more."""
_log = logging.getLogger(__name__)


def fetch(target: Path, *, work: Path) -> None:
    """Fills the folder `target` with the jars; `work` takes temporary files.

    Raises:
        CannotReach: neither Maven nor Ivy could bring them; gives both tools' last words.
    """
    failures: list[str] = []
    for name, way in (("Maven", _maven), ("Ivy", _ivy)):
        try:
            way(target, work)
        except CannotReach as error:
            failures.append(f"{name}: {error.message}")
            _clear(target)
            continue
        _log.info("kafka.jars_fetched by=%s count=%d", name, len(list(target.glob("*.jar"))))
        return
    raise CannotReach(
        f"the broker's jars (org.apache.kafka:kafka_2.13:{VERSION}) could not be fetched. {' | '.join(failures)}",
        field="MILLRACE_CACHE",
        remedy="let this machine reach a Maven repository (Maven's settings.xml is honoured), "
        "copy the cache folder of a machine that has it, or use a cluster with MILLRACE_MODE=KAFKA",
    )


def _maven(target: Path, work: Path) -> None:
    program = shutil.which("mvn")
    if program is None:
        raise CannotReach("not installed")
    dependencies = "".join(
        f"<dependency><groupId>{group}</groupId><artifactId>{name}</artifactId><version>{version}</version></dependency>"
        for group, name, version in _COORDINATES
    )
    (work / "pom.xml").write_text(
        '<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>'
        "<groupId>millrace</groupId><artifactId>broker</artifactId><version>1</version><packaging>pom</packaging>"
        f"<dependencies>{dependencies}</dependencies></project>",
        encoding="utf-8",
    )
    _run(
        [program, "-q", "-B", "-f", str(work / "pom.xml"), "dependency:copy-dependencies",
         "-DincludeScope=runtime", f"-DoutputDirectory={target}"],
        target,
    )  # fmt: skip


def _ivy(target: Path, work: Path) -> None:
    spark = importlib.util.find_spec("pyspark")
    folders = spark.submodule_search_locations if spark is not None else None
    jars = [jar for folder in folders or () for jar in Path(folder).glob("jars/ivy-*.jar")]
    if not jars:
        raise CannotReach("PySpark, whose wheel carries it, is not installed")
    dependencies = "".join(
        f'<dependency org="{group}" name="{name}" rev="{version}" conf="default->default"/>'
        for group, name, version in _COORDINATES
    )
    (work / "ivy.xml").write_text(
        '<ivy-module version="2.0"><info organisation="millrace" module="broker"/>'
        '<configurations><conf name="default"/></configurations>'
        f"<dependencies>{dependencies}</dependencies></ivy-module>",
        encoding="utf-8",
    )
    _run(
        [str(find_java().path), *_trust(work), "-jar", str(jars[0]), "-cache", str(work / "ivy"),
         "-ivy", str(work / "ivy.xml"), "-confs", "default", "-retrieve", f"{target}/[artifact]-[revision].[ext]"],
        target,
    )  # fmt: skip


def _trust(work: Path) -> list[str]:
    """Options that make Java trust the authorities that Python trusts: a packaged runtime knows no company's own."""
    known = ssl.create_default_context().get_ca_certs(binary_form=True)
    if not known:
        return []
    from cryptography.hazmat.primitives.serialization import BestAvailableEncryption
    from cryptography.hazmat.primitives.serialization.pkcs12 import PKCS12Certificate, serialize_java_truststore
    from cryptography.utils import CryptographyDeprecationWarning
    from cryptography.x509 import load_der_x509_certificate

    password = secrets.token_hex()
    store = work / "authorities.p12"
    with warnings.catch_warnings():
        # some roots that systems still ship have serial numbers of an older time
        warnings.simplefilter("ignore", CryptographyDeprecationWarning)
        certificates = [PKCS12Certificate(load_der_x509_certificate(one), None) for one in known]
    store.write_bytes(serialize_java_truststore(certificates, BestAvailableEncryption(password.encode())))
    return [f"-Djavax.net.ssl.trustStore={store}", f"-Djavax.net.ssl.trustStorePassword={password}"]


def _run(command: list[str], target: Path) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise CannotReach(f"{type(error).__name__}: {error}") from error
    if done.returncode != 0 or not any(target.glob("*.jar")):
        said = [line.strip() for line in (done.stdout + done.stderr).splitlines() if line.strip()]
        raise CannotReach(f"exit {done.returncode}: {' / '.join(said[-3:])[:500]}")


def _clear(target: Path) -> None:
    for path in target.iterdir():
        path.unlink()
