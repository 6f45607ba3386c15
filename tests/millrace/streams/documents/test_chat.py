"""The client against the scripted server: every fault has its class."""

import asyncio
import time

import pytest

from millrace.contracts.canonical import canonical_json, sha256_bytes
from millrace.contracts.errors import MillraceError, TransientError
from millrace.streams.documents.answer import ANSWER_SCHEMA
from millrace.streams.documents.chat import ChatClient, base_url
from millrace.streams.documents.errors import (
    ContextExceeded,
    DeadlineExceeded,
    Misconfigured,
    Overloaded,
    Rejected,
    ServerAway,
    ServerFailed,
)
from millrace.streams.documents.prompt import parameters_of
from millrace.streams.documents.replies import error_of, retry_after

QUESTION = [{"role": "user", "content": "Acme?"}]


@pytest.fixture
def ask(llm_settings, run_async):
    def ask(on_exchange=lambda _: None, **settings):
        chosen = llm_settings(**settings)

        async def once():
            async with ChatClient(chosen, on_exchange=on_exchange) as client:
                return await client.complete(QUESTION, parameters_of(chosen, ANSWER_SCHEMA), about="docs/0/1")

        return run_async(once())

    return ask


def test_a_completion_brings_its_tokens_model_and_time_and_an_exchange_with_both_hashes(server, ask):
    exchanges = []
    server.seconds = 0.05
    done = ask(exchanges.append)
    assert (done.finish, done.model, done.refusal) == ("stop", "tiny@scripted", None)
    assert done.prompt_tokens == 1
    assert done.completion_tokens > 0
    assert 0.05 <= done.seconds < 3
    (one,) = exchanges
    (body,) = server.bodies
    assert one.request_sha256 == sha256_bytes(canonical_json(body).encode())
    assert len(one.response_sha256) == 64
    assert (one.about, one.status, one.outcome) == ("docs/0/1", 200, "completion")


def test_the_answer_is_held_to_its_schema_by_the_server_unless_a_setting_says_no(server, ask):
    ask()
    ask(MILLRACE_LLM_GUIDED="false")
    guided, free = server.bodies
    assert guided["response_format"]["json_schema"]["schema"] == ANSWER_SCHEMA
    assert "response_format" not in free
    assert (free["model"], free["max_tokens"], free["temperature"]) == ("tiny", 512, 0.0)


@pytest.mark.parametrize(
    ("play", "error", "status"),
    [
        ("429", Overloaded, 429), ("503", Overloaded, 503), ("500", ServerFailed, 500), ("502", ServerFailed, 502),
        ("408", ServerFailed, 408), ("302", ServerFailed, 302), ("400", Rejected, 400), ("422", Rejected, 422),
        ("401", Misconfigured, 401), ("404", Misconfigured, 404), ("context", ContextExceeded, 400),
        ("garbage", ServerFailed, 200), ("empty", ServerFailed, 200), ("cut", ServerFailed, None),
        ("endless", ServerFailed, None),
    ],
)  # fmt: skip
def test_every_fault_is_told_by_its_class(server, ask, play, error, status):
    server.scripts["Acme"] = [play]
    exchanges = []
    with pytest.raises(MillraceError) as raised:
        ask(exchanges.append)
    assert type(raised.value) is error
    assert raised.value.remedy or play == "endless"
    (one,) = exchanges
    assert (one.outcome, one.status, one.response_sha256 is None) == (error.code, status, status is None)


@pytest.mark.parametrize("play", ["hang", "drip"])
def test_a_server_that_hangs_or_drips_is_left_at_the_deadline(server, ask, play):
    server.scripts["Acme"] = [play]
    began = time.monotonic()
    with pytest.raises(DeadlineExceeded, match="LLM_TIMEOUT"):
        ask(LLM_TIMEOUT=0.4)
    assert time.monotonic() - began < 3


def test_a_server_that_is_not_there_is_away(ask):
    with pytest.raises(ServerAway, match="llm doctor"):
        ask(LLM_URL="http://127.0.0.1:9")


def test_no_more_requests_are_under_way_than_the_settings_allow(server, llm_settings, run_async):
    server.seconds = 0.05
    settings = llm_settings(MILLRACE_LLM_CONCURRENCY=3, LLM_URL=f"{server.url}/v1/")

    async def many():
        async with ChatClient(settings) as client:
            parameters = parameters_of(settings, ANSWER_SCHEMA)
            await asyncio.gather(*(client.complete(QUESTION, parameters, about=str(n)) for n in range(12)))

    run_async(many())
    assert (server.most_under_way, len(server.log)) == (3, 12)


def test_the_key_is_sent_and_stands_in_no_error(server, llm_settings, run_async):
    seen = []
    handle = server.RequestHandlerClass.do_GET
    settings = llm_settings(LLM_API_KEY="sk-secret")

    class Watched(server.RequestHandlerClass):
        def do_GET(self):
            seen.append(self.headers["authorization"])
            handle(self)

    server.RequestHandlerClass = Watched

    async def models():
        async with ChatClient(settings) as client:
            return await client.models()

    assert run_async(models()) == ["scripted"]
    assert seen == ["Bearer sk-secret"]
    assert "sk-secret" not in repr(settings)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None), ("7", 7.0), ("0.5", 0.5), ("-3", 0.0), ("soon", None), ("nan", None), ("inf", None),
        ("Wed, 21 Oct 2015 07:28:10 GMT", 10.0), ("Wed, 21 Oct 2015 07:27:00 GMT", 0.0),
    ],
)  # fmt: skip
def test_retry_after_is_seconds_or_a_date(header, seconds):
    # 2015-10-21 07:28:00 UTC
    assert retry_after(header, now=1_445_412_480.0) == seconds


def test_a_wait_that_the_server_asks_for_reaches_the_loop():
    error = error_of(429, {"retry-after": "3"}, b"slow down")
    assert isinstance(error, TransientError)
    assert error.retry_after == 3.0


@pytest.mark.parametrize("url", ["http://h:1", "http://h:1/", "http://h:1/v1", "http://h:1/v1/"])
def test_the_address_may_end_in_v1(url):
    assert base_url(url) == "http://h:1"
