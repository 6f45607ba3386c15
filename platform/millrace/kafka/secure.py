"""Why a cluster behind SASL_SSL cannot be used: the network, its certificate, or the credentials, each told apart.

librdkafka says of every certificate that it "could not be verified"; Python's ssl says why.
"""

import socket
import ssl
import time
from typing import TYPE_CHECKING

from millrace.contracts.errors import CannotReach
from millrace.kafka.clients import admin_config
from millrace.settings import Settings

if TYPE_CHECKING:
    pass

_CONNECT_SECONDS = 5.0
_ANSWER_SECONDS = 8.0
# X509_V_ERR_… of OpenSSL
_EXPIRED, _NOT_YET_VALID = 10, 9
_OTHER_NAME = (62, 64)
_UNKNOWN_AUTHORITY = (2, 18, 19, 20, 21)


def explain(settings: Settings) -> CannotReach | None:
    """What keeps the settings' brokers from being used, with what to do; None when one of them answers.

    Takes seconds: ask it after something failed.
    """
    problems = [_network(settings, one.strip()) for one in settings.bootstrap.split(",")]
    if all(problem is not None for problem in problems):
        return problems[0]
    return _answer(settings)


def _network(settings: Settings, address: str) -> CannotReach | None:
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit():
        return _error(f"{address!r} is no host:port", "write host:port, separated by commas")
    host = host.strip("[]")
    try:
        with socket.create_connection((host, int(port)), timeout=_CONNECT_SECONDS) as plain:
            if settings.kafka_api_key is None:
                return None
            context = ssl.create_default_context(cafile=settings.kafka_ca and str(settings.kafka_ca))
            with context.wrap_socket(plain, server_hostname=host):
                return None
    except socket.gaierror:
        return _error(f"the name {host} of broker {address} is not known", "check the name, and the network's DNS")
    except ssl.SSLCertVerificationError as error:
        return _certificate(settings, address, error)
    except ssl.SSLError as error:
        reason = error.reason or str(error)
        return _error(f"broker {address} does not speak TLS ({reason})", "use the port of its SASL_SSL listener")
    except OSError as error:
        return _error(f"broker {address} does not accept connections: {error}", "check address and network")


def _certificate(settings: Settings, address: str, error: ssl.SSLCertVerificationError) -> CannotReach:
    code = error.verify_code
    if code in (_EXPIRED, _NOT_YET_VALID):
        word = "has expired" if code == _EXPIRED else "is not valid yet"
        return _error(
            f"the certificate of broker {address} {word}", "renew it at the broker; check this machine's clock"
        )
    if code in _OTHER_NAME:
        return _error(
            f"the certificate of broker {address} is for another name ({error.verify_message})",
            "name the broker as its certificate does, or give it a certificate for this name",
        )
    if code in _UNKNOWN_AUTHORITY:
        known = settings.kafka_ca or "this system's authorities"
        return _error(
            f"the certificate of broker {address} is signed by an authority that is not known ({known})",
            "set MILLRACE_KAFKA_CA to the authority's certificates in PEM",
            field="MILLRACE_KAFKA_CA",
        )
    return _error(
        f"the certificate of broker {address} is refused: {error.verify_message}", "see the broker's operator"
    )


def _answer(settings: Settings) -> CannotReach | None:
    from confluent_kafka import KafkaError, KafkaException
    from confluent_kafka.admin import AdminClient

    found: list[KafkaError] = []
    admin = AdminClient({**admin_config(settings), "error_cb": found.append, "log_level": 0})
    deadline = time.monotonic() + _ANSWER_SECONDS
    while time.monotonic() < deadline:
        try:
            admin.list_topics(timeout=1.0)
            return None
        except KafkaException as error:
            last = error.args[0]
        admin.poll(0)
        refused = [one for one in found if one.code() == KafkaError._AUTHENTICATION]
        if refused:
            return _error(
                f"the brokers at {settings.bootstrap} refuse the credentials of API_KEY",
                "check API_KEY and API_SECRET",
                field="API_KEY",
            )
    said = found[-1].str() if found else last.str()
    return _error(f"the brokers at {settings.bootstrap} do not answer: {said}", "run `millrace doctor`")


def _error(message: str, remedy: str, *, field: str = "KAFKA_BOOTSTRAP") -> CannotReach:
    return CannotReach(message, field=field, remedy=remedy)
