"""Rows of every group counted at each step, where the step is made, and shown in both bias reports."""

from typing import TYPE_CHECKING

from millrace.contracts.errors import IntegrityBroken

if TYPE_CHECKING:
    import pandas as pd

    from assets.trained import Trained
    from millrace.automl.result import Training
    from millrace.bias.accounting.counter import RowCounter
    from millrace.bias.accounting.counts import Counted, StepCount
    from millrace.bias.accounting.figures import Accounting
    from millrace.bias.policy import Policy
    from millrace.contracts.references import Ref
    from millrace.warehouse.reports import ReportFacts
    from millrace.warehouse.stage_work import StageWork
    from millrace.warehouse.store import Warehouse


def account_for_label(
    frame: "pd.DataFrame", store: "Warehouse", work: "StageWork", *, policy: "Policy"
) -> "tuple[Accounting, tuple[Ref, ...]]":
    """The steps up to the rows with a target, and the quality report that was read as an input of the statement."""
    import numpy as np

    from millrace.bias.accounting.judging import account
    from millrace.contracts.references import Ref, report_ref

    checked = _quality_report(store, work)
    counter, steps = _table_steps(frame, work, checked=checked is not None, policy=policy)
    kept = np.flatnonzero(frame[work.answers.target].notna().to_numpy())
    steps.append(counter.step("target", came=counter.everybody(), kept=kept))
    used = () if checked is None else (Ref(report_ref(checked.report_id), checked.json_sha256, part="json"),)
    return account(steps, policy=policy, sensitive=work.answers.sensitive), used


def count_training(
    training: "Training", frame: "pd.DataFrame", store: "Warehouse", work: "StageWork", *, policy: "Policy"
) -> "Counted":
    """The steps up to what the model was fitted on and tested on, counted from the very rows that training used."""
    import numpy as np

    from millrace.automl.imputed import filled_values
    from millrace.bias.accounting.counts import Counted

    checked = _quality_report(store, work)
    counter, steps = _table_steps(frame, work, checked=checked is not None, policy=policy)
    labelled = np.sort(np.concatenate([training.chosen, training.holdout]))
    steps.append(counter.step("target", came=counter.everybody(), kept=labelled))
    steps.append(counter.step("training", came=labelled, kept=training.chosen))
    if len(training.learnt) < len(training.chosen):
        steps.append(counter.step("validation", came=training.chosen, kept=training.learnt))
    steps.append(counter.step("holdout", came=labelled, kept=training.holdout))
    preprocessor = training.pipeline.named_steps["preprocess"]
    steps.append(counter.imputation(labelled, filled_values(preprocessor, frame.iloc[labelled])))
    return Counted(work.version.table_sha256, work.answers.target, tuple(steps))


def account_for_model(trained: "Trained") -> "tuple[tuple[Accounting, ...], tuple[Ref, ...]]":
    """The steps that were counted when the model was trained, as a part of a report and an input of its statement.

    Nothing for a model that was saved without counts.

    Raises:
        IntegrityBroken: the counts are no longer those that were recorded, or are of another table.
    """
    from millrace.bias.accounting.counts import read_counted
    from millrace.bias.accounting.judging import account
    from millrace.contracts.references import Ref, model_ref
    from millrace.warehouse.model_rows import COUNTS, COUNTS_SHA256

    store, work, model = trained.store, trained.work, trained.model
    sha256 = model.details.get(COUNTS_SHA256)
    if sha256 is None:
        return (), ()
    store.artifacts.verify(sha256)
    counted = read_counted(store.artifacts.read_bytes(sha256))
    if counted.table_sha256 != work.version.table_sha256:
        raise IntegrityBroken(
            f"the counts kept with model v{model.version} are of another table",
            remedy="train the model again; `millrace lineage verify` names what rests on it",
        )
    used = Ref(model_ref(model.key, model.version), sha256, part=COUNTS)
    return (account(counted.steps, policy=trained.policy, sensitive=work.answers.sensitive),), (used,)


def _table_steps(
    frame: "pd.DataFrame", work: "StageWork", *, checked: bool, policy: "Policy"
) -> "tuple[RowCounter, list[StepCount]]":
    from millrace.bias.accounting.counter import count_rows

    counter = count_rows(frame, sensitive=work.answers.sensitive, policy=policy)
    profile = work.version.profile
    steps = [counter.reading(profile.row_count, {column.name: column.missing_as for column in profile.columns})]
    if checked:
        # the checks look at the table that comes after them, and pass on all of it
        steps.append(counter.step("quality", came=counter.everybody(), kept=counter.everybody()))
    return counter, steps


def _quality_report(store: "Warehouse", work: "StageWork") -> "ReportFacts | None":
    from millrace.warehouse.reports import find_report

    key, version = work.version.key, work.version.version
    pipeline = work.request.pipeline_id if work.fenced else None
    with store.read() as session:
        return find_report(session, key, kind="quality", version=version, pipeline_id=pipeline)
