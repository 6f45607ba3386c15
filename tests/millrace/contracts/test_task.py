import pytest
from pydantic import ValidationError

from millrace.contracts.stages import LEVELS
from millrace.contracts.task import Answers, Coordinates, PipelineSettings
from millrace.contracts.topics import Topics, dead_letter_topic


def test_levels_come_in_their_own_order_whatever_was_given():
    assert PipelineSettings(levels=("expert", "beginner")).levels == ("beginner", "expert")
    assert PipelineSettings().levels == LEVELS


def test_settings_without_a_level_are_refused():
    with pytest.raises(ValidationError, match="at least one level"):
        PipelineSettings(levels=())


@pytest.mark.parametrize("values", [{"time_budget": 0}, {"time_budget": 86_401}, {"retries": -1}, {"unknown": 1}])
def test_settings_out_of_range_or_unknown_are_refused(values: dict[str, int]):
    with pytest.raises(ValidationError):
        PipelineSettings.model_validate(values)


def test_answers_refuse_a_field_they_do_not_have():
    with pytest.raises(ValidationError, match="sensitve"):
        Answers.model_validate({"target": "y", "task_type": "classification", "sensitve": ["sex"]})


def test_coordinates_are_json():
    assert Coordinates("t", "id", 1, 2).to_json() == {"topic": "t", "topic_id": "id", "partition": 1, "offset": 2}


def test_every_topic_has_a_dead_letter_topic_and_no_name_is_used_twice():
    names = Topics().all()
    assert len(set(names)) == len(names) == 24
    assert all(dead_letter_topic(name) in names for name in names if not name.endswith(".dlq"))
