"""What is asked of a pipeline: the answers about its data, its settings, and the request that a run carries."""

from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from millrace.contracts.events import ColumnName
from millrace.contracts.identifiers import DatasetKey
from millrace.contracts.stages import BIAS_POLICIES, LEVELS, Executor, Level, Policy, TaskType, TriggeredStage

EstimatorFamily = Literal["lgbm", "rf", "extra_tree", "xgboost", "lrl1", "lrl2"]
"""FLAML's names; lrl1 and lrl2 are logistic regressions and serve classification only."""


class Answers(BaseModel):
    """What a person (or autopilot) says of a data set."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    target: ColumnName
    task_type: TaskType
    positive: str | None = None
    """Favourable value of a classification target, as text; None for regression or when none is favourable."""
    sensitive: tuple[ColumnName, ...] = ()


class PipelineSettings(BaseModel):
    """Settings of one pipeline, or of a user for all of theirs."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    policy: Policy = "ask"
    time_budget: int = Field(60, ge=1, le=86_400)
    """AutoML search and refit, seconds of wall clock."""
    families: tuple[EstimatorFamily, ...] = ()
    """Estimator families to search; empty means all that fit the task."""
    levels: tuple[Level, ...] = LEVELS
    retries: int = Field(2, ge=0, le=20)
    approvals: tuple[Literal["automl", "xai"], ...] = ("automl", "xai")
    """Stages that wait for a person's approval of what came before; autopilot starts with none."""
    executors: dict[TriggeredStage, Executor] = Field(default_factory=dict)
    """Stages done elsewhere; a stage not named is done by Dagster."""
    bias_policy: str = Field(BIAS_POLICIES[0], min_length=1, max_length=1000)
    """Bias policy: the name of a shipped one, or the file that the platform is set to."""
    bias_policy_sha256: str | None = None
    """Hash of all that the policy said when the pipeline began, before anything was measured."""
    bias_policy_holds: bool = False
    """Whether the policy holds back what does not pass, so that a person must decide, on autopilot too."""
    seed: int = Field(0, ge=0, le=2**31 - 1)

    @field_validator("levels")
    @classmethod
    def _some_level(cls, value: tuple[Level, ...]) -> tuple[Level, ...]:
        if not value:
            raise ValueError("name at least one level")
        return tuple(level for level in LEVELS if level in value)


@dataclass(frozen=True)
class Coordinates:
    """Where an event stands in Kafka. `topic_id` is Kafka's UUID of the topic: a recreated topic has another one."""

    topic: str
    topic_id: str
    partition: int
    offset: int

    def to_json(self) -> dict[str, Any]:
        """The coordinates as they stand in statements and history."""
        return {"topic": self.topic, "topic_id": self.topic_id, "partition": self.partition, "offset": self.offset}


@dataclass(frozen=True)
class StageRequest:
    """What a run of a stage knows when it starts.

    Only `key`, `stage` and `run_id` are there for a stage launched by hand: the newest version and the settings come
    from the warehouse. `target`, `task_type`, `time_budget` and `model_version` are what the trigger's payload says.
    """

    key: DatasetKey
    stage: TriggeredStage
    run_id: str
    level: Level | None = None
    pipeline_id: str | None = None
    attempt: int | None = None
    event_id: str | None = None
    trigger: Coordinates | None = None
    target: str | None = None
    task_type: TaskType | None = None
    time_budget: int | None = None
    model_version: int | None = None
    trace_parent: str | None = None
