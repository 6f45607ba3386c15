"""Which model a run is about, and the rows that its search never saw."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

    from millrace.automl.result import ModelCard
    from millrace.bias.policy import Policy
    from millrace.contracts.control import Predictor
    from millrace.contracts.references import Ref
    from millrace.warehouse.models import ModelFacts
    from millrace.warehouse.reports import ReportFacts
    from millrace.warehouse.stage_work import StageWork
    from millrace.warehouse.store import Warehouse
    from resources.mlflow import MlflowResource


@dataclass(frozen=True)
class Trained:
    """A registered model with the table that it was trained on, and the policy that it is judged by."""

    store: "Warehouse"
    work: "StageWork"
    """On the version and the target that the model was trained on."""
    model: "ModelFacts"
    card: "ModelCard"
    frame: "pd.DataFrame"
    pipeline: "Predictor"
    policy: "Policy"

    @property
    def unseen(self) -> "pd.DataFrame":
        """The rows that its search never saw."""
        from millrace.automl.split import holdout_positions

        return self.frame.iloc[holdout_positions(self.frame, self.card)]


def trained_of(store: "Warehouse", claimed: "StageWork", mlflow: "MlflowResource") -> Trained:
    """The model that a run is about, as `model_of` finds it, and what it came from.

    Raises:
        NotFound: the data set has no such model.
        IntegrityBroken: the model's files are not those that were recorded.
        CannotReach: the MLflow server does not answer.
        Conflict: the policy has changed since the pipeline began.
    """
    from assets.bias_metadata import policy_of
    from millrace.automl.result import ModelCard
    from millrace.warehouse.datasets import read_table

    model = model_of(store, claimed)
    work = work_on(store, claimed, model)
    return Trained(
        store=store,
        work=work,
        model=model,
        card=ModelCard.model_validate(model.details),
        frame=read_table(store, work.version),
        pipeline=mlflow.predictor(model),
        policy=policy_of(work),
    )


def model_of(store: "Warehouse", work: "StageWork") -> "ModelFacts":
    """The model that this run trained; else the one that the trigger names; else the newest.

    Raises:
        NotFound: the data set has no such model.
    """
    from millrace.contracts.identifiers import parse_model_version
    from millrace.warehouse.models import get_model
    from millrace.warehouse.statements import statements_of

    key = work.version.key
    with store.read() as session:
        made = [
            statement.outputs[0]["ref"].rpartition("@")[2]
            for statement in statements_of(session, key)
            if statement.asset == "model" and statement.dagster_run_id == work.request.run_id
        ]
        number = parse_model_version(made[-1]) if made else work.request.model_version
        return get_model(session, key, number)


def work_on(store: "Warehouse", work: "StageWork", model: "ModelFacts") -> "StageWork":
    """The work with the version and the target that the model was trained on; they may be older than the newest."""
    from millrace.warehouse.datasets import get_version

    answers = work.answers
    if answers.target != model.target_column:
        sensitive = tuple(name for name in answers.sensitive if name != model.target_column)
        answers = answers.model_copy(
            update={
                "target": model.target_column,
                "task_type": model.task_type,
                "positive": model.details["positive"],
                "sensitive": sensitive,
            }
        )
    if model.dataset_version == work.version.version:
        return replace(work, answers=answers)
    with store.read() as session:
        return replace(work, answers=answers, version=get_version(session, model.key, model.dataset_version))


def refs_of(work: "StageWork", model: "ModelFacts") -> "tuple[Ref, Ref]":
    """The table and the model, as statements name them."""
    from millrace.contracts.references import Ref, dataset_ref, model_ref

    table = Ref(dataset_ref(work.version.key, work.version.version), work.version.table_sha256, part="table")
    return table, Ref(model_ref(model.key, model.version), model.tree_sha256, kind="model")


def find_explanation(
    store: "Warehouse", work: "StageWork", model: "ModelFacts", parameters: dict[str, Any]
) -> "ReportFacts | None":
    """The newest explanation of the same table and model, by the same code with the same parameters."""
    from millrace.warehouse.reports import get_report
    from millrace.warehouse.statements import statements_of

    wanted = [ref.to_json() for ref in refs_of(work, model)]
    with store.read() as session:
        for statement in reversed(statements_of(session, model.key)):
            if (
                statement.asset == "explanation"
                and statement.inputs == wanted
                and statement.parameters == parameters
                and statement.code_version == store.code_version
            ):
                return get_report(session, str(statement.outputs[0]["ref"]).removeprefix("report:"))
    return None
