"""MLflow's command line, with the web server that `mlflow server` starts in the same process.

`mlflow server` reads its options, prepares its database, starts `python -m uvicorn …` and waits for it: two processes
that import the same, one of which holds 260 MB only to wait. Run as `python -m millrace.stack.mlflow_server server …`,
the command that MLflow has made is carried out instead of started, with the variables that MLflow gives it. All else
is MLflow's; where it starts its web server in another way, that one is a process of its own as before.
"""

import os
import subprocess
import sys
from typing import Any

_UVICORN = [sys.executable, "-m", "uvicorn"]
_Popen = subprocess.Popen


class _CarriedOut(_Popen):  # type: ignore[type-arg]
    """What is started as ever, but for uvicorn: that one runs here, and the process ends with it."""

    def __init__(self, args: Any, *rest: Any, **options: Any) -> None:
        if not (isinstance(args, list) and args[:3] == _UVICORN):
            super().__init__(args, *rest, **options)
            return
        # what the server starts itself is started as ever
        subprocess.Popen = _Popen  # type: ignore[misc]
        os.environ.update(options.get("env") or {})
        from uvicorn.main import main as uvicorn

        uvicorn(args[3:], prog_name="uvicorn")


def main() -> None:
    """Runs MLflow's command line with this process's arguments."""
    subprocess.Popen = _CarriedOut  # type: ignore[misc]
    from mlflow.cli import cli

    cli(prog_name="mlflow")


if __name__ == "__main__":
    main()
