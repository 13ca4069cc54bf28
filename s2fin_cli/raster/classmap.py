"""The rasters that a classification writes: the class map, its confidence and the classes' probabilities."""

from __future__ import annotations

import contextlib
import json
import logging
import re
import xml.etree.ElementTree as ET
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import rasterio
import rasterio.features
import rasterio.shutil
import rasterio.windows
from numpy.typing import NDArray
from rasterio.enums import MaskFlags, Resampling
from rasterio.errors import RasterioError
from rasterio.io import MemoryFile

from s2fin_cli.core.classes import MAX_CLASS_ID, LandCoverClass, check_class_ids, map_encoding
from s2fin_cli.core.errors import OutputError, RasterError, UsageError, quoted
from s2fin_cli.core.formats import RASTER_SUFFIXES
from s2fin_cli.core.gdal import GDAL_ERRORS
from s2fin_cli.core.names import plain_name
from s2fin_cli.core.version import __version__
from s2fin_cli.geo.windows import iter_tiles
from s2fin_cli.raster.nodata import is_nodata
from s2fin_cli.raster.opening import environment, open_raster, without_georeferencing_warning
from s2fin_cli.raster.styles import xml_text
from s2fin_cli.raster.vrt import as_vrt

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping, Sequence

    from rasterio.windows import Window

    from s2fin_cli.geo.grid import Grid

#: Consecutive rows of a map: class ids (rows, width), and the confidence of each pixel (rows, width) or None.
Strip = tuple[NDArray[np.unsignedinteger[Any]], NDArray[np.floating[Any]] | None]

#: Pixels a side of the TIFF's blocks.
BLOCK_SIZE = 256
#: Pixels of a class map that are read at a time at most.
STRIP_PIXELS = 1 << 20
#: A larger number in floating point is none of a class; 64-bit integers hold it.
LARGEST_NUMBER = 1 << 53
#: Tag that keeps the classes' names inside the map, where they cannot get lost as a sidecar can.
CLASSES_TAG = "S2FIN_CLASSES"
#: Columns of the raster attribute table: name, and GDAL's numbers of their type (0 integer, 1 real, 2 text) and usage.
_ATTRIBUTES = (
    ("Value", 0, 5), ("Count", 1, 1), ("Class", 2, 2), ("Red", 0, 6), ("Green", 0, 7), ("Blue", 0, 8), ("Alpha", 0, 9),
    ("Area_m2", 1, 0),
)  # fmt: skip


@dataclass(frozen=True)
class RasterFormat:
    """How rasters are written.

    Attributes:
        driver: "GTiff", or "COG" for cloud-optimised GeoTIFFs.
        options: GDAL's creation options of that driver, by lower-case name; they come before our own.
    """

    driver: str = "GTiff"
    options: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, driver: str, options: Sequence[str]) -> RasterFormat:
        """The format that a driver and options "NAME=VALUE", in which case does not matter, describe."""
        pairs = (option.split("=", 1) for option in options)
        return cls(driver, {name.lower(): value for name, value in pairs})


DEFAULT_FORMAT = RasterFormat()
#: Options of the COG driver that warp, and those of either driver that say how overviews are made.
_OTHER_GRID = {"tiling_scheme", "target_srs", "res", "extent"}
_OVERVIEWS = {"overview_resampling", "resampling"}
#: Pixels a side of the raster that options are tried on.
PROBE_SIZE = 16


def check_format(fmt: RasterFormat, *, count: int, dtype: str, values: Sequence[int] | None = None) -> None:
    """Refuse creation options that the driver does not have, which GDAL itself merely leaves aside, and lossy ones.

    Args:
        fmt: the format.
        count: number of bands that are to be written.
        dtype: their data type.
        values: that must come through unchanged; None where rounding does no harm.

    Raises:
        UsageError: there is such an option, or its value is impossible for such bands.
    """
    _check_meaning(fmt, is_exact=values is not None)
    probe = np.random.default_rng(0).choice(values or [0, 1], (count, PROBE_SIZE, PROBE_SIZE)).astype(dtype)
    found, complaints = _tried(fmt, probe)
    if complaints:
        raise UsageError(
            f"--co is not as the {fmt.driver} driver wants it (bands: {count}, {dtype}): {'; '.join(complaints)}"
        )
    if values is not None and not np.array_equal(found, probe):
        raise UsageError(f"--co {' '.join(fmt.options)} is lossy, and classes would become others; leave it out")


