"""Choosing a model of a data set: found in the warehouse, fetched from MLflow, and tried on the golden texts."""

from pathlib import Path
from typing import Any

from millrace.contracts.errors import BadInput, CannotReach, NotFound
from millrace.contracts.identifiers import parse_partition_key
from millrace.contracts.references import Ref, model_ref
from millrace.settings import Settings
from millrace.text.candidates import only_candidate
from millrace.text.fetching import fetched
from millrace.text.golden import GOLDEN
from millrace.text.registered import KIND, Named, RegisteredScorer, text_column
from millrace.warehouse.models import ModelFacts, get_model
from millrace.warehouse.store import Warehouse
from millrace.warehouse.tracking import tracking, tree_files


def choose_registered(settings: Settings, warehouse: Warehouse, named: Named) -> tuple[dict[str, Any], Ref]:
    """What to pin, and the model as lineage names it. A choice by alias says what it follows.

    Raises:
        NotFound: the warehouse or MLflow has no such model, or no version has the alias.
        BadInput: the model is no classification, or has no single text column.
        IntegrityBroken: MLflow serves other files than were recorded.
        CannotReach: MLflow does not answer.
    """
    version = named.version if named.alias is None else version_of(settings, named)
    key = parse_partition_key(named.name)
    with warehouse.read() as session:
        facts = get_model(session, key, version)
    uri = named.with_version(facts.version)
    if facts.task_type != "classification":
        raise BadInput(f"{uri} is a {facts.task_type}: it has no labels", field="model", remedy="name a classification")
    folder = fetched(settings, uri, facts.tree_sha256)
    choice = _described(facts, uri, folder)
    if named.alias is not None:
        choice["follows"] = f"models:/{named.name}@{named.alias}"
    return choice, Ref(model_ref(key, facts.version), facts.tree_sha256, kind="model")


def version_of(settings: Settings, named: Named) -> int:
    """The version that has the alias now.

    Raises:
        NotFound: none has it.
        CannotReach: MLflow does not answer.
    """
    with tracking(settings.mlflow):
        from mlflow import MlflowClient
        from mlflow.exceptions import MlflowException

        try:
            found = MlflowClient(settings.mlflow).get_model_version_by_alias(named.name, str(named.alias))
        except MlflowException as error:
            if error.error_code not in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                raise CannotReach(
                    f"MLflow does not say which version of {named.name} is {named.alias}: {error.error_code}",
                    field="MLFLOW_TRACKING_URI",
                    remedy="run `millrace status`",
                ) from error
            raise NotFound(
                f"no version of {named.name} has the alias {named.alias!r}",
                field="model",
                remedy=f"give it to one on MLflow's page of the model, or name a version: models:/{named.name}/1",
            ) from error
    return int(found.version)


def _described(facts: ModelFacts, uri: str, folder: Path) -> dict[str, Any]:
    from mlflow.models import Model

    name, version = facts.key.partition_key, f"v{facts.version}+{facts.tree_sha256[:12]}"
    column = text_column(Model.load(str(folder)).signature, uri)
    scorer = RegisteredScorer(folder, column=column, name=name, version=version)
    files = tree_files(folder)
    return {
        "kind": KIND,
        "source": uri,
        "name": name,
        "model": model_ref(facts.key, facts.version),
        "model_tree_sha256": facts.tree_sha256,
        "folder": str(folder),
        "files": [{"name": path, "sha256": digest, "bytes": size} for path, digest, size in files],
        "form": facts.algorithm,
        "column": column,
        "labels": list(scorer.labels),
        "version": version,
        "holdout": facts.metrics["test"],
        "candidates": [only_candidate(facts.algorithm, scorer).to_json()],
        "golden": len(GOLDEN),
    }
