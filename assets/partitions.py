"""What every asset of the chain is partitioned by."""

from dagster import DynamicPartitionsDefinition

DATASETS = DynamicPartitionsDefinition(name="datasets")
"""One key `user.dataset` for each data set; the sensor of dataset-events adds them as data sets arrive."""
