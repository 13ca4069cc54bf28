"""Rasters: reading, writing, class maps, pictures, and what headers say."""
