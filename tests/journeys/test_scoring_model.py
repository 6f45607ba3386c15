"""A scoring model as it is chosen in Dagster: real Dagster, real MLflow, no stream needed."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from dagster import AssetKey, DagsterInstance, ExecuteInProcessResult, RunConfig, materialize

import definitions
from assets.scoring_model import ScoringModelConfig, scoring_model
from millrace import settings as environment
from millrace.lineage.verify import verify
from millrace.settings import Settings
from millrace.warehouse.scoring_models import pinned_of
from millrace.warehouse.store import Warehouse, open_warehouse

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]
STREAM = "score_events"
Choose = Callable[..., ExecuteInProcessResult]


@pytest.fixture(scope="module")
def home(mlflow_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MILLRACE_HOME", str(tmp_path_factory.mktemp("home")))
        patch.setenv("MLFLOW_TRACKING_URI", mlflow_url)
        patch.setenv("MILLRACE_SCORING_MODEL", "vader")
        yield environment.load()


@pytest.fixture(scope="module")
def warehouse(home: Settings) -> Warehouse:
    return open_warehouse(home, migrate=True)


@pytest.fixture(scope="module")
def choose(home: Settings, warehouse: Warehouse, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Choose]:
    with DagsterInstance.local_temp(str(tmp_path_factory.mktemp("dagster"))) as instance:

        def run(**options: str) -> ExecuteInProcessResult:
            return materialize(
                [scoring_model],
                instance=instance,
                resources=dict(definitions.defs.resources or {}),
                run_config=RunConfig(ops={"scoring_model": ScoringModelConfig(**options)}),
                raise_on_error=False,
            )

        yield run


def _metadata(result: ExecuteInProcessResult) -> dict[str, Any]:
    (made,) = result.asset_materializations_for_node("scoring_model")
    assert made.asset_key == AssetKey("scoring_model")
    return {name: value.value for name, value in made.metadata.items()}


def test_materialised_with_nothing_it_is_the_setting_and_then_what_is_pinned(choose, warehouse, home) -> None:
    first = _metadata(choose())
    pinned = pinned_of(warehouse, STREAM)
    assert pinned is not None
    assert (first["scoring model"], first["source"]) == (pinned["ref"], "vader")
    assert first["tree sha256"] == pinned["tree_sha256"]
    assert "lexicon" in first["candidates"]
    assert {one["name"] for one in first["files"]} == {"vader_lexicon.txt", "emoji_utf8_lexicon.txt"}
    again = _metadata(choose())
    assert again["scoring model"] == first["scoring model"]
    assert pinned_of(warehouse, STREAM) == pinned
    assert verify(warehouse, mlflow_url=home.mlflow).failures == ()


def test_materialised_with_a_source_it_is_that_one(choose, warehouse) -> None:
    before = pinned_of(warehouse, STREAM)
    result = choose(source="vader")
    pinned = pinned_of(warehouse, STREAM)
    assert before is not None
    assert pinned is not None
    assert pinned["ref"] != before["ref"]
    assert _metadata(result)["scoring model"] == pinned["ref"]


def test_what_is_no_model_fails_with_the_remedy_and_changes_nothing(choose, warehouse, tmp_path) -> None:
    before = pinned_of(warehouse, STREAM)
    result = choose(source=str(tmp_path))
    assert not result.success
    failure = result.failure_data_for_node("scoring_model")
    assert failure is not None
    assert failure.user_failure_data is not None
    assert failure.user_failure_data.metadata["field"].value == "model"
    assert "safetensors" in failure.user_failure_data.metadata["remedy"].value
    assert pinned_of(warehouse, STREAM) == before
