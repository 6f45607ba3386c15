"""The small enumerations of the vocabulary."""

from typing import Literal, get_args

TaskType = Literal["classification", "regression"]
Level = Literal["beginner", "intermediate", "expert"]
Stage = Literal["quality", "bias", "automl", "xai"]
TriggeredStage = Literal["bias", "automl", "xai"]
"""Stages that a trigger starts; quality runs in the job of bias, because the target is not known before."""
Verdict = Literal["pass", "fail", "inconclusive", "not assessable"]
Executor = Literal["dagster", "external"]
Policy = Literal["ask", "autopilot"]

BIAS_POLICIES = ("four-fifths", "nyc-ll144", "strict")
"""Bias policies that come with the platform; the first is the default."""
TASK_TYPES: tuple[TaskType, ...] = get_args(TaskType)
LEVELS: tuple[Level, ...] = get_args(Level)
TRIGGERED_STAGES: tuple[TriggeredStage, ...] = get_args(TriggeredStage)
EXPLANATION_REPORT_TYPE = "model_explanation"
"""`report_type` of every explanation report, as in the payloads and the view URL."""
