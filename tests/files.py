"""How tests write rasters and vector files, read rasters back, and list folders."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import geopandas as gpd
import numpy as np
import rasterio
from affine import Affine
from rasterio.crs import CRS
from rasterio.enums import ColorInterp
from rasterio.errors import NotGeoreferencedWarning

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

#: Where files are placed by default: north-up pixels of 10 m in a UTM zone.
CRS_CODE = "EPSG:32632"
TRANSFORM = Affine(10, 0, 500_000, 0, -10, 5_000_000)


def write_raster(
    path: Path,
    values: NDArray[Any],
    *,
    crs: str | CRS | None = CRS_CODE,
    transform: Affine | None = TRANSFORM,
    mask: NDArray[np.bool_] | None = None,
    alpha: NDArray[Any] | None = None,
    driver: str = "GTiff",
    **profile: Any,
) -> Path:
    """Write a small raster, by default a GeoTIFF of grey bands.

    Args:
        path: the file, which is replaced if it exists.
        values: (bands, height, width), or (height, width) for a single band.
        crs: None for a raster without a CRS.
        transform: None for a raster without a transform.
        mask: True where there is data (height, width), written as an internal mask.
        alpha: an alpha band (height, width) that is added to the bands; True stands for the data type's highest value.
        driver: GDAL's short name of the format.
        **profile: further keywords of `rasterio.open`, such as `nodata`, `gcps` and creation options;
            `photometric=None` leaves the meaning of the bands to GDAL.

    Returns:
        the path.
    """
    bands = values if values.ndim == 3 else values[None]
    if alpha is not None:
        opaque = np.iinfo(bands.dtype).max if alpha.dtype == bool else 1
        bands = np.concatenate([bands, (alpha[None] * opaque).astype(bands.dtype)])
    count, height, width = bands.shape
    size = {"count": count, "height": height, "width": width, "dtype": bands.dtype}
    options: dict[str, Any] = {"crs": None if crs is None else CRS.from_user_input(crs), "transform": transform}
    if driver == "GTiff":
        options["photometric"] = "minisblack"
    options |= profile
    if "gcps" in profile:
        del options["transform"]
    with warnings.catch_warnings(), rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True):
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        given = {name: value for name, value in options.items() if value is not None}
        with rasterio.open(path, "w", driver=driver, **size, **given) as dst:
            if alpha is not None:
                dst.colorinterp = [*[ColorInterp.gray] * (count - 1), ColorInterp.alpha]
            dst.write(bands)
            if mask is not None:
                dst.write_mask(mask)
    return path


def read_raster(path: Path) -> NDArray[Any]:
    """All bands of a raster as they are stored (bands, height, width)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with rasterio.open(path) as src:
            values: NDArray[Any] = src.read()
    return values


def write_vector(
    path: Path, geometries: Iterable[Any], *, crs: str | CRS | None = CRS_CODE, **fields: Sequence[Any]
) -> Path:
    """Write features and their fields to a vector file, whose format follows from its suffix.

    Returns:
        the path.
    """
    gpd.GeoDataFrame(fields, geometry=list(geometries), crs=crs).to_file(path)
    return path


def everything_in(folder: Path) -> set[str]:
    """Relative paths of all files and folders in a folder."""
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}
