import threading
import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import mutual_info_score, normalized_mutual_info_score

from millrace.bias.proxies.chains import find_chains
from millrace.bias.proxies.columns import coded, read_columns
from millrace.bias.proxies.figures import ProxyReport
from millrace.bias.proxies.forest import unseen_chances
from millrace.bias.proxies.information import describe, shared_information
from millrace.bias.proxies.search import MOST_ROWS, find_proxies
from millrace.contracts.errors import BadInput
from millrace.contracts.task import Answers

ANSWERS = Answers(target="hired", task_type="classification", positive="yes", sensitive=("sex",))


def _people(rows: int = 1_200, *, seed: int = 0, share: float = 0.9) -> pd.DataFrame:
    """`height` tells the sex of `share` of the rows, `noise` nothing; the outcome follows the sex."""
    rng = np.random.default_rng(seed)
    sex = rng.choice(["f", "m"], rows)
    told = np.where(rng.random(rows) < share, sex, np.where(sex == "f", "m", "f"))
    hired = rng.random(rows) < np.where(sex == "m", 0.7, 0.3)
    return pd.DataFrame(
        {
            "sex": sex,
            "height": np.where(told == "m", "tall", "short"),
            "noise": rng.standard_normal(rows),
            "hired": np.where(hired, "yes", "no"),
        }
    )


def _search(frame: pd.DataFrame, **change: object) -> ProxyReport:
    found = find_proxies(frame, answers=ANSWERS.model_copy(update=change), seed=0)
    assert found is not None
    return found


@pytest.mark.parametrize("seed", range(5))
def test_information_equals_scikit_learns(seed: int) -> None:
    rng = np.random.default_rng(seed)
    one = rng.integers(0, 5, 400)
    other = np.where(rng.random(400) < 0.3, one, rng.integers(0, 4, 400))
    shared = shared_information(one, other)
    assert shared.value == pytest.approx(mutual_info_score(one, other), abs=1e-12)
    expected = normalized_mutual_info_score(one, other, average_method="arithmetic")
    assert describe("x", shared, confidence=0.95).normalised == pytest.approx(expected, abs=1e-12)


def test_a_copy_explains_everything_and_chance_explains_nothing() -> None:
    codes = np.repeat([0, 1], 5_000)
    whole = describe("copy", shared_information(codes, codes), confidence=0.95)
    assert whole.normalised == pytest.approx(1.0)
    assert whole.explained == pytest.approx(1.0, abs=1e-3)
    rng = np.random.default_rng(3)
    nothing = [shared_information(rng.integers(0, 10, 2_000), rng.integers(0, 2, 2_000)) for _ in range(300)]
    # counted information is never negative; what is left of chance is, as often as not
    assert np.mean([one.corrected for one in nothing]) == pytest.approx(0.0, abs=2e-4)
    alarms = np.mean([(describe("n", one, confidence=0.95).p or 0) <= 0.05 for one in nothing])
    assert alarms <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / 300)


def test_intervals_of_explained_entropy_cover_the_truth() -> None:
    """Truth: a symmetric channel with 20 % errors has ln 2 - H(0.2) nats, 1 - H(0.2)/ln 2 of the entropy."""
    truth = 1 - (-0.2 * np.log(0.2) - 0.8 * np.log(0.8)) / np.log(2)
    held = 0
    for seed in range(400):
        rng = np.random.default_rng(seed)
        one = rng.integers(0, 2, 1_000)
        told = describe("x", shared_information(np.where(rng.random(1_000) < 0.2, 1 - one, one), one), confidence=0.95)
        held += told.low <= truth <= told.high
    assert 0.92 <= held / 400 <= 0.98


def test_a_planted_proxy_is_first_and_tells_the_groups_as_well_as_it_can() -> None:
    (attribute,) = _search(_people(2_000)).attributes
    assert [one.feature for one in attribute.features] == ["height", "noise"]
    assert attribute.features[0].p_holm is not None
    assert attribute.features[0].p_holm < 1e-6
    best = attribute.best
    assert best is not None
    assert best.low is not None
    assert best.high is not None
    # a channel with 10 % errors has an AUC of 0.9
    assert best.low <= 0.9 <= best.high
    assert attribute.features[1].low == 0.0


def test_without_a_proxy_the_groups_cannot_be_told() -> None:
    (attribute,) = _search(_people(2_000, share=0.5)).attributes
    best = attribute.best
    assert best is not None
    assert best.low is not None
    assert best.high is not None
    assert best.low <= 0.5 <= best.high
    assert attribute.chains == ()


def test_removing_the_column_changes_nothing_where_a_copy_of_it_stays() -> None:
    frame = _people(2_000, share=1.0)
    (attribute,) = _search(frame).attributes
    removal = attribute.removal
    assert removal is not None
    assert removal.kept.value is not None
    assert removal.removed.value == pytest.approx(removal.kept.value, abs=0.05)
    assert removal.changed is not None
    assert removal.changed < 0.1
    alone = _search(frame.drop(columns="height")).attributes[0].removal
    assert alone is not None
    assert alone.kept.verdict == "fail"
    assert alone.removed.value is not None
    assert alone.removed.value < 0.1


