"""Webhooks: addresses that are told what a person's pipelines wait for."""

from datetime import UTC, datetime
from urllib.parse import urlsplit

from fastapi import APIRouter
from pydantic import BaseModel
from sqlalchemy import select

from millrace.api.access import Who, missing
from millrace.api.deps import Store
from millrace.contracts.errors import BadInput
from millrace.contracts.identifiers import check_identifier, new_id
from millrace.warehouse.schema import Webhook

router = APIRouter(prefix="/webhooks", tags=["webhooks"])
_MAX_URL = 2000
_MAX_PER_USER = 20


class WebhookIn(BaseModel):
    """A webhook to be made."""

    user_id: str
    url: str


class WebhookOut(WebhookIn):
    """A webhook."""

    id: str
    created_at: datetime


@router.get("")
def webhooks(who: Who, store: Store, user_id: str | None = None) -> list[WebhookOut]:
    """The user's webhooks."""
    owner = who.scope(user_id)
    query = select(Webhook).order_by(Webhook.created_at, Webhook.id)
    with store.read() as session:
        rows = session.scalars(query if owner is None else query.where(Webhook.user_id == owner))
        return [_out(row) for row in rows]


@router.post("", status_code=201)
def add(hook: WebhookIn, who: Who, store: Store) -> WebhookOut:
    """Adds an address; it is told of every pipeline of the user that begins to wait for a person, or ends."""
    who.check(check_identifier(hook.user_id, field="user_id"), what=f"user {hook.user_id}")
    _check_url(hook.url)
    with store.transaction() as session:
        have = session.scalars(select(Webhook).where(Webhook.user_id == hook.user_id)).all()
        for row in have:
            if row.url == hook.url:
                return _out(row)
        if len(have) >= _MAX_PER_USER:
            raise BadInput(f"user {hook.user_id} has {_MAX_PER_USER} webhooks", field="url", remedy="delete one first")
        row = Webhook(id=new_id("wh"), user_id=hook.user_id, url=hook.url, created_at=datetime.now(UTC))
        session.add(row)
        return _out(row)


@router.delete("/{webhook_id}", status_code=204)
def remove(webhook_id: str, who: Who, store: Store) -> None:
    """Removes a webhook."""
    what = f"webhook {webhook_id[:60]!r}"
    with store.transaction() as session:
        row = session.get(Webhook, webhook_id)
        if row is None:
            raise missing(what)
        who.check(row.user_id, what=what)
        session.delete(row)


def _out(row: Webhook) -> WebhookOut:
    return WebhookOut(id=row.id, user_id=row.user_id, url=row.url, created_at=row.created_at)


def _check_url(url: str) -> None:
    try:
        parts = urlsplit(url)
        valid = parts.scheme in ("http", "https") and bool(parts.hostname) and len(url) <= _MAX_URL
    except ValueError:
        valid = False
    if not valid or not url.isprintable() or parts.username is not None:
        raise BadInput(
            "the webhook's url is not an address to post to",
            field="url",
            remedy="write it as https://host/path, without a user name",
        )
