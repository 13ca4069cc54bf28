"""s2fin: land-cover maps from two co-located rasters and a few labels."""

__version__ = "0.1.0"
