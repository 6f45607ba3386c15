"""The common look of every page: base template, style, charts and filters. No scripts, nothing from the network."""

from millrace.pages.charts import Chart, Line, Mark
from millrace.pages.environment import environment
from millrace.pages.facts import PageFacts

__all__ = ["Chart", "Line", "Mark", "PageFacts", "environment"]