def _check_meaning(fmt: RasterFormat, *, is_exact: bool) -> None:
    """Refuse options that a driver has, and that would make another raster of it."""
    for name in sorted(_OTHER_GRID & fmt.options.keys()):
        raise UsageError(f"--co {name.upper()} would give the rasters another grid than the image's; leave it out")
    for name in sorted(_OVERVIEWS & fmt.options.keys()) if is_exact else ():
        if fmt.options[name].upper() not in ("MODE", "NEAREST"):
            raise UsageError(f"--co {name.upper()}={fmt.options[name]} would mix class numbers; leave it out")


def _tried(fmt: RasterFormat, probe: NDArray[Any]) -> tuple[NDArray[Any], list[str]]:
    """What is read of values (bands, height, width) that were written in a format, and what GDAL says of it."""
    told = _Collected(logging.WARNING)
    log = logging.getLogger("rasterio")
    log.addHandler(told)
    count, height, width = probe.shape
    profile = {"driver": "GTiff", "width": width, "height": height, "count": count, "dtype": probe.dtype.name}
    found = probe
    try:
        with environment(), without_georeferencing_warning(), MemoryFile() as file:
            with file.open(**profile) as dst, MemoryFile(ext=".tif") as copy:
                dst.write(probe)
                rasterio.shutil.copy(dst, copy.name, driver=fmt.driver, **fmt.options)
                with copy.open() as src:
                    found = src.read()
            if fmt.driver == "GTiff":  # rasterio itself has conditions too, of rasters that are no smaller than a block
                side = dict.fromkeys(("width", "height", "blockxsize", "blockysize"), BLOCK_SIZE) | {"tiled": True}
                with MemoryFile(ext=".tif") as tried:
                    tried.open(**{**profile, **side, **fmt.options}).close()
    except (*GDAL_ERRORS, ValueError) as error:
        told.messages.append(str(error))
    finally:
        log.removeHandler(told)
    return found, told.messages


def check_raster_path(dst_path: Path) -> None:
    """Refuse a file that a raster cannot be written to.

    Raises:
        UsageError: its name is not that of a GeoTIFF.
    """
    if dst_path.suffix.lower() not in RASTER_SUFFIXES:
        raise UsageError(f"{dst_path} cannot be written: rasters are GeoTIFFs; give a name that ends in .tif")


class _Collected(logging.Handler):
    """Keeps the messages that are logged."""

    def __init__(self, level: int) -> None:
        super().__init__(level)
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        # rasterio puts GDAL's number of the error before its words
        self.messages.append(re.sub(r"^CPLE_\w+ in ", "", record.getMessage()))


class RasterWriter:
    """An open raster that is written window by window."""

    def __init__(self, dst: Any) -> None:
        self.dst = dst

    def write(self, values: NDArray[Any], window: Window) -> None:
        """Write values (bands, height, width) into a window.

        Raises:
            OSError: they cannot be written.
        """
        with _as_os_error():
            self.dst.write(values, window=window)


class ScaledWriter(RasterWriter):
    """An open raster of values that are stored as whole numbers of a scale, as GDAL is told."""

    def write(self, values: NDArray[Any], window: Window) -> None:
        """Write values (bands, height, width), NaN where there is none, into a window."""
        dtype, nodata, scale = self.dst.dtypes[0], self.dst.nodata, self.dst.scales[0]
        super().write(np.where(np.isnan(values), nodata, np.rint(values / scale)).astype(dtype), window)


class ClassTally:
    """How much of a map each class has.

    Attributes:
        pixels: float64, number of pixels by class id.
        areas: float64, square metres by class id; NaN where there is no CRS to tell.
    """

    def __init__(self, grid: Grid, *, size: int) -> None:
        self._grid = grid
        self.pixels, self.areas = np.zeros(size), np.zeros(size)

    def add(self, values: NDArray[Any], window: Window) -> None:
        """Add class ids (..., height, width) of a window that was not added before."""
        ids, areas = values.ravel(), self._grid.pixel_areas(window)
        pixels = np.bincount(ids, minlength=len(self.pixels))
        self.pixels += pixels
        if areas.size == 1:
            self.areas += pixels * areas.item()
        else:
            self.areas += np.bincount(ids, np.broadcast_to(areas, values.shape).ravel(), len(self.areas))


