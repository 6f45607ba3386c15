"""Clarify's metrics against its own library, and named mutants of every formula, each of which the comparison kills."""

import importlib
import inspect
import types
import warnings
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from smclarify.bias import metrics as smclarify

from millrace.bias import contrasts, facets
from millrace.bias.catalogue import AFTER, BEFORE
from millrace.bias.contrasts import CONTRASTS, Contrast
from millrace.bias.flip_test import MOST_ROWS, Flips, flip_test, numeric_features, row_order

COUNTED = tuple(name for name in BEFORE + AFTER if name != "FT")
FACETS = 3


@dataclass(frozen=True)
class Table:
    """One row a person: facet, stratum, label and prediction."""

    facet: np.ndarray
    stratum: np.ndarray
    label: np.ndarray
    said: np.ndarray

    def counts(self) -> np.ndarray:
        """Shape (facets, strata, 2, 2)."""
        found = np.zeros((FACETS, int(self.stratum.max()) + 1, 2, 2), dtype=np.int64)
        np.add.at(found, (self.facet, self.stratum, self.label, self.said), 1)
        return found


def _by_smclarify(name: str, table: Table, facet: int) -> float:
    label, said = pd.Series(table.label == 1), pd.Series(table.said == 1)
    inside, stratum = pd.Series(table.facet == facet), pd.Series(table.stratum)
    with warnings.catch_warnings():
        # a ratio of infinite terms
        warnings.simplefilter("ignore", RuntimeWarning)
        try:
            value = smclarify.call_metric(
                getattr(smclarify, name),
                feature=pd.Series(table.facet),
                sensitive_facet_index=inside,
                label=label,
                positive_label_index=label,
                positive_predicted_label_index=said,
                group_variable=stratum,
            )
        except ValueError:
            return float("nan")
    return float(value)


def _differing(table: Table, reference: dict[str, list[float]]) -> set[str]:
    strata = table.counts()
    return {
        name
        for name, expected in reference.items()
        if not np.allclose(
            facets.metric_values(name, strata.sum(axis=1), strata), expected, rtol=0, atol=1e-9, equal_nan=True
        )
    }


def _reference(table: Table, names: tuple[str, ...] = COUNTED) -> dict[str, list[float]]:
    return {name: [_by_smclarify(name, table, facet) for facet in range(FACETS)] for name in names}


def _table(rng: np.random.Generator) -> Table:
    rows = int(rng.integers(4, 60))
    label = (rng.random(rows + FACETS) < rng.choice([0.1, 0.5, 0.9])).astype(int)
    said = np.where(rng.random(rows + FACETS) < 0.3, 1 - label, label)
    facet = np.append(rng.integers(0, FACETS, rows), range(FACETS))
    return Table(facet, rng.integers(0, 3, rows + FACETS), label, said)


@cache
def _battery() -> list[tuple[Table, dict[str, list[float]]]]:
    rng = np.random.default_rng(11)
    tables = [_table(rng) for _ in range(30)]
    first = tables[0]
    none, every = np.zeros_like(first.label), np.ones_like(first.label)
    # one outcome only; everyone a false negative
    tables += [replace(first, label=every), replace(first, said=none), replace(first, label=every, said=none)]
    return [(table, _reference(table)) for table in tables]


@st.composite
def tables(draw: st.DrawFn) -> Table:
    row = st.tuples(st.integers(0, FACETS - 1), st.integers(0, 2), st.integers(0, 1), st.integers(0, 1))
    rows = draw(st.lists(row, min_size=1, max_size=25))
    rows += [(facet, *draw(st.tuples(st.integers(0, 2), *[st.integers(0, 1)] * 2))) for facet in range(FACETS)]
    return Table(*np.array(rows).T)


@settings(max_examples=40, deadline=None)
@given(tables())
def test_every_metric_of_counts_equals_smclarifys_on_any_table(table: Table) -> None:
    assert _differing(table, _reference(table)) == set()


def test_every_metric_of_counts_equals_smclarifys_on_the_battery() -> None:
    assert set().union(*(_differing(*entry) for entry in _battery())) == set()


def test_metrics_of_many_resamples_at_once_are_those_of_each() -> None:
    counts = np.stack([table.counts()[:, :1] for table, _ in _battery()])
    for name in COUNTED:
        together = facets.metric_values(name, counts.sum(axis=2), counts)
        for place, one in enumerate(counts):
            alone = facets.metric_values(name, one.sum(axis=1), one)
            np.testing.assert_allclose(together[place], alone, atol=1e-12)


