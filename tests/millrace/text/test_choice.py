"""Models from files: forms compared, one chosen, pinned, and never changed in silence."""

import shutil

import pytest

from millrace.contracts.canonical import sha256_file
from millrace.contracts.errors import BadInput, IntegrityBroken
from millrace.text.choice import choose
from millrace.text.forms import export
from millrace.text.golden import GOLDEN
from millrace.text.pinned import scorer_of
from millrace.text.weights import files_sha256, hub_revision, locate


@pytest.fixture(autouse=True, scope="module")
def _torch():
    # not while the module is imported: every process that runs tests imports every module
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


@pytest.fixture
def settings(make_settings, tmp_path):
    return make_settings(tmp_path)


def test_the_pinned_scorer_gives_what_the_model_itself_gives(chosen, tiny, settings):
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    texts = [text for text, _ in GOLDEN[::9]] + ["", "unknown words only", "great " * 200]
    scores = scorer_of(chosen, settings).score(texts)
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


def test_it_is_named_by_what_it_is(chosen, tiny, settings):
    scorer = scorer_of(chosen, settings)
    assert (scorer.name, scorer.kind) == (str(tiny), "probability")
    assert scorer.version == f"{files_sha256(tiny)[:12]}+{chosen['form']}"


def test_every_file_that_it_is_loaded_from_is_named_with_its_hash(chosen, tiny):
    told = {one["name"]: one for one in chosen["files"]}
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= set(told)
    assert all(one["sha256"] == sha256_file(tiny / name) for name, one in told.items())
    assert told["model.safetensors"]["bytes"] == (tiny / "model.safetensors").stat().st_size
    assert chosen["revision"] is None


def test_a_snapshot_of_the_hub_is_named_by_its_commit(tmp_path):
    commit = "0123456789abcdef0123456789abcdef01234567"
    assert hub_revision(tmp_path / "models--a--b" / "snapshots" / commit) == commit
    assert hub_revision(tmp_path / "snapshots" / "my-model") is None
    assert hub_revision(tmp_path / commit) is None


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


def test_files_that_changed_are_not_used(chosen, tiny, tmp_path, settings):
    copy = tmp_path / "copy"
    shutil.copytree(tiny, copy)
    pinned = {**chosen, "folder": str(copy)}
    assert scorer_of(pinned, settings).version == chosen["version"]
    config = copy / "config.json"
    config.write_text(config.read_text().replace("negative", "bad"))
    with pytest.raises(IntegrityBroken, match="never changes its model by itself"):
        scorer_of(pinned, settings)


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
