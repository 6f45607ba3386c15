"""Settings of a pipeline from the platform's, the user's and its own."""

import pytest

from millrace.conductor.plan import merge_settings
from millrace.contracts.errors import BadInput


def test_later_layers_win_and_what_none_names_is_the_platforms(tmp_path, make_settings):
    settings = make_settings(tmp_path, MILLRACE_TIME_BUDGET=30, MILLRACE_STAGE_RETRIES=1)
    plan = merge_settings(settings, {"time_budget": 40, "levels": ["expert"]}, {"time_budget": 50})
    assert (plan.time_budget, plan.levels, plan.retries, plan.policy) == (50, ("expert",), 1, "ask")
    assert plan.approvals == ("automl", "xai")


def test_executors_are_merged_stage_by_stage(tmp_path, make_settings):
    settings = make_settings(tmp_path, MILLRACE_XAI_EXECUTOR="external")
    plan = merge_settings(settings, {"executors": {"bias": "external"}}, {"executors": {"xai": "dagster"}})
    assert plan.executors == {"bias": "external", "automl": "dagster", "xai": "dagster"}


@pytest.mark.parametrize(
    ("layers", "approvals"),
    [
        ([{}], ("automl", "xai")),
        ([{"policy": "autopilot"}], ()),
        ([{"policy": "autopilot", "approvals": ["xai"]}], ("xai",)),
        ([{"approvals": ["xai"]}, {"policy": "autopilot"}], ()),
        ([{"policy": "autopilot"}, {"approvals": ["automl"]}], ("automl",)),
        ([{"policy": "autopilot"}, {"policy": "ask"}], ("automl", "xai")),
    ],
)
def test_autopilot_waits_for_no_approval_unless_one_is_asked_for_with_it(tmp_path, make_settings, layers, approvals):
    assert merge_settings(make_settings(tmp_path), *layers).approvals == approvals


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"time_budget": "ten"}, "time_budget"),
        ({"time_budget": "-1"}, "time_budget"),
        ({"time_budget": "0"}, "time_budget"),
        ({"levels": []}, "levels"),
        ({"levels": ["guru"]}, "levels"),
        ({"polcy": "ask"}, "polcy"),
        ({"executors": "external"}, "executors"),
        ({"executors": {"quality": "external"}}, "executors"),
        ({"retries": 21}, "retries"),
        ({"approvals": ["bias"]}, "approvals"),
    ],
)
def test_what_is_no_setting_is_refused_by_name(tmp_path, make_settings, values, field):
    with pytest.raises(BadInput) as caught:
        merge_settings(make_settings(tmp_path), values)
    assert caught.value.field == field
    assert caught.value.remedy
