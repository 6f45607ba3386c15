"""One question to the model: asked, its answer checked, repaired once."""

from dataclasses import dataclass
from typing import Any

from millrace.contracts.documents import Status
from millrace.streams.documents.answer import Checked, check_answer, looks_like_refusal
from millrace.streams.documents.chat import ChatClient
from millrace.streams.documents.prompt import Messages, Parameters, ask_to_repair
from millrace.streams.documents.replies import Completion

_LONGEST_QUOTED = 8_000
"""Characters of a wrong answer that the model is shown again."""


@dataclass(frozen=True)
class Said:
    """What came of a question. Tokens are None where the server did not count them."""

    status: Status
    answer: dict[str, Any] | None
    text: str
    problems: tuple[str, ...]
    finish: str
    model: str
    repaired: bool
    requests: int
    prompt_tokens: int | None
    completion_tokens: int | None
    seconds: float
    """In requests."""


async def converse(client: ChatClient, messages: Messages, parameters: Parameters, *, about: str) -> Said:
    """The answer; an answer that does not follow the schema is asked for once more.

    Raises:
        MillraceError: as `ChatClient.complete`.
    """
    first = await client.complete(messages, parameters, about=about)
    status, checked = judge(first, parameters.schema)
    if status != "invalid":
        return _said([first], status, checked)
    again = ask_to_repair(messages, first.text[:_LONGEST_QUOTED], checked.problems)
    second = await client.complete(again, parameters, about=f"{about} repair")
    status, checked = judge(second, parameters.schema)
    return _said([first, second], status, checked)


def judge(completion: Completion, schema: dict[str, Any]) -> tuple[Status, Checked]:
    """The status of a completion and its text against the schema."""
    checked = check_answer(completion.text, schema)
    if completion.refusal is not None or completion.finish == "content_filter":
        return "refused", Checked(None, (completion.refusal or "the server's filter held the answer back",))
    if completion.finish == "length":
        return "truncated", checked
    if checked.answer is not None:
        return "ok", checked
    return ("refused" if looks_like_refusal(completion.text) else "invalid"), checked


def _said(completions: list[Completion], status: Status, checked: Checked) -> Said:
    last = completions[-1]
    return Said(
        status=status,
        answer=checked.answer,
        text=last.text,
        problems=checked.problems,
        finish=last.finish,
        model=last.model,
        repaired=len(completions) > 1,
        requests=len(completions),
        prompt_tokens=total([one.prompt_tokens for one in completions]),
        completion_tokens=total([one.completion_tokens for one in completions]),
        seconds=sum(one.seconds for one in completions),
    )


def total(counts: list[int | None]) -> int | None:
    """The sum, None when one of them is not known."""
    known = [one for one in counts if one is not None]
    return sum(known) if len(known) == len(counts) else None
