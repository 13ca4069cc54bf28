"""Rasters in several coordinate reference systems that tests share."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import pytest
from affine import Affine
from rasterio.crs import CRS

from tests.files import write_raster

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray


UTM = CRS.from_epsg(32632)
BESSEL = CRS.from_string("+proj=tmerc +lat_0=0 +lon_0=9 +k=1 +x_0=500000 +ellps=bessel +units=m +type=crs")
DEGREES = CRS.from_epsg(4326)
PLACED = Affine(10, 0, 500_000, 0, -10, 5_300_000)


def write(path: Path, crs: CRS | None, transform: Affine, values: NDArray[Any], *, nodata: float | None = None) -> str:
    return str(write_raster(path, values, crs=crs, transform=transform, nodata=nodata))


def warnings_in(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
