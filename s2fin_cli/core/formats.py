"""The file formats that are written, or recognised by their suffix: one table, from which everything else derives.

A new output format of polygons is one more entry. Help texts, messages, staged writing and STAC items follow.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

#: Pixels a side of the storage blocks of rasters that are written.
BLOCK_SIZE = 256
#: The driver that writes the raster which is then copied to another format.
PLAIN_DRIVER = "GTiff"
#: Media type of text files that belong to a dataset.
_TEXT = "text/plain"


@dataclass(frozen=True)
class VectorOutput:
    """How features are written in a format.

    Attributes:
        can_append: whether features can be added to a file, so that they need not all be held in memory.
        names_layer: whether a layer has a name of its own; if not, it has that of the file.
        layer_options: GDAL's options of the layer.
        options_with_crs: more of them, where features have a CRS.
        options_without_crs: more of them, where features have none.
        dataset_options: GDAL's options of the file.
        holds_styles: whether QGIS keeps styles in it.
        is_geographic: whether it is always in longitude and latitude.
        is_bounded: whether coordinates are rounded to fractions of bounds that GDAL is given.
        holds_any_crs: whether every CRS can be stored in it.
        package: the Python package that writes it, if GDAL does not.
    """

    can_append: bool = False
    names_layer: bool = True
    layer_options: Mapping[str, str] = field(default_factory=dict)
    options_with_crs: Mapping[str, str] = field(default_factory=dict)
    options_without_crs: Mapping[str, str] = field(default_factory=dict)
    dataset_options: Mapping[str, str] = field(default_factory=dict)
    holds_styles: bool = False
    is_geographic: bool = False
    is_bounded: bool = False
    holds_any_crs: bool = True
    package: str | None = None


@dataclass(frozen=True)
class RasterOutput:
    """How rasters are written in a format.

    Attributes:
        options: GDAL's creation options, by lower-case name, unless the user gives others.
        predictors: value of the option "predictor" for whole numbers, and for floating point.
        is_copied: whether a raster is copied from a complete one, because its overviews come before its pixels.
    """

    options: Mapping[str, str]
    predictors: tuple[str, str]
    is_copied: bool = False

    def options_for(self, dtype: str) -> dict[str, str]:
        """Creation options for a data type."""
        return {**self.options, "predictor": self.predictors[dtype == "float32"]}


@dataclass(frozen=True)
class Format:
    """A file format.

    Attributes:
        name: for messages.
        driver: GDAL's short name.
        suffixes: suffixes of its files, in lower case; the usual one first.
        media_type: for STAC items; None if there is none.
        parts: suffixes of the other files that a dataset consists of, each in place of the suffix of the one that is
            opened, and their media types.
        sidecars: suffixes, in place of its own, of files that may be written beside one.
        is_raster: whether it holds rasters and no features.
        may_hold_rasters: whether it holds features, rasters or both.
        is_sqlite: whether SQLite writes it.
        raster_output: how rasters are written in it; None where they are not.
        vector_output: how features are written in it; None where they are not.
    """

    name: str
    driver: str
    suffixes: tuple[str, ...]
    media_type: str | None = None
    parts: Mapping[str, str | None] = field(default_factory=dict)
    sidecars: tuple[str, ...] = ()
    is_raster: bool = False
    may_hold_rasters: bool = False
    is_sqlite: bool = False
    raster_output: RasterOutput | None = None
    vector_output: VectorOutput | None = None


_SHAPEFILE_PARTS: dict[str, str | None] = {
    ".shx": "application/vnd.shx", ".dbf": "application/vnd.dbf", ".prj": _TEXT, ".cpg": _TEXT,
    # indexes and metadata that a GIS may add
    ".qix": None, ".sbn": None, ".sbx": None, ".shp.xml": "application/xml",
}  # fmt: skip
_TIFF = (".tif", ".tiff")
_GEOTIFF = "image/tiff; application=geotiff"

FORMATS = (
    # ---- rasters -----------------------------------------------------------------------------------------------------
    Format(
        "GeoTIFF", "GTiff", _TIFF, _GEOTIFF, sidecars=(".tfw",), is_raster=True,
        raster_output=RasterOutput(
            {
                "tiled": "yes", "blockxsize": str(BLOCK_SIZE), "blockysize": str(BLOCK_SIZE), "interleave": "band",
                "compress": "deflate", "bigtiff": "if_safer",
            },
            predictors=("1", "3"),
        ),
    ),
    Format(
        "cloud-optimised GeoTIFF", "COG", _TIFF, f"{_GEOTIFF}; profile=cloud-optimized",
        sidecars=(".tfw",), is_raster=True,
        raster_output=RasterOutput(
            {"compress": "deflate", "bigtiff": "if_safer"}, predictors=("no", "yes"), is_copied=True
        ),
    ),
    # ---- features, written and read ----------------------------------------------------------------------------------
    Format(
        "GeoPackage", "GPKG", (".gpkg",), "application/geopackage+sqlite3",
        may_hold_rasters=True,
        is_sqlite=True,
        vector_output=VectorOutput(
            can_append=True,
            # the standard's number for a Cartesian reference system that is not known
            options_without_crs={"SRID": "-1"},
            # GDAL 3.6, which Debian's QGIS 3.22 has, warns of newer ones
            dataset_options={"VERSION": "1.3"},
            holds_styles=True,
        ),
    ),
    Format(
        "Shapefile", "ESRI Shapefile", (".shp",), "application/vnd.shp",
        parts=_SHAPEFILE_PARTS,
        vector_output=VectorOutput(can_append=True, names_layer=False, layer_options={"ENCODING": "UTF-8"}),
    ),
    Format(
        "FlatGeobuf", "FlatGeobuf", (".fgb",), "application/vnd.flatgeobuf", vector_output=VectorOutput(),
    ),
    Format(
        "GeoJSON", "GeoJSON", (".geojson", ".json"), "application/geo+json",
        vector_output=VectorOutput(options_with_crs={"RFC7946": "YES"}, is_geographic=True),
    ),
    Format(
        "GeoParquet", "Parquet", (".parquet", ".geoparquet", ".pq"), "application/vnd.apache.parquet",
        vector_output=VectorOutput(package="pyarrow"),  # as few builds of GDAL have the driver
    ),
    Format(
        "MapInfo", "MapInfo File", (".tab",), "application/x-tab",
        parts={".dat": None, ".map": None, ".id": None, ".ind": None},
        vector_output=VectorOutput(
            can_append=True, names_layer=False, layer_options={"ENCODING": "UTF-8"}, is_bounded=True,
            holds_any_crs=False,
        ),
    ),
    Format(
        "SQLite", "SQLite", (".sqlite",), "application/vnd.sqlite3",
        may_hold_rasters=True,
        is_sqlite=True,
        vector_output=VectorOutput(can_append=True),
    ),
    # ---- features, read only -----------------------------------------------------------------------------------------
    Format("parts of a Shapefile", "ESRI Shapefile", (".shz", ".dbf", ".shx")),
    Format("GeoJSON lines", "GeoJSONSeq", (".geojsonl", ".geojsons")),
    Format("TopoJSON", "TopoJSON", (".topojson",)),
    Format("GML", "GML", (".gml",)),
    Format("GPX", "GPX", (".gpx",)),
    Format("MapInfo interchange", "MapInfo File", (".mif",), parts={".mid": None}),
    Format("MapInfo interchange attributes", "MapInfo File", (".mid",)),
    Format("KML", "KML", (".kml",)),
    Format("DXF", "DXF", (".dxf",)),
    Format("Excel", "XLSX", (".xlsx",)),
    Format("OpenDocument", "ODS", (".ods",)),
    Format("text table", "CSV", (".csv", ".tsv", ".psv")),
)  # fmt: skip

#: Media types of files that belong to a dataset of any format: styles and metadata.
_BESIDE = {".qml": "application/xml", ".xml": "application/xml"}


def format_of(path: Path) -> Format | None:
    """The format of a file by its suffix, in whatever case; None where it is not in the table."""
    suffix = path.suffix.lower()
    return next((each for each in FORMATS if suffix in each.suffixes), None)


def by_driver(driver: str) -> Format:
    """The format of a driver that rasters or features are written by."""
    return next(each for each in FORMATS if each.driver == driver)


def raster_output(driver: str) -> RasterOutput:
    """How rasters are written by a driver, one of `RASTER_DRIVERS`."""
    found = by_driver(driver).raster_output
    assert found is not None  # noqa: S101  the driver is one of them
    return found


def vector_format(path: Path) -> tuple[Format, VectorOutput] | None:
    """The format of a file of features to write, and how to write it; None where its suffix is of no such format."""
    found = format_of(path)
    if found is None or found.vector_output is None or path.suffix.lower() != found.suffixes[0]:
        return None
    return found, found.vector_output


def suffixes_of(*drivers: str) -> frozenset[str]:
    """All suffixes of the formats of some of GDAL's drivers."""
    return frozenset(suffix for each in FORMATS if each.driver in drivers for suffix in each.suffixes)


