"""Inference: the engine, and the way from files to a map."""
