"""SHAP values against brute force, closed forms and shap itself; the summary against recomputation."""

import itertools
import math
import warnings
from collections.abc import Callable
from typing import Any

import numba
import numpy as np
import pandas as pd
import pytest
from lightgbm import LGBMClassifier, LGBMRegressor
from sklearn.ensemble import ExtraTreesRegressor, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline
from xgboost import XGBClassifier, XGBRegressor

from millrace.contracts.errors import StageFailed
from millrace.explain import compute as compute_module
from millrace.explain.attribution import attribute, import_shap
from millrace.explain.compute import explain
from millrace.explain.parts import take_apart
from millrace.explain.result import Explanation

FEATURES = ["size", "colour", "noise"]
Fit = Callable[..., Pipeline]


def lgbm(**options: Any) -> LGBMClassifier:
    return LGBMClassifier(n_estimators=20, num_leaves=6, verbose=-1, n_jobs=1, **options)


def explained(predictor: Any, frame: pd.DataFrame, target: str = "answer", **options: Any) -> Explanation:
    kind = "regression" if target == "price" else "classification"
    asked = {"features": FEATURES, "seed": 0, **options}
    return explain(predictor, frame, target=target, task_type=kind, **asked)


def tree_expectation(tree: Any, row: np.ndarray, known: set[int], node: int = 0) -> float:
    """Value of a tree when only some features are known: the cover-weighted mean of both branches elsewhere."""
    if tree.children_left[node] < 0:
        return float(tree.value[node].ravel()[0])
    left, right = tree.children_left[node], tree.children_right[node]
    if tree.feature[node] in known:
        # scikit-learn compares in single precision
        goes_left = np.float32(row[tree.feature[node]]) <= tree.threshold[node]
        return tree_expectation(tree, row, known, left if goes_left else right)
    weights = tree.weighted_n_node_samples
    parts = [tree_expectation(tree, row, known, child) * weights[child] for child in (left, right)]
    return sum(parts) / weights[node]


def shapley(value: Callable[[set[int]], float], players: int) -> list[float]:
    """Shapley values by their definition: the sum over all coalitions."""
    values = []
    for player in range(players):
        others = [other for other in range(players) if other != player]
        total = 0.0
        for size in range(players):
            weight = math.factorial(size) * math.factorial(players - size - 1) / math.factorial(players)
            for coalition in itertools.combinations(others, size):
                total += weight * (value({*coalition, player}) - value(set(coalition)))
        values.append(total)
    return values


def test_shap_values_are_the_shapley_values_of_their_definition() -> None:
    generator = np.random.default_rng(1)
    frame = pd.DataFrame(generator.normal(size=(200, 4)), columns=list("abcd"))
    frame["y"] = frame["a"] * frame["b"] + frame["c"]
    from sklearn.compose import ColumnTransformer

    forest = ExtraTreesRegressor(3, max_depth=4, random_state=0)
    same = ColumnTransformer([("numbers", "passthrough", list("abcd"))])
    model = Pipeline([("preprocess", same), ("model", forest)]).fit(frame[list("abcd")], frame["y"])
    parts = take_apart(model, list("abcd"))
    assert parts is not None
    rows = frame[list("abcd")].to_numpy()[:5]
    found = attribute(parts, rows)
    assert found is not None
    for row, values in zip(rows, found.values[:, :, 0], strict=True):

        def worth(known: set[int], row: np.ndarray = row) -> float:
            return float(np.mean([tree_expectation(tree.tree_, row, known) for tree in forest.estimators_]))

        assert values == pytest.approx(shapley(worth, 4), abs=1e-9)
        assert found.base[0] == pytest.approx(worth(set()))


@pytest.mark.parametrize("target", ["answer", "kind", "price"])
@pytest.mark.parametrize("family", ["lightgbm", "xgboost"])
def test_the_boosters_own_values_are_those_of_shap(
    known: pd.DataFrame, fit_pipeline: Fit, target: str, family: str
) -> None:
    frame = known.assign(answer=(known["answer"] == "yes").astype(int), kind=pd.factorize(known["kind"], sort=True)[0])
    estimators = {
        ("lightgbm", True): LGBMRegressor(n_estimators=10, verbose=-1),
        ("lightgbm", False): LGBMClassifier(n_estimators=10, verbose=-1),
        ("xgboost", True): XGBRegressor(n_estimators=10),
        ("xgboost", False): XGBClassifier(n_estimators=10),
    }
    model = fit_pipeline(estimators[family, target == "price"], frame, target, FEATURES)
    parts = take_apart(model, FEATURES)
    assert parts is not None
    matrix = parts.preprocess.transform(frame)
    found = attribute(parts, matrix)
    assert found is not None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        wanted = import_shap().TreeExplainer(parts.estimator).shap_values(matrix, check_additivity=False)
    assert found.values.reshape(np.shape(wanted)) == pytest.approx(wanted, abs=1e-9)


