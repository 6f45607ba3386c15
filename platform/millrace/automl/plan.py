"""What a training run is asked to do."""

from pydantic import BaseModel, ConfigDict, Field

from millrace.contracts.events import ColumnName
from millrace.contracts.stages import TaskType
from millrace.contracts.task import Answers, EstimatorFamily, PipelineSettings

TREE_FAMILIES: tuple[EstimatorFamily, ...] = ("lgbm", "rf", "extra_tree", "xgboost")
LINEAR_FAMILIES: tuple[EstimatorFamily, ...] = ("lrl1", "lrl2")


class TrainingPlan(BaseModel):
    """Target, budget and seed of one search.

    With `max_trials` the search ends after that many trials whatever the clock says, so that two runs on the same
    rows give the same model; without it the clock ends the search and two runs may differ.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    target: ColumnName
    task_type: TaskType
    positive: str | None = None
    """Favourable label as text; metrics of a binary task are those of this label."""
    time_budget: float = Field(60, gt=0, le=86_400)
    """Preparation, search, refit and evaluation, seconds of wall clock. One-off imports are not counted."""
    families: tuple[EstimatorFamily, ...] = ()
    """Estimator families to search; empty means all that fit the task."""
    seed: int = Field(0, ge=0, le=2**31 - 1)
    holdout_share: float = Field(0.2, gt=0, lt=1)
    """Share of the rows that the search never sees."""
    max_trials: int | None = Field(None, ge=1)

    @property
    def searched(self) -> tuple[EstimatorFamily, ...]:
        """The families that are searched: those asked for that fit the task, or all that fit it."""
        fitting = TREE_FAMILIES + (LINEAR_FAMILIES if self.task_type == "classification" else ())
        return tuple(family for family in fitting if not self.families or family in self.families)


def plan_from(answers: Answers, settings: PipelineSettings, *, time_budget: float | None = None) -> TrainingPlan:
    """The plan of a pipeline; `time_budget` (seconds) wins over the settings where the trigger names one."""
    return TrainingPlan(
        target=answers.target,
        task_type=answers.task_type,
        positive=answers.positive if answers.task_type == "classification" else None,
        time_budget=settings.time_budget if time_budget is None else time_budget,
        families=settings.families,
        seed=settings.seed,
    )
