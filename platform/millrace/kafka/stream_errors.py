"""Why a stream ends by itself."""

from millrace.contracts.errors import TerminalError


class Replaced(TerminalError):
    """Another process took the stream's slot; nothing of the open transaction will be seen."""

    code = "replaced"


class TooManyDeadLetters(TerminalError):
    """More of the records are unreadable than a healthy stream has: the code is at fault sooner than the data."""

    code = "too-many-dead-letters"
