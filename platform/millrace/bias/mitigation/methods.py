"""The methods: each learns from the training rows and answers the hold-out."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from millrace.bias.mitigation.correlation import removal_matrix
from millrace.bias.mitigation.names import Method
from millrace.bias.mitigation.problem import Problem
from millrace.bias.mitigation.reweighing import weights
from millrace.contracts.errors import StageFailed

if TYPE_CHECKING:
    import numpy as np

Moment = Literal["before training", "in training", "after training"]
ROUNDS = 20
"""Rounds of the exponentiated gradient: each fits the classifier once or more. fairlearn's default is 50."""
SLACK = 0.01
"""Distance of rates that the exponentiated gradient allows."""
FOLDS = 3
"""Folds for the scores that thresholds are chosen on: those of rows that a fit has seen are too sure of themselves."""


@dataclass(frozen=True)
class Answered:
    """What a mitigated model says of the hold-out, and what can be kept of it."""

    said: np.ndarray
    """Class of each row, 0 or 1."""
    scores: np.ndarray | None
    """Chance of class 1; None where the method gives none of its own."""
    redrawn: float | None
    """Share of the rows that another draw of a randomised method would answer differently; None when not random."""
    fitted: tuple[tuple[float, Any], ...]
    """Weight and fitted classifier of each voter; empty when the model cannot be kept."""
    matrix: np.ndarray | None = None
    """Linear map of the encoded columns that comes before the classifier."""


@dataclass(frozen=True)
class Description:
    """What a reader must know of a method before using it."""

    title: str
    moment: Moment
    source: str
    needs_attribute: bool
    """Whether the attribute must be known of everybody at the time of the decision."""
    kept: bool
    """Whether the mitigated model can be registered."""
    caveat: str


DESCRIPTIONS: dict[Method, Description] = {
    "reweighing": Description(
        "Reweighing",
        "before training",
        "Kamiran and Calders 2012",
        False,
        True,
        "Rows get weights under which group and outcome are independent. The attribute is needed for training only.",
    ),
    "correlation-remover": Description(
        "Correlation remover",
        "before training",
        "fairlearn's CorrelationRemover",
        True,
        True,
        "Takes the linear correlation with the attribute out of every column; what is related in other ways stays, "
        "and a tree can read the group from the shift that a column of few values gets. The attribute's own columns "
        "are needed when the model decides.",
    ),
    "exponentiated-gradient": Description(
        "Exponentiated gradient",
        "in training",
        "Agarwal et al. 2018; fairlearn",
        False,
        True,
        "The method itself picks one of several models at random for every answer. Measured, and kept, is their "
        "weighted vote, which answers the same every time but for which the method's guarantee does not hold.",
    ),
    "threshold-optimizer": Description(
        "Threshold optimiser",
        "after training",
        "Hardt, Price and Srebro 2016; fairlearn",
        True,
        False,
        "Another threshold for each group, so the attribute must be known of everybody when the model decides, which "
        "the law forbids in places. Some answers are drawn by lot: the same person may get another one tomorrow. "
        "Scores are the model's own, unchanged.",
    ),
}


def untreated(problem: Problem) -> Answered:
    """The classifier as it is: what every method is compared with."""
    fitted = _fit(problem, problem.train.matrix, None)
    chances = _chances(fitted, problem.test.matrix)
    return Answered(fitted.predict(problem.test.matrix).astype(int), chances, None, ((1.0, fitted),))


def answer(method: Method, problem: Problem) -> Answered:
    """The hold-out answered by the method.

    Raises:
        StageFailed: the method cannot be used on this problem; says why.
    """
    found: Answered = _METHODS[method](problem)
    return found


def _reweighed(problem: Problem) -> Answered:
    fitted = _fit(problem, problem.train.matrix, weights(problem.train.group, problem.train.label))
    matrix = problem.test.matrix
    return Answered(fitted.predict(matrix).astype(int), _chances(fitted, matrix), None, ((1.0, fitted),))


def _decorrelated(problem: Problem) -> Answered:
    if not problem.sensitive_columns:
        raise StageFailed(
            "the model does not read the attribute, so there is nothing to regress its columns on",
            field="method",
            remedy="use another method",
        )
    if len(problem.sensitive_columns) == problem.train.matrix.shape[1]:
        raise StageFailed("the model reads nothing but the attribute", field="method", remedy="use another method")
    removal = removal_matrix(problem.train.matrix, problem.sensitive_columns)
    fitted = _fit(problem, problem.train.matrix @ removal, None)
    matrix = problem.test.matrix @ removal
    return Answered(fitted.predict(matrix).astype(int), _chances(fitted, matrix), None, ((1.0, fitted),), removal)


