"""What can go wrong between a document and its result, told apart by what helps."""

from millrace.contracts.errors import BadInput, CannotReach, TerminalError


class ServerAway(CannotReach):
    """Nothing listens at the address: the document is not at fault."""

    code = "llm-away"


class Overloaded(CannotReach):
    """The server asks for less (429, 503): the document is not at fault."""

    code = "llm-overloaded"


class DeadlineExceeded(CannotReach):
    """The whole answer did not come within LLM_TIMEOUT."""

    code = "llm-deadline"


class ServerFailed(CannotReach):
    """The server broke down over the request: 5xx, a connection cut off, an answer in no known form."""

    code = "llm-failed"


class Rejected(BadInput):
    """The server refuses the request (4xx): asked again it says the same."""

    code = "llm-rejected"


class ContextExceeded(Rejected):
    """The request is longer than the model's context."""

    code = "llm-context-exceeded"


class GaveUp(TerminalError):
    """The document failed again and again at a server that answers others."""

    code = "llm-gave-up"


class Misconfigured(TerminalError):
    """The server refuses everything (credentials, address, model): no document is at fault, the stream must end."""

    code = "llm-misconfigured"


class Stopping(CannotReach):
    """The process ends before this document was done; it is read again at the next start."""

    code = "llm-stopping"
