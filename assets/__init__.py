"""Dagster assets and asset checks, one file per family: wiring only."""