@pytest.mark.parametrize(("rows", "seed"), [(4_000, 1), (9_000, 2)])
def test_every_metric_of_counts_equals_smclarifys_on_loans(rows: int, seed: int) -> None:
    from millrace.examples.loans import generate_loans

    frame = generate_loans(rows, seed=seed)
    facet = frame.marital_status.map({"single": 0, "married": 1}).fillna(2).to_numpy(dtype=int)
    stratum = pd.factorize(frame.purpose)[0]
    label = (frame.approved == "yes").to_numpy(dtype=int)
    said = (frame.debt < frame.debt.median()).to_numpy(dtype=int)
    table = Table(facet, stratum, label, said)
    assert _differing(table, _reference(table)) == set()


def test_flip_test_equals_smclarifys() -> None:
    rng = np.random.default_rng(5)
    for rows in (12, 40, 400):
        features = rng.normal(size=(rows, 3))
        facet = rng.random(rows) < 0.3
        facet[:2] = [True, False]
        said = features[:, 0] + facet > rng.normal(size=rows) * 0.5
        expected = smclarify.FT(pd.DataFrame(features), pd.Series(facet), pd.Series(said))
        found = flip_test(features, facet, said, seed=0)
        assert found is not None
        assert found.value == pytest.approx(expected, abs=1e-9)


def test_of_neighbours_as_near_the_first_are_asked_whatever_the_number_of_threads() -> None:
    """Many columns of few values: scikit-learn's last digits, and with them its choice, depend on the threads."""
    rng = np.random.default_rng(7)
    rows = 900
    features = np.column_stack([rng.integers(0, 9, (rows, 1)) * 1000, rng.integers(0, 3, (rows, 20))])
    facet, said = rng.random(rows) < 0.5, rng.random(rows) < 0.5
    inside, outside = np.flatnonzero(facet), np.flatnonzero(~facet)
    up = down = 0
    for row in inside:
        distances = ((features[outside] - features[row]) ** 2).sum(axis=1)
        nearest = outside[np.argsort(distances, kind="stable")[:5]]
        most = said[nearest].sum() >= 3
        up, down = up + int(said[row] and not most), down + int(most and not said[row])
    assert flip_test(features.astype(float), facet, said, seed=0) == Flips(up, down, len(inside), False)


def test_flip_test_of_many_rows_is_by_lot_and_does_not_depend_on_their_order() -> None:
    rng = np.random.default_rng(6)
    rows = MOST_ROWS * 3
    features, facet = rng.integers(0, 4, (rows, 2)).astype(float), rng.random(rows) < 0.5
    said = rng.random(rows) < 0.5
    order = rng.permutation(rows)

    def found(features: np.ndarray, facet: np.ndarray, said: np.ndarray) -> Flips | None:
        canonical = row_order(features, said)
        return flip_test(features[canonical], facet[canonical], said[canonical], seed=1)

    first = found(features, facet, said)
    assert first is not None
    assert first == found(features[order], facet[order], said[order])
    assert (first.sampled, first.rows) == (True, MOST_ROWS)


def test_text_and_gaps_become_numbers_for_the_flip_test() -> None:
    frame = pd.DataFrame({"town": ["x", "y", None, "x"], "pay": [1.0, None, 3.0, np.inf], "id": list("abcd")})
    frame["when"] = pd.Timestamp("2024-01-01")
    found = numeric_features(frame)
    assert found.shape == (4, 2 + 1 + 4)
    assert found[:, 2].tolist() == [1.0, 2.0, 3.0, 2.0]
    assert np.isfinite(found).all()


def _contrast_mutants() -> dict[str, tuple[str, Contrast]]:
    mutants = {}
    for name, contrast in CONTRASTS.items():
        turned = {"a - d": "d - a", "d - a": "a - d", "d / a": "a - d"}[contrast.how]
        mutants[f"{name}: group order"] = name, replace(contrast, how=turned)
        upside = contrasts.Rate(contrast.rate.bottom, contrast.rate.top)
        mutants[f"{name}: numerator and denominator"] = name, replace(contrast, rate=upside)
        for cell in contrasts.EVERYONE:
            other = tuple(one for one in contrast.rate.bottom if one != cell)
            if other and other != contrast.rate.bottom:
                changed = contrasts.Rate(contrast.rate.top, other)
                mutants[f"{name}: denominator without {cell}"] = name, replace(contrast, rate=changed)
    return mutants


