"""The scorer that is pinned: from this machine's files, or where they are gone from MLflow, never another one."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from millrace.contracts.canonical import sha256_file
from millrace.contracts.scoring import Scorer
from millrace.settings import Settings
from millrace.text.classifier import TextClassifier
from millrace.text.fetching import fetched
from millrace.text.forms import batches_at_once, export, forward_of
from millrace.text.registered import KIND as REGISTERED
from millrace.text.stored import pinned_vader, registered_in, scorer_in, unknown_kind
from millrace.text.vader import NAME as VADER
from millrace.text.weights import files_sha256, locate, require_same


def scorer_of(pinned: Mapping[str, Any], settings: Settings) -> Scorer:
    """The scorer, after its files were found to be those that were chosen.

    Raises:
        IntegrityBroken: a file is not what it was.
        CannotReach: the files are gone here, and MLflow does not answer.
        NotFound: they are gone in MLflow too.
        BadInput: what is pinned is of no kind that this version of the code knows.
    """
    if pinned["kind"] == VADER:
        return pinned_vader(pinned)
    if pinned["kind"] not in ("transformer", REGISTERED):
        raise unknown_kind(pinned)
    if not Path(pinned["folder"]).is_dir() and "registered" in pinned:
        return scorer_in(fetched(settings, pinned["registered"], pinned["tree_sha256"]) / "data")
    if pinned["kind"] == REGISTERED:
        return registered_in(fetched(settings, pinned["source"], pinned["model_tree_sha256"]), pinned)
    return _local(pinned)


def _local(pinned: Mapping[str, Any]) -> Scorer:
    folder = locate(pinned["folder"], offline=True)
    require_same(f"the files in {folder}", files_sha256(folder), pinned["files_sha256"])
    files = {}
    if pinned["onnx"] is not None:
        path = Path(pinned["onnx"])
        files = {pinned["form"]: path}
        # made anew where the cache was emptied
        if not path.exists():
            export(folder, path.parent)
        require_same(str(path), sha256_file(path), pinned["onnx_sha256"])
    forward = forward_of(pinned["form"], folder, files, threads=pinned["threads"])
    at_once = batches_at_once(pinned["form"], threads=pinned["threads"])
    return TextClassifier(folder, forward, name=pinned["source"], version=pinned["version"], at_once=at_once)
