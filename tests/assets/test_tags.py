import pytest
from dagster import DagsterRun
from hypothesis import given
from hypothesis import strategies as st

from assets.tags import request_from, tags_of
from millrace.contracts.errors import BadInput
from millrace.contracts.identifiers import DatasetKey
from millrace.contracts.stages import LEVELS
from millrace.contracts.task import Coordinates, StageRequest

words = st.text(min_size=1, max_size=30).filter(lambda text: "\x00" not in text)
requests = st.builds(
    StageRequest,
    key=st.just(DatasetKey("ada", "loans")),
    stage=st.just("xai"),
    run_id=st.just("r"),
    level=st.none() | st.sampled_from(LEVELS),
    pipeline_id=st.none() | words,
    attempt=st.none() | st.integers(1, 99),
    event_id=st.none() | words,
    trigger=st.none() | st.builds(Coordinates, words, words, st.integers(0, 9), st.integers(0, 2**62)),
    target=st.none() | words,
    task_type=st.none() | st.sampled_from(["classification", "regression"]),
    time_budget=st.none() | st.integers(1, 86_400),
    model_version=st.none() | st.integers(1, 999),
    trace_parent=st.none() | words,
)


@given(requests)
def test_what_a_trigger_says_survives_the_tags_of_its_run(request):
    tags = DagsterRun(job_name="j", tags=tags_of(request)).tags
    assert request_from(tags, partition_key="ada.loans", run_id="r", stage="xai") == request


def test_a_run_without_tags_knows_its_data_set_and_stage():
    found = request_from({}, partition_key="ada.loans", run_id="r", stage="bias")
    assert found == StageRequest(key=DatasetKey("ada", "loans"), stage="bias", run_id="r")


def test_the_level_of_an_asset_comes_before_that_of_the_run():
    found = request_from(
        {"millrace/level": "beginner"}, partition_key="ada.loans", run_id="r", stage="xai", level="expert"
    )
    assert found.level == "expert"


@pytest.mark.parametrize("key", ["loans", "ada.", "../x.loans", "ada|x.loans", ""])
def test_a_partition_key_that_names_no_data_set_is_refused(key):
    with pytest.raises(BadInput):
        request_from({}, partition_key=key, run_id="r", stage="bias")
