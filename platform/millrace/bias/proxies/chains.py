"""Columns that tell an attribute together: the search over pairs and triples.

Two columns can each tell nothing and together all (an exclusive or). What a last column adds to the others is the
conditional mutual information, and 2n times it has a chi-squared distribution when it adds nothing.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from millrace.bias.proxies.columns import Column, coded
from millrace.bias.proxies.figures import Chain
from millrace.bias.proxies.information import Shared, shared_information

if TYPE_CHECKING:
    import numpy as np

CODES = 4
"""Codes of a column in a chain: three columns and missing values then have at most 125 combinations."""
MOST_PAIRED = 30
"""Columns whose pairs are searched (435 pairs): the most telling ones."""
MOST_TRIPLED = 12
"""Columns whose triples are searched (220 triples): those of the most telling pairs."""
LEVEL = 0.01
SMALLEST_GAIN = 0.01
"""A chain that explains less than this more than its best part is not worth a reader's time."""
SHOWN = 5


def find_chains(columns: list[Column], attribute: np.ndarray) -> tuple[tuple[Chain, ...], int]:
    """The chains that explain most, and how many were searched; `columns` with the most telling first."""
    codes = {column.name: coded(column, most=CODES) for column in columns[:MOST_PAIRED]}
    if len(codes) < 2:
        return (), 0
    known: dict[tuple[str, ...], Shared] = {
        (name,): shared_information(code, attribute) for name, code in codes.items()
    }
    pairs = list(itertools.combinations(codes, 2))
    known |= {pair: _together(pair, codes, attribute) for pair in pairs}
    best = sorted(pairs, key=lambda pair: -known[pair].corrected)
    leading = list(dict.fromkeys(name for pair in best for name in pair))[:MOST_TRIPLED]
    triples = list(itertools.combinations(leading, 3))
    # parts of a triple are found in either order
    known |= {pair[::-1]: known[pair] for pair in pairs}
    known |= {triple: _together(triple, codes, attribute) for triple in triples}
    searched = pairs + triples
    found = [_chain(names, known, len(searched)) for names in searched]
    worth = [one for one in found if one.p <= LEVEL and one.explained - one.alone >= SMALLEST_GAIN]
    worth.sort(key=lambda one: (-(one.explained - one.alone), one.features))
    return tuple(worth[:SHOWN]), len(searched)


def _together(names: tuple[str, ...], codes: dict[str, np.ndarray], attribute: np.ndarray) -> Shared:
    import numpy as np

    joint = codes[names[0]]
    for name in names[1:]:
        joint = joint * (int(codes[name].max()) + 1) + codes[name]
    return shared_information(np.unique(joint, return_inverse=True)[1], attribute)


def _chain(names: tuple[str, ...], known: dict[tuple[str, ...], Shared], searched: int) -> Chain:
    from scipy import stats

    whole = known[names]
    part, rest = max(
        ((known[part], part) for part in itertools.combinations(names, len(names) - 1)),
        key=lambda one: one[0].corrected,
    )
    freedom = whole.freedom - part.freedom
    p = float(stats.chi2.sf(whole.statistic - part.statistic, freedom)) if freedom > 0 else 1.0
    entropy = whole.second_entropy
    last = next(name for name in names if name not in rest)
    return Chain(
        features=(*rest, last),
        explained=_share(whole, entropy),
        alone=_share(part, entropy),
        p=min(1.0, p * searched),
    )


def _share(shared: Shared, entropy: float) -> float:
    return min(1.0, max(0.0, shared.corrected / entropy)) if entropy > 0 else 0.0
