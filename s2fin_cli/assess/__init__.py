"""Accuracy: comparison with a reference, metrics, area-adjusted estimates, and the report that holds them."""
