"""Grids and small rasters that several tests of reading share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from affine import Affine
from rasterio.crs import CRS
from rasterio.enums import Resampling
from rasterio.windows import Window

from s2fin_cli.geo.grid import Grid
from s2fin_cli.raster.info import read_info
from s2fin_cli.raster.warp import open_on_grid
from tests.files import write_raster

if TYPE_CHECKING:
    from numpy.typing import NDArray


CORNER = Affine(10, 0, 500_000, 0, -10, 5_000_000)
GRID = Grid(CRS.from_epsg(32632), CORNER, (40, 50))
SHIFTED = CORNER @ Affine.translation(0.3, 0.4)
HOLE = np.zeros((40, 50), dtype=bool)
HOLE[10:20, 10:20] = True


def read(path: Path, grid: Grid, window: Window | None = None, resampling: Resampling | None = None) -> NDArray[Any]:
    with open_on_grid(path, grid, indexes=read_info(path).indexes, resampling=resampling) as reader:
        return reader.read(grid.window if window is None else window)


def random_values(dtype: str, shape: tuple[int, ...] = (1, 40, 50)) -> NDArray[Any]:
    return np.random.default_rng(0).integers(1, 200, shape).astype(dtype)


def write_with_alpha(path: Path, values: NDArray[Any], alpha: NDArray[Any], **profile: Any) -> Path:
    write_raster(path, values, alpha=alpha.astype(values.dtype), **profile)
    assert read_info(path).alpha_indexes == (len(values) + 1,)
    return path


def vrt_of(bands: list[tuple[Path, str, float | None]]) -> str:
    """A VRT of files of one band each, which lie as `SHIFTED` says."""
    text = "".join(
        f'<VRTRasterBand dataType="{dtype}" band="{number}">'
        + ("" if nodata is None else f"<NoDataValue>{nodata}</NoDataValue>")
        + f"<SimpleSource><SourceFilename>{path}</SourceFilename></SimpleSource></VRTRasterBand>"
        for number, (path, dtype, nodata) in enumerate(bands, start=1)
    )
    transform = ", ".join(map(str, SHIFTED.to_gdal()))
    return (
        f'<VRTDataset rasterXSize="50" rasterYSize="40"><SRS>EPSG:32632</SRS><GeoTransform>{transform}</GeoTransform>'
        f"{text}</VRTDataset>"
    )
