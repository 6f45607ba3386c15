"""A document longer than the context: asked about in parts, the answers combined into one."""

import asyncio
from collections.abc import Coroutine, Iterable, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from millrace.contracts.canonical import canonical_json
from millrace.contracts.documents import FinancialDocument
from millrace.contracts.errors import TooLarge
from millrace.streams.documents.chat import ChatClient
from millrace.streams.documents.chunks import estimate_tokens, split
from millrace.streams.documents.conversation import Said, converse, total
from millrace.streams.documents.prompt import Parameters, ask, ask_to_combine

MOST_PARTS = 256
"""A message holds 4 MiB at most, which is fewer parts than this with a context of 8,192 tokens."""
_SPARE_TOKENS = 160
"""For what a server's template and the request for a repair add."""
_LEAST_TOKENS = 96

T = TypeVar("T")


def room_for_text(document: FinancialDocument, parameters: Parameters, *, context: int) -> int:
    """Estimated tokens of text that fit beside question, answer, and a repair that shows the first answer."""
    frame = document.model_copy(update={"text": ""})
    taken = estimate_tokens(ask(frame, parameters.schema, part="100 of 100")[0]["content"])
    return max(_LEAST_TOKENS, context - taken - 2 * parameters.max_tokens - _SPARE_TOKENS)


def parts_of(document: FinancialDocument, *, room: int) -> list[str]:
    """The text in parts that fit the room.

    Raises:
        TooLarge: there are too many.
    """
    parts = split(document.text, tokens=room)
    if len(parts) > MOST_PARTS:
        raise TooLarge(
            f"the document would be read in {len(parts)} parts, more than {MOST_PARTS}",
            field="text",
            remedy="raise MILLRACE_LLM_CONTEXT to what the model has, or send the document in pieces of your own",
        )
    return parts


async def converse_in_parts(
    client: ChatClient, document: FinancialDocument, parts: Sequence[str], *, parameters: Parameters, room: int,
    about: str,
) -> Said:  # fmt: skip
    """One answer from all the parts, whose summary says so. A part without an answer leaves the whole without one.

    Raises:
        MillraceError: as `ChatClient.complete`; no other request of the document is under way then.
    """
    count = len(parts)
    said = await together(
        converse(
            client, ask(document, parameters.schema, text=part, part=f"{number} of {count}"), parameters,
            about=f"{about} part {number}",
        )
        for number, part in enumerate(parts, start=1)
    )  # fmt: skip
    requests = list(said)
    for number, one in enumerate(said, start=1):
        if one.status != "ok":
            return _summed(requests, _blamed(one, f"part {number} of {count}"))
    answers = [one.answer for one in said if one.answer is not None]
    while len(answers) > 1:
        groups = _groups(answers, room=room)
        combined = await together(
            converse(
                client, ask_to_combine(document, parameters.schema, answers=group), parameters, about=f"{about} combine"
            )
            for group in groups
            if len(group) > 1
        )
        requests += combined
        for one in combined:
            if one.status != "ok":
                return _summed(
                    requests, replace(one, problems=(f"{count} parts, combined: {one.status}", *one.problems))
                )
        made = iter([one.answer for one in combined if one.answer is not None])
        answers = [next(made) if len(group) > 1 else group[0] for group in groups]
    return _summed(requests, replace(requests[-1], answer=_noted(answers[0], count)))


async def together(work: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """All results in their order; when one fails, the others are ended before its error is raised."""
    tasks = [asyncio.ensure_future(one) for one in work]
    try:
        return list(await asyncio.gather(*tasks))
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _groups(answers: Sequence[dict[str, Any]], *, room: int) -> list[list[dict[str, Any]]]:
    """Neighbours that fit the room together, at least two a group, so that each round has fewer."""
    groups: list[list[dict[str, Any]]] = []
    taken = 0
    for answer in answers:
        size = estimate_tokens(canonical_json(answer)) + 1
        if groups and (taken + size <= room or len(groups[-1]) < 2):
            groups[-1].append(answer)
            taken += size
        else:
            groups.append([answer])
            taken = size
    return groups


def _noted(answer: dict[str, Any], count: int) -> dict[str, Any]:
    note = f" [Read in {count} parts: the document is longer than the model's context.]"
    return answer | {"summary": answer["summary"][: 4_000 - len(note)] + note}


def _blamed(said: Said, what: str) -> Said:
    return replace(said, problems=(f"{what}: {said.status}", *said.problems))


def _summed(all_said: Sequence[Said], last: Said) -> Said:
    return replace(
        last,
        repaired=any(one.repaired for one in all_said),
        requests=sum(one.requests for one in all_said),
        prompt_tokens=total([one.prompt_tokens for one in all_said]),
        completion_tokens=total([one.completion_tokens for one in all_said]),
        seconds=sum(one.seconds for one in all_said),
    )
