"""Questions about a database's tables that are answered once."""

from collections import defaultdict
from collections.abc import Callable
from functools import wraps
from typing import Any

_true: defaultdict[str, set[tuple[str, ...]]] = defaultdict(set)


def lasting(question: Callable[..., bool], *, url: str) -> Any:
    """The question, not asked again once it was answered with yes: no migration takes away a table or a column.

    `url` names the storage's attribute that says which database it is asked of.
    """

    @wraps(question)
    def asked(storage: Any, *arguments: Any) -> bool:
        # of the arguments connections are left out
        key = (question.__qualname__, *(one for one in arguments if isinstance(one, str)))
        known = _true[getattr(storage, url)]
        if key not in known and question(storage, *arguments):
            known.add(key)
        return key in known

    return asked
