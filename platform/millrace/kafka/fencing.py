"""Of two processes with one name the older is fenced: how it is known, and what it says."""

from typing import TYPE_CHECKING

from millrace.kafka.stream_errors import Replaced
from millrace.kafka.stream_options import StreamOptions

if TYPE_CHECKING:
    from confluent_kafka import KafkaError


def is_fencing(problem: "KafkaError") -> bool:
    """Whether the error says that another process has this one's name."""
    from confluent_kafka import KafkaError

    codes = (KafkaError._FENCED, KafkaError.PRODUCER_FENCED, KafkaError.FENCED_INSTANCE_ID,
             KafkaError.INVALID_PRODUCER_EPOCH)  # fmt: skip
    return problem.code() in codes or (problem.code() == KafkaError._FATAL and "fenced" in problem.str().lower())


def replaced(options: StreamOptions, problem: "KafkaError") -> Replaced:
    """The error of a process whose slot another one took."""
    return Replaced(
        f"slot {options.slot} of group {options.group} was taken by another process ({problem.str()}); this one's open "
        "transaction is void, and the other goes on from the last commit",
        remedy="nothing is to be done after a restart; two processes that shall run side by side need different slots",
    )
