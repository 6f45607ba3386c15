from pathlib import Path

import numpy as np
import pytest
from scipy import integrate, stats

from millrace.contracts.errors import BadInput
from millrace.examples.loans import (
    MEAN,
    MISSING_SHARES,
    PLANTED_BIAS,
    POSITIVE,
    SENSITIVE,
    SPREAD,
    TARGET,
    generate_loans,
    write_csv,
)


def test_the_file_is_the_same_for_a_seed_and_another_for_another(tmp_path: Path) -> None:
    first, second, other = (
        write_csv(tmp_path / name, rows=300, seed=seed).read_bytes() for name, seed in (("a", 1), ("b", 1), ("c", 2))
    )
    assert first == second
    assert first != other


def test_the_table_has_the_columns_types_and_gaps_that_it_promises() -> None:
    frame = generate_loans()
    assert len(frame) == 5_000
    assert {TARGET, "region", "application_date", *SENSITIVE} <= set(frame.columns)
    assert set(frame[TARGET]) == {POSITIVE, "no"}
    assert {dtype.kind for dtype in frame.dtypes} == {"M", "O", "i", "f", "b"}
    gaps = frame.isna().mean()
    assert set(gaps[gaps > 0].index) == set(MISSING_SHARES)
    assert gaps["sex"] == pytest.approx(MISSING_SHARES["sex"], abs=0.01)


def test_the_file_reads_back_as_the_table(tmp_path: Path) -> None:
    import pandas as pd

    read = pd.read_csv(write_csv(tmp_path / "loans.csv", rows=500), parse_dates=["application_date"])
    pd.testing.assert_frame_equal(read, generate_loans(500), check_dtype=False)


def test_the_closed_form_agrees_with_integration() -> None:
    def density(merit: float) -> float:
        return float(stats.norm.pdf(merit) * stats.norm.cdf(MEAN + SPREAD * merit))

    rate, _ = integrate.quad(density, -10, 10)
    assert PLANTED_BIAS.others_rate == pytest.approx(rate)
    assert PLANTED_BIAS.expected_ratio == pytest.approx(PLANTED_BIAS.disadvantaged_rate / PLANTED_BIAS.others_rate)
    assert PLANTED_BIAS.expected_difference == pytest.approx(0.3 * rate)


def test_a_large_table_shows_the_planted_bias_and_no_other() -> None:
    frame = generate_loans(300_000, seed=3)
    approved = frame[TARGET] == POSITIVE
    rates = approved.groupby(frame.sex).mean()
    assert rates["male"] - rates["female"] == pytest.approx(PLANTED_BIAS.expected_difference, abs=0.008)
    for column in ("marital_status", "region", "age"):
        counts = [
            np.bincount(approved[frame[column] == value], minlength=2) for value in frame[column].dropna().unique()
        ]
        assert stats.chi2_contingency(counts).pvalue > 0.001


def test_a_model_can_learn_most_of_the_decision() -> None:
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.metrics import roc_auc_score

    frame = generate_loans()
    features = frame.drop(columns=[TARGET, "application_date"]).select_dtypes(["number", "bool"])
    features["female"] = frame.sex == "female"
    model = HistGradientBoostingClassifier(max_iter=60, max_leaf_nodes=8, random_state=0)
    model.fit(features[:4_000], frame[TARGET][:4_000])
    scores = model.predict_proba(features[4_000:])[:, 1]
    assert 0.82 < roc_auc_score(frame[TARGET][4_000:] == POSITIVE, scores) < 0.92


def test_less_than_one_row_is_refused() -> None:
    with pytest.raises(BadInput, match="rows is 0"):
        generate_loans(0)
