"""Bias of labels before training and of predictions after it: figures with intervals, verdicts from the intervals."""
