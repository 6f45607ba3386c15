"""The jobs of the governed chain: what a trigger of each stage starts."""

from dagster import AssetSelection, define_asset_job, in_process_executor

from assets.tags import STAGES_LANE
from assets.xai_report import level_key
from millrace.contracts.stages import LEVELS

# in one process: with Dagster's default executor every asset of a stage starts a process and pays for its imports
dataset_job = define_asset_job(
    "dataset_job",
    selection=AssetSelection.assets("dataset"),
    executor_def=in_process_executor,
    tags=STAGES_LANE,
    description="Hashes the newest version of a data set again and compares it with what was recorded.",
)
bias_job = define_asset_job(
    "bias_job",
    selection=AssetSelection.assets("data_quality", "bias_report"),
    executor_def=in_process_executor,
    tags=STAGES_LANE,
    description="Checks a data set, then measures bias in its label. The checks need the target, so they run here.",
)
automl_job = define_asset_job(
    "automl_job",
    selection=AssetSelection.assets("model", "model_bias_report", "bias_mitigation"),
    executor_def=in_process_executor,
    tags=STAGES_LANE,
    description="Trains and registers a model, then measures bias in its predictions, and mitigates it where the "
    "policy asks for that.",
)
mitigation_job = define_asset_job(
    "mitigation_job",
    selection=AssetSelection.assets("bias_mitigation"),
    executor_def=in_process_executor,
    tags=STAGES_LANE,
    description="Tries methods against bias on the newest model and keeps what is worth a look as a candidate.",
)
xai_job = define_asset_job(
    "xai_job",
    selection=AssetSelection.assets("explanation", *(level_key(level) for level in LEVELS)),
    executor_def=in_process_executor,
    tags=STAGES_LANE,
    description="Explains a model; a trigger selects the explanation and the level that it asks for.",
)

JOBS = (dataset_job, bias_job, automl_job, mitigation_job, xai_job)
STAGE_JOBS = {"bias": bias_job, "automl": automl_job, "xai": xai_job}
