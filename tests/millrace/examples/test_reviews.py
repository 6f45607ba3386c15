import pandas as pd

from millrace.examples.reviews import TARGET, TEXT, generate_reviews, write_csv


def test_the_same_seed_gives_the_same_reviews_and_each_is_its_own(tmp_path):
    first = generate_reviews(rows=500, seed=3)
    assert first.equals(generate_reviews(rows=500, seed=3))
    assert not first.equals(generate_reviews(rows=500, seed=4))
    assert first[TEXT].nunique() == 500
    assert set(first[TARGET]) == {"positive", "negative"}
    write_csv(tmp_path / "reviews.csv", rows=500, seed=3)
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "reviews.csv"), first)


def test_the_planted_share_of_labels_is_wrong():
    rows = generate_reviews(rows=4_000, seed=5, mistaken_share=0.1)
    good = rows[TEXT].str.contains("love|wonderful|great|recommend|happy|best|excellent")
    wrong = (good != (rows[TARGET] == "positive")).mean()
    assert 0.08 < wrong < 0.12
