"""From a wish to a pinned model: chosen, registered in MLflow, stated in the lineage, and only then used."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from millrace.contracts.errors import BadInput, CannotReach
from millrace.contracts.references import Ref
from millrace.settings import Settings
from millrace.text.choice import choose
from millrace.text.choose_registered import choose_registered
from millrace.text.golden import GOLDEN
from millrace.text.publishing import publish
from millrace.text.registered import SCHEME, Named, parse_uri
from millrace.text.vader import NAME as VADER
from millrace.warehouse.once import once
from millrace.warehouse.scoring_models import (
    ASSET,
    choice_of,
    get_scoring_model,
    pinned_of,
    save_scoring_model,
    scoring_key,
)
from millrace.warehouse.statements import Made, statements_for
from millrace.warehouse.store import Warehouse

AUTO = "auto"
SEED_MODEL = "distilbert-base-uncased-finetuned-sst-2-english"


def adopt(
    settings: Settings,
    warehouse: Warehouse,
    stream: str,
    source: str,
    *,
    actor: str,
    run_id: str | None = None,
    in_place_of: str | None = None,
) -> dict[str, Any]:
    """What is pinned for the stream from now on: the model `source`.

    That is a hub id, a folder, `vader` or `auto`; a model of a data set by version or alias (`models:/user.dataset/3`,
    `models:/user.dataset@champion`: a new champion is then followed); or an earlier choice of the stream
    (`models:/score_events/2`), which is pinned again as it was. `run_id` is the Dagster run that does it. With
    `in_place_of` it is pinned only if what is pinned is still that scoring model.

    Raises:
        CannotReach: the hub does not give the files, or MLflow does not answer; nothing was changed.
        BadInput: it is no model that can score texts.
        NotFound: there is no such registered model.
        Conflict: another model was pinned meanwhile.
    """
    began = time.perf_counter()
    wanted = _Wanted(stream, actor, run_id, in_place_of)
    if not source.startswith(SCHEME):
        return _record(settings, warehouse, wanted, _chosen(settings, source), began=began)
    named = parse_uri(source)
    if named.name == stream:
        return _again(warehouse, wanted, named, began=began)
    choice, ref = choose_registered(settings, warehouse, named)
    return _record(settings, warehouse, wanted, choice, began=began, inputs=(ref,))


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
            return _record(settings, warehouse, _Wanted(stream, actor, run_id), pinned, began=began)
        return pinned


def _chosen(settings: Settings, source: str) -> dict[str, Any]:
    cache = settings.home / "models"
    if source != AUTO:
        return choose(source, cache=cache)
    try:
        return choose(SEED_MODEL, cache=cache, offline=True)
    except (CannotReach, BadInput) as error:
        return {**choose(VADER, cache=cache), "instead_of": f"{SEED_MODEL}: {error.message}"}


@dataclass(frozen=True)
class _Wanted:
    stream: str
    actor: str
    run_id: str | None
    in_place_of: str | None = None


def _record(
    settings: Settings, warehouse: Warehouse, wanted: _Wanted, choice: Mapping[str, Any], *, began: float,
    inputs: tuple[Ref, ...] = (),
) -> dict[str, Any]:  # fmt: skip
    published = publish(choice, uri=settings.mlflow, name=wanted.stream)
    return save_scoring_model(
        warehouse, wanted.stream, choice, version=published.version, mlflow_run_id=published.run_id,
        tree_sha256=published.tree_sha256, made=_made(wanted, choice, inputs, began=began), actor=wanted.actor,
        run_id=wanted.run_id, in_place_of=wanted.in_place_of,
    )  # fmt: skip


def _again(warehouse: Warehouse, wanted: _Wanted, named: Named, *, began: float) -> dict[str, Any]:
    if named.version is None:
        raise BadInput(
            f"scoring models of {wanted.stream} have no aliases",
            field="model",
            remedy="name a version that `millrace stream models` lists",
        )
    with warehouse.read() as session:
        before = get_scoring_model(session, wanted.stream, named.version)
        (statement, *_) = statements_for(session, scoring_key(wanted.stream), before.ref)
    # as it was, but for whom it followed: who goes back to a version wants that one
    choice = {name: value for name, value in choice_of(warehouse, statement).items() if name != "follows"}
    inputs = tuple(Ref(**one) for one in statement.inputs)
    return save_scoring_model(
        warehouse, wanted.stream, choice, version=before.version, mlflow_run_id=before.mlflow_run_id,
        tree_sha256=before.tree_sha256, made=_made(wanted, choice, inputs, began=began), actor=wanted.actor,
        run_id=wanted.run_id, in_place_of=wanted.in_place_of,
    )  # fmt: skip


def _made(wanted: _Wanted, choice: Mapping[str, Any], inputs: tuple[Ref, ...], *, began: float) -> Made:
    stated = {name: choice[name] for name in _STATED if choice.get(name) is not None}
    return Made(
        asset=ASSET,
        inputs=inputs,
        parameters={**stated, "chosen by": wanted.actor},
        seed=None,
        rows_in=len(GOLDEN),
        rows_out=None,
        seconds=time.perf_counter() - began,
    )


_STATED = (
    "kind", "source", "follows", "revision", "version", "form", "column", "labels", "files", "onnx_sha256",
    "candidates", "holdout", "instead_of",
)  # fmt: skip
