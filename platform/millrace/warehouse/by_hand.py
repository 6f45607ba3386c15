"""Settings of a stage that no pipeline asked for: from a third party's trigger, or found in the warehouse."""

from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import select
from sqlalchemy.orm import Session

from millrace.contracts.errors import Conflict
from millrace.contracts.identifiers import DatasetKey
from millrace.contracts.task import Answers, PipelineSettings, StageRequest
from millrace.warehouse.datasets import VersionFacts, get_version
from millrace.warehouse.models import get_model
from millrace.warehouse.schema import Pipeline, UserPolicy

SettingsSource = Literal["pipeline", "trigger", "proposal"]


@dataclass(frozen=True)
class Found:
    """A version of the data set with answers and settings for it."""

    version: VersionFacts
    answers: Answers
    settings: PipelineSettings
    source: SettingsSource


def found_settings(session: Session, request: StageRequest) -> Found:
    """What the stage works with.

    A model is explained on the version that it was trained on, with its own target; every other stage takes the newest
    version. A trigger's target and task come before those of the newest pipeline, and these before its proposal.

    Raises:
        NotFound: the data set or the model does not exist.
        Conflict: neither a trigger nor a pipeline says what the target is.
    """
    number, target, task = None, request.target, request.task_type
    if request.stage == "xai":
        model = get_model(session, request.key, request.model_version)
        # a string in the table; the model was saved from answers, so it is one of the two
        number, target, task = model.dataset_version, model.target_column, _task_type(model.task_type)
    version = get_version(session, request.key, number)
    pipelines = _pipelines(session, request.key)
    answers, source = _answers([one for one in pipelines if one.version == version.version])
    if target is not None and task is not None:
        if answers is None or (answers.target, answers.task_type) != (target, task):
            answers = _for_target(target, task, answers)
        source = "trigger" if request.target is not None else source
    if answers is None:
        raise Conflict(
            f"nothing says what the target of data set {request.key.partition_key} is",
            field="target",
            remedy=_remedy(pipelines),
        )
    return Found(version, answers, _settings(session, request, pipelines), source)


def _task_type(text: str) -> Literal["classification", "regression"]:
    return "regression" if text == "regression" else "classification"


def _pipelines(session: Session, key: DatasetKey) -> list[Pipeline]:
    return list(
        session.scalars(
            select(Pipeline)
            .where(Pipeline.user_id == key.user_id, Pipeline.dataset_id == key.dataset_id)
            .order_by(Pipeline.created_at.desc(), Pipeline.id.desc())
        )
    )


def _answers(pipelines: list[Pipeline]) -> tuple[Answers | None, SettingsSource]:
    for pipeline in pipelines:
        if pipeline.answers:
            return Answers.model_validate(pipeline.answers), "pipeline"
    for pipeline in pipelines:
        if pipeline.proposals.get("answers"):
            return Answers.model_validate(pipeline.proposals["answers"]), "proposal"
    return None, "trigger"


def _for_target(target: str, task: Literal["classification", "regression"], known: Answers | None) -> Answers:
    # the sensitive columns are facts about the data, whatever the target; the favourable value is not
    sensitive = () if known is None else tuple(one for one in known.sensitive if one != target)
    same = known is not None and known.target == target and task == "classification"
    positive = known.positive if known is not None and same else None
    return Answers(target=target, task_type=task, positive=positive, sensitive=sensitive)


def _settings(session: Session, request: StageRequest, pipelines: list[Pipeline]) -> PipelineSettings:
    values: dict[str, Any] = {}
    policy = session.get(UserPolicy, request.key.user_id)
    if policy is not None:
        values = dict(policy.settings)
    if pipelines:
        values = dict(pipelines[0].settings)
    if request.time_budget is not None:
        values["time_budget"] = request.time_budget
    return PipelineSettings.model_validate(values)


def _remedy(pipelines: list[Pipeline]) -> str:
    if pipelines:
        return f"run `millrace pipeline answer {pipelines[0].id} --target COLUMN`"
    return "start a pipeline with POST /pipelines, then run `millrace pipeline answer ID --target COLUMN`"
