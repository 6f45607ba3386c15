"""A scoring model as a folder: what MLflow keeps of it, and the scorer that comes out again."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from millrace.contracts.errors import BadInput
from millrace.contracts.scoring import Scorer
from millrace.text.classifier import TextClassifier
from millrace.text.forms import REFERENCE, batches_at_once, forward_of
from millrace.text.registered import KIND as REGISTERED
from millrace.text.registered import RegisteredScorer
from millrace.text.vader import NAME as VADER
from millrace.text.vader import VaderScorer, lexicon_paths
from millrace.text.weights import loaded_files, require_same

CHOICE = "choice.json"
_FILES = "files"
_ONNX = "model.onnx"
_MODEL = "model"


def lay_out(choice: Mapping[str, Any], folder: Path) -> None:
    """Puts the choice and the files that it needs to run into the empty folder.

    The weights of a model of the hub are left there where an ONNX file runs in their place: revision and hashes name
    them.
    """
    (folder / CHOICE).write_text(json.dumps(choice, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    if choice["kind"] == REGISTERED:
        shutil.copytree(choice["folder"], folder / _MODEL)
        return
    files = folder / _FILES
    files.mkdir()
    if choice["kind"] == VADER:
        for path in lexicon_paths():
            shutil.copy(path, files)
        return
    for path in loaded_files(Path(choice["folder"])):
        if path.suffix != ".safetensors" or choice.get("revision") is None or choice["form"] == REFERENCE:
            shutil.copy(path, files)
    if choice.get("onnx") is not None:
        shutil.copy(choice["onnx"], folder / _ONNX)


def scorer_in(folder: Path) -> Scorer:
    """The scorer that `lay_out` put there.

    Raises:
        IntegrityBroken: VADER is installed here in another release.
        BadInput: the choice is of no kind that this version of the code knows.
    """
    choice = json.loads((folder / CHOICE).read_text(encoding="utf-8"))
    if choice["kind"] == VADER:
        return pinned_vader(choice)
    if choice["kind"] == REGISTERED:
        return registered_in(folder / _MODEL, choice)
    if choice["kind"] != "transformer":
        raise unknown_kind(choice)
    form, threads = choice["form"], int(choice["threads"])
    forward = forward_of(form, folder / _FILES, {form: folder / _ONNX}, threads=threads)
    at_once = batches_at_once(form, threads=threads)
    return TextClassifier(folder / _FILES, forward, name=choice["source"], version=choice["version"], at_once=at_once)


def pinned_vader(choice: Mapping[str, Any]) -> VaderScorer:
    """VADER as it is installed, if it is the one that was chosen.

    Raises:
        IntegrityBroken: it is another release, or its lexicon was changed.
    """
    scorer = VaderScorer()
    require_same("the release and lexicon of vader", scorer.version, choice["version"])
    return scorer


def registered_in(folder: Path, choice: Mapping[str, Any]) -> RegisteredScorer:
    """The registered model whose files are in the folder."""
    return RegisteredScorer(folder, column=choice["column"], name=choice["name"], version=choice["version"])


def unknown_kind(choice: Mapping[str, Any]) -> BadInput:
    """The error for a choice that a newer version of the code may have made."""
    return BadInput(f"a pinned model of kind {choice['kind']!r}", field="model", remedy="choose a model anew")
