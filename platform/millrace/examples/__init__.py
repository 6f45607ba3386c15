"""Example data with a known truth, made by seeded generators."""
