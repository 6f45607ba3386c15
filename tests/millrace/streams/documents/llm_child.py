"""The processor in a process of its own that kills itself with SIGKILL: `llm_child.py '{"step": …, "batch": …}'`.

The settings come from the environment.
"""

import json
import os
import signal
import sys
import threading

from millrace.kafka.stream_loop import StreamLoop
from millrace.kafka.stream_options import Step
from millrace.settings import load
from millrace.streams.documents.work import document_options, document_step


def main() -> int:
    told = json.loads(sys.argv[1])
    left = [told["batch"]]

    def on_step(step: Step) -> None:
        if step is Step[told["step"]]:
            left[0] -= 1
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    settings = load()
    step, _ = document_step(settings, stop=threading.Event())
    StreamLoop(settings, document_options(settings, slot=0), step, on_step=on_step).run(timeout=60)
    return 0


if __name__ == "__main__":
    sys.exit(main())
