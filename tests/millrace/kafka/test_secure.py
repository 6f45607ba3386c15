"""KAFKA mode on a broker with SASL_SSL listeners: credentials right and wrong, and certificates to be refused."""

import datetime
import ipaddress
import json

import pytest
from confluent_kafka import OFFSET_BEGINNING, Consumer, Producer, TopicPartition
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from millrace.kafka import broker_files
from millrace.kafka.broker import EmbeddedBroker
from millrace.kafka.clients import producer_config, reader_config
from millrace.kafka.lag import lag_of
from millrace.kafka.processor import Output
from millrace.kafka.secure import explain
from millrace.kafka.stream_loop import StreamLoop
from millrace.kafka.stream_options import StreamOptions
from millrace.kafka.topics import create_topics, list_topics

pytestmark = pytest.mark.broker

KEY, SECRET = "stream-key", "stream-secret"
LISTENERS = ("GOOD", "EXPIRED", "OTHERNAME", "STRANGER")
NOW = datetime.datetime.now(datetime.UTC)


def _signed(name, issuer, *, days=(-10, 10), address="127.0.0.1", authority=False):
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    begin, end = (NOW + datetime.timedelta(days=day) for day in days)
    signer = issuer or (None, key)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject).issuer_name(subject if issuer is None else signer[0].subject)
        .public_key(key.public_key()).serial_number(x509.random_serial_number())
        .not_valid_before(begin).not_valid_after(end)
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )  # fmt: skip
    issuer_key = signer[1].public_key()
    builder = builder.add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key), critical=False)
    if not authority:
        found = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))])
        builder = builder.add_extension(found, critical=False)
    else:
        usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
        builder = builder.add_extension(usage, critical=True)
    return builder.sign(signer[1], hashes.SHA256()), key


def _pem(certificate):
    return certificate.public_bytes(serialization.Encoding.PEM)


@pytest.fixture(scope="module")
def secure(broker_parts, tmp_path_factory, make_settings):
    """Ports of the listeners by name, and the authority's file, of a broker that knows one user."""
    folder = tmp_path_factory.mktemp("secure")
    authority, stranger = (_signed(name, None, days=(-20, 20), authority=True) for name in ("ours", "strangers"))
    made = {
        "GOOD": _signed("good", authority), "EXPIRED": _signed("expired", authority, days=(-10, -1)),
        "OTHERNAME": _signed("other", authority, address="10.9.8.7"), "STRANGER": _signed("stranger", stranger),
    }  # fmt: skip
    settings = make_settings(folder)
    spare = make_settings(folder / "ports")
    ports = dict(zip(LISTENERS, (spare.kafka_port, spare.kafka_controller_port, spare.api_port, spare.dagster_port),
                     strict=True))  # fmt: skip
    more = [f"{name}://127.0.0.1:{port}" for name, port in ports.items()]
    lines = []
    for name, (certificate, key) in made.items():
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        store = folder / f"{name}.pem"
        store.write_bytes(private + _pem(certificate))
        own = f"listener.name.{name.lower()}"
        lines += [
            f"{own}.ssl.keystore.type=PEM", f"{own}.ssl.keystore.location={store}",
            f"{own}.sasl.enabled.mechanisms=PLAIN",
            f"{own}.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required "
            f'user_{KEY}="{SECRET}";',
        ]  # fmt: skip
    plain = broker_files.properties_text

    def text(plan):
        told = plain(plan)
        at = f"PLAINTEXT://127.0.0.1:{plan.port}"
        told = told.replace(f"listeners={at},", f"listeners={at},{','.join(more)},")
        told = told.replace(f"advertised.listeners={at}", f"advertised.listeners={at},{','.join(more)}")
        kinds = ",".join(f"{name}:SASL_SSL" for name in LISTENERS)
        return told.replace("security.protocol.map=", f"security.protocol.map={kinds},") + "\n".join(lines) + "\n"

    patch = pytest.MonkeyPatch()
    patch.setattr(broker_files, "properties_text", text)
    (folder / "ca.pem").write_bytes(_pem(authority[0]))
    made = EmbeddedBroker(settings)
    try:
        made.start()
        # the session's broker, which may start later, has the files of always
        patch.undo()
        made.wait_ready()
        yield ports, folder / "ca.pem"
    finally:
        patch.undo()
        made.stop()