@pytest.mark.parametrize("depth", [2, 3])
def test_columns_that_tell_only_together_are_found(depth: int) -> None:
    rng = np.random.default_rng(depth)
    bits = rng.integers(0, 2, (3_000, 5))
    attribute = bits[:, :depth].sum(axis=1) % 2
    frame = pd.DataFrame({name: np.where(bits[:, place], "a", "b") for place, name in enumerate("vwxyz")})
    columns, _ = read_columns(frame, frozenset())
    chains, searched = find_chains(columns, attribute)
    assert searched == 10 + 10
    assert {*chains[0].features} == set("vwxyz"[:depth])
    assert chains[0].explained > 0.98
    assert chains[0].alone < 0.01


def test_independent_columns_rarely_make_a_chain() -> None:
    alarms = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        columns, _ = read_columns(pd.DataFrame(rng.standard_normal((800, 6))), frozenset())
        alarms += bool(find_chains(columns, rng.integers(0, 3, 800))[0])
    assert alarms <= 2


def test_identifiers_constants_and_empty_columns_are_named_with_a_reason() -> None:
    frame = _people(400).assign(key=[f"id-{row}" for row in range(400)], same=1, none=np.nan)
    assert [name for name, _ in _search(frame).left_out] == ["key", "same", "none"]


def test_missing_values_tell_too_and_infinite_numbers_do_no_harm() -> None:
    frame = _people(1_000, share=0.5)
    frame["income"] = np.where(frame.sex == "f", np.nan, np.inf)
    frame.loc[::7, "income"] = 1.0
    frame.loc[:40, "sex"] = None
    (attribute,) = _search(frame).attributes
    assert attribute.features[0].feature == "income"
    assert attribute.groups[-1].group == "(missing)"
    assert attribute.groups[-1].auc is None


def test_a_large_table_is_sampled_and_says_so() -> None:
    frame = _people(MOST_ROWS + 500)
    found = _search(frame)
    assert (found.rows, found.rows_in_all) == (MOST_ROWS, MOST_ROWS + 500)
    assert found == _search(frame)


def test_several_groups_dates_and_a_target_of_numbers() -> None:
    rng = np.random.default_rng(5)
    town = rng.choice(["n", "s", "e"], 900)
    days = pd.Series(np.where(town == "n", 0, 200) + rng.integers(0, 100, 900))
    frame = pd.DataFrame({"town": town, "moved": pd.Timestamp("2020-01-01") + pd.to_timedelta(days, unit="D")})
    frame["pay"] = np.where(town == "n", 10.0, 20.0) + rng.standard_normal(900)
    found = _search(frame, target="pay", task_type="regression", positive=None, sensitive=("town",))
    told = {one.group: one.auc for one in found.attributes[0].groups}
    assert told["n"] == pytest.approx(1.0)
    assert found.outcome is None
    assert found.quality is not None
    assert found.quality.metric == "r2"
    removal = found.attributes[0].removal
    assert removal is not None
    assert removal.removed.metric == "mean_prediction_standardised_difference"
    assert removal.changed is None


def test_a_group_too_small_for_folds_is_listed_without_a_value() -> None:
    frame = _people(400)
    frame.loc[:3, "sex"] = "other"
    groups = _search(frame).attributes[0].groups
    assert [(one.group, one.auc is None) for one in groups][-1] == ("other", True)
    frame["sex"] = "f"
    assert _search(frame).attributes[0].best is None


def test_nothing_to_search_is_none() -> None:
    frame = _people(200)[["sex", "hired"]]
    assert find_proxies(frame, answers=ANSWERS, seed=0) is None
    with pytest.raises(BadInput, match="not in the data"):
        find_proxies(frame.drop(columns="sex"), answers=ANSWERS, seed=0)


def test_bands_are_of_about_equal_size_and_missing_is_a_code_of_its_own() -> None:
    numbers = np.r_[np.arange(100.0), [np.nan] * 10]
    (column,), _ = read_columns(pd.DataFrame({"n": numbers}), frozenset())
    sizes = np.bincount(coded(column, most=4)).tolist()
    assert len(sizes) == 5
    assert sizes[-1] == 10
    assert max(sizes[:4]) - min(sizes[:4]) <= 2


def test_forests_are_grown_in_the_callers_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    # scikit-learn changes the process's filters of warnings around each tree: in threads they are now and then lost
    fit, threads = RandomForestClassifier.fit, set()

    def grow(*given, **named):
        threads.add(threading.get_ident())
        return fit(*given, **named)

    monkeypatch.setattr(RandomForestClassifier, "fit", grow)
    drawn = np.random.default_rng(0).normal(size=(300, 4))
    before = list(warnings.filters)
    unseen_chances(drawn, (drawn[:, 0] > 0).astype(np.int64), classes=2, seed=1)
    assert threads == {threading.get_ident()}
    assert list(warnings.filters) == before
