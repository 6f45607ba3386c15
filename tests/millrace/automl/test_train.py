"""Training on each task: raw rows in, original labels out, and a hold-out that the search never saw."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics

from millrace.automl import search as search_module
from millrace.automl import train as train_module
from millrace.automl.plan import TrainingPlan
from millrace.automl.result import Training
from millrace.automl.split import holdout_positions
from millrace.automl.train import train
from millrace.contracts.errors import BadInput, IntegrityBroken, StageFailed

Make = Callable[..., pd.DataFrame]


def plan(task: str, **options: Any) -> TrainingPlan:
    kind = "regression" if task == "regression" else "classification"
    return TrainingPlan(target="target", task_type=kind, **{"time_budget": 60, "max_trials": 3, **options})


@pytest.fixture(scope="module")
def trainings(make_table: Make) -> dict[str, tuple[pd.DataFrame, Training]]:
    made = {}
    for task in ("binary", "multiclass", "regression"):
        frame = make_table(task)
        families = ("lgbm",) if task == "multiclass" else ("xgboost",) if task == "regression" else ("lgbm", "rf")
        positive = "approved" if task == "binary" else None
        made[task] = (frame, train(frame, plan(task, families=families, positive=positive, max_trials=6), jobs=2))
    return made


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_the_model_takes_raw_rows_with_unseen_categories_and_gaps(
    trainings: dict[str, tuple[pd.DataFrame, Training]], task: str
) -> None:
    frame, training = trainings[task]
    odd = frame.head(4).copy()
    odd["region"] = ["never seen", None, np.nan, "north"]
    odd["amount"] = [None, np.nan, 1e9, -5]
    odd["since"] = pd.Series(["2021-03-01", None, "2040-01-01", pd.NaT], dtype=object)
    odd["member"] = [None, True, False, None]
    odd["city"] = ["elsewhere", None, "city 1", "city 2"]
    predicted = training.pipeline.predict(odd[list(training.card.feature_names)])
    assert len(predicted) == 4
    if task == "regression":
        assert np.isfinite(predicted).all()
    else:
        assert set(predicted) <= set(frame["target"])
        assert np.allclose(training.pipeline.predict_proba(odd).sum(axis=1), 1)


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_the_model_beats_the_baseline_on_the_holdout(
    trainings: dict[str, tuple[pd.DataFrame, Training]], task: str
) -> None:
    _, training = trainings[task]
    name = "r2" if task == "regression" else "roc_auc"
    assert set(training.metrics) == {"train", "validation", "test", "baseline"}
    assert training.metrics["test"][name] > training.metrics["baseline"][name] + 0.2


def test_the_figures_are_those_of_the_saved_pipeline(trainings: dict[str, tuple[pd.DataFrame, Training]]) -> None:
    frame, training = trainings["binary"]
    unseen = frame.iloc[training.holdout]
    probability = training.pipeline.predict_proba(unseen)[:, list(training.pipeline.classes_).index("approved")]
    truth = unseen["target"] == "approved"
    test = training.metrics["test"]
    assert test["roc_auc"] == pytest.approx(metrics.roc_auc_score(truth, probability))
    assert test["accuracy"] == pytest.approx(
        metrics.accuracy_score(unseen["target"], training.pipeline.predict(unseen))
    )
    assert test["balanced_accuracy"] == pytest.approx(metrics.balanced_accuracy_score(training.y_true, training.y_pred))
    assert test["log_loss"] == pytest.approx(metrics.log_loss(truth, probability))
    assert training.metrics["baseline"]["accuracy"] == pytest.approx(max(truth.mean(), 1 - truth.mean()), abs=0.02)


def test_the_card_says_which_columns_were_left_out_and_why(
    trainings: dict[str, tuple[pd.DataFrame, Training]],
) -> None:
    _, training = trainings["binary"]
    reasons = {column.name: column.reason for column in training.card.left_out}
    assert set(reasons) == {"row", "account", "remark", "constant", "empty"}
    assert reasons["row"].startswith("a row number")
    assert reasons["account"].startswith("an identifier")
    assert reasons["remark"].startswith("free text")
    kinds = {feature.name: feature.kind for feature in training.card.features}
    assert kinds == {
        "amount": "number",
        "age": "number",
        "region": "category",
        "member": "boolean",
        "since": "date",
        "city": "coded category",
    }


def test_the_holdout_is_found_again_and_bound_to_the_table(
    trainings: dict[str, tuple[pd.DataFrame, Training]], make_table: Make
) -> None:
    frame, training = trainings["binary"]
    assert (holdout_positions(frame, training.card) == training.holdout).all()
    with pytest.raises(IntegrityBroken, match="hold-out"):
        holdout_positions(make_table("binary", rows=790), training.card)


def test_the_search_never_sees_a_row_of_the_holdout(make_table: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    frame = make_table("binary", rows=400)
    frame["age"] = np.arange(400) * 7 % 401 + 0.5  # every row can be told by its age
    seen: list[Any] = []
    fitted: list[pd.DataFrame] = []
    real = search_module.search

    def spy(matrix: Any, target: Any, *arguments: Any, **options: Any) -> Any:
        seen.append((matrix.copy(), target.copy()))
        return real(matrix, target, *arguments, **options)

    real_build = train_module.build_preprocessor

    def build(*arguments: Any, **options: Any) -> Any:
        made = real_build(*arguments, **options)
        fit = made.fit_transform

        def remember(rows: pd.DataFrame, *rest: Any) -> Any:
            fitted.append(rows)
            return fit(rows, *rest)

        made.fit_transform = remember
        return made

    monkeypatch.setattr(train_module, "search", spy)
    monkeypatch.setattr(train_module, "build_preprocessor", build)
    training = train(frame, plan("binary", families=("lgbm",)), jobs=1)
    matrix, target = seen[0]
    assert len(matrix) == len(target) == 400 - len(training.holdout)
    ages = set(frame["age"].iloc[training.holdout])
    assert len(ages) == len(training.holdout)
    assert not ages & set(fitted[0]["age"])
    encoded = training.pipeline[:-1].transform(frame.iloc[training.holdout])
    assert not {tuple(row) for row in encoded.round(9)} & {tuple(row) for row in matrix.round(9)}


def test_shuffled_labels_cannot_be_learnt(make_table: Make) -> None:
    frame = make_table("binary", rows=3000)
    frame["target"] = np.random.default_rng(0).permutation(frame["target"])
    training = train(frame, plan("binary", families=("lgbm",), max_trials=8), jobs=2)
    # 600 hold-out rows: the standard error of the area is about 0.024
    assert abs(training.metrics["test"]["roc_auc"] - 0.5) < 0.08


def test_a_number_of_trials_makes_training_repeatable(make_table: Make) -> None:
    frame = make_table("multiclass", rows=400)
    first, second = (train(frame, plan("multiclass", families=("lgbm", "rf")), jobs=1) for _ in range(2))
    assert first.card.deterministic
    assert first.metrics == second.metrics
    assert (first.pipeline.predict_proba(frame) == second.pipeline.predict_proba(frame)).all()


def test_the_budget_holds_with_the_refit(make_table: Make) -> None:
    frame = make_table("binary", rows=6000)
    ledger = train(frame, plan("binary", time_budget=6, max_trials=None), jobs=2).card.ledger
    assert ledger.total <= 6 * 1.05 + 3  # generous: the machine is shared; benchmarks measure the ratio
    assert ledger.total == pytest.approx(ledger.prepare + ledger.search + ledger.refit + ledger.evaluate, abs=0.01)


def test_an_interrupt_passes_through(make_table: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    class Interrupted(BaseException):
        pass

    def interrupt(*_: Any) -> float:
        raise Interrupted

    monkeypatch.setattr(search_module._Scorer, "loss", interrupt)
    with pytest.raises(Interrupted):
        train(make_table("binary", rows=300), plan("binary", families=("lgbm",)), jobs=1)


@pytest.mark.parametrize(
    ("labels", "positive", "given"),
    [
        ([0, 1], "0", {0, 1}),
        ([False, True], "true", {False, True}),
        ([0.0, 1.0], "1", {0, 1}),
        ([3, 7, 9], None, {3, 7, 9}),
    ],
)
def test_labels_come_back_as_they_were(make_table: Make, labels: list[Any], positive: str, given: set[Any]) -> None:
    frame = make_table("multiclass" if len(labels) == 3 else "binary", rows=300)
    frame["target"] = pd.Series(pd.factorize(frame["target"])[0]).map(dict(enumerate(labels)))
    training = train(frame, plan("binary", families=("extra_tree",), positive=positive), jobs=1)
    assert set(training.pipeline.predict(frame).tolist()) <= given
    assert training.card.positive == (positive or "9")


@pytest.mark.parametrize("family", ["lrl1", "lrl2", "xgboost", "extra_tree"])
def test_every_family_trains(make_table: Make, family: str) -> None:
    training = train(make_table("binary", rows=300), plan("binary", families=(family,), max_trials=2), jobs=1)
    assert training.card.family == family
    assert training.metrics["test"]["roc_auc"] > 0.7


@pytest.mark.parametrize(
    ("change", "options", "error", "field"),
    [
        ({}, {"target": "tarjet"}, BadInput, "target"),
        ({"target": "one"}, {}, StageFailed, "target"),
        ({"target": [f"t{n}" for n in range(300)]}, {}, StageFailed, "target"),
        ({"target": ["once"] + ["a", "b"] * 149 + ["a"]}, {}, StageFailed, "target"),
        ({"target": [None] * 290 + ["a", "b"] * 5}, {}, StageFailed, "target"),
        ({}, {"task_type": "regression"}, StageFailed, "task_type"),
        ({}, {"positive": "maybe"}, BadInput, "positive"),
        ({"target": [float("inf")] + [1.0] * 299}, {"task_type": "regression"}, StageFailed, "task_type"),
        ({"target": 1.5}, {"task_type": "regression"}, StageFailed, "target"),
        ({"target": list(range(300))}, {"task_type": "regression", "families": ("lrl1",)}, StageFailed, "families"),
    ],
)
def test_what_cannot_be_learnt_is_refused_with_its_field_and_remedy(
    make_table: Make, change: dict[str, Any], options: dict[str, Any], error: type[Exception], field: str
) -> None:
    frame = make_table("binary", rows=300).assign(**change)
    asked = TrainingPlan(**{"target": "target", "task_type": "classification", "time_budget": 2, **options})
    with pytest.raises(error) as caught:
        train(frame, asked, jobs=1)
    assert caught.value.field == field
    assert caught.value.remedy


def test_infinities_and_pandas_own_gaps_are_taken(make_table: Make) -> None:
    frame = make_table("binary", rows=300)
    frame["amount"] = frame["amount"].where(frame.index % 50 != 0, np.inf)
    frame["age"] = frame["age"].astype("Int64").where(frame.index % 7 != 0)
    frame["member"] = frame["member"].astype("boolean")
    frame["region"] = frame["region"].astype("string")
    frame["since"] = frame["since"].dt.tz_localize("Europe/Berlin")
    training = train(frame, plan("binary", families=("lgbm",)), jobs=1)
    assert {feature.kind for feature in training.card.features} >= {"number", "boolean", "category", "date"}
    assert training.metrics["test"]["roc_auc"] > 0.7


def test_a_table_without_usable_columns_is_refused(make_table: Make) -> None:
    frame = make_table("binary", rows=300)[["account", "remark", "empty", "constant", "target"]]
    with pytest.raises(StageFailed, match="no column besides the target"):
        train(frame, plan("binary"), jobs=1)


def test_importing_flaml_starts_no_spark(run_clean: Callable[[str], str]) -> None:
    told = run_clean(
        "import sys, os; from millrace.automl.train import load_libraries; load_libraries();"
        "print('pyspark' in sys.modules, 'PYARROW_IGNORE_TIMEZONE' in os.environ)"
    )
    assert told.split() == ["False", "False"]
