"""What a mitigation works on and what it leaves, between the model's room and that of bias."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

    from millrace.automl.candidates import Candidate
    from millrace.automl.result import ModelCard
    from millrace.bias.mitigation.names import Constraint, Method
    from millrace.bias.mitigation.report import Mitigated
    from millrace.bias.policy import Policy
    from millrace.contracts.identifiers import DatasetKey
    from millrace.contracts.task import Answers

EXAMPLE_ROWS = 3


@dataclass(frozen=True)
class Asked:
    """What a mitigation was asked for, checked."""

    methods: "tuple[Method, ...]"
    attributes: tuple[str, ...]
    """Empty for the column with the worst verdict."""
    constraint: "Constraint"
    candidate: str
    """`recommended`, `none`, or a method."""


def asked(*, methods: str, attribute: str, aim: str, candidate: str) -> Asked:
    """The options of a mitigation as a person wrote them.

    Raises:
        BadInput: an unknown method or aim, or a candidate that cannot be kept or is not among the methods.
    """
    from millrace.bias.mitigation.methods import DESCRIPTIONS
    from millrace.bias.mitigation.setup import read_constraint, read_methods
    from millrace.contracts.errors import BadInput

    wanted = read_methods(methods)
    kept = [method for method in wanted if DESCRIPTIONS[method].kept]
    if candidate not in ("recommended", "none", *kept):
        raise BadInput(
            f"{candidate[:80]!r} cannot become the candidate",
            field="candidate",
            remedy=f"name recommended, none{''.join(f', {method}' for method in kept)}",
        )
    columns = tuple(name.strip() for name in attribute.split(",") if name.strip())
    return Asked(wanted, columns, read_constraint(aim), candidate)


def run_mitigation(
    asked: Asked,
    frame: "pd.DataFrame",
    pipeline: Any,
    *,
    card: "ModelCard",
    answers: "Answers",
    policy: "Policy",
    seed: int,
) -> "Mitigated":
    """The methods on the registered model's own rows, encoding and kind of classifier, against the model itself.

    Raises:
        BadInput: the model is no binary classification, or a column cannot be treated.
        IntegrityBroken: `frame` is not the table that the model was trained on.
    """
    import numpy as np

    from millrace.automl.encode import encode_trained
    from millrace.bias.mitigation.compare import measure
    from millrace.bias.mitigation.methods import Answered
    from millrace.bias.mitigation.report import mitigate
    from millrace.bias.mitigation.setup import hold_out, set_up, worst_attribute

    encoded = encode_trained(frame, card, pipeline)
    estimator = pipeline.named_steps["model"].estimators_[0]
    chances = np.asarray(estimator.predict_proba(encoded.test_matrix)[:, 1], dtype=float)
    said = np.asarray(estimator.predict(encoded.test_matrix)).astype(int)
    before = Answered(said, chances, None, ((1.0, estimator),))
    how: dict[str, Any] = {"answers": answers, "policy": policy, "seed": seed}
    holdout = hold_out(frame, encoded, **how)
    attributes = asked.attributes
    if not attributes:
        worst = worst_attribute(measure(holdout, before))
        attributes = () if worst is None else (worst,)
    problem = set_up(frame, encoded, attributes=attributes, constraint=asked.constraint, **how)
    return mitigate(asked.methods, problem, holdout, attribute=" × ".join(attributes), before=before)


def keep_candidate(
    asked: Asked,
    done: "Mitigated",
    pipeline: Any,
    *,
    frame: "pd.DataFrame",
    card: "ModelCard",
    key: "DatasetKey",
    tracking_uri: str,
    tags: dict[str, str],
) -> "tuple[Method, Candidate] | None":
    """The registered candidate; None when none was wanted, none is recommended, or its method could not be used.

    Raises:
        CannotReach: the MLflow server does not answer.
    """
    from millrace.automl.candidates import build_candidate, register_candidate

    report = done.report
    method = report.recommendation.method
    if asked.candidate != "recommended":
        method = next((one for one in done.after if one == asked.candidate), None)
    if method is None:
        return None
    kept = done.after[method]
    made = build_candidate(pipeline, kept.fitted, kept.matrix)
    rows = frame[list(card.feature_names)].head(EXAMPLE_ROWS)
    result = next(one for one in report.results if one.method == method)
    metrics = {f"test_{one.metric}": one.after.value for one in result.qualities if one.after.value is not None}
    gaps = {f"gap_{one.metric}": one.after.value for one in result.gaps if one.attribute == report.scope.attribute}
    candidate = register_candidate(
        made,
        card=card,
        tracking_uri=tracking_uri,
        key=key,
        labels=made.predict(rows),
        example=rows,
        metrics={**metrics, **{name: value for name, value in gaps.items() if value is not None}},
        parameters={"method": method, "attribute": report.scope.attribute, "aim": report.scope.constraint},
        tags={**tags, "millrace/method": method, "millrace/report-hash": report.report_hash},
    )
    return method, candidate
