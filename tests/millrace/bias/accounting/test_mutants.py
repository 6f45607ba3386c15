"""Named mutants of the accounting: counts, rates, the line and its side changed one at a time; every one is killed."""

import importlib
import inspect
import types
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from millrace.bias.accounting.counter import count_rows
from millrace.bias.policy import shipped_policy
from millrace.contracts.filled import FilledValues

POLICY = shipped_policy()
RNG = np.random.default_rng(5)
SEX = RNG.choice(["f", "m", "x"], 900, p=[0.3, 0.6, 0.1])
AGE = np.where(RNG.random(900) < 0.2, np.nan, RNG.integers(18, 80, 900))
FRAME = pd.DataFrame({"sex": SEX, "age": AGE})
EVERY = np.arange(900)
KEPT = np.flatnonzero((RNG.random(900) > np.where(SEX == "f", 0.4, 0.05)) & (SEX != "x"))
GUESS = RNG.random(900) < 0.1
FILLED = [
    FilledValues("age", 50.0, "50", True, np.isnan(AGE)),
    FilledValues("pay", 1.0, "1", True, GUESS),
    FilledValues("job", "?", "?", False, ~GUESS),
]


def _counts(module: Any) -> bool:
    """Against pandas, by every group and step."""
    counter = module.count_rows(FRAME, sensitive=["sex", "age"], policy=POLICY)
    dropped = counter.step("target", came=EVERY, kept=KEPT).attributes[0]
    filled = counter.imputation(EVERY, FILLED)
    people = np.where(np.arange(900) % 3 == 0, 0, 2)
    weighed, stood_for = counter.weights(people)
    read = counter.reading(900, {"sex": {}, "age": {"": 4, "NA": int(np.isnan(AGE).sum()) - 4}}).attributes[1]
    right = [stood_for.rows == 1_200, read.groups[-1].rows_in == int(np.isnan(AGE).sum()) - 4]
    right += [read.groups[-2].rows_in == 4, read.groups[-2].rows_out == int(np.isnan(AGE).sum())]
    for place, group in enumerate(dropped.groups):
        inside = group.group == SEX
        right += [group.rows_in == inside.sum(), group.kept == group.rows_out == inside[KEPT].sum()]
        touched = (np.isnan(AGE) | GUESS)[inside].sum()
        one, weight = filled.attributes[0].groups[place], weighed.attributes[0].groups[place]
        right += [one.rows_in - one.kept == touched, one.rows_out == inside.sum()]
        right += [one.filled == np.isnan(AGE)[inside].sum() + inside.sum()]
        right += [weight.kept == (people[inside] > 0).sum(), weight.rows_out == people[inside].sum()]
    ages = {group.group: group for group in filled.attributes[1].groups}
    middle, missing = ages["40 to below 60"], ages["(missing)"]
    right += [missing.rows_out == 0, missing.rows_in - missing.kept == GUESS[np.isnan(AGE)].sum()]
    right += [middle.rows_out - middle.rows_in == missing.rows_in, filled.kept == (~np.isnan(AGE) & ~GUESS).sum()]
    return all(right)


def _judged(module: Any) -> bool:
    counter = count_rows(FRAME, sensitive=["sex", "age"], policy=POLICY)
    steps = [
        counter.step("target", came=EVERY, kept=KEPT),
        counter.step("holdout", came=EVERY, kept=EVERY[SEX != "f"]),
        counter.imputation(EVERY, FILLED),
    ]
    found = module.account(steps, policy=POLICY, sensitive=["sex", "age"])
    named = [
        [(group.group, group.finding) for attribute in step.attributes for group in attribute.groups if group.finding]
        for step in found.steps
    ]
    if named != [[("f", "lost"), ("x", "lost")], [("f", "lost")], [("40 to below 60", "filled in")]]:
        return False
    # one step that lost nobody in particular, and one just on the good side of the line
    fair = counter.step("target", came=EVERY, kept=EVERY[EVERY % 2 == 0])
    few = counter.step("target", came=EVERY, kept=EVERY[(SEX != "f") | (EVERY % 20 > 0)])
    quiet = module.account([fair, few], policy=POLICY, sensitive=["sex"])
    if any(step.named for step in quiet.steps) or quiet.steps[1].attributes[0].groups[1].p_holm > 0.05:
        return False
    inside = SEX == "f"
    group = next(one for one in found.steps[0].attributes[0].groups if one.group == "f")
    rates = inside[KEPT].sum() / inside.sum(), (~inside)[KEPT].sum() / (~inside).sum()
    figures = [group.kept_rate, group.others_kept_rate, group.changed_rate, group.others_changed_rate, group.ratio]
    wanted = [*rates, 1 - rates[0], 1 - rates[1], rates[0] / rates[1]]
    shares = [group.share_in - inside.mean(), group.share_out - inside[KEPT].mean()]
    return bool(np.allclose(figures, wanted)) and bool(np.allclose(shares, 0))


