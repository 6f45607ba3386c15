"""The steps that `millrace bias` takes a file's rows through, counted by group."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

    from millrace.bias.accounting.figures import Accounting
    from millrace.bias.policy import Policy
    from millrace.contracts.task import Answers
    from millrace.warehouse.profile import Profile


def account_for_file(
    table: "pd.DataFrame",
    profile: "Profile",
    measured: "pd.DataFrame",
    *,
    people: str | None,
    answers: "Answers",
    policy: "Policy",
) -> "Accounting":
    """Reading, counting people by the column `people`, and leaving out rows without a target.

    `table` has the file's rows, `measured` those that they stand for. Weights with fractions play no part: rows are
    counted.
    """
    import numpy as np
    import pandas as pd

    from millrace.bias.accounting.counter import count_rows
    from millrace.bias.accounting.judging import account

    counter = count_rows(table, sensitive=answers.sensitive, policy=policy)
    texts = {column.name: column.missing_as for column in profile.columns}
    steps = [counter.reading(profile.row_count, texts)]
    if people is not None:
        step, counter = counter.weights(pd.to_numeric(table[people]).to_numpy(dtype=np.int64))
        steps.append(step)
    kept = np.flatnonzero(measured[answers.target].notna().to_numpy())
    steps.append(counter.step("target", came=counter.everybody(), kept=kept))
    return account(steps, policy=policy, sensitive=answers.sensitive)
