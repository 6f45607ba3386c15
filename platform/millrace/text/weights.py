"""Where a classifier's files are, and what they are: a local folder or a model of the Hugging Face hub."""

import hashlib
import json
import re
from pathlib import Path
from typing import Any

from millrace.contracts.canonical import sha256_file
from millrace.contracts.errors import BadInput, CannotReach, IntegrityBroken

_WANTED = ("*.json", "*.txt", "*.model", "*.safetensors")
"""Never *.bin or *.pt: those are pickles, which run whatever they like."""


def locate(source: str, *, offline: bool = False) -> Path:
    """The folder with the model's files; a hub id is downloaded, or with `offline` must be in the cache already.

    Raises:
        CannotReach: the hub does not give it.
        BadInput: the folder is no model with weights as safetensors.
    """
    folder = Path(source).expanduser()
    if not folder.is_dir():
        folder = _from_hub(source, offline=offline)
    if not (folder / "config.json").exists() or not list(folder.glob("*.safetensors")):
        raise BadInput(
            f"{source}: {folder} lacks config.json or *.safetensors",
            field="model",
            remedy="name a folder that `save_pretrained` wrote, or a hub model with safetensors; pickled weights are "
            "not loaded",
        )
    return folder.absolute()


def loaded_files(folder: Path) -> list[Path]:
    """The files that a model is loaded from, by name."""
    return sorted({path for pattern in _WANTED for path in folder.glob(pattern)})


def file_list(folder: Path) -> list[dict[str, Any]]:
    """Name, SHA-256 and bytes of each file that a model is loaded from."""
    return [described(path) for path in loaded_files(folder)]


def files_sha256(folder: Path) -> str:
    """Hash over names and contents of the files that a model is loaded from."""
    names = [(path.name, sha256_file(path)) for path in loaded_files(folder)]
    return hashlib.sha256(json.dumps(names).encode()).hexdigest()


def described(path: Path) -> dict[str, Any]:
    """Name, SHA-256 and bytes of a file."""
    return {"name": path.name, "sha256": sha256_file(path), "bytes": path.stat().st_size}


def hub_revision(folder: Path) -> str | None:
    """The commit of the hub's repository that the folder is a snapshot of; None for a folder of one's own."""
    is_snapshot = folder.parent.name == "snapshots" and re.fullmatch(r"[0-9a-f]{40}", folder.name)
    return folder.name if is_snapshot else None


def require_same(what: str, found: str, pinned: str) -> None:
    """Passes when what is there is what was pinned.

    Raises:
        IntegrityBroken: it is not.
    """
    if found != pinned:
        raise IntegrityBroken(
            f"{what}: {found} is there, {pinned} was pinned; a stream never changes its model by itself",
            field="model",
            remedy="put the files back, or choose the model anew with `millrace stream model SOURCE`",
        )


def _from_hub(source: str, *, offline: bool) -> Path:
    try:
        from huggingface_hub import snapshot_download
    except ImportError as error:
        raise BadInput(
            "text models need the extra `text`", field="model", remedy="run `uv pip install 'millrace[text]'`"
        ) from error
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(source, allow_patterns=list(_WANTED), local_files_only=offline))
    except HFValidationError as error:
        raise BadInput(f"{source!r} is no folder and no id of a model", field="model", remedy=str(error)) from error
    except (LocalEntryNotFoundError, HfHubHTTPError, OSError) as error:
        # the hub's client advises options of its own where only the cache was asked
        why = "this machine's cache of the hub lacks them" if offline else str(error).splitlines()[0]
        raise CannotReach(
            f"the files of {source} cannot be had: {why}",
            field="model",
            remedy="name a local folder with the model's files, or let this machine reach the hub",
        ) from error
