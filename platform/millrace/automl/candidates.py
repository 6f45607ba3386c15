"""A candidate: a model beside the data set's own, kept in MLflow under a name of its own and never served by itself."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from millrace.automl.preprocess import TRUSTED_TYPES
from millrace.automl.registry import publish, trusted_types
from millrace.contracts.identifiers import DatasetKey
from millrace.contracts.references import Ref

if TYPE_CHECKING:
    import numpy as np
    from sklearn.pipeline import Pipeline

    from millrace.automl.result import ModelCard

ALIAS = "candidate"
ROLE = "millrace/role"


@dataclass(frozen=True)
class Candidate:
    """A registered candidate."""

    name: str
    """`user.dataset.candidate`: identifiers hold no dot, so no data set's own models have this name."""
    version: int
    model_uri: str
    tree_sha256: str
    mlflow_run_id: str

    @property
    def ref(self) -> Ref:
        """The candidate as statements name it."""
        return Ref(f"model:{self.name}@v{self.version}", self.tree_sha256, kind="model")

    def to_json(self) -> dict[str, Any]:
        """The candidate as a report's summary names it."""
        return {
            "ref": self.ref.ref,
            "sha256": self.tree_sha256,
            "uri": self.model_uri,
            "mlflow_run_id": self.mlflow_run_id,
        }


def candidate_name(key: DatasetKey) -> str:
    """`user.dataset.candidate`."""
    return f"{key.partition_key}.{ALIAS}"


def build_candidate(
    pipeline: "Pipeline", voters: Sequence[tuple[float, Any]], matrix: "np.ndarray[Any, Any] | None"
) -> "Pipeline":
    """A pipeline from raw rows to the original labels, with the encoding of `pipeline`.

    `voters` are fitted classifiers of 0 and 1 with their weights: one answers alone, several by weighted vote.
    `matrix` is a linear map between encoding and classifier.
    """
    import numpy as np
    from sklearn.ensemble import VotingClassifier
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import FunctionTransformer, LabelEncoder
    from sklearn.utils import Bunch

    classes = pipeline.named_steps["model"].classes_
    named = [(f"voter {place}", voter) for place, (_, voter) in enumerate(voters)]
    several = len(named) > 1
    voting = VotingClassifier(
        estimators=named,
        voting="hard" if several else "soft",
        weights=[share for share, _ in voters] if several else None,
    )
    voting.le_ = LabelEncoder().fit(classes)
    voting.classes_ = voting.le_.classes_
    voting.estimators_ = [voter for _, voter in named]
    voting.named_estimators_ = Bunch(**dict(named))
    steps: list[tuple[str, Any]] = [("preprocess", pipeline.named_steps["preprocess"])]
    if matrix is not None:
        steps.append(("decorrelate", FunctionTransformer(np.dot, kw_args={"b": matrix})))
    return Pipeline([*steps, ("model", voting)])


def register_candidate(
    pipeline: "Pipeline",
    *,
    card: "ModelCard",
    tracking_uri: str,
    key: DatasetKey,
    labels: "np.ndarray[Any, Any]",
    example: Any,
    metrics: Mapping[str, float],
    parameters: Mapping[str, Any],
    tags: Mapping[str, str],
) -> Candidate:
    """The candidate as MLflow now has it; the alias `candidate` moves to it, and the data set's own models stay.

    `card` is that of the model whose encoding it shares, `labels` what it says, `example` a few raw rows.

    Raises:
        CannotReach: the MLflow server does not answer.
    """
    published = publish(
        candidate_name(key),
        pipeline,
        card=card,
        tracking_uri=tracking_uri,
        labels=labels,
        example=example,
        trusted=sorted({*TRUSTED_TYPES, *trusted_types(card.framework), "numpy.dot"}),
        run_name=f"{key.partition_key} {ALIAS}",
        metrics=metrics,
        parameters=parameters,
        tags={**tags, ROLE: ALIAS},
        metadata={"role": ALIAS, "target": card.target},
        description=f"Mitigated models of the data set {key.partition_key}: candidates that a person decides about",
        alias=ALIAS,
    )
    return Candidate(
        name=candidate_name(key),
        version=published.version,
        model_uri=published.model_uri,
        tree_sha256=published.tree_sha256,
        mlflow_run_id=published.run_id,
    )
