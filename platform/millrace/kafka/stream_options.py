"""How a stream runs: its group and slot, the size of its transactions, and when it gives up."""

from dataclasses import dataclass
from enum import IntEnum
from typing import Literal

from millrace.contracts.errors import BadInput

Guarantee = Literal["exactly_once", "at_least_once"]


class Step(IntEnum):
    """Checkpoint steps of one batch, in their order; `on_step` hears of each when it is reached."""

    CONSUMED = 1
    PROCESSED = 2
    PRODUCED = 3
    OFFSETS_SENT = 4
    COMMITTING = 5
    COMMITTED = 6


@dataclass(frozen=True)
class StreamOptions:
    """Settings of one stream. Times are in seconds."""

    group: str
    topics: tuple[str, ...]
    slot: int = 0
    """Which of the group's processes this is. Two that run at once have different slots; a restart keeps its own."""
    guarantee: Guarantee = "exactly_once"
    compression: Literal["none", "gzip"] = "none"
    """Of the outputs, by batch."""
    interval: float = 0.1
    """Longest time that records are gathered for one transaction; what readers wait for at most, beside the step."""
    batch_records: int = 20_000
    """Most records of a transaction. Three times as many may be in flight; below it, reading goes on after a pause."""
    batch_bytes: int = 32 << 20
    """Most bytes of payload of a transaction, as far as single messages allow; bounds the memory."""
    shutdown_seconds: float = 8.0
    """From a stop to the return, the last commit included; below the 10 s that supervisors wait before they kill."""
    give_up_seconds: float = 60.0
    """How long no broker may answer, or no transaction succeed, before the loop ends with an error."""
    first_pause: float = 0.5
    """Wait after the first transient failure; doubled with each further one up to 30 s, and jittered."""
    breaker_failures: int = 5
    """Batches in a row without a single success that open the circuit breaker: everything pauses but one probe."""
    dead_letter_share: float = 0.5
    """Largest share of dead letters in the window; above it the loop stops before it sends them."""
    dead_letter_window: int = 1_000
    """Records over which the share is taken."""
    dead_letter_minimum: int = 100
    """Dead letters in the window below which the share is not judged: a few bad records at the start are no alarm."""

    def __post_init__(self) -> None:
        if not self.group or not self.topics or self.slot < 0:
            raise BadInput(
                "a stream needs a group, at least one topic and a slot from 0",
                field="group",
                remedy="name them; the slot is the number of the process within its group",
            )
        if not 0 < self.interval <= 5 or self.batch_records < 1 or self.batch_bytes < 1:
            raise BadInput(
                f"transactions of {self.interval} s, {self.batch_records} records, {self.batch_bytes} bytes",
                field="interval",
                remedy="give an interval above 0 and up to 5 s, below the 10 s after which Kafka aborts a transaction, "
                "and at least one record and one byte",
            )

    @property
    def member(self) -> str:
        """The stable name of this process: its `transactional.id` and `group.instance.id`."""
        return f"{self.group}-{self.slot}"


@dataclass(frozen=True)
class Totals:
    """What a run did. Only committed work is counted, but for `aborted` and `retried`."""

    records: int = 0
    outputs: int = 0
    dead_letters: int = 0
    transactions: int = 0
    aborted: int = 0
    retried: int = 0
