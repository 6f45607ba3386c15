import pytest

from millrace.contracts.errors import NotFound
from millrace.streams.names import STREAMS, group_of, topics_of


@pytest.mark.parametrize("stream", sorted(STREAMS))
def test_every_stream_has_topics_that_the_platform_creates_and_a_group_of_its_own(make_settings, tmp_path, stream):
    settings = make_settings(tmp_path)
    assert set(topics_of(settings, stream)) <= {*settings.topics.streams(), *settings.topics.for_documents()}
    assert group_of(settings, stream) == f"millrace-{stream.replace('_', '-')}"


def test_a_stream_that_is_not_there_is_named_with_those_that_are(make_settings, tmp_path):
    with pytest.raises(NotFound, match="process_documents, score_events"):
        topics_of(make_settings(tmp_path), "score_event")
