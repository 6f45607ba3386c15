import pytest
from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

from millrace.text.vader import VaderScorer


@pytest.fixture(scope="module")
def scorer():
    return VaderScorer()


def test_labels_follow_the_authors_thresholds(scorer):
    good, bad, neither = scorer.score(["This app is fantastic!", "I hate it, it is horrible.", "It is a table."])
    assert (good.label, bad.label, neither.label) == ("POSITIVE", "NEGATIVE", "NEUTRAL")
    assert neither.value == 1.0


@pytest.mark.parametrize("text", ["VADER is smart, handsome, and funny!", "Not bad at all", "Awful :(", "", "ok"])
def test_the_figures_are_those_of_the_authors_code(scorer, text):
    (score,) = scorer.score([text])
    found = SentimentIntensityAnalyzer().polarity_scores(text)
    assert score.labels == {"NEGATIVE": found["neg"], "NEUTRAL": found["neu"], "POSITIVE": found["pos"]}
    expected = 1 - abs(found["compound"]) if score.label == "NEUTRAL" else abs(found["compound"])
    assert score.value == expected
    assert 0 <= score.value <= 1


def test_it_says_what_it_is_and_that_its_figures_are_no_probabilities(scorer):
    assert (scorer.name, scorer.kind) == ("vader", "proportion")
    assert scorer.version == VaderScorer().version
    assert scorer.version.startswith("3.3")


@pytest.mark.parametrize("text", ["\x00" * 50, "\U0001f600" * 200, "é" * 5000, " \n\t", "a" * 20_000, "!" * 3000])
def test_any_text_gets_a_score(scorer, text):
    (score,) = scorer.score([text])
    assert score.label in ("POSITIVE", "NEGATIVE", "NEUTRAL")
