"""What outside workers hand in: the result of a stage whose executor is `external`; the same events follow."""

from typing import Any, Literal

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, field_validator

from millrace.api.access import Caller, Who
from millrace.api.deps import Config, Store
from millrace.api.routes.pipelines import owner_of
from millrace.api.shapes import ModelOut, ReportOut
from millrace.contracts.canonical import canonical_json, sha256_json
from millrace.contracts.errors import Conflict
from millrace.contracts.identifiers import DatasetKey, parse_model_version
from millrace.contracts.references import Ref, dataset_ref, model_ref
from millrace.contracts.stages import Level, TriggeredStage
from millrace.contracts.task import PipelineSettings, StageRequest
from millrace.warehouse.models import get_model
from millrace.warehouse.reports import get_report
from millrace.warehouse.saves import Made, announce_model, save_model, save_report
from millrace.warehouse.schema import Pipeline
from millrace.warehouse.stage_work import StageWork, claim, fail
from millrace.warehouse.store import Warehouse

router = APIRouter(tags=["outside workers"])

_MAX_PAGE = 3_000_000


class _HandedIn(BaseModel):
    model_config = ConfigDict(extra="forbid")

    pipeline_id: str
    attempt: int = Field(ge=1)
    seconds: float = Field(0.0, ge=0)
    """What the work took."""
    parameters: dict[str, Any] = {}
    seed: int | None = None


class ReportIn(_HandedIn):
    """A report: its document, the figures for lists, and a page when there is one (scripts in it never run)."""

    document: dict[str, Any]
    summary: dict[str, Any] = {}
    html: str | None = Field(None, max_length=_MAX_PAGE)

    @field_validator("document", "summary")
    @classmethod
    def _is_json(cls, value: dict[str, Any]) -> dict[str, Any]:
        # Python's parser lets NaN and infinities through, which JSON cannot carry and no hash can be made of
        canonical_json(value)
        return value


class ExplanationIn(ReportIn):
    """An explanation report of one level; the model is the pipeline's own, or the version named."""

    level: Level
    html: str = Field(max_length=_MAX_PAGE)
    model_version: str | None = None


class ModelIn(_HandedIn):
    """A model that the worker has registered in MLflow under `user.dataset`."""

    version: str
    algorithm: str = Field(min_length=1, max_length=64)
    metrics: dict[Literal["train", "validation", "test", "baseline"], dict[str, FiniteFloat]]
    """`accuracy` (of a classifier) or `r2` (of a regression) on train, validation and test rows at least."""
    details: dict[str, Any] = {}

    @field_validator("metrics")
    @classmethod
    def _told(cls, value: dict[str, dict[str, float]]) -> dict[str, dict[str, float]]:
        for split in ("train", "validation", "test"):
            if not {"accuracy", "r2"} & set(value.get(split, {})):
                raise ValueError(f"{split} needs accuracy or r2")
        return value


class FailureIn(BaseModel):
    """A stage that an outside worker could not do."""

    model_config = ConfigDict(extra="forbid")

    pipeline_id: str
    stage: TriggeredStage
    attempt: int = Field(ge=1)
    level: Level | None = None
    error_class: str = Field(min_length=1, max_length=200)
    message: str = Field(min_length=1, max_length=4000)
    transient: bool = False


@router.post("/bias-reports", status_code=201)
def hand_in_bias(given: ReportIn, who: Who, store: Store) -> ReportOut:
    """Saves a bias report; `bias.reported` follows."""
    work = _claimed(store, who, given, "bias")
    made = _made(given, "bias_report", (_table(work),), work)
    saved = save_report(
        store,
        work,
        kind="bias",
        document=given.document,
        html=given.html,
        report_hash=sha256_json(given.document),
        summary=given.summary,
        made=made,
    )
    with store.read() as session:
        return ReportOut.of(get_report(session, saved.report_id))


