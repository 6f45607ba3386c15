"""The Dagster code location: every asset, check, job, sensor and resource of the platform."""

from dagster import Definitions, in_process_executor

from assets.governed import ASSETS
from assets.preload import PRELOADED
from assets.scoring_model import scoring_model
from assets.streams import STREAM_ASSETS
from jobs.governed import JOBS
from jobs.streams import STREAM_JOBS
from resources.kafka import KafkaResource
from resources.mlflow import MlflowResource
from resources.pages import PagesResource
from resources.warehouse import WarehouseResource
from sensors.governed import SENSORS
from sensors.stream_supervisor import SUPERVISORS

WARM_RUNS_PRELOAD = PRELOADED
"""Imported where runs are forked from: seconds that each would need."""

defs = Definitions(
    assets=[*ASSETS, scoring_model, *STREAM_ASSETS],
    jobs=[*JOBS, *STREAM_JOBS],
    sensors=[*SENSORS, *SUPERVISORS],
    # also for assets launched from the UI: each stage is one process
    executor=in_process_executor,
    resources={
        "warehouse": WarehouseResource(),
        "kafka": KafkaResource(),
        "mlflow": MlflowResource(),
        "pages": PagesResource(),
    },
)
