"""Tells Dagster of scoring models that were chosen outside of their asset: on the command line, by a first start."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dagster import AssetMaterialization

from assets.scoring_model import KEY, materialisation

if TYPE_CHECKING:
    from dagster import DagsterInstance

    from millrace.warehouse.schema import Statement
    from millrace.warehouse.store import Warehouse

_VERSION = 1


@dataclass(frozen=True)
class Told:
    """What is told in this tick, and the cursor that remembers it."""

    events: Sequence[AssetMaterialization]
    cursor: str | None


def unreported(instance: "DagsterInstance", store: "Warehouse", stream: str, cursor: str | None) -> Told:
    """A materialisation for each choice since the cursor; those that a run of the asset made are Dagster's already."""
    from millrace.warehouse.scoring_models import choice_of, choices_after

    with store.read() as session:
        fresh = choices_after(session, stream, _position(cursor))
    if not fresh:
        return Told((), cursor)
    events = [materialisation(one, choice_of(store, one)) for one in fresh if not _by_the_asset(instance, one)]
    return Told(events, json.dumps({"version": _VERSION, "statement": fresh[-1].id}))


def _position(cursor: str | None) -> int:
    found = json.loads(cursor) if cursor else {}
    return int(found["statement"]) if found.get("version") == _VERSION else 0


def _by_the_asset(instance: "DagsterInstance", statement: "Statement") -> bool:
    run = instance.get_run_by_id(statement.dagster_run_id) if statement.dagster_run_id else None
    return run is not None and run.asset_selection is not None and KEY in run.asset_selection
