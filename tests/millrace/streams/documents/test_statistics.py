"""Statistics per window, kept in files and added up."""

import json
import math
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from millrace.contracts.documents import LlmResult
from millrace.contracts.errors import IntegrityBroken
from millrace.contracts.scoring import Source
from millrace.streams.documents.histogram import Histogram
from millrace.streams.documents.statistics import WindowStatistics, window_of
from millrace.streams.documents.statistics_store import StatisticsStore, read_windows

AT = datetime(2026, 11, 27, 12, 0, 1, tzinfo=UTC)


def result(number=0, **more):
    facts = {
        "document_id": str(number), "document_type": "news", "status": "ok", "answer": {"sentiment": "neutral"},
        "finish_reason": "stop", "model": "m", "requested_model": "m", "prompt_tokens": 100, "completion_tokens": 10,
        "tokens_used": 110, "processing_time": 0.5, "server_time": 0.5, "requests": 1, "repaired": False, "chunks": 1,
        "prompt_sha256": "p", "parameters_sha256": "q", "processed_at": AT,
        "source": Source(topic="t", topic_id="i", partition=0, offset=number),
        "code_version": "1",
    }  # fmt: skip
    return LlmResult(**facts | more)


@given(st.lists(st.floats(1e-5, 1e6), min_size=1, max_size=300), st.floats(0.01, 1))
def test_quantiles_are_those_of_numpy_within_the_width_of_a_bucket(values, share):
    histogram = Histogram()
    for value in values:
        histogram.add(value)
    exact = float(np.quantile(values, share, method="inverted_cdf"))
    assert abs(math.log(histogram.quantile(share) / exact)) <= math.log(1.1) / 2 + 1e-9
    assert histogram.mean == pytest.approx(sum(values) / len(values))


def test_the_figures_of_a_window():
    window = WindowStatistics()
    for number, status in enumerate(["ok", "ok", "refused", "invalid", "truncated"]):
        answer = {"sentiment": "neutral"} if status == "ok" else None
        window.add(result(number, status=status, answer=answer, text="I can't", repaired=status == "invalid",
                          requests=2 if status == "invalid" else 1, processing_time=0.1 * (number + 1)))  # fmt: skip
    window.add(result(9, prompt_tokens=None, tokens_used=None, chunks=3))
    told = window.figures()
    assert told["documents"] == 6
    assert (told["ok_rate"], told["refusal_rate"], told["invalid_rate"]) == (0.5, 1 / 6, 1 / 6)
    assert told["first_try_valid_rate"] == pytest.approx(5 / 6)
    assert told["requests_per_document"] == pytest.approx(7 / 6)
    assert (told["sentiments"], told["types"], told["in_parts_rate"]) == ({"neutral": 3}, {"news": 6}, 1 / 6)
    assert told["prompt_tokens"]["mean"] == 100
    assert told["seconds"]["mean"] == pytest.approx((1.5 + 0.5) / 6)
    assert window.uncounted == 1


def test_windows_of_several_processes_are_added_up_by_time_model_and_parameters(tmp_path):
    first, second = StatisticsStore(tmp_path, seconds=60), StatisticsStore(tmp_path, seconds=60)
    first.add(result(number) for number in range(3))
    second.add([result(7), result(8, model="other"), result(9, processed_at=AT.replace(minute=2))])
    first.add([result(10)])
    for store in (first, second):
        store.write()
    windows = read_windows(tmp_path)
    start = int(AT.timestamp()) - 1
    assert [(key.start - start, key.model, one.documents) for key, one in windows.items()] == [
        (0, "m", 5), (0, "other", 1), (120, "m", 1),
    ]  # fmt: skip
    assert list(read_windows(tmp_path, since=start + 60)) == [window_of(result(processed_at=AT.replace(minute=2)),
                                                                        seconds=60)]  # fmt: skip
    assert not list(tmp_path.glob("*.tmp"))


def test_statistics_are_the_same_after_a_file(tmp_path):
    store = StatisticsStore(tmp_path)
    store.add([result(1), result(2, status="refused", answer=None, text="no")])
    store.write()
    ((_, one),) = read_windows(tmp_path).items()
    direct = WindowStatistics()
    direct.add(result(1))
    direct.add(result(2, status="refused", answer=None, text="no"))
    assert one.figures() == direct.figures()


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"start": 0, "seconds": 1, "model": "m", "parameters_sha256": "", '
                                  '"statistics": {"documents": "x"}}'])  # fmt: skip
def test_a_file_that_is_none_is_named(tmp_path, text):
    (tmp_path / "1-a-b.json").write_text(text)
    with pytest.raises(IntegrityBroken, match="1-a-b"):
        read_windows(tmp_path)


def test_a_folder_that_cannot_be_written_loses_nothing_that_can_be_written_later(tmp_path, caplog):
    folder = tmp_path / "statistics"
    store = StatisticsStore(folder)
    store.add([])
    folder.rmdir()
    store.add([result(1)])
    store.write()
    assert "llm.statistics_not_written" in caplog.text
    folder.mkdir()
    store.write()
    (told,) = [json.loads(path.read_text()) for path in folder.iterdir()]
    assert told["statistics"]["documents"] == 1
