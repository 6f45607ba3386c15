import logging
import re

import pytest
from starlette.testclient import TestClient

from millrace.api.trace import continue_trace


def test_a_trace_that_comes_in_goes_on_in_log_and_answer(client: TestClient, caplog: pytest.LogCaptureFixture) -> None:
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    with caplog.at_level(logging.INFO, logger="millrace.api.trace"):
        answer = client.get("/nowhere", headers={"traceparent": f"00-{trace}-00f067aa0ba902b7-01"})
    sent = answer.headers["traceparent"]
    assert re.fullmatch(rf"00-{trace}-[0-9a-f]{{16}}-01", sent)
    assert "00f067aa0ba902b7" not in sent
    assert answer.json()["trace_id"] == trace
    assert any(trace in record.getMessage() and "status=404" in record.getMessage() for record in caplog.records)


@pytest.mark.parametrize("header", [None, "", "junk", "00-" + "0" * 32 + "-00f067aa0ba902b7-01", "ff-" + "a" * 32])
def test_a_trace_is_begun_where_none_comes_in(header: str | None) -> None:
    first, second = continue_trace(header), continue_trace(header)
    assert re.fullmatch(r"00-[0-9a-f]{32}-[0-9a-f]{16}-01", first)
    assert first != second


def test_a_line_break_in_a_path_stays_on_one_log_line(client: TestClient, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="millrace.api.trace"):
        client.get("/nowhere%0Arequest%20status=200")
    assert all("\n" not in record.getMessage() for record in caplog.records)
