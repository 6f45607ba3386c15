"""Where a run's code comes from, and the origin that runs of a module will carry before there is one.

`python -m warm_runs.origins MODULE` prints the latter.
"""

import json
import os
import sys
from functools import lru_cache
from pathlib import Path

from dagster import DagsterInstance
from dagster._core.code_pointer import ModuleCodePointer
from dagster._core.definitions.reconstruct import repository_def_from_target_def
from dagster._core.origin import DEFAULT_DAGSTER_ENTRY_POINT, JobPythonOrigin, RepositoryPythonOrigin
from dagster._core.secrets.env_file import get_env_var_dict
from dagster._core.workspace.autodiscovery import loadable_targets_from_python_module
from dagster._serdes import deserialize_value, serialize_value

from warm_runs.preloaded import CodeOrigin


@lru_cache(maxsize=256)
def code_origin(job_origin: str, instance: str) -> CodeOrigin:
    """The code origin of a run, from its serialised `JobPythonOrigin` and the serialised reference of its instance."""
    repository = deserialize_value(job_origin, JobPythonOrigin).repository_origin
    pointer = repository.code_pointer
    folder = getattr(pointer, "working_directory", None) or str(Path.cwd())
    return CodeOrigin(
        python=repository.executable_path or sys.executable,
        pointer=pointer.describe(),
        folder=Path(folder),
        origin=job_origin,
        instance=instance,
    )


def module_origin(module: str) -> dict[str, str]:
    """Serialised `origin` of a job of the module and `instance` of DAGSTER_HOME, as a launcher sends them.

    Loads the module, and the variables of the working directory's .env file before it: for a process of its own.
    """
    folder = os.getcwd()
    os.environ.update(get_env_var_dict(folder))
    with DagsterInstance.get() as instance:
        reference = serialize_value(instance.get_ref())
        instance.inject_env_vars(None)
    target = loadable_targets_from_python_module(module, folder)[0]
    pointer = ModuleCodePointer(module, target.attribute, folder)
    job_name = _any_job(pointer)
    repository = RepositoryPythonOrigin(
        executable_path=sys.executable,
        code_pointer=pointer,
        container_image=None,
        entry_point=DEFAULT_DAGSTER_ENTRY_POINT,
        container_context=None,
    )
    return {"origin": serialize_value(JobPythonOrigin(job_name, repository)), "instance": reference}


def _any_job(pointer: ModuleCodePointer) -> str:
    repository = repository_def_from_target_def(pointer.load_target())
    if repository is None:
        raise ValueError(f"{pointer.describe()} holds no Dagster definitions")
    return repository.job_names[0]


if __name__ == "__main__":
    sys.stdout.write(json.dumps(module_origin(sys.argv[1])) + "\n")
