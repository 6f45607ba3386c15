"""Modules that assets import in their functions, to keep the location's import short, and that are light enough to be
there before a run: no thread, no connection, none of the libraries that fill the memory."""

LIGHT_MODULES = (
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
