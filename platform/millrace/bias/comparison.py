"""What changed between two bias reports of the same data set: verdicts, and figures that left their intervals."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from pydantic import ValidationError

from millrace.bias.document import BiasDocument
from millrace.contracts.errors import BadInput

Document = Mapping[str, Any]
SAME = ("subject", "target", "positive", "task_type")
"""What two reports must share to be about the same question."""


@dataclass(frozen=True)
class VerdictChange:
    """A judged distance whose verdict is another now; None where it was not judged."""

    attribute: str
    metric: str
    before: str | None
    after: str | None
    value_before: float | str | None
    value_after: float | str | None


@dataclass(frozen=True)
class Move:
    """A figure that lies outside its former interval, whose former value lies outside its present one as well.

    `group` is None for a distance between groups. Infinite figures are text, as in the documents.
    """

    attribute: str
    metric: str
    group: str | None
    before: float | str | None
    before_low: float | str | None
    before_high: float | str | None
    after: float | str | None
    after_low: float | str | None
    after_high: float | str | None
    better: Literal["better", "worse", ""]
    """For a distance, whether it moved to its good side; empty for a group's own figure."""


@dataclass(frozen=True)
class Comparison:
    """Two reports, the earlier one first."""

    before_hash: str | None
    before_input: str | None
    """SHA-256 of the bytes that the earlier report was about."""
    rows_before: int
    rows_after: int
    verdict_before: str | None
    verdict_after: str | None
    policy_changed: bool
    verdicts: tuple[VerdictChange, ...]
    moved: tuple[Move, ...]
    compared: int
    """Figures that both reports have."""
    groups_new: tuple[tuple[str, str], ...]
    groups_gone: tuple[tuple[str, str], ...]
    """(column, group) that only one of the two has."""

    name = "comparison"
    section = 16
    template = "bias_comparison.html"

    def document(self) -> dict[str, Any]:
        """The comparison as JSON."""
        return asdict(self)


def compare(before: Document, after: Document) -> Comparison:
    """What changed from one report's document to the other's.

    Raises:
        BadInput: one is no document of a bias report, or they are about different questions; names what differs.
    """
    for document, which in ((before, "earlier"), (after, "later")):
        _check_shape(document, which)
    for name in SAME:
        if before[name] != after[name]:
            raise BadInput(
                f"the reports are about different things: {name} was {str(before[name])[:80]!r} and is "
                f"{str(after[name])[:80]!r}",
                field=name,
                remedy="compare reports of the same subject, target, task and favourable value",
            )
    old, new = dict(_figures(before)), dict(_figures(after))
    both = [key for key in new if key in old]
    groups = [{(one["attribute"], group["name"]) for one, group in _groups(document)} for document in (before, after)]
    return Comparison(
        before_hash=before.get("report_hash"),
        before_input=(before.get("input") or {}).get("sha256"),
        rows_before=before["rows"],
        rows_after=after["rows"],
        verdict_before=before["verdict"],
        verdict_after=after["verdict"],
        policy_changed=before["policy"]["sha256"] != after["policy"]["sha256"],
        verdicts=tuple(_verdicts(before, after)),
        moved=tuple(_move(key, old[key], new[key]) for key in both if _moved(old[key], new[key])),
        compared=len(both),
        groups_new=tuple(sorted(groups[1] - groups[0])),
        groups_gone=tuple(sorted(groups[0] - groups[1])),
    )


def _check_shape(document: Document, which: str) -> None:
    try:
        BiasDocument.model_validate(document)
    except ValidationError as error:
        first = error.errors()[0]
        place = "/".join(str(part) for part in first["loc"])[:200]
        raise BadInput(
            f"the {which} file is no document of a bias report of this version: {place}: {first['msg']}",
            field=which,
            remedy="name the JSON file that stands beside a report's page; make an older version's again",
        ) from error


Key = tuple[str, str, str | None]


def _figures(document: Document) -> Iterator[tuple[Key, Mapping[str, Any]]]:
    """((column, metric, group or None), figure) of every distance and of every compared group's figure."""
    for one in (*document["attributes"], *document["crossings"]):
        for item in one["disparities"]:
            yield (one["attribute"], _name(item), None), item
        for measure in one["measures"]:
            for value in measure["values"]:
                if value["compared"]:
                    yield (one["attribute"], _name(measure), value["group"]), value


def _groups(document: Document) -> Iterator[tuple[Mapping[str, Any], Mapping[str, Any]]]:
    for one in document["attributes"]:
        for group in one["groups"]:
            yield one, group


def _name(item: Mapping[str, Any]) -> str:
    return str(item["metric"]) if item["outcome"] is None else f"{item['metric']}:{item['outcome']}"


def _verdicts(before: Document, after: Document) -> Iterator[VerdictChange]:
    old, new = ({(one["attribute"], one["metric"]): one for one in item["verdicts"]} for item in (before, after))
    for key in dict.fromkeys((*new, *old)):
        was, now = old.get(key, {}), new.get(key, {})
        if was.get("verdict") != now.get("verdict"):
            yield VerdictChange(*key, was.get("verdict"), now.get("verdict"), was.get("value"), now.get("value"))


def _moved(old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    """Whether each value lies outside the other's interval; a figure without an interval never has."""
    return _outside(new["value"], old) and _outside(old["value"], new)


def _outside(value: float | str | None, figure: Mapping[str, Any]) -> bool:
    found, low, high = (_number(one) for one in (value, figure["low"], figure["high"]))
    return found is not None and low is not None and high is not None and not low <= found <= high


def _number(value: float | str | None) -> float | None:
    return None if value is None else float(value)


def _move(key: Key, old: Mapping[str, Any], new: Mapping[str, Any]) -> Move:
    better: Literal["better", "worse", ""] = ""
    if key[2] is None:
        rose = (_number(new["value"]) or 0.0) > (_number(old["value"]) or 0.0)
        better = "better" if rose == (new["better"] == "higher") else "worse"
    return Move(*key, old["value"], old["low"], old["high"], new["value"], new["low"], new["high"], better)
