"""`millrace bias FILE --weights COL`: numbers of people, or weights of rows."""

from typing import TYPE_CHECKING, Any

from millrace.contracts.errors import BadInput

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from millrace.cli.bias_options import BiasOptions


def read_weighted(
    options: "BiasOptions", frame: "pd.DataFrame"
) -> "tuple[pd.DataFrame, np.ndarray[Any, Any] | None, tuple[str, ...]]":
    """The table without the column of weights, the weights, and notes; whole numbers of people have become rows.

    Raises:
        BadInput: a weight cannot be used, or something is asked for that counts every row once.
    """
    from millrace.bias.counts import are_people, expand_counts, read_weights
    from millrace.bias.table import require_column

    if options.weights is None:
        return frame, None, ()
    if are_people(require_column(frame, options.weights, field="weights")):
        people, note = expand_counts(frame, options.weights)
        return people, None, (note,)
    asked = {"proxies": options.proxies, "shift": options.shift, "mitigate": options.mitigate is not None}
    unweighted = next((name for name, wanted in asked.items() if wanted), None)
    if unweighted is not None:
        raise BadInput(
            f"--{unweighted} counts every row once, and column {options.weights[:80]!r} has weights with fractions",
            field=unweighted,
            remedy=f"leave --{unweighted} away, or give whole numbers of people",
        )
    kept, weights, note = read_weights(frame, options.weights)
    return kept, weights, (note,)
