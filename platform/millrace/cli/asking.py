"""Questions of `millrace run --ask` on the terminal; without one, the person is told what to type."""

import sys
from typing import Any

from millrace.cli.client import Api
from millrace.cli.output import console, errors
from millrace.cli.words import names
from millrace.contracts.errors import BadInput


def decide(api: Api, view: dict[str, Any], *, given: dict[str, Any]) -> bool:
    """Takes a person's decision on what the pipeline waits for; False when nobody is there to be asked.

    `given` holds answers from the command line, which are not asked again.
    """
    if not sys.stdin.isatty():
        return False
    if view["waiting_for"]["what"] == "answers":
        _answer(api, view, given)
    else:
        _approve(api, view)
    return True


def _answer(api: Api, view: dict[str, Any], given: dict[str, Any]) -> None:
    while True:
        answers = _asked(view["proposals"], given)
        try:
            api.post(f"/pipelines/{view['id']}/answer", {"answers": answers, "settings": {}})
        except BadInput as error:
            errors().print(str(error), style="red", markup=False, soft_wrap=True)
            given = {name: value for name, value in given.items() if name != error.field}
            continue
        return


def _asked(proposals: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    from rich.prompt import Prompt

    from millrace.cli.tables import candidates_table

    answers = dict(given)
    ask = Prompt(console=console()).ask
    if "target" not in answers:
        if proposals["target"]:
            console().print(candidates_table("Column to be predicted", proposals["target"]))
        answers["target"] = ask("Column to be predicted", default=_first(proposals["target"]) or ...)
    known = proposals["by_target"].get(answers["target"], {"task_type": [], "positive": []})
    if "task_type" not in answers:
        default = _first(known["task_type"]) or "classification"
        answers["task_type"] = ask("Task", choices=["classification", "regression"], default=default)
    if "positive" not in answers and answers["task_type"] == "classification":
        if known["positive"]:
            console().print(candidates_table("Favourable value", known["positive"]))
        answers["positive"] = ask("Favourable value (empty for none)", default=_first(known["positive"]) or "") or None
    if "sensitive" not in answers:
        found = [one for one in proposals["sensitive"] if one["value"] != answers["target"]]
        if found:
            console().print(candidates_table("Sensitive columns", found))
        default = ",".join(_quoted(str(one["value"])) for one in found)
        answers["sensitive"] = list(names(ask("Sensitive columns, separated by commas (- for none)", default=default)))
        if answers["sensitive"] == ["-"]:
            answers["sensitive"] = []
    return answers


def _approve(api: Api, view: dict[str, Any]) -> None:
    from rich.prompt import Confirm, Prompt

    from millrace.cli.summary import results
    from millrace.cli.tables import print_pipeline

    print_pipeline(view)
    for line in results(api, view):
        console().print(line, soft_wrap=True)
    waits = view["waiting_for"]
    if Confirm(console=console()).ask("Go on?", default=True):
        body = {"stage": waits["stage"], "seen_sha256": waits["seen_sha256"]}
        api.post(f"/pipelines/{view['id']}/approve", body)
    else:
        reason = Prompt(console=console()).ask("Reason", default="")
        api.post(f"/pipelines/{view['id']}/reject", {"stage": waits["stage"], "reason": reason})


def _first(candidates: list[dict[str, Any]]) -> str:
    return str(candidates[0]["value"] or "") if candidates else ""


def _quoted(name: str) -> str:
    return f'"{name}"' if "," in name else name
