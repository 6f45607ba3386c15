"""Models from files: forms compared, one chosen, pinned, and never changed in silence."""

import shutil

import pytest

from millrace.contracts.errors import BadInput, CannotReach, IntegrityBroken
from millrace.text import choice
from millrace.text.choice import choose, scorer_of
from millrace.text.first import SEED_MODEL, first_choice
from millrace.text.forms import export
from millrace.text.golden import GOLDEN
from millrace.text.tracking import record
from millrace.text.weights import files_sha256, locate

pytest.importorskip("torch")


@pytest.fixture(scope="module")
def chosen(tiny, tmp_path_factory):
    return choose(str(tiny), cache=tmp_path_factory.mktemp("cache"), threads=1)


def test_every_form_is_timed_and_compared_with_the_model_itself(chosen):
    found = {one["form"]: one for one in chosen["candidates"]}
    assert set(found) == {"torch-fp32", "onnx-fp32", "onnx-int8"}
    assert found["torch-fp32"]["accuracy"] > 0.95, "the tiny model was not fitted"
    assert found["onnx-fp32"]["agreement"] == 1.0
    assert all(one["texts_per_second"] > 0 for one in found.values())
    best = found[chosen["form"]]
    assert not best["refused"]
    assert best["texts_per_second"] == max(one["texts_per_second"] for one in found.values() if not one["refused"])


def test_the_pinned_scorer_gives_what_the_model_itself_gives(chosen, tiny):
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    texts = [text for text, _ in GOLDEN[::9]] + ["", "unknown words only", "great " * 200]
    scores = scorer_of(chosen).score(texts)
    model = AutoModelForSequenceClassification.from_pretrained(tiny).eval()
    tokenizer = AutoTokenizer.from_pretrained(tiny)
    for text, score in zip(texts, scores, strict=True):
        row = tokenizer(text, truncation=True, max_length=64, return_tensors="pt", return_token_type_ids=False)
        with torch.inference_mode():
            expected = torch.softmax(model(**row).logits[0], 0)
        assert set(score.labels) == {"NEGATIVE", "POSITIVE"}
        assert sum(score.labels.values()) == pytest.approx(1)
        assert score.labels["POSITIVE"] == pytest.approx(float(expected[1]), abs=0.05)
        assert score.value == max(score.labels.values())


def test_it_is_named_by_what_it_is(chosen, tiny):
    scorer = scorer_of(chosen)
    assert (scorer.name, scorer.kind) == (str(tiny), "probability")
    assert scorer.version == f"{files_sha256(tiny)[:12]}+{chosen['form']}"


def test_a_form_that_loses_more_than_half_a_point_is_refused(tiny, other, tmp_path):
    digest = files_sha256(tiny)
    # an eight-bit file of another model stands in for a quantisation that went wrong
    files = export(other, tmp_path / "other")
    wrong = tmp_path / "cache" / digest[:16]
    wrong.mkdir(parents=True)
    shutil.copy(files["onnx-int8"], wrong / "int8.onnx")
    found = choose(str(tiny), cache=tmp_path / "cache", threads=1)
    refused = {one["form"]: one["refused"] for one in found["candidates"]}
    assert refused == {"torch-fp32": False, "onnx-fp32": False, "onnx-int8": True}
    assert found["form"] != "onnx-int8"


def test_files_that_changed_are_not_used(chosen, tiny, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(tiny, copy)
    pinned = {**chosen, "folder": str(copy)}
    assert scorer_of(pinned).version == chosen["version"]
    config = copy / "config.json"
    config.write_text(config.read_text().replace("negative", "bad"))
    with pytest.raises(IntegrityBroken, match="never changes its model by itself"):
        scorer_of(pinned)


@pytest.mark.parametrize("kind", ["folder", "pickle", "nonsense"])
def test_what_is_no_model_with_safetensors_is_refused(tmp_path, kind):
    if kind == "nonsense":
        with pytest.raises(BadInput):
            locate("not a/valid/id\n", offline=True)
        return
    if kind == "pickle":
        (tmp_path / "config.json").write_text("{}")
        (tmp_path / "pytorch_model.bin").write_bytes(b"\x80\x04.")
    with pytest.raises(BadInput, match=r"lacks config\.json or"):
        locate(str(tmp_path))


def test_without_the_seeds_model_on_this_machine_vader_is_pinned_under_its_own_name(tmp_path, monkeypatch):
    def missing(source, **options):
        raise CannotReach("not in the cache")

    monkeypatch.setattr(choice, "locate", missing)
    pinned = first_choice("auto", cache=tmp_path)
    assert (pinned["kind"], pinned["source"]) == ("vader", "vader")
    assert pinned["instead_of"] == f"{SEED_MODEL}: not in the cache"
    assert scorer_of(pinned).name == "vader"
    with pytest.raises(CannotReach):
        first_choice("some/model", cache=tmp_path)


def test_vader_of_another_release_is_not_used_for_the_one_that_was_pinned():
    with pytest.raises(IntegrityBroken):
        scorer_of({"kind": "vader", "version": "3.0+000000000000"})


# mlflow 3.17 on a newer SQLAlchemy
@pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning")
def test_a_choice_is_in_mlflow_with_its_figures_and_files(chosen, tmp_path, monkeypatch):
    from mlflow import MlflowClient

    monkeypatch.chdir(tmp_path)
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    told = record(chosen, uri=uri, name="score_events")
    client = MlflowClient(tracking_uri=uri)
    run = client.get_run(told["mlflow_run_id"])
    assert run.data.params["files_sha256"] == chosen["files_sha256"]
    assert run.data.metrics["onnx-int8.loss_points"] >= 0
    assert told["mlflow_version"] == "score_events/1"
    names = {one.path for one in client.list_artifacts(run.info.run_id, "model")}
    assert "model/chosen.json" in names
