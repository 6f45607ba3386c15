"""Joins a new group and leaves it at once, again and again: `leaving_child.py home port topic rounds`.

In a process of its own because a client that never comes back holds the interpreter's lock.
"""

import random
import sys
from collections.abc import Sequence

from millrace.kafka.processor import Result
from millrace.kafka.records import Record
from millrace.kafka.stream_loop import StreamLoop
from millrace.kafka.stream_options import StreamOptions
from millrace.settings import Settings


class Nothing:
    """Makes no output."""

    def process(self, batch: Sequence[Record]) -> Sequence[Result]:
        """An empty result for each record."""
        return [() for _ in batch]


def main() -> None:
    """Leaves at every moment of a group's first half second, when it hands out its partitions."""
    home, port, topic, rounds = sys.argv[1:]
    settings = Settings.model_validate({"MILLRACE_HOME": home, "MILLRACE_KAFKA_PORT": int(port)})
    draw = random.Random(1)
    for number in range(int(rounds)):
        options = StreamOptions(group=f"{topic}-{number}", topics=(topic,), interval=0.02)
        StreamLoop(settings, options, Nothing()).run(timeout=draw.uniform(0, 0.45))
    print(rounds)


if __name__ == "__main__":
    main()
