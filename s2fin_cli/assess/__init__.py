"""Accuracy assessment: metrics and reports."""
