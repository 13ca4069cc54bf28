"""Accuracy: metrics, area-adjusted estimates, and reports."""
