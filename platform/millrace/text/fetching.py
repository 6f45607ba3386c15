"""Files of registered models, once fetched from MLflow and compared with their hash at every use."""

import shutil
import tempfile
from pathlib import Path

from millrace.contracts.canonical import sha256_tree
from millrace.settings import Settings
from millrace.text.weights import require_same
from millrace.warehouse.tracking import downloaded, tree_files


def fetched(settings: Settings, uri: str, tree_sha256: str) -> Path:
    """A folder in the home with the model's files, those with this hash.

    Raises:
        NotFound: MLflow has no such model.
        IntegrityBroken: the files are others.
        CannotReach: MLflow does not answer.
    """
    kept = settings.home / "models" / "registered" / tree_sha256
    if not kept.exists():
        with downloaded(uri, settings.mlflow) as found:
            kept.parent.mkdir(parents=True, exist_ok=True)
            draft = Path(tempfile.mkdtemp(dir=kept.parent, prefix=".part-"))
            try:
                shutil.copytree(found, draft, dirs_exist_ok=True)
                require_same(f"the files of {uri} in MLflow", _tree(draft), tree_sha256)
                draft.rename(kept)
            except BaseException as error:
                shutil.rmtree(draft)
                # another process was first
                if not (isinstance(error, OSError) and kept.exists()):
                    raise
    require_same(f"the files of {uri} in {kept}", _tree(kept), tree_sha256)
    return kept


def _tree(folder: Path) -> str:
    return sha256_tree((path, digest) for path, digest, _ in tree_files(folder))
