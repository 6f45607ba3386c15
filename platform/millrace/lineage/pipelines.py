"""Histories of pipelines: entries without a gap, and a completed pipeline with a statement of every asset."""

import itertools
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from millrace.contracts.identifiers import DatasetKey
from millrace.contracts.task import PipelineSettings
from millrace.lineage.loading import Step, of_keys
from millrace.lineage.verification import Failure, Gap
from millrace.warehouse.schema import History, Pipeline

_NAMED_AT_ONCE = 500
"""Pipelines named in one query: below SQLite's limit of parameters; above it the whole table is read."""


def load_pipelines(session: Session, keys: Sequence[DatasetKey] | None) -> dict[str, Pipeline]:
    """Pipelines by id, of these data sets or all."""
    wanted = select(Pipeline).order_by(Pipeline.created_at)
    if keys is not None:
        wanted = wanted.where(of_keys(Pipeline, keys))
    return {row.id: row for row in session.scalars(wanted)}


def load_histories(session: Session, pipelines: Iterable[Pipeline]) -> dict[str, list[History]]:
    """Pipeline → its history in order."""
    wanted = {row.id for row in pipelines}
    found: dict[str, list[History]] = defaultdict(list)
    entries = select(History).order_by(History.pipeline_id, History.seq)
    if len(wanted) <= _NAMED_AT_ONCE:
        entries = entries.where(History.pipeline_id.in_(wanted))
    for entry in session.scalars(entries):
        if entry.pipeline_id in wanted:
            found[entry.pipeline_id].append(entry)
    return found


def broken_history(pipeline: Pipeline, history: Sequence[History]) -> Iterator[Failure | Gap]:
    """What is wrong with a history: a number that is missing, a state that does not follow, an approval not in it."""
    ref = pipeline_ref(pipeline.id)
    numbers = [entry.seq for entry in history]
    missing = sorted(set(range(1, pipeline.revision + 1)) - set(numbers))
    if missing:
        listed = ", ".join(map(str, missing[:10])) + (", …" if len(missing) > 10 else "")
        yield Gap(ref, f"history entry {listed} of {pipeline.revision} is missing")
    if numbers and numbers[-1] > pipeline.revision:
        yield Failure(ref, "history altered", "revision", expected=str(numbers[-1]), found=str(pipeline.revision))
    for before, after in itertools.pairwise(history):
        if after.seq == before.seq + 1 and after.from_state != before.to_state:
            yield Failure(
                ref, "history altered", f"entry {after.seq}", expected=before.to_state, found=after.from_state
            )
    if history and not missing and history[-1].to_state != pipeline.state:
        yield Failure(ref, "history altered", "state", expected=history[-1].to_state, found=pipeline.state)
    seen = {entry.seen_sha256 for entry in history}
    for stage, sha256 in pipeline.approvals.items():
        if sha256 not in seen:
            yield Failure(ref, "history altered", f"approval of {stage}", found=sha256)


def missing_assets(pipeline: Pipeline, steps: Iterable[Step]) -> Iterator[Failure | Gap]:
    """A gap for every asset that a completed pipeline must have left a statement of."""
    if pipeline.state != "completed":
        return
    made = {step.row.asset for step in steps if step.row.pipeline_id == pipeline.id}
    try:
        settings = PipelineSettings.model_validate(pipeline.settings)
    except ValueError:
        yield Failure(pipeline_ref(pipeline.id), "record differs", "settings")
        return
    for asset in _expected(settings):
        if asset not in made:
            yield Gap(pipeline_ref(pipeline.id), f"completed, but no statement of its {asset} is there")


def strangers(steps: Iterable[Step], pipelines: Mapping[str, Pipeline]) -> Iterator[Failure]:
    """A failure for every pipeline that statements name and that is not there."""
    told = set()
    for step in steps:
        named = step.row.pipeline_id
        if named is not None and named not in pipelines and named not in told:
            told.add(named)
            yield Failure(pipeline_ref(named), "record missing", statement_id=step.row.id)


def pipeline_ref(pipeline_id: str) -> str:
    """`pipeline:pl-3f9c…`."""
    return f"pipeline:{pipeline_id}"


def _expected(settings: PipelineSettings) -> Iterator[str]:
    # an explanation may be another pipeline's, reused for the same hashes: the link from the report finds it missing
    yield "bias_report"
    yield "model"
    # an outside worker hands in only what ends its stage
    if settings.executors.get("bias") != "external":
        yield "data_quality"
    if settings.executors.get("automl") != "external":
        yield "model_bias_report"
    for level in settings.levels:
        yield f"xai_report/{level}"
