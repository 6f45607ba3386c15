"""The scorer that is pinned: from this machine's files, or where they are gone from MLflow, never another one."""

import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from millrace.contracts.canonical import sha256_file, sha256_tree
from millrace.contracts.scoring import Scorer
from millrace.settings import Settings
from millrace.text.classifier import TextClassifier
from millrace.text.forms import export, forward_of
from millrace.text.stored import pinned_vader, require_same, scorer_in, unknown_kind
from millrace.text.vader import NAME as VADER
from millrace.text.weights import files_sha256, locate


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
    if pinned["kind"] != "transformer":
        raise unknown_kind(pinned)
    if Path(pinned["folder"]).is_dir() or "registered" not in pinned:
        return _local(pinned)
    return scorer_in(_restored(pinned, settings) / "data")


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
    return TextClassifier(folder, forward, name=pinned["source"], version=pinned["version"])


def _restored(pinned: Mapping[str, Any], settings: Settings) -> Path:
    from millrace.warehouse.tracking import downloaded, tree_files

    kept = settings.home / "models" / "registered" / str(pinned["tree_sha256"])
    if not kept.exists():
        with downloaded(pinned["registered"], settings.mlflow) as found:
            kept.parent.mkdir(parents=True, exist_ok=True)
            draft = Path(tempfile.mkdtemp(dir=kept.parent, prefix=".part-"))
            shutil.copytree(found, draft, dirs_exist_ok=True)
            try:
                draft.rename(kept)
            except OSError:
                # another process was first
                shutil.rmtree(draft)
    found_tree = sha256_tree((path, digest) for path, digest, _ in tree_files(kept))
    require_same(f"the files of {pinned['registered']}", found_tree, pinned["tree_sha256"])
    return kept
