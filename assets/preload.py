"""Modules that assets import in their functions, to keep the location's import short, and that are there before a run
where runs are forked: seconds that each would need. None of them starts a thread or opens a connection."""

LIBRARIES = (
    "numpy",
    "pandas",
    "pyarrow.parquet",
    "pyarrow.dataset",
    "scipy.stats",
    "sklearn.ensemble",
    "sklearn.compose",
    "sklearn.linear_model",
    "sklearn.model_selection",
    "mlflow.sklearn",
    "assets.preloaded_skops",
)
"""What nearly every stage works with. Left out is what one stage alone imports: an edit of the code loads all anew."""

ENGINE = (
    "millrace.warehouse.models",
    "millrace.warehouse.saves",
    "millrace.warehouse.stage_work",
    "millrace.quality.page",
    "millrace.quality.suite",
    "millrace.bias.comparison",
    "millrace.bias.label",
    "millrace.bias.mitigation.page",
    "millrace.bias.mitigation.report",
    "millrace.bias.page",
    "millrace.bias.predictions",
    "millrace.automl.registry",
    "millrace.automl.train",
    "millrace.explain.compute",
    "millrace.explain.pages",
    "millrace.streams.run",
    "millrace.streams.scoring.work",
)

PRELOADED = LIBRARIES + ENGINE