def _reduced(problem: Problem) -> Answered:
    import numpy as np
    from fairlearn.reductions import DemographicParity, EqualizedOdds, ExponentiatedGradient

    kind = DemographicParity if problem.constraint == "demographic-parity" else EqualizedOdds
    gradient = ExponentiatedGradient(problem.make(), constraints=kind(difference_bound=SLACK), max_iter=ROUNDS)
    with warnings.catch_warnings():
        # about names of columns that our matrices never have, and of rounds that end before convergence
        warnings.simplefilter("ignore")
        gradient.fit(problem.train.matrix, problem.train.label, sensitive_features=problem.train.group)
        every = [(float(gradient.weights_[place]), model) for place, model in gradient.predictors_.items()]
        voters = tuple((share, model) for share, model in every if share > 1e-9)
        matrix = problem.test.matrix
        shares = np.array([share for share, _ in voters])
        votes = np.column_stack([model.predict(matrix).astype(float) for _, model in voters])
        chances = np.column_stack([_chances(model, matrix) for _, model in voters])
    shares = shares / shares.sum()
    picked = votes @ shares
    redrawn = float((2 * picked * (1 - picked)).mean())
    # a tie is the first class's, as in scikit-learn's weighted vote
    return Answered((picked > 0.5).astype(int), chances @ shares, redrawn, voters)


def _thresholded(problem: Problem) -> Answered:
    from fairlearn.postprocessing import ThresholdOptimizer

    given = _given_scores()
    optimizer = ThresholdOptimizer(
        estimator=given,
        constraints=problem.constraint.replace("-", "_"),
        objective="accuracy_score",
        prefit=True,
        predict_method="predict",
    )
    fitted = _fit(problem, problem.train.matrix, None)
    chances = _chances(fitted, problem.test.matrix)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        optimizer.fit(_unseen(problem)[:, None], problem.train.label, sensitive_features=problem.train.group)
        column = chances[:, None]
        said = optimizer.predict(column, sensitive_features=problem.test.group, random_state=problem.seed)
        picked = optimizer._pmf_predict(column, sensitive_features=problem.test.group)[:, 1]
    return Answered(said.astype(int), chances, float((2 * picked * (1 - picked)).mean()), ())


_METHODS: dict[Method, Callable[[Problem], Answered]] = {
    "reweighing": _reweighed,
    "correlation-remover": _decorrelated,
    "exponentiated-gradient": _reduced,
    "threshold-optimizer": _thresholded,
}


def _fit(problem: Problem, matrix: np.ndarray, weight: np.ndarray | None) -> Any:
    return problem.make().fit(matrix, problem.train.label, sample_weight=weight)


def _chances(fitted: Any, matrix: np.ndarray) -> np.ndarray:
    """Chance of class 1; a classifier that saw one class only is sure of it."""
    import numpy as np

    chances = fitted.predict_proba(matrix)
    if len(fitted.classes_) == 1:
        return np.full(len(matrix), float(fitted.classes_[0]))
    found: np.ndarray = np.asarray(chances[:, 1], dtype=float)
    return found


def _unseen(problem: Problem) -> np.ndarray:
    """Score of every training row by a classifier that did not see it; every (group, outcome) is in every fold."""
    import numpy as np

    train = problem.train
    order = np.random.default_rng(problem.seed).permutation(len(train.label))
    order = order[np.argsort((train.group * 2 + train.label)[order], kind="stable")]
    fold = np.empty(len(order), dtype=np.int64)
    fold[order] = np.arange(len(order)) % FOLDS
    scores = np.empty(len(order))
    for one in range(FOLDS):
        held = fold == one
        fitted = problem.make().fit(train.matrix[~held], train.label[~held])
        scores[held] = _chances(fitted, train.matrix[held])
    return scores


def _given_scores() -> Any:
    from sklearn.base import BaseEstimator, ClassifierMixin

    class Given(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
        """A model whose prediction is its only column."""

        def fit(self, matrix: Any, label: Any = None) -> Any:
            return self

        def predict(self, matrix: Any) -> Any:
            import numpy as np

            return np.asarray(matrix)[:, 0]

    return Given()
