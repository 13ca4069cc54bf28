"""The errors that GDAL raises through rasterio."""

from __future__ import annotations

from rasterio._err import CPLE_BaseError
from rasterio.errors import RasterioError

#: rasterio's own errors, and those of GDAL that some of its functions let through.
GDAL_ERRORS = (RasterioError, CPLE_BaseError)
