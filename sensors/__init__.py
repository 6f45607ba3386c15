"""Kafka sensors and run-status sensors."""
