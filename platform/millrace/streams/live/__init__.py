"""Scored events as they come: what the live page and the terminal show."""