@router.post("/xai-reports", status_code=201)
def hand_in_explanation(given: ExplanationIn, who: Who, store: Store) -> ReportOut:
    """Saves an explanation report of one level; `xai.reported` follows."""
    work = _claimed(store, who, given, "xai", given.level)
    number = parse_model_version(given.model_version) if given.model_version else work.request.model_version
    with store.read() as session:
        model = get_model(session, work.request.key, number)
    explained = Ref(model_ref(model.key, model.version), model.tree_sha256, kind="model")
    saved = save_report(
        store,
        work,
        kind="xai",
        document=given.document,
        html=given.html,
        report_hash=sha256_json(given.document),
        summary=given.summary,
        made=_made(given, f"xai_report/{given.level}", (_table(work), explained), work),
        level=given.level,
        model_version=model.version,
    )
    with store.read() as session:
        return ReportOut.of(get_report(session, saved.report_id))


@router.post("/ai-models", status_code=201)
def hand_in_model(given: ModelIn, who: Who, store: Store, settings: Config) -> ModelOut:
    """Takes over a model version from MLflow; `model.uploaded` follows. Pickled models are refused."""
    from millrace.api.outside_models import inspect

    number = parse_model_version(given.version)
    key = owner_of(store, who, given.pipeline_id)
    _check_executor(store, given.pipeline_id, "automl")
    found = inspect(settings.mlflow, key.partition_key, number)
    work = _claimed(store, who, given, "automl")
    trained = found.as_trained(
        version=number,
        task_type=work.answers.task_type,
        target_column=work.answers.target,
        algorithm=given.algorithm,
        metrics={name: dict(values) for name, values in given.metrics.items()},
        details=given.details,
    )
    model = save_model(store, work, trained, made=_made(given, "model", (_table(work),), work), announce=False)
    announce_model(store, work, model)
    return ModelOut.of(model)


@router.post("/stage-failures", status_code=202)
def hand_in_failure(given: FailureIn, who: Who, store: Store) -> dict[str, bool]:
    """Says that an attempt failed; the conductor tries again when it is transient."""
    key = owner_of(store, who, given.pipeline_id)
    _check_executor(store, given.pipeline_id, given.stage)
    request = _request(key, who, given.pipeline_id, given.stage, given.attempt, given.level)
    told = fail(store, request, error_class=given.error_class, message=given.message, transient=given.transient)
    return {"accepted": told}


def _claimed(
    store: Warehouse, who: Caller, given: _HandedIn, stage: TriggeredStage, level: Level | None = None
) -> StageWork:
    key = owner_of(store, who, given.pipeline_id)
    _check_executor(store, given.pipeline_id, stage)
    return claim(store, _request(key, who, given.pipeline_id, stage, given.attempt, level))


def _request(
    key: DatasetKey, who: Caller, pipeline_id: str, stage: TriggeredStage, attempt: int, level: Level | None
) -> StageRequest:
    return StageRequest(
        key=key,
        stage=stage,
        run_id=f"external:{who.user_id or key.user_id}"[:64],
        level=level,
        pipeline_id=pipeline_id,
        attempt=attempt,
    )


def _check_executor(store: Warehouse, pipeline_id: str, stage: TriggeredStage) -> None:
    with store.read() as session:
        row = session.get_one(Pipeline, pipeline_id)
        executor = PipelineSettings.model_validate(row.settings).executors.get(stage, "dagster")
    if executor != "external":
        raise Conflict(
            f"stage {stage} of pipeline {pipeline_id} is done by Dagster, not by an outside worker",
            field="pipeline_id",
            remedy=f'begin the pipeline with settings {{"executors": {{"{stage}": "external"}}}}',
        )


def _table(work: StageWork) -> Ref:
    return Ref(dataset_ref(work.version.key, work.version.version), work.version.table_sha256, part="table")


def _made(given: _HandedIn, asset: str, inputs: tuple[Ref, ...], work: StageWork) -> Made:
    return Made(
        asset=asset,
        inputs=inputs,
        parameters={"executor": "external", **given.parameters},
        seed=given.seed,
        rows_in=work.version.record_count,
        rows_out=None,
        seconds=given.seconds,
    )
