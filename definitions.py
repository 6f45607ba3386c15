"""The Dagster code location: every asset, check, job, sensor and resource of the platform."""

from dagster import Definitions, in_process_executor

from assets.governed import ASSETS
from jobs.governed import JOBS
from resources.kafka import KafkaResource
from resources.mlflow import MlflowResource
from resources.pages import PagesResource
from resources.warehouse import WarehouseResource
from sensors.governed import SENSORS

defs = Definitions(
    assets=ASSETS,
    jobs=JOBS,
    sensors=SENSORS,
    # also for assets launched from the UI: each stage is one process
    executor=in_process_executor,
    resources={
        "warehouse": WarehouseResource(),
        "kafka": KafkaResource(),
        "mlflow": MlflowResource(),
        "pages": PagesResource(),
    },
)
