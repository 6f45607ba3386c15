"""The sensors of the governed chain."""

from sensors.datasets import dataset_events_sensor
from sensors.failures import run_cancelled_sensor, run_failure_sensor
from sensors.triggers import automl_trigger_sensor, bias_trigger_sensor, xai_trigger_sensor

SENSORS = (
    dataset_events_sensor,
    bias_trigger_sensor,
    automl_trigger_sensor,
    xai_trigger_sensor,
    run_failure_sensor,
    run_cancelled_sensor,
)
