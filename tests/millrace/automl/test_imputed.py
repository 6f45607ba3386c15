"""What a fitted preprocessing fills in, against pandas."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from millrace.automl.features import choose_features
from millrace.automl.imputed import filled_values
from millrace.automl.plan import TrainingPlan
from millrace.automl.preprocess import build_preprocessor
from millrace.automl.train import train
from millrace.examples.reviews import TARGET, TEXT, generate_reviews


@pytest.fixture(scope="module")
def table(make_table: Callable[..., pd.DataFrame]) -> pd.DataFrame:
    return make_table("binary")


def test_cells_and_guesses_are_those_of_the_table(table: pd.DataFrame) -> None:
    rows = table.iloc[:500]
    features, _ = choose_features(rows, "target")
    preprocessor = build_preprocessor(features, task_type="classification", classes=2, rows=len(rows), seed=0)
    preprocessor.fit(rows, (rows.target == "approved").to_numpy().astype(int))
    found = {one.column: one for one in filled_values(preprocessor, table)}
    assert set(found) == {feature.name for feature in features}
    for name, one in found.items():
        assert (one.cells == table[name].isna().to_numpy()).all()
    assert found["amount"].value == pytest.approx(rows.amount.median())
    assert found["member"].value == pytest.approx(rows.member.dropna().astype(float).median())
    assert abs(found["since"].value - rows.since.dropna().median()) <= pd.Timedelta(seconds=1)
    assert found["since"].shown.startswith(str(found["since"].value.date()))
    assert (found["region"].value, found["region"].guessed) == ("(missing)", False)
    assert found["amount"].guessed is True
    assert {name: one.guessed for name, one in found.items() if one.cells.any()} == {
        "amount": True, "member": True, "since": True, "region": False,
    }  # fmt: skip


def test_a_guess_is_what_the_model_reads(table: pd.DataFrame) -> None:
    """A row with the guess in its cell is encoded as the row without a value, but for the mark that it lacked one."""
    features, _ = choose_features(table, "target")
    preprocessor = build_preprocessor(features, task_type="classification", classes=2, rows=len(table), seed=0)
    preprocessor.fit(table, (table.target == "approved").to_numpy().astype(int))
    for one in filled_values(preprocessor, table):
        if one.guessed and one.cells.any() and one.column != "member":
            rows = table.iloc[np.flatnonzero(one.cells)[:1]]
            filled = rows.assign(**{one.column: [one.value]})
            apart = preprocessor.transform(rows) != preprocessor.transform(filled)
            marks = preprocessor.output_indices_["missing numbers"]
            assert not np.delete(apart, np.r_[marks]).any()


def test_a_text_that_is_missing_has_no_words_and_nothing_is_made_up() -> None:
    reviews = generate_reviews(rows=200)
    reviews[TEXT] = reviews[TEXT].mask(np.arange(200) % 10 == 0)
    features, _ = choose_features(reviews, TARGET)
    preprocessor = build_preprocessor(features, task_type="classification", classes=2, rows=200, seed=0)
    (found,) = filled_values(preprocessor.fit(reviews, np.arange(200) % 2), reviews)
    assert (found.column, found.shown, found.guessed, found.cells.sum()) == (TEXT, "(no text)", False, 20)


def test_training_tells_the_rows_that_it_took(table: pd.DataFrame) -> None:
    frame = table.assign(target=table.target.mask(np.arange(len(table)) % 4 == 0))
    plan = TrainingPlan(target="target", task_type="classification", time_budget=5, families=("lgbm",), max_trials=2)
    done = train(frame, plan, jobs=1)
    labelled = np.flatnonzero(frame.target.notna())
    assert (np.sort(np.concatenate([done.chosen, done.holdout])) == labelled).all()
    assert len(done.chosen) == done.card.splits.train
    assert (done.learnt == done.chosen).all()
