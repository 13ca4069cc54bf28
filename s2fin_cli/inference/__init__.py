"""Inference: tiles of a stack in, probabilities and classes out."""
