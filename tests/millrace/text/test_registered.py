"""Models of data sets as scorers: trained by AutoML, registered on a real MLflow server, chosen by version or alias."""

import os
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pytest

from millrace.contracts.errors import BadInput, CannotReach, Conflict, IntegrityBroken, NotFound
from millrace.examples.reviews import TEXT, generate_reviews
from millrace.lineage.tree import show
from millrace.lineage.verify import verify
from millrace.settings import Settings
from millrace.text.adopt import adopt, settled
from millrace.text.champion import ChampionWatch
from millrace.text.golden import GOLDEN
from millrace.text.pinned import scorer_of
from millrace.text.registered import parse_uri
from millrace.warehouse.models import ModelFacts
from millrace.warehouse.scoring_models import list_scoring_models, pinned_of
from millrace.warehouse.store import Warehouse, open_warehouse

# libraries of a model warn about each other; AutoML's own tests hold them to silence
pytestmark = pytest.mark.filterwarnings("default")
TEXTS = ["I love the app.", "The worst hotel in years.", "I recommend the seat. Order 7.", "", "zzz", "\x00 💥" * 99]


@dataclass(frozen=True)
class World:
    settings: Settings
    warehouse: Warehouse
    name: str
    """Partition key and registered name: `ada.reviews…`, with two versions of a model of reviews."""
    models: tuple[ModelFacts, ...]


@pytest.fixture(scope="module")
def world(make_settings, mlflow_url, tmp_path_factory, add_text_model):
    settings = make_settings(tmp_path_factory.mktemp("registered"), MLFLOW_TRACKING_URI=mlflow_url)
    warehouse = open_warehouse(settings, migrate=True)
    name = f"ada.reviews-{os.urandom(3).hex()}"
    models = tuple(add_text_model(settings, warehouse, name, seed=seed) for seed in (1, 2))
    yield World(settings, warehouse, name, models)
    warehouse.engine.dispose()


@pytest.fixture
def stream():
    return f"stream_{os.urandom(4).hex()}"


@pytest.fixture
def choose(world, stream):
    """`choose("models:/…")` for a stream of the test's own."""

    def run(source: str, **options: Any) -> dict[str, Any]:
        return adopt(world.settings, world.warehouse, stream, source, actor="cli:ada", **options)

    return run


@pytest.fixture
def champion(world, mlflow_url):
    """`champion(2)` makes the second version the champion, as a person does on MLflow's page."""
    from mlflow import MlflowClient

    client = MlflowClient(mlflow_url)
    yield lambda version: client.set_registered_model_alias(world.name, "champion", version)
    client.delete_registered_model_alias(world.name, "champion")


