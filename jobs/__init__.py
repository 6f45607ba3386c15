"""Dagster jobs of the governed chain."""
