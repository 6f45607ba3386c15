"""Millrace: Kafka in, governed models out."""

__version__ = "0.1.0"
