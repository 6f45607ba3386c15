"""Names of columns that every later part can work with."""

from collections.abc import Sequence

from millrace.contracts.errors import BadInput, TooLarge

MAX_CHARACTERS = 1024
"""As in the payloads' `target_column_name`."""
SHOWN = 5
_ALLOWED_CONTROLS = "\t\n\r"


def checked_names(names: Sequence[str], *, max_columns: int) -> tuple[str, ...]:
    """The names without spaces around them; all else in them is kept, quotes, markup and newlines included.

    Raises:
        TooLarge: more columns than the setting allows.
        BadInput: fewer than two columns, or a name that is empty, too long, has control characters, or comes twice;
            names the columns.
    """
    if len(names) > max_columns:
        raise TooLarge(
            f"the file has {len(names):,} columns, above the limit of {max_columns:,}",
            field="file",
            remedy="raise MILLRACE_MAX_COLUMNS, or send fewer columns",
        )
    stripped = tuple(name.strip() for name in names)
    if len(stripped) < 2:
        raise BadInput(
            "the file has one column only",
            field="file",
            remedy="a data set needs a target and at least one column to tell it by",
        )
    _check_empty(stripped)
    for position, name in enumerate(stripped, start=1):
        _check(position, name)
    _check_twice(stripped)
    return stripped


def _check_empty(names: tuple[str, ...]) -> None:
    empty = [str(position) for position, name in enumerate(names, start=1) if not name]
    if empty:
        raise BadInput(
            f"column {', '.join(empty[:SHOWN])}{' and others' if len(empty) > SHOWN else ''} has no name",
            field="file",
            remedy="name every column in the first row; leave an index column out (pandas: to_csv(index=False))",
        )


def _check(position: int, name: str) -> None:
    if len(name) > MAX_CHARACTERS:
        raise BadInput(
            f"the name of column {position} has {len(name):,} characters, above the limit of {MAX_CHARACTERS:,}",
            field="file",
            remedy="shorten it; check that the first row holds the names and that quotes are closed",
        )
    if any(not sign.isprintable() and sign not in _ALLOWED_CONTROLS and ord(sign) < 0xA0 for sign in name):
        raise BadInput(
            f"the name of column {position} holds a control character: {name[:60]!r}",
            field="file",
            remedy="remove it from the name",
        )


def _check_twice(names: tuple[str, ...]) -> None:
    first: dict[str, int] = {}
    twice = []
    for position, name in enumerate(names, start=1):
        before = first.setdefault(name.casefold(), position)
        if before != position:
            twice.append(f"{name[:60]!r} (columns {before} and {position})")
    if twice:
        more = f" and {len(twice) - SHOWN} more" if len(twice) > SHOWN else ""
        raise BadInput(
            f"column names come twice: {', '.join(twice[:SHOWN])}{more}",
            field="file",
            remedy="give every column a name of its own; capitals do not tell names apart",
        )
