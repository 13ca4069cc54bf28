"""Features: reading, coverages of polygons, writing."""
