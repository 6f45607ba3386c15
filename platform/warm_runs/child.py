"""What a forked child does from its first moment to its last: one run."""

import os
import random
import signal
import sys
import traceback
from pathlib import Path
from typing import Any, NoReturn

from warm_runs.ledger import Ledger
from warm_runs.processes import identify

EXIT_INTERNAL = 70
"""The child ended through an exception that Dagster does not know of."""
EXIT_NOT_CLAIMED = 71
"""Another process executes the run already, or its end was asked for before it began."""


def live(message: dict[str, Any], *, inherited: tuple[int, ...]) -> NoReturn:
    """Executes the run that the message names and ends the process; `inherited` are the parent's descriptors."""
    status = EXIT_INTERNAL
    try:
        _become_own_process(inherited)
        status = _run(message)
    except BaseException:  # noqa: BLE001
        # the last frame of the process: told in the log, and by the exit status to the pool
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def _become_own_process(inherited: tuple[int, ...]) -> None:
    signal.set_wakeup_fd(-1)
    for descriptor in inherited:
        os.close(descriptor)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    # its own group: a signal to the pool's group does not end runs, and a run's children can be ended with it
    os.setsid()
    random.seed()
    numpy = sys.modules.get("numpy")
    if numpy is not None:
        numpy.random.seed()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


def _run(message: dict[str, Any]) -> int:
    from dagster._cli.api import _execute_run_command_body
    from dagster._cli.utils import get_instance_for_cli
    from dagster._core.instance.ref import InstanceRef
    from dagster._serdes import deserialize_value
    from dagster._utils.error import serializable_error_info_from_exc_info
    from dagster._utils.interrupts import capture_interrupts

    own = identify(os.getpid())
    if own is None or not Ledger(Path(message["ledger"])).claim(message["run_id"], own):
        return EXIT_NOT_CLAIMED
    reference = deserialize_value(message["instance"], InstanceRef)
    with capture_interrupts(), get_instance_for_cli(instance_ref=reference) as instance:
        try:
            return _execute_run_command_body(
                message["run_id"], instance, lambda event: None, set_exit_code_on_failure=True
            )
        except Exception:  # noqa: BLE001
            # loading the location failed: nothing of the run has been reported yet
            run = instance.get_run_by_id(message["run_id"])
            if run is not None and not run.is_finished:
                from dagster._core.events import EngineEventData

                cause = serializable_error_info_from_exc_info(sys.exc_info())
                instance.report_engine_event(
                    "The code location could not be loaded", run, EngineEventData.engine_error(cause)
                )
                instance.report_run_failed(run, f"The code location could not be loaded: {cause.message.strip()}")
            return 1