def test_it_says_what_the_models_own_pyfunc_says_with_labels_and_probabilities(world, choose, mlflow_url):
    import mlflow

    pinned = choose(f"models:/{world.name}/1")
    scorer = scorer_of(pinned, world.settings)
    assert (scorer.name, scorer.kind) == (world.name, "probability")
    assert scorer.version == f"v1+{world.models[0].tree_sha256[:12]}"
    assert scorer.score([]) == []
    scores = scorer.score(TEXTS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", mlflow_url)
        said = mlflow.pyfunc.load_model(f"models:/{world.name}/1").predict(pd.DataFrame({TEXT: TEXTS}))
        chances = mlflow.sklearn.load_model(f"models:/{world.name}/1").predict_proba(pd.DataFrame({TEXT: TEXTS}))
        again = mlflow.pyfunc.load_model(pinned["registered"]).predict([{"text": text} for text in TEXTS])
    assert [one.label for one in scores] == [label.upper() for label in said] == list(again["label"])
    assert [one.label for one in scores[:3]] == ["POSITIVE", "NEGATIVE", "POSITIVE"]
    assert np.allclose([[one.labels["NEGATIVE"], one.labels["POSITIVE"]] for one in scores], chances)
    assert all(one.value == max(one.labels.values()) for one in scores)


def test_the_choice_has_its_figures_and_the_models_hash_and_stands_in_the_lineage(world, choose, stream, mlflow_url):
    from mlflow import MlflowClient

    pinned = choose(f"models:/{world.name}/2")
    first = world.models[1]
    assert (pinned["column"], pinned["labels"]) == (TEXT, ["NEGATIVE", "POSITIVE"])
    assert pinned["model_tree_sha256"] == first.tree_sha256
    (candidate,) = pinned["candidates"]
    texts = [text for text, _ in GOLDEN]
    right = [
        one.label == label
        for one, (_, label) in zip(scorer_of(pinned, world.settings).score(texts), GOLDEN, strict=True)
    ]
    assert candidate["accuracy"] == pytest.approx(np.mean(right))
    run = MlflowClient(mlflow_url).get_run(pinned["mlflow_run_id"])
    assert run.data.metrics["holdout.accuracy"] == first.metrics["test"]["accuracy"]
    assert run.data.params["model_tree_sha256"] == first.tree_sha256

    up = show(world.warehouse, pinned["ref"], direction="up")
    (model,) = up.up
    assert model.node.ref == f"model:{world.name}@v2"
    assert [one.node.ref for one in model.branches] == [f"dataset:{world.name}@v2"]
    down = show(world.warehouse, f"model:{world.name}@v2", direction="down")
    assert pinned["ref"] in [one.node.ref for one in down.down]
    found = verify(world.warehouse, mlflow_url=world.settings.mlflow, ref=pinned["ref"])
    assert (found.failures, found.gaps, found.unchecked) == ((), (), ())
    assert found.checked.models == 2


def test_what_mlflow_serves_instead_of_the_recorded_model_is_not_used(world, choose, monkeypatch):
    from sqlalchemy import update

    from millrace.warehouse.schema import Model

    def recorded(sha256: str) -> None:
        with world.warehouse.transaction() as session:
            session.execute(update(Model).where(Model.version == 1).values(tree_sha256=sha256))

    recorded("0" * 64)
    try:
        with pytest.raises(IntegrityBroken, match="in MLflow"):
            choose(f"models:/{world.name}/1")
    finally:
        recorded(world.models[0].tree_sha256)


@pytest.mark.parametrize(
    ("source", "error", "words"),
    [
        ("models:/{name}/99", NotFound, "no model of data set"),
        ("models:/{name}@champion", NotFound, "no version of {name} has the alias 'champion'"),
        ("models:/nobody.nothing/1", NotFound, "no model of data set nobody.nothing"),
        ("models:/{name}", BadInput, "names no registered model"),
        ("models:/{name}/0", BadInput, "names no registered model"),
        ("models:/not-a-data-set/1", BadInput, "names no data set"),
        ("models:/{stream}/7", NotFound, "no scoring model of {stream} with version v7"),
        ("models:/{stream}@champion", BadInput, "have no aliases"),
    ],
)
def test_what_is_not_there_is_refused_with_the_remedy(world, choose, stream, source, error, words):
    names = {"name": world.name, "stream": stream}
    with pytest.raises(error, match=words.format(**names)) as caught:
        choose(source.format(**names))
    assert caught.value.field
    assert caught.value.remedy
    assert pinned_of(world.warehouse, stream) is None


def test_a_model_that_reads_more_than_one_text_is_refused_by_its_columns(world, choose, add_text_model, stream):
    frame = generate_reviews(rows=300)
    frame["stars"] = np.where(frame["sentiment"] == "positive", 5, 1) + frame.index % 2
    name = f"ada.stars-{os.urandom(3).hex()}"
    add_text_model(world.settings, world.warehouse, name, frame=frame)
    with pytest.raises(BadInput, match=r"reads text \(text\), stars; an event gives it one text") as caught:
        choose(f"models:/{name}/1")
    assert caught.value.field == "model"
    assert "only feature is a column of text" in caught.value.remedy
    assert pinned_of(world.warehouse, stream) is None


def test_a_regression_is_refused(world, choose, add_text_model):
    frame = generate_reviews(rows=300)
    frame["sentiment"] = np.where(frame["sentiment"] == "positive", 1.5, 0.25) + frame.index / 1000
    name = f"ada.points-{os.urandom(3).hex()}"
    add_text_model(world.settings, world.warehouse, name, frame=frame, task_type="regression", families=("lgbm",))
    with pytest.raises(BadInput, match="is a regression") as caught:
        choose(f"models:/{name}/1")
    assert caught.value.field == "model"


def test_a_new_champion_is_taken_up_and_the_same_one_is_not_chosen_again(world, choose, champion, stream):
    champion(1)
    pinned = choose(f"models:/{world.name}@champion")
    assert (pinned["source"], pinned["follows"]) == (f"models:/{world.name}/1", f"models:/{world.name}@champion")
    watch = ChampionWatch(world.settings, world.warehouse, stream, run_id="run-3")
    assert watch.look() is None
    champion(2)
    taken = watch.look()
    assert taken == pinned_of(world.warehouse, stream)
    assert (taken["source"], taken["follows"]) == (f"models:/{world.name}/2", pinned["follows"])
    assert scorer_of(taken, world.settings).version.startswith("v2+")
    assert watch.look() is None
    with world.warehouse.read() as session:
        chosen = list_scoring_models(session, stream)
    assert [one.chosen_by for one in chosen] == [f"follows models:/{world.name}@champion", "cli:ada"]


def test_a_champion_that_cannot_score_is_refused_once_and_what_scored_stays(
    world, choose, champion, stream, add_text_model
):
    champion(1)
    pinned = choose(f"models:/{world.name}@champion")
    frame = generate_reviews(rows=300).assign(stars=lambda rows: rows.index % 5)
    third = add_text_model(world.settings, world.warehouse, world.name, frame=frame)
    champion(third.version)
    watch = ChampionWatch(world.settings, world.warehouse, stream)
    with pytest.raises(BadInput, match="stars"):
        watch.look()
    assert watch.look() is None
    assert pinned_of(world.warehouse, stream) == pinned
    champion(2)
    assert watch.look()["source"] == f"models:/{world.name}/2"


def test_a_person_who_chooses_while_a_champion_is_taken_up_is_not_overruled(world, choose, champion, stream):
    champion(1)
    pinned = choose(f"models:/{world.name}@champion")
    mine = choose("vader")
    with pytest.raises(Conflict, match="meanwhile"):
        choose(f"models:/{world.name}@champion", in_place_of=pinned["ref"])
    assert pinned_of(world.warehouse, stream) == mine
    assert ChampionWatch(world.settings, world.warehouse, stream).look() is None


def test_going_back_pins_what_was_and_follows_nobody(world, choose, champion, stream):
    champion(1)
    first = choose(f"models:/{world.name}@champion")
    choose("vader")
    again = choose(f"models:/{stream}/1")
    assert again == {name: value for name, value in first.items() if name != "follows"}
    champion(2)
    assert ChampionWatch(world.settings, world.warehouse, stream).look() is None
    assert settled(world.settings, world.warehouse, stream, actor="restart") == again
    assert verify(world.warehouse, mlflow_url=world.settings.mlflow, ref=again["ref"]).failures == ()


def test_without_mlflow_what_was_chosen_goes_on_and_a_champion_is_not_looked_up(world, choose, champion, stream):
    champion(1)
    pinned = choose(f"models:/{world.name}@champion")
    away = world.settings.model_copy(update={"mlflow_url": "http://127.0.0.1:9"})
    assert scorer_of(settled(away, world.warehouse, stream, actor="restart"), away).version == pinned["version"]
    with pytest.raises(CannotReach):
        ChampionWatch(away, world.warehouse, stream).look()


@pytest.mark.parametrize("text", ["models:/a.b/3", "models:/a.b@champion"])
def test_both_forms_are_read(text):
    named = parse_uri(text)
    assert (named.name, named.version, named.alias) in (("a.b", 3, None), ("a.b", None, "champion"))
