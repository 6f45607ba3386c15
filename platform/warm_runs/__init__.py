"""A Dagster run launcher that forks runs from preloaded processes instead of starting them from nothing."""
