"""The origin that runs of a module will carry, made before the first run: `python -m warm_runs.origins MODULE`."""

import json
import os
import sys

from dagster import DagsterInstance
from dagster._core.code_pointer import ModuleCodePointer
from dagster._core.definitions.reconstruct import repository_def_from_target_def
from dagster._core.origin import DEFAULT_DAGSTER_ENTRY_POINT, JobPythonOrigin, RepositoryPythonOrigin
from dagster._core.workspace.autodiscovery import loadable_targets_from_python_module
from dagster._serdes import serialize_value


def module_origin(module: str) -> dict[str, str]:
    """Serialised `origin` of a job of the module and `instance` of DAGSTER_HOME, as a launcher sends them."""
    folder = os.getcwd()
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
    with DagsterInstance.get() as instance:
        reference = serialize_value(instance.get_ref())
    return {"origin": serialize_value(JobPythonOrigin(job_name, repository)), "instance": reference}


def _any_job(pointer: ModuleCodePointer) -> str:
    repository = repository_def_from_target_def(pointer.load_target())
    if repository is None:
        raise ValueError(f"{pointer.describe()} holds no Dagster definitions")
    return repository.job_names[0]


if __name__ == "__main__":
    sys.stdout.write(json.dumps(module_origin(sys.argv[1])) + "\n")
