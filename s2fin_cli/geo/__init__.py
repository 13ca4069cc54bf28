"""Geospatial input and output: grids, rasters, stacks, labels, class maps and polygons."""
