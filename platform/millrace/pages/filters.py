"""How values are written for people."""

import math
import unicodedata
from datetime import UTC, datetime

ABSENT = "–"


def visible(text: object, limit: int = 80) -> str:
    """The text on one line: control and invisible characters as escapes, at most `limit` characters long."""
    shown = "".join(
        char if char == " " or unicodedata.category(char) not in {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"} else _escape(char)
        for char in str(text)[: limit * 2]
    )
    return shown if len(shown) <= limit else shown[: limit - 1] + "…"


def percent(share: float | None, digits: int = 1) -> str:
    """A share as a percentage, `0.123` as `12.3%`; a dash when there is none."""
    return ABSENT if share is None or not math.isfinite(share) else f"{share * 100:z.{digits}f}%"


def points(difference: float | None, digits: int = 1) -> str:
    """A difference of two shares in percentage points, `0.123` as `12.3 points`."""
    return ABSENT if difference is None or not math.isfinite(difference) else f"{difference * 100:z.{digits}f} points"


def number(value: float | None, digits: int = 3) -> str:
    """A number with at most `digits` decimals below 1,000 and none above; tiny and huge ones in powers of ten."""
    if value is None or not math.isfinite(value):
        return ABSENT
    size = abs(value)
    if value == 0:
        return "0"
    if size < 10.0**-digits or size >= 1e9:
        return f"{value:.{digits}g}"
    return f"{value:,.0f}" if size >= 1000 else f"{value:.{digits}f}"


def whole(value: float | None) -> str:
    """A count with thousands separators."""
    return ABSENT if value is None else f"{value:,.0f}"


def counted(number: float, one: str) -> str:
    """A count with its noun: `1 row`, `2,000 rows`."""
    return f"{number:,.0f} {one}{'' if number == 1 else 's'}"


def moment(at: datetime) -> str:
    """A moment in UTC to the minute."""
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")


def _escape(char: str) -> str:
    return {"\n": "\\n", "\r": "\\r", "\t": "\\t"}.get(char, f"\\u{ord(char):04x}")
