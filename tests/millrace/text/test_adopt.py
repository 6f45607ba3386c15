"""A scoring model is in MLflow and in the lineage before anything is scored with it. Real MLflow, real warehouse."""

import os
import shutil
import threading

import pytest

from millrace.contracts.errors import CannotReach, IntegrityBroken, NotFound
from millrace.lineage.tree import show
from millrace.lineage.verify import verify
from millrace.text import adopt as adopting
from millrace.text.adopt import SEED_MODEL, adopt, settled
from millrace.text.golden import GOLDEN
from millrace.text.pinned import scorer_of
from millrace.text.vader import VaderScorer, lexicon_paths
from millrace.warehouse.schema import ScoringModel, Stream
from millrace.warehouse.scoring_models import list_scoring_models, pinned_of, save_scoring_model, stream_row
from millrace.warehouse.statements import Made, all_statements
from millrace.warehouse.store import open_warehouse

# mlflow 3.17 on a newer SQLAlchemy, and on the packages that a model was saved with
pytestmark = pytest.mark.filterwarnings("default")
STREAM = "score_events"


@pytest.fixture
def settings(make_settings, mlflow_url, tmp_path):
    return make_settings(tmp_path, MLFLOW_TRACKING_URI=mlflow_url, MILLRACE_SCORING_MODEL="vader")


@pytest.fixture
def warehouse(settings):
    opened = open_warehouse(settings, migrate=True)
    yield opened
    opened.engine.dispose()


@pytest.fixture
def name():
    """A stream of the test's own: the registry of the session's server counts the versions of all tests."""
    return f"stream_{os.urandom(4).hex()}"


@pytest.fixture
def client(mlflow_url):
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=mlflow_url, registry_uri=mlflow_url)


def test_vader_is_registered_with_its_lexicon_and_its_figures(settings, warehouse, name, client, mlflow_url):
    import mlflow

    pinned = settled(settings, warehouse, name, actor="first start", run_id="run-1")
    assert pinned == pinned_of(warehouse, name)
    assert (pinned["ref"], pinned["registered"]) == (f"model:{name}@v1", f"models:/{name}/1")
    run = client.get_run(pinned["mlflow_run_id"])
    assert run.info.status == "FINISHED"
    assert run.data.params["version"] == VaderScorer().version == pinned["version"]
    texts = [text for text, _ in GOLDEN]
    right = sum(one.label == label for one, (_, label) in zip(VaderScorer().score(texts), GOLDEN, strict=True))
    assert run.data.metrics["lexicon.accuracy"] == pytest.approx(right / len(GOLDEN))
    assert 0.5 < run.data.metrics["lexicon.accuracy"] < 1
    assert run.data.metrics["lexicon.texts_per_second"] > 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", mlflow_url)
        folder = client.download_artifacts(run.info.run_id, "model/data/files")
        model = mlflow.pyfunc.load_model(f"models:/{name}/1")
    for path in lexicon_paths():
        assert (type(path)(folder) / path.name).read_bytes() == path.read_bytes()
    said = model.predict([{"text": text} for text in ("I love it", "I hate it", "It is a table")])
    assert list(said["label"]) == ["POSITIVE", "NEGATIVE", "NEUTRAL"]
    assert set(said) == {"label", "score", "POSITIVE", "NEGATIVE", "NEUTRAL"}


def test_the_choice_is_made_once_and_a_restart_finds_it(settings, warehouse, name):
    first = settled(settings, warehouse, name, actor="first start")
    other = settings.model_copy(update={"scoring_model": "no/such-model"})
    assert settled(other, warehouse, name, actor="restart") == first
    with warehouse.read() as session:
        assert [one.version for one in list_scoring_models(session, name)] == [1]


