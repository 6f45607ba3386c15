"""Counts the groups of a table's rows as the rows go through the steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from millrace.bias.accounting.counts import AttributeCount, FilledColumn, GroupCount, StepCount, StepName
from millrace.bias.groups import Grouping, group_rows
from millrace.bias.table import require_column

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from millrace.bias.policy import Policy
    from millrace.contracts.filled import FilledValues

NOT_COUNTED = "the cells of the file were not counted when it was read"


@dataclass(frozen=True)
class RowCounter:
    """The groups of one table. They are made once, of all its rows, so that every step counts the same groups."""

    table: dict[str, tuple[pd.Series[Any], Grouping]]
    """Sensitive column → its cells and groups as the table has them."""
    groupings: dict[str, Grouping]
    """Groups of the rows that are counted: those of the table, or the people that its rows stand for."""
    rows: int

    def everybody(self) -> np.ndarray:
        """Positions of all rows."""
        import numpy as np

        return np.arange(self.rows)

    def reading(self, rows_in: int, missing_as: Mapping[str, Mapping[str, int] | None]) -> StepCount:
        """The step from the file's rows to the table's.

        `missing_as` says for each sensitive column which texts of the file stood for a missing value, and how often
        (empty cells as the empty text); None where nobody counted them.
        """
        attributes = []
        for name, grouping in self.groupings.items():
            texts = missing_as.get(name)
            if texts is not None:
                attributes.append(AttributeCount(name, grouping.how, _read(grouping, texts)))
        remark = NOT_COUNTED if len(attributes) < len(self.groupings) else ""
        return StepCount("reading", rows_in, self.rows, self.rows, tuple(attributes), remark=remark)

    def step(self, name: StepName, *, came: np.ndarray, kept: np.ndarray) -> StepCount:
        """A step that leaves rows out; `kept` are positions among those that `came`."""
        attributes = []
        for column, grouping in self.groupings.items():
            before, after = (_count(grouping, grouping.codes[rows]) for rows in (came, kept))
            groups = tuple(
                GroupCount(group, *rows)
                for group, *rows in zip(grouping.names, before.tolist(), after.tolist(), after.tolist(), strict=True)
            )
            attributes.append(AttributeCount(column, grouping.how, groups))
        return StepCount(name, len(came), len(kept), len(kept), tuple(attributes))

    def weights(self, people: np.ndarray) -> tuple[StepCount, RowCounter]:
        """The step from rows to the people that they stand for, and a counter of those people."""
        import numpy as np

        attributes = []
        for column, grouping in self.groupings.items():
            counts = (
                _count(grouping, grouping.codes),
                _count(grouping, grouping.codes[people > 0]),
                np.bincount(np.repeat(grouping.codes, people), minlength=len(grouping.names)),
            )
            groups = tuple(
                GroupCount(group, *rows)
                for group, *rows in zip(grouping.names, *(one.tolist() for one in counts), strict=True)
            )
            attributes.append(AttributeCount(column, grouping.how, groups))
        total = int(people.sum())
        count = StepCount("weights", self.rows, int((people > 0).sum()), total, tuple(attributes))
        repeated = {
            name: replace(grouping, codes=np.repeat(grouping.codes, people))
            for name, grouping in self.groupings.items()
        }
        return count, RowCounter(self.table, repeated, total)

    def imputation(self, rows: np.ndarray, filled: Sequence[FilledValues]) -> StepCount:
        """The step that fills in what is missing; the cells of `filled` are those of `rows`, in their order.

        A row is kept when no value of it was guessed. A guess in the sensitive column itself moves the row to another
        group instead.
        """
        import numpy as np

        attributes = []
        for name, grouping in self.groupings.items():
            codes = grouping.codes[rows]
            guessed = np.zeros(len(rows), dtype=bool)
            values = np.zeros(len(grouping.names), dtype=np.int64)
            names, after = [*grouping.names], codes
            for one in filled:
                values += _count(grouping, codes[one.cells])
                if one.guessed and one.column != name:
                    guessed |= one.cells
                elif one.guessed:
                    place = self._group_of(name, one.value)
                    if place is None:
                        place = len(names)
                        names.append(f"{one.shown} (filled in)")
                    after = np.where(one.cells, place, codes)
            counts = [np.bincount(part, minlength=len(names)) for part in (codes, codes[~guessed], after)]
            padded = np.pad(values, (0, len(names) - len(values)))
            groups = tuple(
                GroupCount(group, *numbers)
                for group, *numbers in zip(names, *(one.tolist() for one in (*counts, padded)), strict=True)
            )
            attributes.append(AttributeCount(name, grouping.how, groups))
        untouched = ~np.any([one.cells for one in filled if one.guessed] or [np.zeros(len(rows), dtype=bool)], axis=0)
        columns = tuple(self._filled(rows, one) for one in filled if one.cells.any())
        return StepCount("imputation", len(rows), int(untouched.sum()), len(rows), tuple(attributes), columns)

    def _filled(self, rows: np.ndarray, one: FilledValues) -> FilledColumn:
        by_group = tuple(
            tuple(_count(grouping, grouping.codes[rows][one.cells]).tolist()) for grouping in self.groupings.values()
        )
        return FilledColumn(one.column, one.shown, one.guessed, int(one.cells.sum()), by_group)

    def _group_of(self, name: str, value: Any) -> int | None:
        """The group that a value belongs to; None where no group has it."""
        import numpy as np
        import pandas as pd

        column, grouping = self.table[name]
        same = np.flatnonzero((column == value).to_numpy(dtype=bool, na_value=False))
        if len(same):
            return int(grouping.codes[same[0]])
        if grouping.edges is None:
            return None
        if isinstance(value, pd.Timestamp):
            value = pd.Series([value]).astype(column.dtype).astype("int64").iloc[0]
        return int(np.searchsorted(grouping.edges, value, side="right"))


def count_rows(frame: pd.DataFrame, *, sensitive: Sequence[str], policy: Policy) -> RowCounter:
    """A counter of the table's rows.

    Raises:
        BadInput: a sensitive column is not there.
    """
    columns = {name: require_column(frame, name, field="sensitive") for name in dict.fromkeys(sensitive)}
    groupings = {name: group_rows(column, policy=policy) for name, column in columns.items()}
    return RowCounter({name: (columns[name], groupings[name]) for name in columns}, groupings, len(frame))


def _count(grouping: Grouping, codes: np.ndarray) -> np.ndarray:
    import numpy as np

    counts: np.ndarray = np.bincount(codes, minlength=len(grouping.names))
    return counts


def _read(grouping: Grouping, texts: Mapping[str, int]) -> tuple[GroupCount, ...]:
    said = {text: cells for text, cells in sorted(texts.items()) if text and cells}
    groups = [
        GroupCount(name, rows, rows, rows) for name, rows in zip(grouping.names, grouping.rows.tolist(), strict=True)
    ]
    if said:
        # rows without a value are the last group, and there are as many of them as there are such texts and more
        missing = groups[-1]
        empty = missing.rows_out - sum(said.values())
        groups[-1] = replace(missing, rows_in=empty, kept=empty)
    return (*groups, *(GroupCount(f'"{text}"', cells, 0, 0, read_as_missing=True) for text, cells in said.items()))
