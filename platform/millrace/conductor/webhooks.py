"""Tells the addresses that a user left when one of their pipelines begins to wait for a person, or ends."""

import ipaddress
import logging
import socket
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import or_, select

from millrace.conductor.states import TERMINAL, WAITING
from millrace.contracts.errors import BadInput
from millrace.contracts.events import now
from millrace.contracts.task import Coordinates
from millrace.settings import Settings
from millrace.warehouse import consumed
from millrace.warehouse.schema import Consumed, History, Pipeline, Webhook
from millrace.warehouse.store import Warehouse

CONSUMER = "webhooks"
TRIES = 5
TIMEOUT_SECONDS = 5.0
FRESH = timedelta(hours=1)
"""What happened longer ago is not told any more: the person has seen it, or will look."""
_LOOPBACK = ("127.0.0.1", "::1", "localhost")

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Target:
    """An address with the host resolved once, so that what was checked is what is called."""

    url: str
    host: str
    address: str

    def pinned(self) -> str:
        """The URL with the checked address in place of the host name."""
        parts = urlsplit(self.url)
        literal = f"[{self.address}]" if ":" in self.address else self.address
        return parts._replace(netloc=literal if parts.port is None else f"{literal}:{parts.port}").geturl()

    def host_header(self) -> str:
        """The Host header that the URL as it was given asks for."""
        port = urlsplit(self.url).port
        return self.host if port is None else f"{self.host}:{port}"


def checked_target(url: str, *, inside_allowed: bool) -> Target:
    """The address to call.

    Without `inside_allowed` (the API serves others than this machine), addresses of the inner network are refused: a
    user could reach through us what they cannot reach themselves (server-side request forgery).

    Raises:
        BadInput: not http(s), a host that does not resolve, or an address that may not be called.
    """
    refused = BadInput(
        f"webhook {url[:200]!r} cannot be called", field="url", remedy="give an http or https URL without a password"
    )
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
        if parts.scheme not in ("http", "https") or not host or parts.username or parts.password:
            raise refused
        found = socket.getaddrinfo(host, port or 443, type=socket.SOCK_STREAM)
    except ValueError as error:
        # a port that is no number, brackets that do not close, a host that no name server could be asked for
        raise refused from error
    except OSError as error:
        raise BadInput(
            f"the host of webhook {url[:200]!r} is not known", field="url", remedy="check the host name"
        ) from error
    address = str(found[0][4][0])
    where = ipaddress.ip_address(address)
    # link-local holds the metadata services of clouds: never, wherever we run
    forbidden = where.is_link_local or where.is_multicast or where.is_unspecified
    if forbidden or not (inside_allowed or where.is_global):
        raise BadInput(
            f"webhook {url[:200]!r} leads to {address}, which may not be called",
            field="url",
            remedy="give an address that is reachable from outside",
        )
    return Target(url=url, host=host, address=address)


class Webhooks:
    """Sends what is new; call `once` every second or so from a thread of its own."""

    def __init__(self, warehouse: Warehouse, settings: Settings, *, clock: Callable[[], datetime] = now) -> None:
        import httpx

        self._warehouse = warehouse
        self._inside_allowed = settings.host in _LOOPBACK
        self._api_url = settings.api_url
        self._clock = clock
        self._client = httpx.Client(timeout=TIMEOUT_SECONDS, follow_redirects=False, trust_env=False)
        self._tries: dict[str, tuple[int, datetime]] = {}

    def once(self) -> None:
        """Sends every message that is due; one that fails is sent again later, five times in all.

        Raises:
            CannotReach: the warehouse does not answer.
        """
        at = self._clock()
        for webhook, entry, pipeline in self._pending(at):
            self._deliver(webhook, entry, pipeline, at)

    def close(self) -> None:
        """Gives the connections back."""
        self._client.close()

    def _pending(self, at: datetime) -> list[tuple[Webhook, History, Pipeline]]:
        with self._warehouse.read() as session:
            rows = session.execute(
                select(Webhook, History, Pipeline)
                .join(Pipeline, Pipeline.user_id == Webhook.user_id)
                .join(History, History.pipeline_id == Pipeline.id)
                .where(
                    History.at > at - FRESH,
                    History.at >= Webhook.created_at,
                    or_(
                        History.to_state.in_(TERMINAL) & (History.from_state != History.to_state),
                        # a pipeline that waits no longer needs nobody
                        History.to_state.in_(WAITING) & (Pipeline.revision == History.seq),
                    ),
                )
                .order_by(History.id)
            ).all()
            ids = [_message_id(webhook, entry) for webhook, entry, _ in rows]
            told = set(
                session.scalars(
                    select(Consumed.event_id).where(Consumed.consumer == CONSUMER, Consumed.event_id.in_(ids))
                )
            )
        return [(row[0], row[1], row[2]) for row in rows if _message_id(row[0], row[1]) not in told]

    def _deliver(self, webhook: Webhook, entry: History, pipeline: Pipeline, at: datetime) -> None:
        message_id = _message_id(webhook, entry)
        tries, due = self._tries.get(message_id, (0, at))
        if at < due:
            return
        error = self._post(webhook.url, message_of(entry, pipeline, api_url=self._api_url), message_id)
        if error is not None:
            log.warning("webhook.failed webhook=%s pipeline=%s error=%r", webhook.id, pipeline.id, error)
            if tries + 1 < TRIES:
                self._tries[message_id] = (tries + 1, at + timedelta(seconds=2.0 ** (tries + 1)))
                return
        self._tries.pop(message_id, None)
        with self._warehouse.transaction() as session:
            consumed.first_time(
                session, consumer=CONSUMER, event_id=message_id, at=Coordinates("webhook", webhook.id, 0, entry.seq)
            )

    def _post(self, url: str, message: dict[str, Any], message_id: str) -> str | None:
        import httpx

        try:
            target = checked_target(url, inside_allowed=self._inside_allowed)
            response = self._client.post(
                target.pinned(),
                json=message,
                headers={"Host": target.host_header(), "Idempotency-Key": message_id},
                extensions={"sni_hostname": target.host},
            )
        except BadInput as error:
            return error.message
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            return str(error) or type(error).__name__
        return None if response.is_success else f"HTTP {response.status_code}"


def message_of(entry: History, pipeline: Pipeline, *, api_url: str) -> dict[str, Any]:
    """What the address is told."""
    return {
        "event_type": "pipeline.waiting" if entry.to_state in WAITING else "pipeline.ended",
        "pipeline_id": pipeline.id,
        "user_id": pipeline.user_id,
        "dataset_id": pipeline.dataset_id,
        "version": pipeline.version,
        "state": entry.to_state,
        "stage": entry.stage,
        "message": entry.message,
        "since": entry.at.isoformat(),
        "url": f"{api_url}/pipelines/{pipeline.id}",
    }


def _message_id(webhook: Webhook, entry: History) -> str:
    return f"{webhook.id}:{entry.pipeline_id}:{entry.seq}"
