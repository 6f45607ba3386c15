"""Where a run's code comes from, and the origin that runs of a module will carry before there is one."""

import os
import sys
from functools import lru_cache
from pathlib import Path

from dagster._core.code_pointer import ModuleCodePointer
from dagster._core.instance.ref import InstanceRef
from dagster._core.origin import DEFAULT_DAGSTER_ENTRY_POINT, JobPythonOrigin, RepositoryPythonOrigin
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


def module_origin(module: str, attribute: str) -> tuple[str, str]:
    """Serialised `JobPythonOrigin` of runs of the module's attribute, and the reference of DAGSTER_HOME's instance.

    As launchers send them, but that no job is named: the module is not loaded to know one.
    """
    pointer = ModuleCodePointer(module, attribute, os.getcwd())
    repository = RepositoryPythonOrigin(
        executable_path=sys.executable,
        code_pointer=pointer,
        container_image=None,
        entry_point=DEFAULT_DAGSTER_ENTRY_POINT,
        container_context=None,
    )
    instance = InstanceRef.from_dir(os.environ["DAGSTER_HOME"])
    return serialize_value(JobPythonOrigin("", repository)), serialize_value(instance)
