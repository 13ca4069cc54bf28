"""Fixtures that tests share: small rasters and vector files, and the real scenes where they are at hand."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import geopandas as gpd
import numpy as np
import pytest
import rasterio
from affine import Affine
from hypothesis import HealthCheck, settings
from rasterio.enums import ColorInterp

from s2fin_cli import options as cli_options
from s2fin_cli.geo.rasters import without_georeferencing_warning

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

# Machines that are shared pause now and then, which says nothing about the code; and CI must not depend on chance.
settings.register_profile(
    "shared", deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize="CI" in os.environ
)
settings.load_profile("shared")


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    """The command line sets up the package's logging, which later tests must not see."""
    own = logging.getLogger("s2fin_cli")
    before = (own.handlers, own.level, own.propagate)
    yield
    own.handlers, own.level, own.propagate = before
    logging.captureWarnings(capture=False)
    cli_options._console = None


class WriteRaster(Protocol):
    """Writes a small GeoTIFF, by default north-up pixels of 10 m in a UTM zone, and gives its path back."""

    def __call__(
        self,
        path: Path,
        values: NDArray[Any],
        *,
        crs: str | None = "EPSG:32632",
        transform: Affine | None = None,
        nodata: float | None = None,
        mask: NDArray[np.bool_] | None = None,
        alpha: NDArray[np.bool_] | None = None,
        gcps: Sequence[Any] | None = None,
    ) -> Path: ...


class WriteVector(Protocol):
    """Writes features with their fields to a vector file and gives its path back."""

    def __call__(
        self, path: Path, geometries: Sequence[Any], *, crs: str | None = "EPSG:32632", **fields: Sequence[Any]
    ) -> Path: ...


@pytest.fixture(scope="session")
def write_raster() -> WriteRaster:
    def write(
        path: Path,
        values: NDArray[Any],
        *,
        crs: str | None = "EPSG:32632",
        transform: Affine | None = None,
        nodata: float | None = None,
        mask: NDArray[np.bool_] | None = None,
        alpha: NDArray[np.bool_] | None = None,
        gcps: Sequence[Any] | None = None,
    ) -> Path:
        bands = values if values.ndim == 3 else values[None]
        if alpha is not None:
            bands = np.concatenate([bands, (alpha[None] * np.iinfo(bands.dtype).max).astype(bands.dtype)])
        if transform is None:
            transform = Affine(10, 0, 500_000, 0, -10, 5_000_000)
        placed = {"gcps": gcps} if gcps else {"transform": transform}
        count, height, width = bands.shape
        with (
            without_georeferencing_warning(),
            rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True),
            rasterio.open(
                path, "w", driver="GTiff", count=count, height=height, width=width, dtype=bands.dtype,
                nodata=nodata, crs=crs, photometric="minisblack", **placed,
            ) as dst,
        ):  # fmt: skip
            if alpha is not None:
                dst.colorinterp = [*[ColorInterp.gray] * (count - 1), ColorInterp.alpha]
            dst.write(bands)
            if mask is not None:
                dst.write_mask(mask)
        return path

    return write


@pytest.fixture(scope="session")
def write_vector() -> WriteVector:
    def write(
        path: Path, geometries: Sequence[Any], *, crs: str | None = "EPSG:32632", **fields: Sequence[Any]
    ) -> Path:
        gpd.GeoDataFrame(fields, geometry=list(geometries), crs=crs).to_file(path)
        return path

    return write


@pytest.fixture(scope="session")
def real_scenes() -> Path:
    """Folder of real scenes; they have other licences and are no part of the project."""
    folder = Path(__file__).parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("the real scenes (../shared/data) are not at hand")
    return folder