def media_type(path: Path) -> str | None:
    """The media type of a file, or of a part of a dataset; None where none is known."""
    known: dict[str, str | None] = {**_BESIDE}
    for each in FORMATS:
        known |= each.parts
    for each in reversed(FORMATS):
        if each.media_type is not None:
            known |= dict.fromkeys(each.suffixes, each.media_type)
    return known.get(path.suffix.lower())


def parts_of(path: Path) -> list[Path]:
    """The other files that a dataset consists of, whether they exist or not; none for single-file formats."""
    found = format_of(path)
    return [] if found is None else [path.with_suffix(suffix) for suffix in found.parts]


def listed(suffixes: tuple[str, ...]) -> str:
    """Suffixes in words: ".gpkg, .shp or .fgb"."""
    return f"{', '.join(suffixes[:-1])} or {suffixes[-1]}"


#: GDAL's drivers that write rasters.
RASTER_DRIVERS = tuple(each.driver for each in FORMATS if each.raster_output)
#: Suffixes of the rasters that are written.
RASTER_SUFFIXES = tuple(dict.fromkeys(suffix for each in FORMATS if each.raster_output for suffix in each.suffixes))
#: Suffixes of the files of features that are written, one a format.
VECTOR_OUTPUT_SUFFIXES = tuple(each.suffixes[0] for each in FORMATS if each.vector_output is not None)
#: Suffixes of formats that hold no rasters; a raster driver that accepts such a file was misled by files beside it.
VECTOR_SUFFIXES = frozenset(
    suffix for each in FORMATS if not (each.is_raster or each.may_hold_rasters) for suffix in each.suffixes
)
