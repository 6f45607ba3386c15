"""Which sensitive columns are crossed with which."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from millrace.bias.groups import cross

if TYPE_CHECKING:
    from millrace.bias.groups import Grouping
    from millrace.bias.policy import Policy


def cross_columns(groupings: dict[str, Grouping], policy: Policy) -> tuple[dict[str, Grouping], tuple[str, ...]]:
    """Crossings of two columns, then of three, as deep as the policy says; and the names of those beyond its limit.

    A crossing is named like `sex × age`.
    """
    wanted = [
        columns for depth in range(2, policy.crossing_depth + 1) for columns in itertools.combinations(groupings, depth)
    ]
    looked_at, beyond = wanted[: policy.maximum_crossings], wanted[policy.maximum_crossings :]
    found = {" × ".join(columns): cross({name: groupings[name] for name in columns}, policy) for columns in looked_at}
    return found, tuple(" × ".join(columns) for columns in beyond)
