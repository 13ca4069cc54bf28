"""The stack: the passive image's grid, and every modality readable on it by window."""
