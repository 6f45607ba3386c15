"""A replay in a process of its own that kills itself with SIGKILL before it commits its second batch."""

import json
import os
import signal
import sys
from pathlib import Path

from millrace.kafka.dead_letter_topics import dead_letter_topics, read_letters
from millrace.kafka.replay import replay
from millrace.settings import Settings


def main() -> None:
    """Never comes back: the second batch kills."""
    told = json.loads(sys.argv[1])
    settings = Settings.model_validate({"MILLRACE_HOME": Path(told["home"]), "MILLRACE_KAFKA_PORT": told["port"]})
    batches: list[int] = []

    def on_batch(count: int) -> None:
        batches.append(count)
        if len(batches) == 2:
            os.kill(os.getpid(), signal.SIGKILL)

    found = dead_letter_topics(settings, [told["topic"]])
    replay(settings, lambda: read_letters(settings, found), batch=4, on_batch=on_batch)


if __name__ == "__main__":
    main()
