"""Figures in plain words: natural frequencies, directions, and how far a model can be trusted."""

from dataclasses import dataclass
from typing import Literal

from millrace.explain.result import Bin, Case, Explanation, FeatureEffect
from millrace.pages import filters

GOOD_AREA, WEAK_AREA = 0.8, 0.65
"""ROC AUC from which a model separates well, and below which it hardly does (Hosmer and Lemeshow, ch. 5: 0.8, 0.7)."""
GOOD_R2, WEAK_R2 = 0.5, 0.15


@dataclass(frozen=True)
class Trust:
    """A traffic light with its reason."""

    light: Literal["pass", "unsure", "fail"]
    title: str
    reason: str


def frequency(share: float) -> str:
    """A probability as `about 7 of 10`, `about 3 of 100`, `fewer than 1 of 100`."""
    if share < 0.005:
        return "fewer than 1 of 100"
    if share > 0.995:
        return "more than 99 of 100"
    tenths = round(share * 10)
    if 0.095 <= share <= 0.905 and abs(share * 10 - tenths) < 0.26:
        return f"about {tenths} of 10"
    return f"about {round(share * 100)} of 100"


def trust(explanation: Explanation) -> Trust:
    """How far the model can be trusted, from rows that training never saw."""
    test = explanation.metrics.get("test", {})
    baseline = explanation.metrics.get("baseline", {})
    if explanation.task_type == "regression" and "r2" in test:
        explained = max(0.0, test["r2"])
        light = _light(test["r2"], GOOD_R2, WEAK_R2)
        reason = (
            f"On rows it never saw, the model accounts for {explained * 100:.0f}% of the differences between rows. "
            f"It is off by {filters.number(test['mae'])} on average; always answering the mean is off by "
            f"{filters.number(baseline.get('mae'))}."
        )
        return Trust(light, _TITLES[light], reason)
    if "roc_auc" in test:
        light = _light(test["roc_auc"], GOOD_AREA, WEAK_AREA)
        pair = "a row of each kind" if len(explanation.classes) == 2 else "two rows of different kinds"
        reason = f"Given {pair} that it never saw, the model ranks them rightly {frequency(test['roc_auc'])} times."
        return Trust(light, _TITLES[light], reason)
    if "accuracy" in test and "accuracy" in baseline:
        gain = test["accuracy"] - baseline["accuracy"]
        light = "pass" if gain > 0.1 else "unsure" if gain > 0.02 else "fail"
        reason = (
            f"It is right {frequency(test['accuracy'])} times; always giving the commonest answer is right "
            f"{frequency(baseline['accuracy'])} times."
        )
        return Trust(light, _TITLES[light], reason)
    return Trust("unsure", "Not measured", "No figures on rows that training never saw came with this model.")


_TITLES: dict[Literal["pass", "unsure", "fail"], str] = {
    "pass": "Works well on rows it never saw",
    "unsure": "Works to a limited degree",
    "fail": "Hardly better than guessing",
}


def _light(value: float, good: float, weak: float) -> Literal["pass", "unsure", "fail"]:
    return "pass" if value >= good else "unsure" if value >= weak else "fail"


def outcome(explanation: Explanation) -> str:
    """What the explained output is about: `“y” is “yes”`, or `“price”`."""
    target = filters.visible(explanation.target, 60)
    if explanation.explained_class is None:
        return f"“{target}”"
    return f"“{target}” is “{filters.visible(explanation.explained_class, 60)}”"


def direction(effect: FeatureEffect, explanation: Explanation) -> str:
    """One sentence on what larger values do."""
    what = "the estimate" if explanation.explained_class is None else f"the chance that {outcome(explanation)}"
    if effect.kind == "category":
        return f"Some values raise {what}, others lower it."
    word = "Later dates" if effect.kind == "date" else "Larger values"
    if effect.direction == "mixed":
        return f"{word} raise {what} in some ranges and lower it in others."
    return f"{word} mostly {'raise' if effect.direction == 'raises' else 'lower'} {what}."


def extremes(bins: tuple[Bin, ...]) -> tuple[Bin, Bin] | None:
    """The bins with the lowest and the highest mean prediction among those with enough rows; None when all agree."""
    total = sum(found.count for found in bins)
    solid = [found for found in bins if found.count >= max(5, total // 100)]
    if len(solid) < 2:
        return None
    low = min(solid, key=lambda found: found.prediction)
    high = max(solid, key=lambda found: found.prediction)
    return None if low is high else (low, high)


CASE_TITLES = {
    "typical": "A typical row",
    "borderline": "A close call",
    "wrong": "Where it was wrong",
    "confident": "Where it was surest",
    "extreme": "An extreme row",
}

CASE_RULES = {
    ("typical", True): "A rightly predicted row whose confidence is nearest to the median.",
    ("borderline", True): "The row whose two likeliest answers are closest.",
    ("wrong", True): "The wrong prediction that the model was surest of.",
    ("confident", True): "The row that the model was surest of; none of the rows looked at was wrong.",
    ("typical", False): "The row whose prediction is nearest to the median.",
    ("extreme", False): "The row whose prediction is furthest from the mean.",
    ("wrong", False): "The row whose prediction is furthest from the recorded value.",
}


def case_sentence(case: Case, explanation: Explanation) -> str:
    """What the model said of a row, and what was recorded."""
    target = filters.visible(explanation.target, 60)
    if case.probability is None:
        told = f"The model expected {filters.visible(case.predicted, 60)}"
        return f"{told}; recorded is {filters.visible(case.actual, 60)}." if case.actual is not None else f"{told}."
    said = f"The model predicted “{filters.visible(case.predicted, 60)}”"
    about = filters.visible(case.explained_class, 60)
    chance = f"it gives “{target}” = “{about}” a chance of {frequency(case.probability)}."
    if case.actual is None:
        return f"{said}: {chance} What is true is not recorded."
    if case.actual == case.predicted:
        return f"{said}, which is also what was recorded: {chance}"
    return f"{said}, but recorded is “{filters.visible(case.actual, 60)}”: {chance}"
