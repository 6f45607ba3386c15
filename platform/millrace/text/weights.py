"""Where a classifier's files are, and what they are: a local folder or a model of the Hugging Face hub."""

import hashlib
import json
from pathlib import Path

from millrace.contracts.errors import BadInput, CannotReach

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


def files_sha256(folder: Path) -> str:
    """Hash over names and contents of the files that a model is loaded from."""
    names = sorted({path.name for pattern in _WANTED for path in folder.glob(pattern)})
    return hashlib.sha256(json.dumps([(name, file_sha256(folder / name)) for name in names]).encode()).hexdigest()


def file_sha256(path: Path) -> str:
    """SHA-256 of the file's bytes."""
    with path.open("rb") as source:
        return hashlib.file_digest(source, "sha256").hexdigest()


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
        raise CannotReach(
            f"the files of {source} cannot be had: {str(error).splitlines()[0]}",
            field="model",
            remedy="name a local folder with the model's files, or let this machine reach the hub",
        ) from error
