"""The environment of every process of the platform, and of dagster, dg and mlflow beside it."""

import os
import sys
from pathlib import Path
from typing import Any

from pydantic import AliasChoices, SecretStr

from millrace.settings import Settings

MARKER = "MILLRACE_SUPERVISED"
"""Set to the home in supervised processes only, and inherited by all they start: what bears it is ours to end."""

_FIXED = {
    # above the number of sensors, each of which holds a worker while it waits for events
    "DAGSTER_GRPC_MAX_WORKERS": "32",
    # above the longest wait for events inside a tick
    "DAGSTER_SENSOR_GRPC_TIMEOUT_SECONDS": "120",
    "GX_ANALYTICS_ENABLED": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    # the job executor is for features that we do not use, and costs four processes
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    "GIT_PYTHON_REFRESH": "quiet",
    "MPLBACKEND": "Agg",
    # glibc keeps an arena per thread otherwise: hundreds of MiB in processes with many threads
    "MALLOC_ARENA_MAX": "2",
}
_LOOPBACK = "127.0.0.1,localhost"


def environment(settings: Settings) -> dict[str, str]:
    """The variables that make any process of this machine use the platform that the settings describe.

    Credentials are not among them.
    """
    return {
        **_settings_as_variables(settings, secret=False),
        "KAFKA_BOOTSTRAP": settings.bootstrap,
        "DAGSTER_HOME": str(settings.dagster_home),
        "MLFLOW_TRACKING_URI": settings.mlflow,
        **_FIXED,
    }


def child_environment(settings: Settings) -> dict[str, str]:
    """The whole environment of a supervised process: the caller's, ours, the credentials and the marker."""
    inherited = dict(os.environ)
    programs = str(Path(sys.executable).parent)
    without_proxy = ",".join(filter(None, (inherited.get("NO_PROXY"), _LOOPBACK)))
    return {
        **inherited,
        **environment(settings),
        **_settings_as_variables(settings, secret=True),
        "PATH": os.pathsep.join(filter(None, (programs, inherited.get("PATH")))),
        # a proxy must not stand between our own processes
        "NO_PROXY": without_proxy,
        "no_proxy": without_proxy,
        "PYTHONUNBUFFERED": "1",
        MARKER: str(settings.home),
    }


def _settings_as_variables(settings: Settings, *, secret: bool) -> dict[str, str]:
    found = {}
    for name, field in type(settings).model_fields.items():
        value: Any = getattr(settings, name)
        if value is None or isinstance(value, SecretStr) is not secret:
            continue
        alias = field.validation_alias
        variable = alias.choices[0] if isinstance(alias, AliasChoices) else alias
        found[str(variable)] = value.get_secret_value() if isinstance(value, SecretStr) else str(value)
    return found
