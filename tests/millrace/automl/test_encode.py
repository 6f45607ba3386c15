import numpy as np
import pytest

from millrace.automl.encode import encode_fresh, encode_trained
from millrace.automl.plan import TrainingPlan
from millrace.automl.train import train
from millrace.contracts.errors import BadInput
from millrace.examples.loans import generate_loans


def test_a_fresh_encoding_divides_every_row_once_and_names_the_columns_of_each_feature() -> None:
    frame = generate_loans(400)
    found = encode_fresh(frame, "approved", seed=3)
    assert sorted([*found.train, *found.test]) == list(range(400))
    assert found.classes == ("no", "yes")
    assert ((frame.approved.iloc[found.test] == "yes").to_numpy() == found.test_label).all()
    # female, male, missing
    sex = found.train_matrix[:, list(found.columns["sex"])]
    assert sex.shape[1] == 3
    assert (sex.sum(axis=1) == 1).all()
    assert sorted(place for places in found.columns.values() for place in places) == list(
        range(found.train_matrix.shape[1])
    )
    again = encode_fresh(frame, "approved", seed=3)
    assert (again.train_matrix == found.train_matrix).all()
    assert found.make().fit(found.train_matrix, found.train_label).predict(found.test_matrix).shape == (80,)


def test_a_trained_model_keeps_its_own_hold_out_encoding_and_estimator() -> None:
    frame = generate_loans(400)
    frame.loc[:20, "approved"] = None
    plan = TrainingPlan(target="approved", task_type="classification", positive="yes", time_budget=3, max_trials=2)
    training = train(frame, plan)
    found = encode_trained(frame, training.card, training.pipeline)
    np.testing.assert_array_equal(found.test, training.holdout)
    estimator = training.pipeline.named_steps["model"].estimators_[0]
    assert type(found.make()) is type(estimator)
    labels = np.array(found.classes)[estimator.predict(found.test_matrix).astype(int)]
    assert labels.tolist() == [str(one) for one in training.y_pred]


def test_only_two_values_can_be_encoded() -> None:
    with pytest.raises(BadInput, match="two values"):
        encode_fresh(generate_loans(200), "region", seed=0)
