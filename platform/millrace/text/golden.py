"""Texts with a known sentiment, on which a faster form of a model is compared with the model itself."""

from itertools import product

_SUBJECTS = (
    "The new phone", "My stay at the hotel", "This film", "The staff", "Their customer service", "The second album",
    "The delivery", "Last night's dinner", "The course", "This laptop", "The flight", "Their latest update",
)  # fmt: skip
_GOOD = (
    "was wonderful from start to finish", "is the best I have ever had", "made me very happy", "deserves five stars",
    "worked perfectly on the first day", "is a great pleasure", "was better than I had hoped",
    "is excellent and I recommend it to everyone", "was friendly, quick and helpful", "is simply beautiful",
)  # fmt: skip
_BAD = (
    "was awful from start to finish", "is the worst I have ever had", "made me very angry",
    "does not deserve a single star", "broke on the first day", "is a complete waste of money",
    "was far worse than I had feared", "is terrible and I warn everyone", "was rude, slow and useless",
    "is simply a disaster",
)  # fmt: skip

GOLDEN: tuple[tuple[str, str], ...] = tuple(
    (f"{subject} {saying}.", label)
    for label, sayings in (("POSITIVE", _GOOD), ("NEGATIVE", _BAD))
    for subject, saying in product(_SUBJECTS, sayings)
)
"""(text, label), 240 of them: one is 0.42 points."""
