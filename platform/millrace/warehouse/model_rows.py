"""A trained model as a row of the warehouse, and what its statement says that it left."""

from datetime import datetime

from sqlalchemy.orm import Session

from millrace.contracts.references import Ref, model_ref
from millrace.warehouse.artifacts import Stored, record_artifact
from millrace.warehouse.models import TrainedModel
from millrace.warehouse.schema import Model
from millrace.warehouse.stage_work import StageWork

COUNTS = "accounting"
"""Piece of a model: the rows that training took, counted by group."""
COUNTS_SHA256 = "accounting_sha256"
"""Where the details of a model name its counts."""


def add_model(
    session: Session, work: StageWork, trained: TrainedModel, counts: Stored | None, *, at: datetime
) -> tuple[Model, list[Ref]]:
    """The row, added, and the references that its statement puts out; the counts are its own or none."""
    key = work.version.key
    ref = model_ref(key, trained.version)
    outputs = [Ref(ref, trained.tree_sha256, kind="model")]
    details = {name: value for name, value in trained.details.items() if name != COUNTS_SHA256}
    if counts is not None:
        record_artifact(session, counts, at=at)
        details[COUNTS_SHA256] = counts.sha256
        outputs.append(Ref(ref, counts.sha256, part=COUNTS))
    row = Model(
        user_id=key.user_id,
        dataset_id=key.dataset_id,
        dataset_version=work.version.version,
        pipeline_id=work.request.pipeline_id if work.fenced else None,
        created_at=at,
        **{**vars(trained), "details": details},
    )
    session.add(row)
    session.flush()
    return row, outputs