@pytest.fixture
def settings_for(secure, make_settings, tmp_path):
    """`settings_for("GOOD", secret="…")`: KAFKA mode on that listener."""
    ports, authority = secure

    def make(listener, *, secret=SECRET, **more):
        return make_settings(
            tmp_path, MILLRACE_MODE="KAFKA", KAFKA_BOOTSTRAP=f"127.0.0.1:{ports[listener]}", API_KEY=KEY,
            API_SECRET=secret, MILLRACE_KAFKA_CA=str(authority), MILLRACE_TOPIC_PARTITIONS=2, **more,
        )  # fmt: skip

    return make


class Copy:
    def process(self, batch):
        return [(Output("secure.out", record.value, record.key),) for record in batch]


def _contract(settings):
    """What both modes must do: topics, a stream exactly once, its lag, and its outputs read."""
    create_topics(settings, ["secure.in", "secure.in.dlq", "secure.out"])
    assert {"secure.in", "secure.out"} <= {one.name for one in list_topics(settings)}
    producer = Producer(producer_config(settings))
    for number in range(200):
        producer.produce("secure.in", json.dumps({"n": number}), str(number % 5))
    assert producer.flush(20) == 0
    options = StreamOptions(group=f"secure-{settings.mode}", topics=("secure.in",), interval=0.02)
    totals = StreamLoop(settings, options, Copy()).run(count=200, timeout=60)
    assert (totals.records, totals.outputs, totals.dead_letters) == (200, 200, 0)
    assert sum(one.records for one in lag_of(settings, options.group, ["secure.in"])) == 0
    consumer, found = Consumer(reader_config(settings, enable_partition_eof=True)), []
    for partition in range(len(consumer.list_topics("secure.out", timeout=20).topics["secure.out"].partitions)):
        consumer.assign([TopicPartition("secure.out", partition, OFFSET_BEGINNING)])
        while (message := consumer.poll(10)) is not None and message.error() is None:
            found.append(json.loads(message.value())["n"])
    consumer.close()
    assert sorted(found) == list(range(200))


def test_with_the_right_credentials_everything_works_as_it_does_locally(settings_for):
    _contract(settings_for("GOOD"))
    assert explain(settings_for("GOOD")) is None


def test_local_sim_runs_the_same_contract(broker_settings):
    _contract(broker_settings)
    assert explain(broker_settings) is None


@pytest.mark.parametrize(
    ("listener", "more", "says", "field"),
    [
        ("GOOD", {"secret": "wrong"}, "refuse the credentials of API_KEY", "API_KEY"),
        ("EXPIRED", {}, "has expired", "KAFKA_BOOTSTRAP"),
        ("OTHERNAME", {}, "is for another name", "KAFKA_BOOTSTRAP"),
        ("STRANGER", {}, "signed by an authority that is not known", "MILLRACE_KAFKA_CA"),
    ],
)
def test_each_refusal_has_a_message_of_its_own_and_no_secret_in_it(settings_for, listener, more, says, field):
    problem = explain(settings_for(listener, **more))
    assert says in problem.message
    assert problem.field == field
    assert problem.remedy
    assert SECRET not in str(problem)
    assert "wrong" not in str(problem)


def test_a_port_without_tls_and_names_that_are_not_known_are_told_apart(settings_for, make_settings, tmp_path, broker):
    def on(address):
        return settings_for("GOOD").model_copy(update={"kafka_bootstrap": address})

    assert "does not speak TLS" in explain(on(broker)).message
    assert "is not known" in explain(on("no-such-host.invalid:9092")).message
    assert "does not accept connections" in explain(on("127.0.0.1:9")).message
    assert "is no host:port" in explain(on("broker")).message


def test_a_command_that_fails_says_why(settings_for):
    with pytest.raises(Exception, match=r"the certificate of broker .* has expired"):
        list_topics(settings_for("EXPIRED"), timeout=3.0)
