"""The assets of the governed chain, in the order in which they are made."""

from assets.bias_report import bias_report
from assets.data_quality import data_quality
from assets.dataset import dataset
from assets.explanation import explanation
from assets.model import model
from assets.model_bias import model_bias
from assets.xai_report import xai_report

ASSETS = (dataset, data_quality, bias_report, model, model_bias, explanation, xai_report)
