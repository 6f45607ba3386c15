"""Begins a pipeline: proposals, settings, answers where no person is needed, and the older pipelines superseded."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from millrace.conductor import happenings as h
from millrace.conductor.answers import GivenAnswers, checked_answers, complete
from millrace.conductor.machine import decide
from millrace.conductor.plan import merge_settings
from millrace.conductor.policies import user_layer
from millrace.conductor.proposals import Proposals, propose
from millrace.conductor.states import TERMINAL, Snapshot
from millrace.conductor.store import Cause, derived_id, locked_pipeline, new_row, snapshot_of, write
from millrace.conductor.triggers import trace_id_of
from millrace.contracts.canonical import sha256_bytes
from millrace.contracts.errors import BadInput
from millrace.contracts.identifiers import DatasetKey
from millrace.contracts.task import Answers, PipelineSettings
from millrace.settings import Settings
from millrace.warehouse.datasets import VersionFacts, get_version
from millrace.warehouse.schema import Dataset, Pipeline

MAX_CAUSE = 128
"""Longest cause that the column holds; a longer one is kept as its hash."""


@dataclass(frozen=True)
class Opening:
    """What a new pipeline begins with. `version` None means the newest."""

    key: DatasetKey
    version: int | None
    cause_event_id: str
    given: Answers | GivenAnswers | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    trace_parent: str | None = None
    asked_for: bool = True
    """False when an event begins it: then it can be superseded from the start."""


def open_pipeline(session: Session, settings: Settings, opening: Opening, cause: Cause) -> Pipeline:
    """The pipeline of that cause: a new one, or the one that is there already.

    Raises:
        NotFound: the data set or version does not exist.
        BadInput: answers or settings that cannot work.
    """
    key = opening.key
    cause_id = fitting(opening.cause_event_id)
    # one opening at a time per data set: which of two pipelines supersedes the other must not depend on luck
    session.execute(
        select(Dataset.user_id)
        .where(Dataset.user_id == key.user_id, Dataset.dataset_id == key.dataset_id)
        .with_for_update()
    )
    known = session.scalars(select(Pipeline).where(Pipeline.cause_event_id == cause_id)).one_or_none()
    if known is not None:
        return known
    version = get_version(session, key, opening.version)
    plan = merge_settings(settings, user_layer(session, key.user_id), opening.settings)
    proposals = propose(version.profile)
    answers, why = _first_answers(opening, version, proposals, plan)
    newer = None if opening.asked_for else _newest_after(session, key, version.version)
    row = new_row(
        {
            "id": derived_id("pl", cause_id),
            "cause_event_id": cause_id,
            "user_id": key.user_id,
            "dataset_id": key.dataset_id,
            "version": version.version,
            "sha256": version.sha256,
            "settings": plan.model_dump(mode="json"),
            "proposals": proposals.model_dump(mode="json"),
            "trace_id": trace_id_of(opening.trace_parent, otherwise=cause_id),
            "created_at": cause.at,
            "updated_at": cause.at,
        }
    )
    session.add(row)
    session.flush()
    decision = decide(
        Snapshot(row.id, None, None, plan), h.DatasetSeen(answers, why, newer_pipeline=newer.id if newer else None)
    )
    write(session, settings.topics, row, decision, cause)
    _supersede_older(session, settings, row, cause)
    return row


def fitting(cause_event_id: str) -> str:
    """The cause as the column holds it."""
    if len(cause_event_id) <= MAX_CAUSE:
        return cause_event_id
    return "sha256:" + sha256_bytes(cause_event_id.encode())


def _first_answers(
    opening: Opening, version: VersionFacts, proposals: Proposals, plan: PipelineSettings
) -> tuple[Answers | None, str]:
    given = opening.given
    if given is not None:
        if isinstance(given, GivenAnswers):
            given = complete(given, profile=version.profile, proposals=proposals)
        return checked_answers(given, version.profile), "the answers came with the request"
    if plan.policy == "ask":
        return None, "target, task type and sensitive columns are for a person to confirm"
    if proposals.answers is None or proposals.doubts:
        return None, "autopilot needs a person: " + "; ".join(proposals.doubts)
    try:
        answers = checked_answers(proposals.answers, version.profile)
    except BadInput as error:
        return None, f"autopilot needs a person: {error.message}"
    return answers, f"autopilot took the proposal: {answers.task_type} of {answers.target!r}"


def _newest_after(session: Session, key: DatasetKey, version: int) -> Pipeline | None:
    return session.scalars(
        select(Pipeline)
        .where(Pipeline.user_id == key.user_id, Pipeline.dataset_id == key.dataset_id, Pipeline.version > version)
        .order_by(Pipeline.version.desc(), Pipeline.created_at, Pipeline.id)
        .limit(1)
    ).one_or_none()


def _supersede_older(session: Session, settings: Settings, row: Pipeline, cause: Cause) -> None:
    older = session.scalars(
        select(Pipeline.id)
        .where(
            Pipeline.user_id == row.user_id,
            Pipeline.dataset_id == row.dataset_id,
            Pipeline.version < row.version,
            Pipeline.state.not_in(TERMINAL),
        )
        .order_by(Pipeline.id)
    ).all()
    for pipeline_id in older:
        one = locked_pipeline(session, pipeline_id)
        decision = decide(snapshot_of(session, one), h.Superseded(by_pipeline=row.id, version=row.version))
        write(session, settings.topics, one, decision, cause)
