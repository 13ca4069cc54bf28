"""Maps as datasets of xarray: classes with their names, and what was measured of each pixel."""

from __future__ import annotations

import importlib.util
import re
from typing import TYPE_CHECKING, Any

import numpy as np

from s2fin_cli.core.classes import map_encoding
from s2fin_cli.core.errors import InputError, UsageError, describe_missing
from s2fin_cli.geo.pixels import transformed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray
    from xarray import DataArray, Dataset

    from s2fin_cli.core.classes import LandCoverClass
    from s2fin_cli.geo.grid import Grid

#: The variables of a map, and the dimension of classes.
CLASS, CONFIDENCE, PROBABILITIES = "class", "confidence", "probabilities"
CLASS_DIM = "class_id"
#: What may be written of each pixel besides its class.
OF_PIXELS = (CONFIDENCE, PROBABILITIES, "uncertainty")
#: What the variables are, for those who plot them.
LONG_NAMES = {
    CLASS: "land-cover class", CONFIDENCE: "probability of the class", PROBABILITIES: "probabilities of all classes",
}  # fmt: skip


def need_xarray(wanted_by: str) -> None:
    """Refuse what needs packages that are not installed.

    Args:
        wanted_by: what needs them, e.g. "`hsi` (DataArray)".

    Raises:
        UsageError: xarray or rioxarray is not installed.
    """
    for package in ("xarray", "rioxarray"):
        if importlib.util.find_spec(package) is None:
            raise UsageError(f"{wanted_by} needs {package}; pip install 's2fin[xarray]'")


def class_attributes(classes: Sequence[LandCoverClass]) -> dict[str, Any]:
    """Attributes of class ids: those of the CF conventions, and the names and colours as they are.

    The words of `flag_meanings` are separated by blanks, so those within names become underscores.
    """
    dtype, _ = map_encoding([c.id for c in classes])
    return {
        "flag_values": np.array([c.id for c in classes], dtype),
        "flag_meanings": " ".join(re.sub(r"\s+", "_", c.name) for c in classes),
        "class_names": [c.name for c in classes],
        "class_colors": ["#{:02x}{:02x}{:02x}".format(*c.color) for c in classes],
    }


def make_dataset(
    grid: Grid, classes: Sequence[LandCoverClass], layers: Mapping[str, NDArray[Any]], attrs: Mapping[str, Any]
) -> Dataset:
    """A dataset of arrays in memory.

    Args:
        grid: that of the map.
        classes: the map's classes.
        layers: `CLASS` (height, width), and any others by name: (height, width), or `PROBABILITIES` with a band for
            each class. Floats are NaN without data.
        attrs: attributes of the dataset.
    """
    import rioxarray  # noqa: F401, PLC0415  an extra, which registers dataset.rio
    import xarray  # noqa: PLC0415  an extra

    arrays = {
        name: xarray.DataArray(values, dims=((CLASS_DIM,) if values.ndim == 3 else ()) + ("y", "x"))
        for name, values in layers.items()
    }
    x, _ = transformed(grid.transform, np.arange(grid.width) + 0.5, np.full(grid.width, 0.5))
    _, y = transformed(grid.transform, np.full(grid.height, 0.5), np.arange(grid.height) + 0.5)
    found: Any = xarray.Dataset(_described(arrays, classes), {"y": y, "x": x}, dict(attrs))
    found = found.rio.write_transform(grid.transform)
    placed: Dataset = found if grid.crs is None else found.rio.write_crs(grid.crs).rio.write_coordinate_system()
    return placed


def open_dataset(
    paths: Mapping[str, Path], classes: Sequence[LandCoverClass], bands: Mapping[str, Sequence[str]]
) -> Dataset:
    """A dataset of a map's rasters, whose pixels are read when they are asked for.

    Args:
        paths: rasters by what they hold; that of `CLASS` among them.
        classes: the map's classes.
        bands: names of the variables that the bands of a raster become.

    Raises:
        InputError: a raster is not there any more.
    """
    import rioxarray  # noqa: PLC0415  an extra
    import xarray  # noqa: PLC0415  an extra

    arrays: dict[str, DataArray] = {}
    for name, path in paths.items():
        if not path.exists():
            raise InputError(describe_missing(path))
        # NOTE: class ids stay whole numbers, whereas scaled probabilities become what they stand for
        opened: Any = rioxarray.open_rasterio(path, mask_and_scale=name != CLASS)
        for number, variable in enumerate(bands.get(name, (name,))):
            whole = opened.rename(band=CLASS_DIM) if name == PROBABILITIES else opened.isel(band=number, drop=True)
            arrays[variable] = whole.drop_vars(CLASS_DIM, errors="ignore")
    return xarray.Dataset(_described(arrays, classes))


def _described(arrays: Mapping[str, DataArray], classes: Sequence[LandCoverClass]) -> dict[str, DataArray]:
    """Variables with what they are, their nodata values, and the names of classes."""
    _, nodata = map_encoding([c.id for c in classes])
    found = {}
    for name, array in arrays.items():
        attrs: dict[str, Any] = {"long_name": LONG_NAMES.get(name, name)}
        if name == CLASS:
            attrs |= {**class_attributes(classes), "_FillValue": array.dtype.type(nodata)}
        found[name] = array.copy(deep=False)
        found[name].attrs = attrs
        if CLASS_DIM in array.dims:
            found[name] = found[name].assign_coords({CLASS_DIM: [c.id for c in classes]})
    return found
