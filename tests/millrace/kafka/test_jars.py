import json
import subprocess
import threading
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization.pkcs12 import load_pkcs12

from millrace.contracts.errors import CannotReach, IntegrityBroken
from millrace.kafka import fetch, jars
from millrace.kafka.jars import MANIFEST, broker_jars, cache_folder, verify


def _fake_fetch(calls: list[Path]):
    def bring(target: Path, *, work: Path) -> None:
        calls.append(target)
        (target / "kafka_2.13-4.1.1.jar").write_bytes(b"broker")
        (target / "other-1.jar").write_bytes(b"other")

    return bring


@pytest.fixture
def settings(make_settings, tmp_path):
    return make_settings(tmp_path, MILLRACE_CACHE=str(tmp_path / "cache"))


def test_the_cache_is_the_users_unless_a_setting_says_otherwise(make_settings, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_folder(make_settings(tmp_path)) == tmp_path / "xdg" / "millrace"
    assert cache_folder(make_settings(tmp_path, MILLRACE_CACHE=str(tmp_path / "mine"))) == tmp_path / "mine"


def test_many_at_once_fetch_once(settings, monkeypatch):
    calls: list[Path] = []
    monkeypatch.setattr(jars, "fetch", _fake_fetch(calls))
    found = []
    threads = [threading.Thread(target=lambda: found.append(broker_jars(settings))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(calls) == 1
    assert {one.names for one in found} == {("kafka_2.13-4.1.1.jar", "other-1.jar")}


def test_a_fetch_that_fails_leaves_nothing_and_the_next_one_works(settings, monkeypatch):
    def refuse(target: Path, *, work: Path) -> None:
        (target / "half.jar").write_bytes(b"half")
        raise CannotReach("no network")

    monkeypatch.setattr(jars, "fetch", refuse)
    with pytest.raises(CannotReach):
        broker_jars(settings)
    assert [path.name for path in cache_folder(settings).iterdir() if path.is_dir()] == []
    monkeypatch.setattr(jars, "fetch", _fake_fetch([]))
    assert len(broker_jars(settings).names) == 2


@pytest.mark.parametrize("fault", ["changed", "grown", "missing", "planted"])
def test_a_jar_that_is_not_what_was_fetched_is_found(settings, monkeypatch, fault):
    monkeypatch.setattr(jars, "fetch", _fake_fetch([]))
    folder = broker_jars(settings).folder
    jar = folder / "other-1.jar"
    {
        "changed": lambda: jar.write_bytes(b"0ther"),
        "grown": lambda: jar.write_bytes(b"other and more"),
        "missing": jar.unlink,
        "planted": lambda: (folder / "evil.jar").write_bytes(b"evil"),
    }[fault]()
    with pytest.raises(IntegrityBroken, match=r"evil\.jar|other-1\.jar") as caught:
        verify(folder, hashes=True)
    assert str(folder) in str(caught.value.remedy)


def test_sizes_are_compared_on_every_use(settings, monkeypatch):
    monkeypatch.setattr(jars, "fetch", _fake_fetch([]))
    (broker_jars(settings).folder / "other-1.jar").write_bytes(b"longer than before")
    with pytest.raises(IntegrityBroken):
        broker_jars(settings)


def test_without_maven_and_ivy_the_error_says_what_was_tried_and_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(fetch.importlib.util, "find_spec", lambda name: None)
    (tmp_path / "jars").mkdir()
    with pytest.raises(CannotReach, match=r"Maven: not installed \| Ivy: PySpark") as caught:
        fetch.fetch(tmp_path / "jars", work=tmp_path)
    assert "MILLRACE_MODE=KAFKA" in str(caught.value.remedy)


def test_the_packaged_java_trusts_what_python_trusts(tmp_path, monkeypatch):
    # an authority that no Java knows, as a company's own
    authority = tmp_path / "authority.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", tmp_path / "key.pem", "-out", authority,
         "-days", "2", "-subj", "/CN=The company"],
        check=True, capture_output=True,
    )  # fmt: skip
    monkeypatch.setenv("SSL_CERT_FILE", str(authority))
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path / "none"))
    store, password = (option.partition("=")[2] for option in fetch._trust(tmp_path))
    listed = load_pkcs12(Path(store).read_bytes(), password.encode()).additional_certs
    assert [one.certificate.subject.rfc4514_string() for one in listed] == ["CN=The company"]


@pytest.mark.broker
@pytest.mark.usefixtures("broker_parts")
def test_the_real_cache_holds_the_broker_and_its_log_binding(make_settings, tmp_path):
    found = broker_jars(make_settings(tmp_path))
    manifest = json.loads((found.folder / MANIFEST).read_text())
    assert set(manifest) == set(found.names)
    assert {"kafka_2.13-4.1.1.jar", "kafka-clients-4.1.1.jar"} <= set(found.names)
    assert any(name.startswith("log4j-slf4j-impl") for name in found.names)
