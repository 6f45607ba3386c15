"""References: how lineage names a data set version, a model or a report, in statements and on the command line."""

from dataclasses import dataclass
from typing import Any, Literal

from millrace.contracts.identifiers import DatasetKey

Kind = Literal["artifact", "model"]


@dataclass(frozen=True)
class Ref:
    """A thing and the hash of its content when it was seen.

    `kind` says how the hash is recomputed: an artifact's bytes, or `sha256_tree` of a model's files. `part` tells the
    pieces of one thing apart (`raw` and `table` of a data set, `html` and `json` of a report).
    """

    ref: str
    sha256: str
    kind: Kind = "artifact"
    part: str | None = None

    def to_json(self) -> dict[str, Any]:
        """The reference as it stands in a statement."""
        return {"ref": self.ref, "sha256": self.sha256, "kind": self.kind, "part": self.part}


def dataset_ref(key: DatasetKey, version: int) -> str:
    """`dataset:user.data@v2`."""
    return f"dataset:{key.partition_key}@v{version}"


def model_ref(key: DatasetKey, version: int) -> str:
    """`model:user.data@v1`."""
    return f"model:{key.partition_key}@v{version}"


def scoring_ref(stream: str, version: int) -> str:
    """`model:score_events@v3`: a stream's scoring model; streams' names hold no dot, so it is no data set's model."""
    return f"model:{stream}@v{version}"


def report_ref(report_id: str) -> str:
    """`report:br-3f9c…`."""
    return f"report:{report_id}"
