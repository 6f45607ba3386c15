"""Dagster resources over the engine."""
