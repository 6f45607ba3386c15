"""A mitigation that the policy asks for and that cannot be done is no failed training: the report says why."""

from types import SimpleNamespace
from typing import Any, cast

import pandas as pd
import pytest
from dagster import build_asset_context

from assets.model_bias import mitigate_by_policy
from assets.trained import Trained
from millrace.automl.result import ModelCard
from millrace.bias.label import measure_label_bias
from millrace.bias.policy import Policy, shipped_policy
from millrace.bias.report import BiasReport
from millrace.contracts.task import Answers, PipelineSettings
from resources.pages import PagesResource

STRICT = shipped_policy("strict")
ANSWERS = Answers(target="got", task_type="classification", positive="yes", sensitive=("who",))
FRAME = pd.DataFrame({"who": ["a", "b"] * 400, "got": ["yes", "no", "yes", "yes"] * 200})


def _report(policy: Policy) -> BiasReport:
    return measure_label_bias(FRAME, answers=ANSWERS, seed=0, policy=policy)


def _tried(policy: Policy, *, classes: tuple[str, ...]) -> tuple[object, str | None]:
    """What follows for a model of that many classes, which nothing may be asked of."""
    work: Any = SimpleNamespace(answers=ANSWERS, settings=PipelineSettings())
    card = ModelCard.model_construct(task_type="classification", classes=classes)
    trained = Trained(
        store=cast(Any, None), work=work, model=cast(Any, None), card=card, frame=FRAME,
        pipeline=cast(Any, None), policy=policy,
    )  # fmt: skip
    report = _report(policy)
    assert report.verdict == "fail"
    return mitigate_by_policy(
        cast(Any, build_asset_context()), trained, report, tracking_uri="http://127.0.0.1:9", pages=PagesResource()
    )


def test_a_model_of_three_classes_is_refused_with_the_reason() -> None:
    made, could_not = _tried(STRICT, classes=("a", "b", "c"))
    assert made is None
    assert could_not == "only a classification with two values can be mitigated, not a target with 3 values"


@pytest.mark.parametrize(
    "policy",
    [shipped_policy(), Policy.model_validate({**STRICT.model_dump(), "mitigation": None})],
    ids=["a policy that never asks", "the strict one without its rule"],
)
def test_a_policy_that_asks_for_nothing_gets_nothing(policy: Policy) -> None:
    assert _tried(policy, classes=("no", "yes")) == (None, None)
