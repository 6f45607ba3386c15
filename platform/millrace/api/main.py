"""`python -m millrace.api.main`: the API under uvicorn, one worker."""

import logging
import sys

from millrace.api.access import check_binding
from millrace.contracts.errors import MillraceError
from millrace.settings import load


def main() -> int:
    """Serves until a signal ends it; the exit code."""
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    try:
        settings = load()
        check_binding(settings)
    except MillraceError as error:
        logging.getLogger(__name__).error("api_refused field=%s error=%s", error.field, error)
        return error.exit_code
    import uvicorn

    from millrace.api.app import create_app

    uvicorn.run(
        create_app(settings),
        host=settings.host,
        port=settings.api_port,
        access_log=False,
        log_config=None,
        server_header=False,
        # live-progress streams never end by themselves; `millrace down` promises 20 s in all
        timeout_graceful_shutdown=3,
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
