"""Whether GDAL places a netCDF, Zarr or HDF5 file where its own coordinates say.

GDAL 3.10 places a netCDF file by the first and the last of its coordinates, whatever is between them and in whichever
order its dimensions are. Without coordinates that it recognises, it gives no position, and reads the rows from the last
one up.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from affine import Affine

from s2fin_cli.core.errors import RasterError, quoted
from s2fin_cli.raster.opening import open_raster

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import rasterio
    from numpy.typing import NDArray

NETCDF = "netCDF"
#: Drivers of files with named dimensions.
DRIVERS = (NETCDF, "Zarr", "HDF5", "HDF5Image")
#: What marks a coordinate of columns and of rows in CF: standard names, axis, and how units begin.
_MARKS = (
    (("projection_x_coordinate", "longitude", "grid_longitude"), "X", ("degrees_east", "degree_east", "degreeseast")),
    (("projection_y_coordinate", "latitude", "grid_latitude"), "Y", ("degrees_north", "degree_north", "degreesnorth")),
)
#: Factors by which GDAL may have changed the unit of coordinates, e.g. from kilometres.
_FACTORS = (1.0, 1000.0, 0.001)
#: Degrees of a full turn, and pixels by which coordinates may be off.
_TURN, _MOST_PX = 360.0, 0.1
#: What to do about it.
_WRITE_CF = (
    "write it with coordinates as CF wants them, e.g. in Python with rioxarray: "
    'data.rio.write_coordinate_system().to_netcdf("OUT.nc")'
)


def misplaced(src: rasterio.DatasetReader) -> str | None:
    """Why the position that GDAL gives a raster is none or wrong, as what completes its name to a sentence; or None."""
    if src.driver not in DRIVERS or src.gcps[0]:
        return None
    if src.transform == Affine.identity():
        return (
            None
            if src.crs is None
            else f"has a CRS, but no evenly spaced coordinates that GDAL recognises; {_WRITE_CF}"
        )
    if src.driver != NETCDF or src.transform.b or src.transform.d:
        return None
    for axis, size in enumerate((src.width, src.height)):
        found = list(_coordinates(src, axis))
        if found and not any(len(values) == size and _fits(values, src.transform, axis) for values in found):
            return (
                f"has {('x', 'y')[axis]} coordinates that are not evenly spaced or not those of its "
                f"{('columns', 'rows')[axis]}; put its dimensions in the order (y, x), e.g. in Python with xarray: "
                'data.transpose(..., "y", "x"), or resample it to an even grid'
            )
    return None


def doubts_of_position(src: rasterio.DatasetReader) -> Iterator[str]:
    """Why rows may be read in another order than they are stored, or degrees lack a CRS, a sentence each."""
    if src.driver not in DRIVERS or src.crs is not None:
        return
    if src.transform == Affine.identity():
        if src.driver == NETCDF:
            yield (
                f"{src.name} has no coordinates that GDAL recognises, so its rows are read from the last one up; if "
                f"labels or other images have no position either, they may be upside down to it; {_WRITE_CF}"
            )
    elif any(_is_marked(src.tags(), name, axis, units_only=True) for axis in (0, 1) for name in _names(src.tags())):
        yield (
            f"{src.name} has longitudes and latitudes without a CRS; if they are of WGS 84, say so: gdal_translate "
            f"-a_srs EPSG:4326 {quoted(src.name)} OUT.tif"
        )


def _coordinates(src: rasterio.DatasetReader, axis: int) -> Iterator[NDArray[np.float64]]:
    """Values of the coordinates of columns (0) or rows (1) that have one dimension."""
    tags = src.tags()
    for name in _names(tags):
        # NOTE: GDAL turns the angles of a geostationary satellite into metres
        if not _is_marked(tags, name, axis) or tags.get(f"{name}#units", "").lower().startswith("rad"):
            continue
        try:
            with open_raster(f'NETCDF:"{src.files[0]}":{name}') as found:
                values = found.read(1).astype(np.float64) * found.scales[0] + found.offsets[0]
        except (RasterError, IndexError):  # such as a scalar
            continue
        if values.shape[0] == 1:
            yield values[0]


def _names(tags: Mapping[str, str]) -> list[str]:
    """Names of the variables that have attributes among the tags of a netCDF file."""
    return list(dict.fromkeys(key.rpartition("#")[0] for key in tags if "#" in key))


def _is_marked(tags: Mapping[str, str], name: str, axis: int, *, units_only: bool = False) -> bool:
    """Whether a variable is marked as the coordinate of columns (0) or rows (1)."""
    standard_names, letter, units = _MARKS[axis]
    is_in_degrees = tags.get(f"{name}#units", "").lower().replace(" ", "").startswith(units)
    if units_only:
        return is_in_degrees
    is_named = tags.get(f"{name}#standard_name") in standard_names or tags.get(f"{name}#axis", "").upper() == letter
    return is_in_degrees or is_named


def _fits(values: NDArray[np.float64], transform: Affine, axis: int) -> bool:
    """Whether coordinates are those of the middles of the columns (0) or rows (1) of a transform."""
    step, start = (transform.a, transform.c) if axis == 0 else (transform.e, transform.f)
    expected = start + step * (np.arange(len(values)) + 0.5)
    tolerance = _MOST_PX * abs(step)
    for ordered in (values, values[::-1]):
        if any(np.abs(ordered * factor - expected).max() <= tolerance for factor in _FACTORS):
            return True
    # NOTE: GDAL may count longitudes from another meridian.
    first = int(np.abs(_turned(values - expected[0])).argmin())
    return axis == 0 and bool(np.abs(_turned(np.roll(values, -first) - expected)).max() <= tolerance)


def _turned(degrees: NDArray[np.float64]) -> NDArray[np.float64]:
    """Differences of longitudes from -180 to 180."""
    return (degrees + _TURN / 2) % _TURN - _TURN / 2