CHECKS = {"counter": _counts, "judging": _judged}
MUTANTS = {
    "the group before a step is counted after it": ("counter", "for rows in (came, kept)", "for rows in (kept, kept)"),
    "people who stand for nobody are kept": ("counter", "grouping.codes[people > 0]", "grouping.codes[people >= 0]"),
    "rows are counted, not people": ("counter", "minlength=len(grouping.names)),\n            )", "minlength=9),)"),
    "a guess in the own column touches the row": ("counter", "one.guessed and one.column != name:", "one.guessed:"),
    "a value of its own is a guess": ("counter", "if one.guessed and one.column", "if one.column"),
    "a guess does not move the row": ("counter", "after = np.where(one.cells, place, codes)", "after = codes"),
    "rows without a guess are the touched ones": ("counter", "codes[~guessed]", "codes[guessed]"),
    "filled values of one column only": ("counter", "values += _count", "values = _count"),
    "texts of the file are missing already": ("counter", "missing.rows_out - sum(said.values())", "missing.rows_out"),
    "others are everybody": ("judging", "every_in - group.rows_in", "every_in"),
    "others keep what everybody keeps": ("judging", "every_kept - group.kept", "every_kept"),
    "the share is of those who came": ("judging", "group.rows_out, every_out", "group.rows_out, every_in"),
    "the ratio is upside down": ("judging", "rates[0] / rates[1]) if rates[1]", "rates[1] / rates[0]) if rates[0]"),
    "the line's other side is named": ("judging", "group.ratio < policy.kept_ratio", "group.ratio > policy.kept_ratio"),
    "no line": ("judging", "group.ratio < policy.kept_ratio", "group.ratio < 1"),
    "chance is named": ("judging", "group.p_holm <= 1 - policy.confidence", "group.p_holm <= 1"),
    "what is certain is not named": ("judging", "group.p_holm <= 1", "group.p_holm > 1"),
    "what was changed is what was kept": ("judging", "if rate is None else 1 - rate", "if rate is None else rate"),
    "any growth is told": ("judging", "before < policy.kept_ratio * after", "before < 0 * after"),
}  # fmt: skip


def _module(name: str, old: str = "", new: str = "") -> types.ModuleType:
    module = importlib.import_module(f"millrace.bias.accounting.{name}")
    source = inspect.getsource(module)
    assert old in source, f"{old!r} is not in {name}"
    changed = types.ModuleType(module.__name__)
    changed.__file__ = module.__file__
    text = source.replace(old, new) if old else source
    exec(compile(text, str(Path(str(module.__file__))), "exec"), changed.__dict__)
    return changed


@pytest.mark.parametrize("name", CHECKS)
def test_the_check_holds_for_the_code_as_it_is(name: str) -> None:
    assert CHECKS[name](_module(name))


@pytest.mark.parametrize("name", MUTANTS)
def test_a_mutant_is_killed(name: str) -> None:
    module, old, new = MUTANTS[name]
    try:
        held = CHECKS[module](_module(module, old, new))
    except (ValueError, ZeroDivisionError, IndexError, KeyError, TypeError):
        held = False
    assert not held
