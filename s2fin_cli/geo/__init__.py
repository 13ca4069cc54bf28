"""Geometry without files: grids, windows, areas on the ellipsoid, transformations between reference systems."""
