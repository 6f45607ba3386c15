"""Columns of free text: read by their words, inside the saved model."""

import numpy as np
import pandas as pd
import pytest

from millrace.automl.features import choose_features
from millrace.automl.plan import TrainingPlan
from millrace.automl.preprocess import MAX_TERMS
from millrace.automl.result import Training
from millrace.automl.train import train
from millrace.examples.reviews import TARGET, TEXT, generate_reviews


def trained(frame: pd.DataFrame, family: str = "lrl2") -> Training:
    plan = TrainingPlan(target=TARGET, task_type="classification", families=(family,), max_trials=2, time_budget=60)
    return train(frame, plan, jobs=1)


@pytest.fixture(scope="module")
def reviews() -> pd.DataFrame:
    return generate_reviews(rows=600)


@pytest.mark.parametrize("family", ["lrl2", "lgbm", "rf"])
def test_a_model_of_texts_alone_beats_chance_by_far(reviews: pd.DataFrame, family: str) -> None:
    training = trained(reviews, family)
    assert [(one.name, one.kind) for one in training.card.features] == [(TEXT, "text")]
    # one label in 33 is wrong
    assert training.metrics["test"]["accuracy"] > 0.9
    assert training.metrics["baseline"]["accuracy"] < 0.6


def test_words_and_pairs_are_features_and_their_number_is_bounded(reviews: pd.DataFrame) -> None:
    training = trained(reviews)
    words = training.pipeline.named_steps["preprocess"].named_transformers_["text 0"][-1].vocabulary_
    assert {"love", "was wonderful", "made me"} <= set(words)
    assert len(words) <= MAX_TERMS
    assert not any(word.isdigit() for word in words), "a number that one row has is no feature"


def test_a_text_without_a_known_word_and_a_missing_one_get_an_answer(reviews: pd.DataFrame) -> None:
    training = trained(reviews.assign(text=reviews[TEXT].where(reviews.index % 9 > 0)))
    odd = pd.DataFrame({TEXT: ["zzz qqq", "", None, pd.NA, np.nan, "\x00", "💥" * 5_000]})
    chances = training.pipeline.predict_proba(odd)
    assert np.isfinite(chances).all()
    # nothing known is nothing known, however it is written
    assert np.allclose(chances, chances[0])


@pytest.mark.parametrize(
    ("texts", "kind"),
    [
        ([f"my parcel {n} came late and was torn" for n in range(200)], None),
        ([f"{'late' if n % 3 else 'early'} parcel {n} and torn" for n in range(200)], "text"),
        ([f"acc-{n:05d}" for n in range(200)], None),
        ([f"Anna Maria {n}" for n in range(200)], None),
        (["late", "early"] * 100, "category"),
    ],
)
def test_what_is_free_text_what_an_identifier_and_what_a_category(texts: list[str], kind: str | None) -> None:
    frame = pd.DataFrame({"said": texts, "number": np.arange(200) % 7, "target": [0, 1] * 100})
    used, left_out = choose_features(frame, "target")
    kinds = {one.name: one.kind for one in used}
    assert kinds.get("said") == kind
    assert [one.name for one in left_out] == ([] if kind else ["said"])


def test_an_explanation_of_a_text_adds_up(reviews: pd.DataFrame) -> None:
    from millrace.explain.compute import explain

    training = trained(reviews, "lgbm")
    found = explain(
        training.pipeline, reviews, target=TARGET, task_type="classification", features=[TEXT], seed=1, max_rows=200
    )
    assert [one.name for one in found.features] == [TEXT]
    assert found.additivity.residual <= found.additivity.tolerance