class ClassMapWriter(RasterWriter):
    """An open class map, which counts what is written.

    Attributes:
        tally: of the pixels written.
    """

    def __init__(self, dst: Any, grid: Grid, *, size: int) -> None:
        super().__init__(dst)
        self.tally = ClassTally(grid, size=size)

    def write(self, values: NDArray[Any], window: Window) -> None:
        """Write class ids (1, height, width) into a window that nothing was written to before."""
        super().write(values, window)
        self.tally.add(values, window)


@contextlib.contextmanager
def create_class_map(
    dst_path: Path,
    grid: Grid,
    classes: Sequence[LandCoverClass],
    *,
    tags: Mapping[str, str] | None = None,
    fmt: RasterFormat = DEFAULT_FORMAT,
) -> Iterator[RasterWriter]:
    """Create a class map: one band of class ids with colour table, overviews by mode, names and attributes of classes.

    Args:
        dst_path: a GeoTIFF, with a sidecar beside it that holds the classes' names and attributes.
        grid: the map's grid.
        classes: its classes.
        tags: of the dataset, besides the software's name.
        fmt: how it is written.
    """
    dtype, nodata = map_encoding([c.id for c in classes])
    with _create(dst_path, grid, fmt, count=1, dtype=dtype, nodata=nodata, overviews=Resampling.mode) as dst:
        with _as_os_error():
            dst.write_colormap(1, {nodata: (0, 0, 0, 0), **{c.id: (*c.color, 255) for c in classes}})
            dst.update_tags(
                **(tags or {}), **{CLASSES_TAG: json.dumps({c.id: c.name for c in classes}, ensure_ascii=False)}
            )
            dst.set_band_description(1, "class")
        writer = ClassMapWriter(dst, grid, size=max(nodata, *(c.id for c in classes)) + 1)
        yield writer
    with _as_os_error():  # reading it back also tells whether it is whole
        _check_classes(dst_path, writer.tally, grid, nodata)
    _write_sidecar(dst_path, classes, writer.tally)


def _check_classes(path: Path, tally: ClassTally, grid: Grid, nodata: int) -> None:
    """Refuse a map that does not hold what was written to it, as after a lossy compression."""
    written = {class_id: int(count) for class_id, count in enumerate(tally.pixels) if count and class_id != nodata}
    if tally_classes(path, grid)[0] != written:
        raise OutputError("the map's pixels are not those that were written: --co must not be lossy; nothing is left")


@contextlib.contextmanager
def create_image(
    dst_path: Path,
    grid: Grid,
    band_names: Sequence[str],
    *,
    tags: Mapping[str, str] | None = None,
    fmt: RasterFormat = DEFAULT_FORMAT,
    dtype: str = "float32",
    nodata: float | None = np.nan,
    scale: float | None = None,
    wavelengths: Sequence[float] | None = None,
) -> Iterator[RasterWriter]:
    """Create a raster of values with averages as overviews.

    Args:
        dst_path: a GeoTIFF.
        grid: its grid.
        band_names: descriptions of its bands.
        tags: of the dataset, besides the software's name.
        fmt: how it is written.
        dtype: its data type.
        nodata: what stands for no data, or None.
        scale: what 1 stands for where values are stored as whole numbers; they are then written as they are.
        wavelengths: of its bands in nanometres, if they are known.
    """
    count = len(band_names)
    with _create(dst_path, grid, fmt, count=count, dtype=dtype, nodata=nodata, overviews=Resampling.average) as dst:
        with _as_os_error():
            dst.update_tags(**(tags or {}))
            for index, name in enumerate(band_names, start=1):
                dst.set_band_description(index, name)
            for index, place in enumerate(wavelengths or (), start=1):
                dst.update_tags(index, wavelength=f"{place:g}", wavelength_units="Nanometers")
            if scale is not None:
                dst.scales = [scale] * count
        yield RasterWriter(dst) if scale is None else ScaledWriter(dst)
    with _as_os_error():
        _check_whole(dst_path)