def test_the_columns_of_a_category_add_up_to_its_feature(known: pd.DataFrame, fit_pipeline: Fit) -> None:
    model = fit_pipeline(lgbm(), known, "answer", FEATURES)
    parts = take_apart(model, FEATURES)
    assert parts is not None
    names = model[0].get_feature_names_out()
    assert [FEATURES[place] for place in parts.origin] == [
        next(feature for feature in FEATURES if feature in name.partition("__")[2]) for name in names
    ]
    contributions = model[1].booster_.predict(model[0].transform(known), pred_contrib=True)
    red_green_blue = np.abs(
        contributions[:, [place for place, name in enumerate(names) if "colour" in name]].sum(axis=1)
    )
    effects = {effect.name: effect for effect in explained(model, known).features}
    assert effects["colour"].importance == pytest.approx(red_green_blue.mean())
    assert effects["colour"].standard_error == pytest.approx(red_green_blue.std(ddof=1) / len(known) ** 0.5)


@pytest.mark.parametrize(
    ("estimator", "target", "method", "space"),
    [
        (lgbm(), "answer", "tree", "log-odds"),
        (lgbm(), "kind", "tree", "log-odds"),
        (LGBMRegressor(n_estimators=20, verbose=-1), "price", "tree", "value"),
        (RandomForestClassifier(20, max_depth=5, random_state=0), "answer", "tree", "probability"),
        (RandomForestClassifier(20, max_depth=5, random_state=0), "kind", "tree", "probability"),
        (LogisticRegression(), "answer", "linear", "log-odds"),
        (LogisticRegression(), "kind", "linear", "log-odds"),
        (KNeighborsClassifier(15), "answer", "permutation", "probability"),
    ],
)
def test_every_case_adds_up_and_noise_ranks_last(
    known: pd.DataFrame, fit_pipeline: Fit, estimator: Any, target: str, method: str, space: str
) -> None:
    model = fit_pipeline(estimator, known, target, FEATURES)
    rows = 60 if method == "permutation" else 10_000
    found = explained(model, known, target, holdout=range(0, 600, 3), max_rows=rows)
    assert (found.method, found.output_space) == (method, space)
    assert found.additivity.residual <= 1e-9
    assert found.features[0].name == "size"
    assert found.features[-1].name == "noise"
    assert sum(effect.share for effect in found.features) == pytest.approx(1)
    assert len(found.cases) == 3
    assert len({case.position for case in found.cases}) == 3
    for case in found.cases:
        assert case.position % 3 == 0
        assert case.base + sum(part.effect for part in case.contributions) == pytest.approx(case.output, abs=1e-9)
    assert bool(found.class_importance) == (target == "kind")


@pytest.mark.parametrize("target", ["answer", "price"])
def test_directions_and_dependence_follow_the_truth(known: pd.DataFrame, fit_pipeline: Fit, target: str) -> None:
    estimator = lgbm() if target == "answer" else LGBMRegressor(n_estimators=20, verbose=-1)
    positive = "yes" if target == "answer" else None
    found = explained(fit_pipeline(estimator, known, target, FEATURES), known, target, positive=positive)
    effects = {effect.name: effect for effect in found.features}
    assert effects["size"].direction == "raises"
    assert effects["size"].correlation is not None
    assert effects["size"].correlation > 0.9
    assert effects["colour"].direction == "mixed"
    dependence = {one.name: one for one in found.dependence}
    assert [one.effect for one in dependence["size"].bins] == sorted(one.effect for one in dependence["size"].bins)
    colours = {one.label: one for one in dependence["colour"].bins}
    assert colours["red"].effect > 0 > max(colours["green"].effect, colours["blue"].effect)
    assert sum(one.count for one in dependence["size"].bins) == len(known)
    assert colours["red"].count == int((known["colour"] == "red").sum())


def test_the_other_class_has_the_opposite_effects(known: pd.DataFrame, fit_pipeline: Fit) -> None:
    model = fit_pipeline(lgbm(), known, "answer", FEATURES)
    yes, no = (explained(model, known, positive=label) for label in ("yes", "no"))
    assert yes.base_value == -no.base_value
    assert yes.mean_prediction == pytest.approx(1 - no.mean_prediction)
    assert {effect.name: effect.direction for effect in no.features}["size"] == "lowers"
    assert [effect.importance for effect in yes.features] == [effect.importance for effect in no.features]


def test_a_linear_model_has_its_closed_form(known: pd.DataFrame, fit_pipeline: Fit) -> None:
    model = fit_pipeline(LogisticRegression(), known, "answer", FEATURES)
    found = explained(model, known, positive="yes")
    slope = model[1].coef_[0][0]
    standardised = (known["size"] - known["size"].mean()) / known["size"].std(ddof=0)
    wanted = (slope * standardised).abs().mean()
    assert {effect.name: effect.importance for effect in found.features}["size"] == pytest.approx(wanted)


