"""Suggestion: the places of a scene where a label is worth most."""
