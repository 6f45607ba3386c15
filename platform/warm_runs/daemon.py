"""Dagster's daemon with shorter pauses between its looks at sensors: `python -m warm_runs.daemon run …`.

The daemon looks for sensors that are due every five seconds, and no setting changes that: an event that comes just
after a tick waits for the next look. Everything else, arguments included, is `dagster-daemon`.
"""

import sys

from dagster._daemon import sensor
from dagster._daemon.cli import main as dagster_daemon

LOOK_SECONDS = 1.0
"""Between looks. Each costs some tens of milliseconds of CPU; more often than this, an idle daemon is seen in `top`."""


def main() -> None:
    """Runs the daemon until it is told to stop.

    Raises:
        RuntimeError: this release of Dagster keeps the pause elsewhere.
    """
    if not isinstance(getattr(sensor, "MIN_INTERVAL_LOOP_TIME", None), int):
        raise RuntimeError("this release of Dagster has no dagster._daemon.sensor.MIN_INTERVAL_LOOP_TIME")
    sensor.MIN_INTERVAL_LOOP_TIME = LOOK_SECONDS  # type: ignore[assignment]
    sys.argv[0] = "dagster-daemon"
    dagster_daemon()


if __name__ == "__main__":
    main()
