"""What a page says of its own origin; outside the hashed result."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class PageFacts:
    """Origin of a page: which bytes, which code, when. Shown in the header and in the footer."""

    dataset: str
    """Partition key, `user.dataset`, or the name of a file."""
    version: int | None
    """None for a file that is no version of a data set."""
    sha256: str
    """Content hash of the data set version as it came."""
    code_version: str
    created_at: datetime | None
    """Moment in UTC; None where the same input must give the same bytes."""
    name: str | None = None
    """Name that the owner gave the data set."""
    report_hash: str | None = None
    model: str | None = None
    """Model version such as `v1`."""
    pipeline_id: str | None = None