SOURCE_MUTANTS = {
    "0/0 is 1": ("division", "(numerator == 0), 0.0", "(numerator == 0), 1.0"),
    "x/0 is 0": ("division", "(denominator == 0) & (numerator == 0), 0.0", "denominator == 0, 0.0"),
    "infinities differ": ("division", "first == second), 0.0, gap", "first != second), 0.0, gap"),
    "CI: sign": ("distances", "strict_divide(a_rows - d_rows", "strict_divide(d_rows - a_rows"),
    "CI: denominator": ("distances", "a_rows + d_rows)", "a_rows)"),
    "KL: group order": ("distances", "safe_a * np.log(safe_a / safe_d)", "safe_d * np.log(safe_d / safe_a)"),
    "KL: base": ("distances", "(safe_a * np.log(", "(safe_a * np.log2("),
    "JS: one half": ("distances", "common).sum(axis=-1) / 2", "common).sum(axis=-1)"),
    "JS: mean": ("distances", "(safe_a + safe_d) / 2", "(safe_a + safe_d)"),
    "LP: norm": ("distances", "np.sqrt((away**2).sum(axis=-1))", "away.sum(axis=-1)"),
    "TVD: one half": ("distances", "away.sum(axis=-1) / 2", "away.sum(axis=-1)"),
    "KS: largest": ("distances", "away.max(axis=-1)", "away.min(axis=-1)"),
    "distances: classes of one side": ("distances", "(a > 0) & (d > 0)", "(a > 0) | (d > 0)"),
    "CDD: sign": ("distances", "share[..., 0] - share[..., 1]", "share[..., 1] - share[..., 0]"),
    "CDD: weight": ("distances", "rows = every.sum(axis=-1)", "rows = d.sum(axis=-1)"),
    "CDD: empty stratum": ("distances", "np.where(every > 0, every, 1), 0.0", "np.where(every > 0, every, 1), 1.0"),
    "CDD: one outcome": ("distances", "np.where(both, value, np.nan)", "value"),
    "GE: benefit of a false positive": ("distances", "right + 4 * given", "right + 2 * given"),
    "GE: alpha": ("distances", "mean**2) / 2 - 0.5", "mean) / 2 - 0.5"),
    "CDDL: of predictions": ("facets", 'if name == "CDDL"', 'if name == "CDDPL"'),
    "everyone instead of the others": ("facets", "keepdims=True) - cells", "keepdims=True)"),
    "rows instead of outcomes": ("facets", "shares(a.sum(axis=-1))", "shares(a.sum(axis=-2))"),
}


def _mutated(name: str, old: str, new: str) -> types.ModuleType:
    module = importlib.import_module(f"millrace.bias.{name}")
    source = inspect.getsource(module)
    assert source.count(old) >= 1, f"{old!r} is not in {name}"
    changed = types.ModuleType(module.__name__)
    changed.__file__ = module.__file__
    exec(compile(source.replace(old, new), str(Path(str(module.__file__))), "exec"), changed.__dict__)
    return changed


def _killed() -> bool:
    with np.errstate(all="ignore"):
        return any(_differing(*entry) for entry in _battery())


@pytest.mark.parametrize("mutant", sorted(_contrast_mutants()))
def test_a_mutant_of_a_contrast_is_killed(mutant: str, monkeypatch: pytest.MonkeyPatch) -> None:
    name, changed = _contrast_mutants()[mutant]
    monkeypatch.setitem(CONTRASTS, name, changed)
    assert _killed()


@pytest.mark.parametrize("mutant", sorted(SOURCE_MUTANTS))
def test_a_mutant_of_a_formula_is_killed(mutant: str, monkeypatch: pytest.MonkeyPatch) -> None:
    name, old, new = SOURCE_MUTANTS[mutant]
    changed = _mutated(name, old, new)
    for module in (facets, contrasts):
        for word in set(vars(changed)) & set(vars(module)):
            if inspect.isfunction(getattr(changed, word)):
                monkeypatch.setattr(module, word, getattr(changed, word))
    if name == "division":
        # defaults are bound when a function is defined
        monkeypatch.setattr(contrasts.Contrast.value, "__defaults__", (changed.clarify_divide,))
    assert _killed()
