"""Settings of a pipeline from the platform's, the user's and its own."""

from pathlib import Path

import pytest

from millrace.bias import policy
from millrace.bias.policy import shipped_policy
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


def test_the_bias_policy_is_pinned_by_its_hash_and_no_layer_can_say_otherwise(tmp_path, make_settings):
    settings = make_settings(tmp_path)
    usual, strict = merge_settings(settings), merge_settings(settings, {"bias_policy": "strict"})
    assert (usual.bias_policy, usual.bias_policy_sha256) == ("four-fifths", shipped_policy().sha256)
    assert (strict.bias_policy_sha256, strict.bias_policy_holds) == (shipped_policy("strict").sha256, True)
    lied = merge_settings(settings, {"bias_policy": "strict"}, {"bias_policy_holds": False, "bias_policy_sha256": "a"})
    assert lied == strict


def test_a_file_is_a_policy_where_the_platform_is_set_to_it_and_no_user_can_name_another(tmp_path, make_settings):
    text = (Path(policy.__file__).parent / "policies" / "strict.yaml").read_text()
    file = tmp_path / "ours.yaml"
    file.write_text(text.replace("name: strict", "name: ours"))
    settings = make_settings(tmp_path, MILLRACE_BIAS_POLICY=str(file))
    assert merge_settings(settings).bias_policy == str(file)
    assert merge_settings(settings, {"bias_policy": "nyc-ll144"}).bias_policy_holds is False
    with pytest.raises(BadInput) as caught:
        merge_settings(make_settings(tmp_path), {"bias_policy": str(file)})
    assert caught.value.field == "bias_policy"


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
        ({"bias_policy": "lenient"}, "bias_policy"),
        ({"bias_policy": "../../etc/passwd"}, "bias_policy"),
        ({"bias_policy": ["strict"]}, "bias_policy"),
    ],
)
def test_what_is_no_setting_is_refused_by_name(tmp_path, make_settings, values, field):
    with pytest.raises(BadInput) as caught:
        merge_settings(make_settings(tmp_path), values)
    assert caught.value.field == field
    assert caught.value.remedy
