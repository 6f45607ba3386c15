"""Lineage: what was made from what, and whether any of it was altered or is missing since."""
