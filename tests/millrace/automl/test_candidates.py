"""A candidate's pipeline: what it answers is what was measured, and skops loads it with nothing but what is trusted."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from millrace.automl.candidates import Candidate, build_candidate, candidate_name
from millrace.automl.encode import encode_trained
from millrace.automl.plan import TrainingPlan
from millrace.automl.preprocess import TRUSTED_TYPES
from millrace.automl.registry import trusted_types
from millrace.automl.result import Training
from millrace.automl.train import train
from millrace.bias.mitigation.correlation import removal_matrix
from millrace.contracts.identifiers import DatasetKey
from millrace.examples.loans import generate_loans
from millrace.warehouse.imports import import_skops

FRAME = generate_loans(400)


@pytest.fixture(scope="module")
def training() -> Training:
    plan = TrainingPlan(
        target="approved", task_type="classification", positive="yes", time_budget=3, max_trials=2, families=("lgbm",)
    )
    return train(FRAME, plan)


def _loaded(pipeline):
    import_skops()
    import skops.io

    trusted = [*TRUSTED_TYPES, *trusted_types("lightgbm"), "numpy.dot"]
    return skops.io.loads(skops.io.dumps(pipeline), trusted=trusted)


def test_one_voter_answers_with_the_original_labels(training) -> None:
    encoded = encode_trained(FRAME, training.card, training.pipeline)
    fitted = encoded.make().fit(encoded.train_matrix, encoded.train_label)
    made = _loaded(build_candidate(training.pipeline, [(1.0, fitted)], None))
    expected = np.array(encoded.classes)[fitted.predict(encoded.test_matrix)]
    assert made.predict(FRAME.iloc[encoded.test]).tolist() == expected.tolist()
    assert made.predict_proba(FRAME.iloc[encoded.test])[:, 1] == pytest.approx(
        fitted.predict_proba(encoded.test_matrix)[:, 1]
    )


def test_several_voters_answer_by_their_weights(training) -> None:
    encoded = encode_trained(FRAME, training.card, training.pipeline)
    rng = np.random.default_rng(0)
    voters = []
    for share in (0.4, 0.35, 0.25):
        rows = rng.permutation(len(encoded.train_label))[:150]
        model = LogisticRegression().fit(encoded.train_matrix[rows], encoded.train_label[rows])
        voters.append((share, model))
    votes = sum(share * model.predict(encoded.test_matrix) for share, model in voters)
    assert len({tuple(model.predict(encoded.test_matrix)) for _, model in voters}) == 3
    made = _loaded(build_candidate(training.pipeline, voters, None))
    assert made.predict(FRAME.iloc[encoded.test]).tolist() == np.where(votes > 0.5, "yes", "no").tolist()


def test_the_correlation_is_removed_inside_the_pipeline(training) -> None:
    encoded = encode_trained(FRAME, training.card, training.pipeline)
    matrix = removal_matrix(encoded.train_matrix, encoded.columns["sex"])
    fitted = encoded.make().fit(encoded.train_matrix @ matrix, encoded.train_label)
    made = _loaded(build_candidate(training.pipeline, [(1.0, fitted)], matrix))
    expected = np.array(encoded.classes)[fitted.predict(encoded.test_matrix @ matrix)]
    assert made.predict(FRAME.iloc[encoded.test]).tolist() == expected.tolist()


def test_its_name_can_be_no_data_sets() -> None:
    name = candidate_name(DatasetKey("ada", "loans"))
    assert name == "ada.loans.candidate"
    candidate = Candidate(name, 3, f"models:/{name}/3", "ab" * 32, "run")
    assert candidate.ref.ref == "model:ada.loans.candidate@v3"
    assert candidate.ref.kind == "model"
