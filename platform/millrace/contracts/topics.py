"""Topic names and the headers that travel beside the payloads."""

from dataclasses import dataclass

DEAD_LETTER_SUFFIX = ".dlq"

EVENT_ID = "millrace-event-id"
TRACE_PARENT = "traceparent"
CONTENT_SHA256 = "content-sha256"
PIPELINE = "millrace-pipeline"
ATTEMPT = "millrace-attempt"
SCHEMA_VERSION = "millrace-schema-version"
EXECUTOR = "millrace-executor"
"""Present with value `external` on a trigger that an outside worker takes; sensors leave it alone."""

DLQ_TOPIC = "millrace-dlq-topic"
DLQ_PARTITION = "millrace-dlq-partition"
DLQ_OFFSET = "millrace-dlq-offset"
DLQ_TIMESTAMP = "millrace-dlq-timestamp"
DLQ_STAGE = "millrace-dlq-stage"
DLQ_ERROR = "millrace-dlq-error"
DLQ_MESSAGE = "millrace-dlq-message"
DLQ_ATTEMPT = "millrace-dlq-attempt"
DLQ_CODE_VERSION = "millrace-dlq-code-version"

REPLAY_ID = "millrace-replay-id"
"""On a message that was a dead letter: names its origin and target, the same for every try to send it."""
REPLAYS = "millrace-replays"
"""Topic of replays: one record for each letter that was sent again, in the transaction that sent it."""


@dataclass(frozen=True)
class Topics:
    """Names of the topics; the defaults are the seeds', settings override them one by one."""

    dataset: str = "dataset-events"
    bias: str = "bias-events"
    automl: str = "automl-events"
    xai: str = "xai-events"
    stage: str = "stage-events"
    bias_trigger: str = "bias-trigger-events"
    automl_trigger: str = "automl-trigger-events"
    xai_trigger: str = "xai-trigger-events"
    documents: str = "financial-documents"
    llm_results: str = "llm-results"
    events_raw: str = "events.raw"
    events_scored: str = "events.scored"

    def triggers(self) -> tuple[str, str, str]:
        """The topics that Kafka sensors turn into runs."""
        return (self.bias_trigger, self.automl_trigger, self.xai_trigger)

    def for_conductor(self) -> tuple[str, ...]:
        """The topics that the conductor reads."""
        return (self.dataset, self.bias, self.automl, self.xai, self.stage)

    def for_documents(self) -> tuple[str, ...]:
        """The topics of the document processor: documents, their dead letters, results."""
        return (self.documents, dead_letter_topic(self.documents), self.llm_results)

    def streams(self) -> tuple[str, ...]:
        """The topics of long-running streams."""
        return (self.events_raw, self.events_scored, self.documents, self.llm_results)

    def chain(self) -> tuple[str, ...]:
        """Every topic of the governed chain with its dead-letter topic: what may not be lost with one machine."""
        return _with_dead_letters((*self.for_conductor(), *self.triggers()))

    def all(self) -> tuple[str, ...]:
        """Every topic with its dead-letter topic."""
        return (*self.chain(), *_with_dead_letters(self.streams()))


def _with_dead_letters(names: tuple[str, ...]) -> tuple[str, ...]:
    return (*names, *(dead_letter_topic(name) for name in names))


def dead_letter_topic(topic: str) -> str:
    """The topic that takes what could not be processed from `topic`."""
    return topic + DEAD_LETTER_SUFFIX
