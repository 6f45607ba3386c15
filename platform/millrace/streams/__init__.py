"""Processors that run for as long as the platform does: from a topic, through a model, to a topic."""
