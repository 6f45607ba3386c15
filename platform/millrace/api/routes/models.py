"""Registered models."""

from fastapi import APIRouter

from millrace.api.access import Who
from millrace.api.deps import Store
from millrace.api.routes.datasets import owned
from millrace.api.shapes import ModelOut
from millrace.contracts.identifiers import parse_model_version
from millrace.warehouse.models import get_model, list_models

router = APIRouter(prefix="/ai-models", tags=["ai-models"])


@router.get("")
def models(who: Who, store: Store, user_id: str | None = None, dataset_id: str | None = None) -> list[ModelOut]:
    """Models, newest first."""
    with store.read() as session:
        found = list_models(session, who.scope(user_id), dataset_id=dataset_id)
    return [ModelOut.of(one) for one in found]


@router.get("/{user_id}/{dataset_id}")
def newest(user_id: str, dataset_id: str, who: Who, store: Store) -> ModelOut:
    """The newest model of a data set."""
    key = owned(who, user_id, dataset_id)
    with store.read() as session:
        return ModelOut.of(get_model(session, key))


@router.get("/{user_id}/{dataset_id}/{version}")
def model(user_id: str, dataset_id: str, version: str, who: Who, store: Store) -> ModelOut:
    """One version of a data set's model, such as `v1`."""
    key = owned(who, user_id, dataset_id)
    number = parse_model_version(version)
    with store.read() as session:
        return ModelOut.of(get_model(session, key, number))
