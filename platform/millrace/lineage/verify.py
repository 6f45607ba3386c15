"""`lineage verify`: hashes everything again and compares it with what was recorded."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from millrace.contracts.identifiers import DatasetKey
from millrace.contracts.references import Ref
from millrace.lineage.chain import altered_statements, broken_links
from millrace.lineage.contents import Progress, altered_artifacts, altered_models, contents_of, counted
from millrace.lineage.graph import Graph, build
from millrace.lineage.loading import Loaded, Step, load_steps, related
from millrace.lineage.naming import resolve
from millrace.lineage.pipelines import broken_history, load_histories, load_pipelines, missing_assets, strangers
from millrace.lineage.records import changed_pins, disagreements, stored_refs
from millrace.lineage.verification import Checked, Failure, Gap, Unchecked, Verification
from millrace.warehouse.schema import Artifact, History, Pipeline
from millrace.warehouse.store import Warehouse


@dataclass(frozen=True)
class _Scope:
    """What one consistent view of the database says about the things to be verified."""

    ref: str | None
    loaded: Loaded
    graph: Graph
    stored: dict[str, tuple[Ref, ...]]
    pipelines: dict[str, Pipeline]
    histories: dict[str, list[History]]
    unnamed_artifacts: tuple[str, ...]
    pins: tuple[Failure | Gap, ...]


def verify(
    warehouse: Warehouse, *, mlflow_url: str, ref: str | None = None, progress: Progress | None = None
) -> Verification:
    """The verdicts on one thing and all that it rests on, or on the whole warehouse.

    Nothing is raised for what is broken or missing: `Verification.require` does that.

    Raises:
        BadInput: `ref` has no form that is known.
        NotFound: there is no such thing.
        CannotReach: the database does not answer.
    """
    with warehouse.read() as session:
        scope = _everything(session) if ref is None else _ancestry(session, ref)
        found = [*_recorded(scope)]
    # the bytes are hashed after the view is closed: hours of it would keep the database from tidying up
    contents = contents_of(scope.loaded.steps, scope.unnamed_artifacts)
    tell = counted(progress, len(contents.artifacts) + len(contents.models))
    found += altered_artifacts(warehouse.artifacts, contents.artifacts, tell)
    found += altered_models(contents.models, _hash_model(mlflow_url), tell)
    once = tuple(dict.fromkeys(found))
    return Verification(
        ref=scope.ref,
        checked=Checked(
            nodes=len(scope.graph.made_by.keys() | scope.stored.keys()),
            statements=len(scope.loaded.steps) + len(scope.loaded.unreadable),
            artifacts=len(contents.artifacts),
            models=len(contents.models),
            pipelines=len(scope.pipelines),
        ),
        failures=tuple(one for one in once if isinstance(one, Failure)),
        gaps=tuple(one for one in once if isinstance(one, Gap)),
        unchecked=tuple(one for one in once if isinstance(one, Unchecked)),
    )


def _recorded(scope: _Scope) -> Iterable[Failure | Gap | Unchecked]:
    yield from altered_statements(scope.loaded)
    yield from broken_links(scope.graph, scope.loaded.steps)
    yield from disagreements(scope.graph, scope.stored)
    yield from strangers(scope.loaded.steps, scope.pipelines)
    yield from scope.pins
    for pipeline in scope.pipelines.values():
        yield from broken_history(pipeline, scope.histories.get(pipeline.id, []))
        if scope.ref is None:
            yield from missing_assets(pipeline, scope.loaded.steps)


def _everything(session: Session) -> _Scope:
    loaded = load_steps(session)
    pipelines = load_pipelines(session, None)
    return _Scope(
        ref=None,
        loaded=loaded,
        graph=build(loaded.steps),
        stored=stored_refs(session, None),
        pipelines=pipelines,
        histories=load_histories(session, pipelines.values()),
        unnamed_artifacts=tuple(session.scalars(select(Artifact.sha256).order_by(Artifact.sha256))),
        pins=tuple(changed_pins(session, None)),
    )


def _ancestry(session: Session, text: str) -> _Scope:
    named = resolve(session, text)
    keys = related(session, named.key)
    loaded = load_steps(session, keys)
    refs = build(loaded.steps).ancestors(named.ref)
    steps = tuple(step for step in loaded.steps if any(out.ref in refs for out in step.outputs))
    # a step may have made more than what was asked about: its statement vouches for all of it
    made = {out.ref for step in steps for out in step.outputs} | refs
    stored = {ref: pieces for ref, pieces in stored_refs(session, keys).items() if ref in made}
    pipelines = _named_pipelines(session, keys, steps)
    return _Scope(
        ref=named.ref,
        # a row that cannot be read may be any of them, so it counts
        loaded=Loaded(steps, loaded.unreadable),
        graph=build(steps),
        stored=stored,
        pipelines=pipelines,
        histories=load_histories(session, pipelines.values()),
        unnamed_artifacts=(),
        pins=tuple(changed_pins(session, [named.key])),
    )


def _named_pipelines(session: Session, keys: Sequence[DatasetKey], steps: Iterable[Step]) -> dict[str, Pipeline]:
    named = {step.row.pipeline_id for step in steps}
    return {found: row for found, row in load_pipelines(session, keys).items() if found in named}


def _hash_model(mlflow_url: str) -> Callable[[str], str]:
    def hashed(model_uri: str) -> str:
        from millrace.warehouse.tracking import model_tree_sha256

        return model_tree_sha256(model_uri, mlflow_url)

    return hashed
