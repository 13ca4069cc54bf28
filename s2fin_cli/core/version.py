"""The version of s2fin."""

__version__ = "0.1.0"