@contextlib.contextmanager
def _create(
    dst_path: Path,
    grid: Grid,
    fmt: RasterFormat,
    *,
    count: int,
    dtype: str,
    nodata: float | None,
    overviews: Resampling,
) -> Iterator[Any]:
    is_cog = fmt.driver == "COG"
    profile = {
        "driver": "GTiff", "count": count, "dtype": dtype, "nodata": nodata,
        "height": grid.height, "width": grid.width, "crs": grid.crs,
        # an image without georeferencing must not get one: a GIS would draw its map upside down
        **({"transform": grid.transform} if grid.is_georeferenced else {}),
        "tiled": True, "blockxsize": BLOCK_SIZE, "blockysize": BLOCK_SIZE, "interleave": "band",
        "compress": "deflate", "predictor": 3 if dtype == "float32" else 1, "bigtiff": "if_safer",
        # GDAL takes three bands of bytes for a colour image else, and a fourth for its mask
        **({"photometric": "minisblack"} if count > 1 else {}),
        **({} if is_cog else fmt.options),
    }  # fmt: skip
    # NOTE: a COG is made from a whole raster only, as its overviews come before the pixels
    path = dst_path.with_name(f"{dst_path.name}.plain.tif") if is_cog else dst_path
    try:
        with environment(), without_georeferencing_warning():
            with _as_os_error():
                dst = rasterio.open(plain_name(path), "w", **profile)
                dst.update_tags(TIFFTAG_SOFTWARE=f"s2fin {__version__}")
            # NOTE: what fails in the caller's block, such as a raster that it reads, is no failure to write.
            try:
                yield dst
            finally:
                with _as_os_error():
                    dst.close()
            with _as_os_error():
                if is_cog:
                    _copy_to_cog(path, dst_path, dtype, fmt, overviews)
                else:
                    _add_overviews(path, overviews)
    finally:
        if is_cog:
            path.unlink(missing_ok=True)


def _copy_to_cog(path: Path, dst_path: Path, dtype: str, fmt: RasterFormat, overviews: Resampling) -> None:
    own = {
        "compress": "deflate", "predictor": "yes" if dtype == "float32" else "no", "bigtiff": "if_safer",
        "overview_resampling": overviews.name,
    }  # fmt: skip
    rasterio.shutil.copy(plain_name(path), plain_name(dst_path), driver="COG", **{**own, **fmt.options})


def _add_overviews(path: Path, resampling: Resampling) -> None:
    """Add overviews, each half as large as the last, down to one block, to a raster that is larger than that."""
    with open_raster(path):  # which says in good order that it is not whole, where opening to write does not
        pass
    with rasterio.open(plain_name(path), "r+") as dst:
        factors: list[int] = []
        while max(dst.shape) > BLOCK_SIZE * 2 ** len(factors):
            factors.append(2 ** (len(factors) + 1))
        if factors:
            dst.build_overviews(factors, resampling)


def _check_whole(path: Path) -> None:
    """Read a written raster back: GDAL does not tell when its last blocks meet a full disk."""
    with open_raster(path) as src:
        for window in iter_tiles(src.shape, (8 * BLOCK_SIZE, 8 * BLOCK_SIZE)):
            src.read(window=window)


@contextlib.contextmanager
def _as_os_error() -> Iterator[None]:
    try:
        yield
    except (*GDAL_ERRORS, RasterError) as error:
        raise OSError(f"{error.__cause__ or error}") from error


def _write_sidecar(map_path: Path, classes: Sequence[LandCoverClass], tally: ClassTally) -> None:
    """GDAL's sidecar with the names and attributes of the classes; a TIFF itself has no place for them."""
    names = {c.id: c.name for c in classes}
    path = sidecar(map_path)
    # what GDAL itself had no room for in the TIFF, as the CRS with some profiles, is there already
    root = ET.parse(path).getroot() if path.exists() else ET.Element("PAMDataset")  # noqa: S314  GDAL wrote it just now
    band = root.find("PAMRasterBand")
    if band is None:
        band = ET.SubElement(root, "PAMRasterBand", band="1")
    categories = ET.SubElement(band, "CategoryNames")
    for class_id in range(max(names) + 1):
        ET.SubElement(categories, "Category").text = xml_text(names.get(class_id, ""))
    table = ET.SubElement(band, "GDALRasterAttributeTable", tableType="thematic")
    attributes = _ATTRIBUTES[:-1] if np.isnan(tally.areas).any() else _ATTRIBUTES  # without a CRS there are no areas
    for index, (name, kind, usage) in enumerate(attributes):
        column = ET.SubElement(table, "FieldDefn", index=str(index))
        for tag, value in (("Name", name), ("Type", str(kind)), ("Usage", str(usage))):
            ET.SubElement(column, tag).text = value
    for index, c in enumerate(classes):
        row = ET.SubElement(table, "Row", index=str(index))
        values = (c.id, f"{tally.pixels[c.id]:.0f}", xml_text(c.name), *c.color, 255, f"{tally.areas[c.id]:.10g}")
        for cell in values[: len(attributes)]:
            ET.SubElement(row, "F").text = str(cell)
    ET.indent(root)
    path.write_bytes(ET.tostring(root, encoding="utf-8"))


