"""Scoring events: the text of each gets a label."""
