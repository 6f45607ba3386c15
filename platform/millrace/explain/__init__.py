"""Explanations: SHAP values of a model, and three pages for three readers of one computed result."""
