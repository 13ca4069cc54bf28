"""The packages of an installation: versions, formats that GDAL reads and writes, and transformations by PROJ."""

from __future__ import annotations

import os
import platform
from importlib import metadata, util
from typing import TYPE_CHECKING

import pyogrio
import pyproj
import rasterio
import torch
from pyproj.exceptions import DataDirError
from rasterio.env import Env
from rasterio.warp import transform

from s2fin_cli.core.gdal import GDAL_ERRORS
from s2fin_cli.core.version import __version__
from s2fin_cli.installation.finding import GOOD, HINT, PROBLEM, Finding

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

#: Packages that decide what s2fin computes and reads.
PACKAGES = ("numpy", "scipy", "scikit-learn", "rasterio", "pyogrio", "geopandas", "shapely", "pyproj")
#: The modules of each extra, and what it is for.
EXTRAS = {
    "cluster": (("distributed",), "`scheduler`"),
    "cloud": (("fsspec", "s3fs"), "maps written to object stores"),
    "coregister": (("skimage",), '`coregister="shift"`'),
    "mat": (("h5py",), "MATLAB files of version 7.3"),
    "parquet": (("pyarrow",), "GeoParquet"),
    "xarray": (("xarray", "rioxarray"), "images and maps in memory"),
}
#: GDAL's drivers that s2fin cannot do without, and others by what they read.
RASTER_DRIVERS = ("GTiff", "COG", "VRT")
VECTOR_DRIVERS = ("GPKG", "ESRI Shapefile", "GeoJSON")
MORE_DRIVERS = {
    "ENVI": "ENVI", "HFA": "ERDAS Imagine", "JP2OpenJPEG": "JPEG 2000", "netCDF": "netCDF", "HDF5": "HDF5",
    "Zarr": "Zarr",
}  # fmt: skip
#: Variables that lead GDAL or PROJ to the data of another installation.
VARIABLES = ("PROJ_DATA", "PROJ_LIB", "GDAL_DATA", "GDAL_DRIVER_PATH")
#: A point with known coordinates: where the central meridian of UTM zone 32 crosses 45 degrees north. Its northing is
#: 0.9996 times the length of the meridian of WGS 84 from the equator to there, 4,984,944.378 m.
POINT, IN_UTM = (9.0, 45.0), (500_000.0, 4_982_950.400)
#: Metres by which a transformation may be off.
TOLERANCE = 0.001
#: What mends a damaged installation.
REINSTALL = "install s2fin into an environment of its own, by uv tool install s2fin or pipx install s2fin"


def examine_software() -> list[Finding]:
    """What the packages of the installation are, and whether they work."""
    variables = {name: value for name in VARIABLES if (value := os.environ.get(name))}
    with Env() as gdal:
        rasters = gdal.drivers()
    return [versions(), extras(), drivers(rasters, pyogrio.list_drivers()), *transformations(variables)]


def versions() -> Finding:
    """Versions of s2fin and of the packages that it depends on."""
    named = ", ".join(f"{name} {metadata.version(name)}" for name in PACKAGES)
    found = (
        f"s2fin {__version__}, Python {platform.python_version()}, {platform.system()} {platform.machine()}, torch "
        f"{torch.__version__}, {named}; GDAL {rasterio.__gdal_version__} for rasters and "
        f"{'.'.join(map(str, pyogrio.__gdal_version__))} for vectors, PROJ {pyproj.proj_version_str}"
    )
    return Finding("versions", GOOD, found)


def extras() -> Finding:
    """Which optional parts are installed."""
    there = {name: all(util.find_spec(module) is not None for module in needs) for name, (needs, _) in EXTRAS.items()}
    missing = [f"{name} ({purpose})" for name, (_, purpose) in EXTRAS.items() if not there[name]]
    found = f"installed: {', '.join(name for name, is_there in there.items() if is_there) or 'none'}"
    if not missing:
        return Finding("optional parts", GOOD, found)
    return Finding(
        "optional parts", GOOD, f"{found}; not installed: {', '.join(missing)}",
        'if you need one of them: pip install "s2fin[NAME]"',
    )  # fmt: skip


def drivers(rasters: Iterable[str], vectors: Mapping[str, str]) -> Finding:
    """Which formats GDAL knows.

    Args:
        rasters: its raster drivers, by rasterio.
        vectors: its vector drivers and what they can do, "r" or "rw", by pyogrio.
    """
    known = set(rasters)
    lacking = [name for name in RASTER_DRIVERS if name not in known]
    lacking += [name for name in VECTOR_DRIVERS if "w" not in vectors.get(name, "")]
    if lacking:
        return Finding("GDAL's drivers", PROBLEM, f"GDAL lacks {', '.join(lacking)}", REINSTALL)
    unread = [text for name, text in MORE_DRIVERS.items() if name not in known]
    found = "GeoTIFF, COG, virtual rasters, GeoPackage, Shapefile and GeoJSON can be read and written"
    if not unread:
        return Finding("GDAL's drivers", GOOD, f"{found}; {', '.join(MORE_DRIVERS.values())} can be read")
    return Finding(
        "GDAL's drivers", GOOD, f"{found}; {', '.join(unread)} cannot be read",
        "if you have such files: convert them by gdal_translate of another installation, or install from conda-forge",
    )  # fmt: skip


def transformations(variables: Mapping[str, str]) -> list[Finding]:
    """Whether rasters and vectors get right coordinates.

    Args:
        variables: the environment's variables that lead to data of GDAL and PROJ.
    """
    wrong = [why for why in (_wrong_by_pyproj(), _wrong_by_rasterio()) if why is not None]
    set_here = " and ".join(f"{name} ({value})" for name, value in variables.items())
    if wrong:
        unset = f"unset {' '.join(variables)}, which may be of another installation; or " if variables else ""
        return [Finding("coordinates", PROBLEM, "; ".join(wrong), f"{unset}{REINSTALL}")]
    found = Finding("coordinates", GOOD, f"transformed rightly by rasterio and pyproj; data in {_data_folder()}")
    if not variables:
        return [found]
    return [found, Finding(
        "variables", HINT, f"the environment has {set_here}",
        f"if coordinates or CRS are ever wrong: unset {' '.join(variables)}",
    )]  # fmt: skip


def _wrong_by_pyproj() -> str | None:
    try:
        found = pyproj.Transformer.from_crs("EPSG:4326", "EPSG:32632", always_xy=True).transform(*POINT)
    except (pyproj.exceptions.ProjError, DataDirError) as error:
        return f"pyproj cannot transform coordinates ({error})"
    return _difference("pyproj", found)


def _wrong_by_rasterio() -> str | None:
    try:
        xs, ys = transform("EPSG:4326", "EPSG:32632", [POINT[0]], [POINT[1]])
    except (*GDAL_ERRORS, ValueError) as error:  # a CRSError is a ValueError
        return f"rasterio cannot transform coordinates ({error})"
    return _difference("rasterio", (xs[0], ys[0]))


def _difference(name: str, found: tuple[float, float]) -> str | None:
    """Why transformed coordinates are wrong; None if they are not."""
    if all(abs(one - other) <= TOLERANCE for one, other in zip(found, IN_UTM, strict=True)):
        return None
    return f"{name} gives {found[0]:.3f}, {found[1]:.3f} for 9 E, 45 N in UTM zone 32, and {IN_UTM} is right"


def _data_folder() -> str:
    try:
        return str(pyproj.datadir.get_data_dir())
    except DataDirError:
        return "no known folder"
