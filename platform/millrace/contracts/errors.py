"""Errors: what happened, which field, what to do. The type says whether a retry can help."""

from typing import Any, ClassVar


class MillraceError(Exception):
    """Base of every error of ours.

    `code` is the stable machine-readable name (RFC 9457 `type`), `status` the HTTP status, `exit_code` that of the
    command line. `field` names the input at fault, `remedy` the thing to do next.
    """

    code: ClassVar[str] = "error"
    status: ClassVar[int] = 500
    exit_code: ClassVar[int] = 3
    transient: ClassVar[bool] = False

    def __init__(self, message: str, *, field: str | None = None, remedy: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.field = field
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.message}. To fix: {self.remedy}" if self.remedy else self.message

    def __reduce__(self) -> tuple[Any, ...]:
        return (_rebuild, (type(self), self.message, self.field, self.remedy))

    def attrs(self) -> dict[str, Any]:
        """The public facts of the error, for problem details, logs and history."""
        facts = {
            "error": self.code,
            "message": self.message,
            "field": self.field,
            "remedy": self.remedy,
            "transient": self.transient,
        }
        return {name: value for name, value in facts.items() if value is not None}


def _rebuild(cls: type[MillraceError], message: str, field: str | None, remedy: str | None) -> MillraceError:
    return cls(message, field=field, remedy=remedy)


class TerminalError(MillraceError):
    """Doing the same again gives the same failure."""

    code = "terminal"


class TransientError(MillraceError):
    """A retry may succeed; not sooner than in `retry_after` seconds, where the part that failed said so."""

    code = "transient"
    status = 503
    transient = True

    def __init__(
        self, message: str, *, field: str | None = None, remedy: str | None = None, retry_after: float | None = None
    ) -> None:
        super().__init__(message, field=field, remedy=remedy)
        self.retry_after = retry_after

    def __reduce__(self) -> tuple[Any, ...]:
        return (_rebuild_transient, (type(self), self.message, self.field, self.remedy, self.retry_after))


def _rebuild_transient(
    cls: type[TransientError], message: str, field: str | None, remedy: str | None, retry_after: float | None
) -> TransientError:
    return cls(message, field=field, remedy=remedy, retry_after=retry_after)


class BadInput(TerminalError):
    """What the user gave cannot be used; names the field and the remedy."""

    code = "bad-input"
    status = 422
    exit_code = 2


class TooLarge(BadInput):
    """The input is above a limit that a setting names."""

    code = "too-large"
    status = 413


class UnsupportedFormat(BadInput):
    """The bytes are in no format that can be read."""

    code = "unsupported-format"
    status = 415


class NotFound(TerminalError):
    """No such thing, or it is not this user's."""

    code = "not-found"
    status = 404
    exit_code = 2


class Conflict(TerminalError):
    """The thing is not in a state that allows the request."""

    code = "conflict"
    status = 409
    exit_code = 2


class Unauthorised(TerminalError):
    """No valid bearer token came with the request."""

    code = "unauthorised"
    status = 401
    exit_code = 2


class StageFailed(TerminalError):
    """A stage cannot give a result from this input."""

    code = "stage-failed"
    exit_code = 3


class CannotReach(TransientError):
    """A part of the platform does not answer."""

    code = "cannot-reach"
    exit_code = 5


class InsufficientStorage(TransientError):
    """The disk has less room than the work needs."""

    code = "insufficient-storage"
    status = 507
    exit_code = 5


class IntegrityBroken(TerminalError):
    """A recorded hash and the bytes disagree."""

    code = "integrity-broken"
    exit_code = 6


class AttemptFenced(TerminalError):
    """The attempt was cancelled or replaced by a later one; nothing of it may be saved."""

    code = "attempt-fenced"
    status = 409
