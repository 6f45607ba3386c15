"""What a person writes for a thing, made into its full reference."""

import re
from dataclasses import dataclass

from sqlalchemy.orm import Session

from millrace.contracts.errors import BadInput, NotFound
from millrace.contracts.identifiers import DatasetKey, parse_model_version, parse_partition_key
from millrace.contracts.references import dataset_ref, model_ref, report_ref
from millrace.warehouse.datasets import get_version
from millrace.warehouse.models import get_model
from millrace.warehouse.reports import get_report, list_reports
from millrace.warehouse.scoring_models import get_scoring_model, scoring_key

_CANDIDATE = ".candidate"
"""End of the name of mitigated models; identifiers hold no dot."""
_REPORT_ID = re.compile(r"[a-z]{2}-[0-9a-f]{20}")


@dataclass(frozen=True)
class Named:
    """A full reference and the data set that it belongs to; for a scoring model, what stands for the stream."""

    ref: str
    key: DatasetKey


def resolve(session: Session, text: str) -> Named:
    """The thing that the text names.

    `dataset:user.data@v2`, `model:user.data@v1`, `model:user.data.candidate@v1`, `model:score_events@v1` (what a stream
    scores with) and `report:br-…` name one thing. Without `@v…` the newest version is meant, `user.data` alone is a
    data set, and a report's id alone is the report.

    Raises:
        BadInput: the text has none of these forms.
        NotFound: there is no such data set, model, scoring model or report.
    """
    kind, colon, rest = text.partition(":")
    if not colon:
        kind, rest = ("report", text) if _REPORT_ID.fullmatch(text) else ("dataset", text)
    if kind == "report":
        report = get_report(session, rest)
        return Named(report_ref(report.report_id), report.key)
    if kind not in ("dataset", "model"):
        raise BadInput(
            f"{text[:80]!r} names nothing that lineage knows",
            field="ref",
            remedy="write dataset:user.data@v1, model:user.data@v1, report:ID, model:score_events, or user.data",
        )
    name, at, version_text = rest.partition("@")
    if kind == "model" and "." not in name:
        scoring = get_scoring_model(session, name, parse_model_version(version_text) if at else None)
        return Named(scoring.ref, scoring_key(scoring.stream))
    if kind == "model" and name.endswith(_CANDIDATE):
        return _candidate(session, parse_partition_key(name.removesuffix(_CANDIDATE)), text if at else None)
    key = parse_partition_key(name)
    version = parse_model_version(version_text) if at else None
    if kind == "model":
        return Named(model_ref(key, get_model(session, key, version).version), key)
    return Named(dataset_ref(key, get_version(session, key, version).version), key)


def _candidate(session: Session, key: DatasetKey, ref: str | None) -> Named:
    found = [
        str(report.summary["candidate"]["ref"])
        for report in list_reports(session, key.user_id, dataset_id=key.dataset_id, kind="mitigation")
        if "candidate" in report.summary
    ]
    if not found or (ref is not None and ref not in found):
        raise NotFound(
            f"there is no candidate {ref or f'model of data set {key.partition_key}'}",
            field="ref",
            remedy="materialise bias_mitigation, or list its reports with `millrace report list --kind mitigation`",
        )
    return Named(ref or found[0], key)