def tally_classes(map_path: str | Path, grid: Grid) -> tuple[dict[int, int], dict[int, float]]:
    """Pixels and square metres of each class of a map by class id, nodata left out.

    Args:
        map_path: the map, of any integers.
        grid: where it lies.

    Raises:
        LabelError: it holds numbers that no class has.
    """
    nothing = MAX_CLASS_ID + 1
    tally = ClassTally(grid, size=nothing + 1)
    for window, values in iter_class_strips(map_path, nothing):
        check_class_ids(np.unique(values[values != nothing]))
        tally.add(values, window)
    present = [int(i) for i in np.flatnonzero(tally.pixels[:nothing])]
    return {i: int(tally.pixels[i]) for i in present}, {i: float(tally.areas[i]) for i in present}


def iter_class_strips(map_path: str | Path, nothing: int) -> Iterator[tuple[Window, NDArray[np.int64]]]:
    """Full-width windows of a class map with their class ids, from top to bottom.

    Args:
        map_path: the map, of any whole numbers.
        nothing: what stands for nodata.

    Raises:
        RasterError: it cannot be read, or holds fractions.
    """
    with open_raster(map_path) as src:
        # NOTE: rows of blocks, and less of a wide map, so that memory does not grow with its width
        rows = min(max(STRIP_PIXELS // src.width, 1), BLOCK_SIZE)
        for window in iter_tiles(src.shape, (rows, src.width)):
            yield window, read_class_ids(src, window, nothing)


def read_class_ids(src: rasterio.DatasetReader, window: Window, nothing: int) -> NDArray[np.int64]:
    """Class ids (height, width) in a window of an open class map, as they are stored.

    Args:
        src: the map, whose first band is of any whole numbers, in floating point too.
        window: the window.
        nothing: what stands for nodata, NaN, infinities and masked pixels included.

    Raises:
        RasterError: it cannot be read, or holds fractions.
    """
    try:
        values = src.read(1, window=window)
        void = _is_void(src, values, window)
    except RasterioError as error:
        raise RasterError(f"{src.name} cannot be read at {window} ({error}); is the file whole?") from error
    if np.issubdtype(values.dtype, np.floating):
        void |= ~np.isfinite(values)
        values = np.where(void, 0, values)
        broken = np.argwhere((values != np.rint(values)) | (np.abs(values) > LARGEST_NUMBER))
        if len(broken):
            row, col = broken[0].tolist()
            place = f"row {row + window.row_off}, column {col + window.col_off}"
            raise RasterError(no_class_number(src.name, values[row, col], place))
    return np.where(void, nothing, values.astype(np.int64))


def _is_void(src: rasterio.DatasetReader, values: NDArray[Any], window: Window) -> NDArray[np.bool_]:
    """Where GDAL's masks say that there is no data, and where there is the nodata value that a mask leaves aside."""
    flags = src.mask_flag_enums[0]
    if flags == [MaskFlags.all_valid]:
        return np.zeros(values.shape, dtype=bool)
    void = np.asarray(src.read_masks(1, window=window) == 0)
    if src.nodata is not None and MaskFlags.nodata not in flags:
        void |= is_nodata(values, src.nodata, values.dtype.name)
    return void


def no_class_number(src_path: str | Path, value: float, place: str) -> str:
    """A message about a value that is no class number, with the place where it was found."""
    if abs(value) > LARGEST_NUMBER:
        return (
            f"{src_path} holds {value:.9g} at {place}, which is no class number; if it means no data, declare it with: "
            f"gdal_edit.py -a_nodata {value:.17g} {quoted(src_path)}"
        )
    return (
        f"{src_path} holds {value:.9g} at {place}; class numbers must be whole numbers: if these are classes, round "
        f"them with: gdal_calc.py -A {quoted(src_path)} --calc='rint(A)' --type=UInt16 --outfile=CLASSES.tif"
    )


def sidecar(map_path: Path) -> Path:
    """Path of GDAL's sidecar of a raster."""
    return map_path.with_name(map_path.name + ".aux.xml")


def read_class_names(map_path: str | Path) -> dict[int, str]:
    """Names by class id; empty where the map has none.

    They come from our own tag, from GDAL's category names, as an ENVI header or a sidecar has them, or from a raster
    attribute table.
    """
    with open_raster(map_path) as src:
        tag = src.tags().get(CLASSES_TAG)
        if tag is not None:
            return {int(class_id): str(name) for class_id, name in json.loads(tag).items()}
        band = as_vrt(src).find("VRTRasterBand")
    if band is None:
        return {}
    categories = band.findall("./CategoryNames/Category")
    names = {class_id: (node.text or "").strip() for class_id, node in enumerate(categories)}
    found = {class_id: name for class_id, name in names.items() if name}
    table = band.find("GDALRasterAttributeTable")
    return found if found or table is None else _names_of_table(table)


def _names_of_table(table: ET.Element) -> dict[int, str]:
    """Names by class id from a raster attribute table, which has a column of names, or a single one of texts."""
    fields = [{node.tag: node.text or "" for node in field} for field in table.findall("FieldDefn")]
    texts = [column for column, field in enumerate(fields) if field.get("Type") == "2"]
    named = [column for column in texts if fields[column].get("Usage") == "2"] or texts
    valued = [column for column, field in enumerate(fields) if field.get("Usage") in ("3", "5")]
    if len(named) != 1:
        return {}
    names = {}
    start, step = float(table.get("Row0Min", 0)), float(table.get("BinSize", 1))
    for number, row in enumerate(table.findall("Row")):
        cells = [(cell.text or "").strip() for cell in row.findall("F")]
        value = float(cells[valued[0]]) if valued else start + number * step
        if cells[named[0]] and value == round(value):
            names[round(value)] = cells[named[0]]
    return names


def iter_strips(map_path: Path, confidence_path: Path | None, *, mmu: int = 1) -> Generator[Strip]:
    """Full-width strips of a class map and its confidence, from top to bottom.

    Args:
        map_path: the class map.
        confidence_path: its confidence.
        mmu: smaller areas than of so many pixels are given to their largest neighbour, see `sieved`; above 1 the map is
            held in memory.
    """
    with contextlib.ExitStack() as opened:
        src = opened.enter_context(open_raster(map_path))
        confidence = None if confidence_path is None else opened.enter_context(open_raster(confidence_path))
        whole = sieved(src.read(1), nodata=int(src.nodata), mmu=mmu) if mmu > 1 else None
        for row_off in range(0, src.height, BLOCK_SIZE):
            window = rasterio.windows.Window(0, row_off, src.width, min(BLOCK_SIZE, src.height - row_off))
            classes = src.read(1, window=window) if whole is None else whole[window.toslices()]
            yield classes, None if confidence is None else _read_probabilities(confidence, window)


def _read_probabilities(src: rasterio.DatasetReader, window: Window) -> NDArray[np.float32]:
    """Probabilities as `create_image` wrote them, with a scale or without; NaN where there is none."""
    values = src.read(1, window=window)
    if values.dtype == np.float32:
        return np.asarray(values)
    return np.where(values == src.nodata, np.nan, values * src.scales[0]).astype(np.float32)


def sieved(class_map: NDArray[Any], *, nodata: int, mmu: int) -> NDArray[Any]:
    """A class map without areas of fewer pixels than the minimum mapping unit.

    Each is given to the largest area that it borders on. Nodata stays as it is, and so do islands in it that consist of
    small areas alone. Areas are 4-connected.

    Args:
        class_map: class ids (height, width).
        nodata: the class id that is no class.
        mmu: pixels.
    """
    valid = class_map != nodata
    mmu = min(mmu, class_map.size - 1)  # GDAL takes no more
    while mmu > 1:
        # NOTE: GDAL merges small areas into large ones only, so a cluster of small ones takes a few passes
        merged: NDArray[Any] = rasterio.features.sieve(class_map, mmu, mask=valid, connectivity=4)
        if np.array_equal(merged, class_map):
            return merged
        class_map = merged
    return class_map
