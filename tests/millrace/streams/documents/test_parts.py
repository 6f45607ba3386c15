"""Documents longer than the context."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from millrace.contracts.errors import TooLarge, TransientError
from millrace.streams.documents.chunks import estimate_tokens, split
from millrace.streams.documents.errors import ContextExceeded

SMALL = {"MILLRACE_LLM_CONTEXT": 2_000, "MILLRACE_LLM_MAX_TOKENS": 200}


@given(st.text(max_size=2_000), st.integers(2, 200))
def test_parts_joined_are_the_text_and_none_is_too_long(text, tokens):
    parts = split(text, tokens=tokens)
    assert "".join(parts) == text
    assert all(0 < estimate_tokens(part) <= tokens for part in parts)


def test_a_part_ends_where_a_reader_would_pause():
    text = "First paragraph, which says a little.\n\nSecond one. It has two sentences, and no more."
    assert split(text, tokens=20) == [
        "First paragraph, which says a little.\n\n", "Second one. It has two sentences, and no more.",
    ]  # fmt: skip
    assert split("word " * 30, tokens=11)[0] == "word " * 6


@pytest.fixture
def long(document):
    text = "\n\n".join(f"Paragraph {number}: revenue rose by {number} %." for number in range(300))
    return document.model_copy(update={"text": text})


def test_a_long_document_is_read_in_parts_and_its_summary_says_so(server, long, analyse_once):
    result = analyse_once(long, **SMALL)
    assert result.chunks > 3
    assert result.status == "ok"
    assert result.answer["summary"].endswith(f"[Read in {result.chunks} parts: the document is longer than the model's "
                                             "context.]")  # fmt: skip
    assert result.requests == len(server.log) == result.chunks + 1
    prompts = [body["messages"][0]["content"] for body in server.bodies]
    assert max(map(estimate_tokens, prompts)) + 200 <= 2_000
    read = [number for prompt in prompts for number in re.findall(r"Paragraph (\d+):", prompt)]
    assert sorted(map(int, read)) == list(range(300))
    assert result.prompt_tokens == sum(len(prompt) // 4 for prompt in prompts)


def test_answers_that_do_not_fit_together_are_combined_in_rounds(server, long, analyse_once):
    long_answer = {"summary": "s" * 1_500, "sentiment": "neutral", "key_points": [], "risks": []}
    server.answer = lambda body: long_answer
    result = analyse_once(long, **SMALL)
    assert result.status == "ok"
    assert result.requests > result.chunks + 2


def test_a_part_without_an_answer_leaves_the_document_without_one(server, long, analyse_once):
    server.scripts["Paragraph 150:"] = ["sorry"]
    result = analyse_once(long, **SMALL)
    assert (result.status, result.answer) == ("refused", None)
    assert re.fullmatch(r"part \d of \d+: refused", result.problems[0])
    assert result.requests == result.chunks


def test_a_part_that_fails_fails_the_document_and_ends_the_other_requests(server, long, analyse_once):
    server.scripts["Paragraph 1:"] = ["500"]
    server.scripts["Paragraph 290:"] = ["hang"]
    with pytest.raises(TransientError, match="500"):
        analyse_once(long, LLM_TIMEOUT=20, **SMALL)


def test_a_server_with_a_smaller_context_than_was_said_gets_smaller_parts(server, document, analyse_once):
    server.scripts["Acme"] = ["context", "ok"]
    result = analyse_once(document.model_copy(update={"text": "Acme grew. " * 300}), **SMALL)
    assert result.status == "ok"
    assert result.chunks > 1


def test_a_document_that_is_never_short_enough_is_told_so(server, document, analyse_once):
    server.scripts["Acme"] = ["context"]
    with pytest.raises(ContextExceeded, match="MILLRACE_LLM_CONTEXT"):
        analyse_once(document)


def test_a_document_with_too_many_parts_is_refused_before_anything_is_asked(server, document, analyse_once):
    with pytest.raises(TooLarge, match="MILLRACE_LLM_CONTEXT"):
        analyse_once(document.model_copy(update={"text": "word " * 300_000}), **SMALL)
    assert server.log == []
