"""DAGSTER_HOME: the instance file, a workspace that points at our code server, and storage made once."""

import hashlib
import json
import subprocess
import sys
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

from millrace.contracts.errors import BadInput, CannotReach
from millrace.settings import Settings

_CREATE_SECONDS = 120.0
_DAGSTERS_POSTGRES = {"postgres": {"postgres_url": {"env": "MILLRACE_DAGSTER_DATABASE_URL"}}}
_POSTGRES = {
    "custom": {
        "module": "warm_runs.postgres",
        "class": "WarmPostgresStorage",
        "config": _DAGSTERS_POSTGRES["postgres"],
    }
}


def source_file(name: str) -> Path:
    """A file of the platform's root folder, such as dagster.yaml: beside the module `definitions`, or in this package.

    Raises:
        BadInput: the installation lacks it.
    """
    spec = find_spec("definitions")
    folders = [] if spec is None or spec.origin is None else [Path(spec.origin).parent]
    for folder in (*folders, Path(__file__).parent):
        if (folder / name).exists():
            return folder / name
    raise BadInput(f"the installation lacks {name}", remedy="install the platform again")


def install_dagster_home(settings: Settings) -> None:
    """Writes dagster.yaml and workspace.yaml; what is there is replaced, storage is left alone."""
    home = settings.dagster_home
    home.mkdir(parents=True, exist_ok=True)
    (home / "dagster.yaml").write_text(instance_text(settings), encoding="utf-8")
    (home / "workspace.yaml").write_text(workspace_text(settings), encoding="utf-8")


def instance_text(settings: Settings) -> str:
    """dagster.yaml as it is in the repository, with the storage and without the warm runs that the settings say."""
    text = source_file("dagster.yaml").read_text(encoding="utf-8")
    if settings.warm_runs and settings.dagster_database_url is None:
        return text
    import yaml

    sections = yaml.safe_load(text)
    if settings.dagster_database_url is not None:
        sections["storage"] = _POSTGRES if settings.warm_runs else _DAGSTERS_POSTGRES
    if not settings.warm_runs:
        # Dagster's own storage reads the same files
        sections = {name: part for name, part in sections.items() if "warm_runs." not in json.dumps(part)}
    return str(yaml.safe_dump(sections))


def workspace_text(settings: Settings) -> str:
    """The workspace of webserver and daemon: the running code server, under the location's usual name."""
    return (
        "# written by `millrace up`; the workspace.yaml of the repository loads the same module in-process\n"
        "load_from:\n"
        "  - grpc_server:\n"
        "      host: 127.0.0.1\n"
        f"      port: {settings.code_server_port}\n"
        "      location_name: definitions\n"
    )


def create_storage(settings: Settings, environment: Mapping[str, str]) -> None:
    """Makes Dagster's tables when they are not there, before several processes would do it at once.

    Raises:
        CannotReach: Dagster could not make them; gives its last words.
    """
    done_once = settings.dagster_home / ".storage-made"
    # where it was made, told without the password
    place = hashlib.sha256((settings.dagster_database_url or "").encode()).hexdigest()
    if done_once.exists() and done_once.read_text(encoding="utf-8") == place:
        return
    command = [sys.executable, "-m", "dagster", "instance", "info"]
    done = subprocess.run(
        command, env=dict(environment), capture_output=True, text=True, timeout=_CREATE_SECONDS, check=False
    )
    if done.returncode != 0:
        raise CannotReach(
            f"Dagster's storage could not be made: {done.stderr.strip()[-500:]}", remedy="run `millrace doctor`"
        )
    done_once.write_text(place, encoding="utf-8")