def test_of_processes_that_begin_together_one_chooses(settings, warehouse, name):
    found = []
    threads = [
        threading.Thread(target=lambda: found.append(settled(settings, warehouse, name, actor="a"))) for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert found == [pinned_of(warehouse, name)] * 3
    with warehouse.read() as session:
        assert len(list_scoring_models(session, name)) == 1


def test_what_an_older_version_pinned_is_recorded_and_stays_what_it_is(settings, warehouse, name):
    before = {"kind": "vader", "source": "vader", "version": VaderScorer().version}
    with warehouse.transaction() as session:
        stream_row(session, name).pinned = before
    gaps = verify(warehouse, mlflow_url=settings.mlflow).gaps
    assert [one.ref for one in gaps] == [f"stream:{name}"]
    pinned = settled(settings, warehouse, name, actor="restart")
    assert before.items() <= pinned.items()
    assert pinned["ref"] == f"model:{name}@v1"
    assert verify(warehouse, mlflow_url=settings.mlflow).gaps == ()


def test_nothing_is_pinned_that_mlflow_did_not_take(settings, warehouse, name):
    away = settings.model_copy(update={"mlflow_url": "http://127.0.0.1:9"})
    with pytest.raises(CannotReach) as caught:
        settled(away, warehouse, name, actor="first start")
    assert (caught.value.field, "millrace up" in caught.value.remedy) == ("MLFLOW_TRACKING_URI", True)
    assert pinned_of(warehouse, name) is None


def test_lineage_knows_a_choice_and_finds_what_was_changed(settings, warehouse, name):
    pinned = settled(settings, warehouse, name, actor="user:ada", run_id="run-7")
    tree = show(warehouse, f"model:{name}")
    assert (tree.node.ref, tree.node.asset) == (pinned["ref"], "scoring_model")
    assert {part.kind: part.sha256 for part in tree.node.parts}["model"] == pinned["tree_sha256"]
    assert tree.node.parameters["version"] == pinned["version"]
    assert tree.node.parameters["chosen by"] == "user:ada"
    assert (tree.node.dagster_run_id, tree.up, tree.down) == ("run-7", (), ())
    found = verify(warehouse, mlflow_url=settings.mlflow, ref=pinned["ref"])
    assert (found.failures, found.gaps, found.unchecked) == ((), (), ())
    assert (found.checked.models, found.checked.artifacts) == (1, 1)
    with pytest.raises(NotFound, match="no scoring model"):
        show(warehouse, f"model:{name}@v9")

    # what is pinned is another model than the recorded one
    with warehouse.transaction() as session:
        session.get_one(Stream, name).pinned = {**pinned, "version": "3.3.2+of-mine"}
    (failure,) = verify(warehouse, mlflow_url=settings.mlflow).failures
    assert (failure.ref, failure.what, failure.part) == (pinned["ref"], "record differs", "pinned")
    with warehouse.transaction() as session:
        session.get_one(Stream, name).pinned = pinned
        session.query(ScoringModel).one().tree_sha256 = "0" * 64
    (failure,) = verify(warehouse, mlflow_url=settings.mlflow).failures
    assert (failure.ref, failure.what, failure.found) == (pinned["ref"], "record differs", "0" * 64)


def test_the_seeds_model_is_missing_here_and_vader_says_what_it_stands_for(settings, warehouse, name, monkeypatch):
    def missing(source, **options):
        if source == SEED_MODEL:
            raise CannotReach("not in the cache")
        return real(source, **options)

    real = adopting.choose
    monkeypatch.setattr(adopting, "choose", missing)
    auto = settings.model_copy(update={"scoring_model": "auto"})
    pinned = settled(auto, warehouse, name, actor="a")
    assert (pinned["source"], pinned["instead_of"]) == ("vader", f"{SEED_MODEL}: not in the cache")
    assert scorer_of(pinned, settings).name == "vader"


def test_vader_of_another_release_is_not_used_for_the_one_that_was_pinned(settings):
    with pytest.raises(IntegrityBroken, match="never changes its model by itself"):
        scorer_of({"kind": "vader", "version": "3.0+000000000000"}, settings)


def test_a_classifier_comes_back_from_mlflow_where_its_folder_is_gone(
    settings, warehouse, name, tiny, client, tmp_path
):
    folder = tmp_path / "mine"
    shutil.copytree(tiny, folder)
    pinned = adopt(settings, warehouse, name, str(folder), actor="a")
    run = client.get_run(pinned["mlflow_run_id"])
    assert run.data.params["files_sha256"] == pinned["files_sha256"]
    assert {f"{one['form']}.loss_points" for one in pinned["candidates"]} <= set(run.data.metrics)
    kept = {one.path for one in client.list_artifacts(run.info.run_id, "model/data/files")}
    assert {f"model/data/files/{one['name']}" for one in pinned["files"]} == kept
    texts = [text for text, _ in GOLDEN[:20]]
    before = scorer_of(pinned, settings).score(texts)
    shutil.rmtree(folder)
    restored = scorer_of(pinned, settings)
    assert restored.version == pinned["version"]
    assert restored.score(texts) == before
    # an altered copy is not used
    (config,) = (settings.home / "models" / "registered" / pinned["tree_sha256"]).rglob("files/config.json")
    config.write_text(config.read_text().replace("negative", "bad"))
    with pytest.raises(IntegrityBroken):
        scorer_of(pinned, settings)


def test_an_earlier_choice_that_is_made_again_is_the_same_version(settings, warehouse, name):

    pinned = settled(settings, warehouse, name, actor="a")
    place = ("ref", "registered", "mlflow_run_id", "tree_sha256")
    again = save_scoring_model(
        warehouse, name, {key: value for key, value in pinned.items() if key not in place}, version=1,
        mlflow_run_id=pinned["mlflow_run_id"], tree_sha256=pinned["tree_sha256"],
        made=Made("scoring_model", (), {"chosen by": "b"}, None, len(GOLDEN), None, 0.1), actor="b", run_id=None,
    )  # fmt: skip
    assert again == pinned
    with warehouse.read() as session:
        assert [one.parameters["chosen by"] for one in all_statements(session)] == ["a", "b"]
        assert len(list_scoring_models(session, name)) == 1
    assert verify(warehouse, mlflow_url=settings.mlflow).failures == ()