def test_values_that_do_not_add_up_fail(
    known: pd.DataFrame, fit_pipeline: Fit, monkeypatch: pytest.MonkeyPatch
) -> None:
    import dataclasses

    def off(parts: Any, matrix: Any) -> Any:
        found = attribute(parts, matrix)
        assert found is not None
        return dataclasses.replace(found, values=found.values + 1e-3)

    monkeypatch.setattr(compute_module, "attribute", off)
    with pytest.raises(StageFailed, match="miss the model's output"):
        explained(fit_pipeline(lgbm(), known, "answer", FEATURES), known)


def test_the_hash_is_that_of_model_rows_and_seed(known: pd.DataFrame, fit_pipeline: Fit) -> None:
    model = fit_pipeline(lgbm(), known, "answer", FEATURES)
    first = explained(model, known, max_rows=300)
    model[1].set_params(n_jobs=2)
    assert explained(model, known, max_rows=300).report_hash == first.report_hash
    assert explained(model, known, max_rows=300, seed=1).report_hash != first.report_hash
    assert Explanation.from_document(first.document()).report_hash == first.report_hash
    assert first.sample.explained_rows == 300


def test_cases_are_chosen_by_their_rules(known: pd.DataFrame, fit_pipeline: Fit) -> None:
    model = fit_pipeline(lgbm(), known, "answer", FEATURES)
    found = {case.kind: case for case in explained(model, known, positive="yes").cases}
    probability = model.predict_proba(known)[:, 1]
    wrong = (model.predict(known) != known["answer"]).to_numpy()
    surest = np.where(wrong, np.abs(probability - 0.5), -1).max()
    assert abs(found["wrong"].probability - 0.5) == pytest.approx(surest)
    taken = [found["wrong"].position]
    closest = np.delete(np.abs(probability - 0.5), taken).min()
    assert abs(found["borderline"].probability - 0.5) == pytest.approx(closest)
    assert found["typical"].predicted == found["typical"].actual


def test_gaps_dates_and_truth_values_are_explained(fit_pipeline: Fit) -> None:
    generator = np.random.default_rng(2)
    frame = pd.DataFrame({"since": pd.date_range("2020-01-01", periods=400), "ok": generator.random(400) < 0.5})
    frame["size"] = np.where(generator.random(400) < 0.2, np.nan, generator.normal(size=400))
    frame["price"] = (frame["since"].dt.year == 2021) * 2.0 + frame["ok"] + frame["size"].fillna(3)
    from sklearn.compose import ColumnTransformer
    from sklearn.preprocessing import FunctionTransformer

    days = FunctionTransformer(np.asarray, kw_args={"dtype": "float64"})
    blocks = [("since", days, ["since"]), ("rest", "passthrough", ["ok", "size"])]
    steps = [("preprocess", ColumnTransformer(blocks)), ("model", LGBMRegressor(n_estimators=30, verbose=-1))]
    model = Pipeline(steps).fit(frame, frame["price"])
    found = explained(model, frame, "price", features=["since", "ok", "size"])
    kinds = {effect.name: effect.kind for effect in found.features}
    assert kinds == {"since": "date", "ok": "category", "size": "number"}
    bins = {one.name: one.bins for one in found.dependence}
    assert bins["since"][0].label.startswith("2020-01-01 to")
    assert {one.label for one in bins["ok"]} == {"true", "false"}
    missing = next(one for one in bins["size"] if one.label == "missing")
    assert missing.count == int(frame["size"].isna().sum())
    assert missing.effect > 0


def test_a_frequent_value_has_a_bin_of_its_own(fit_pipeline: Fit) -> None:
    generator = np.random.default_rng(4)
    often_zero = np.where(generator.random(500) < 0.7, 0.0, generator.normal(5, 3, 500))
    frame = pd.DataFrame({"size": often_zero, "price": np.abs(often_zero)})
    model = fit_pipeline(LGBMRegressor(n_estimators=20, verbose=-1), frame, "price", ["size"])
    bins = explained(model, frame, "price", features=["size"]).dependence[0].bins
    zero = next(one for one in bins if one.label == "0")
    assert zero.count == int((often_zero == 0).sum())
    assert sum(one.count for one in bins) == 500
    assert all(one.high <= 0 or one.low >= 0 for one in bins)


def test_loops_of_shap_are_left_to_python_and_numba_compiles_others_as_before() -> None:
    links = import_shap().links

    def doubled(number: float) -> float:
        return 2 * number

    assert not hasattr(links.identity, "py_func")
    assert hasattr(numba.njit(doubled), "py_func")
