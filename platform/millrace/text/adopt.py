"""From a wish to a pinned model: chosen, registered in MLflow, stated in the lineage, and only then used."""

import time
from collections.abc import Mapping
from typing import Any

from millrace.contracts.errors import BadInput, CannotReach
from millrace.settings import Settings
from millrace.text.choice import choose
from millrace.text.golden import GOLDEN
from millrace.text.publishing import publish
from millrace.text.vader import NAME as VADER
from millrace.warehouse.once import once
from millrace.warehouse.scoring_models import ASSET, pinned_of, save_scoring_model
from millrace.warehouse.statements import Made
from millrace.warehouse.store import Warehouse

AUTO = "auto"
SEED_MODEL = "distilbert-base-uncased-finetuned-sst-2-english"


def adopt(
    settings: Settings, warehouse: Warehouse, stream: str, source: str, *, actor: str, run_id: str | None = None
) -> dict[str, Any]:
    """What is pinned for the stream from now on: the model `source` (hub id, folder, `vader` or `auto`).

    `run_id` is the Dagster run that does it.

    Raises:
        CannotReach: the hub does not give the files, or MLflow does not answer; nothing was changed.
        BadInput: it is no model that can score texts.
    """
    began = time.perf_counter()
    choice = _chosen(settings, source)
    return _record(settings, warehouse, stream, choice, actor=actor, run_id=run_id, began=began)


def settled(
    settings: Settings, warehouse: Warehouse, stream: str, *, actor: str, run_id: str | None = None
) -> dict[str, Any]:
    """What is pinned for the stream. The first time it is chosen by the setting; of several processes one does it.

    Raises:
        CannotReach, BadInput: as `adopt`, the first time.
    """
    with once(settings.home / "locks", ["scoring model", stream]):
        pinned = pinned_of(warehouse, stream)
        if pinned is None:
            return adopt(settings, warehouse, stream, settings.scoring_model, actor=actor, run_id=run_id)
        if "ref" not in pinned:
            # pinned by a version that recorded nothing
            began = time.perf_counter()
            return _record(settings, warehouse, stream, pinned, actor=actor, run_id=run_id, began=began)
        return pinned


def _chosen(settings: Settings, source: str) -> dict[str, Any]:
    cache = settings.home / "models"
    if source != AUTO:
        return choose(source, cache=cache)
    try:
        return choose(SEED_MODEL, cache=cache, offline=True)
    except (CannotReach, BadInput) as error:
        return {**choose(VADER, cache=cache), "instead_of": f"{SEED_MODEL}: {error.message}"}


def _record(
    settings: Settings, warehouse: Warehouse, stream: str, choice: Mapping[str, Any], *, actor: str,
    run_id: str | None, began: float,
) -> dict[str, Any]:  # fmt: skip
    published = publish(choice, uri=settings.mlflow, name=stream)
    made = Made(
        asset=ASSET,
        inputs=(),
        parameters={
            **{name: choice[name] for name in _STATED if choice.get(name) is not None},
            "chosen by": actor,
            "mlflow run": published.run_id,
        },
        seed=None,
        rows_in=len(GOLDEN),
        rows_out=None,
        seconds=time.perf_counter() - began,
    )
    return save_scoring_model(
        warehouse, stream, choice, version=published.version, mlflow_run_id=published.run_id,
        tree_sha256=published.tree_sha256, made=made, actor=actor, run_id=run_id,
    )  # fmt: skip


_STATED = ("kind", "source", "revision", "version", "form", "files", "onnx_sha256", "candidates", "instead_of")
