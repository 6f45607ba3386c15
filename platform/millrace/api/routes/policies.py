"""Policies: what a user wants of the conductor unless a pipeline says otherwise."""

from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel

from millrace.api.access import Caller, Who
from millrace.api.deps import Config, Store
from millrace.conductor.plan import merge_settings
from millrace.conductor.policies import user_layer
from millrace.contracts.events import now
from millrace.contracts.identifiers import check_identifier
from millrace.contracts.task import PipelineSettings
from millrace.warehouse.schema import UserPolicy

router = APIRouter(prefix="/users", tags=["policies"])


class PolicyOut(BaseModel):
    """What the user has set, and what results for a new pipeline together with the platform's defaults."""

    user_id: str
    set: dict[str, Any]
    effective: PipelineSettings


@router.get("/{user_id}/policy")
def policy(user_id: str, who: Who, store: Store, settings: Config) -> PolicyOut:
    """The user's policy."""
    _check(who, user_id)
    with store.read() as session:
        layer = user_layer(session, user_id)
    return PolicyOut(user_id=user_id, set=layer, effective=merge_settings(settings, layer))


@router.put("/{user_id}/policy")
def set_policy(user_id: str, wanted: dict[str, Any], who: Who, store: Store, settings: Config) -> PolicyOut:
    """Replaces the user's policy; pipelines that begin later follow it."""
    _check(who, user_id)
    effective = merge_settings(settings, wanted)
    layer = {name: value for name, value in effective.model_dump(mode="json").items() if name in wanted}
    with store.transaction() as session:
        row = session.get(UserPolicy, user_id)
        if row is None:
            session.add(UserPolicy(user_id=user_id, settings=layer, updated_at=now()))
        else:
            row.settings, row.updated_at = layer, now()
    return PolicyOut(user_id=user_id, set=layer, effective=effective)


def _check(who: Caller, user_id: str) -> None:
    who.check(check_identifier(user_id, field="user_id"), what=f"user {user_id}")
