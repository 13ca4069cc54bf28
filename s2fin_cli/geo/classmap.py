"""The rasters that a classification writes: the class map, its confidence and the classes' probabilities."""

from __future__ import annotations

import contextlib
import json
import re
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import rasterio
import rasterio.windows
from rasterio.errors import RasterioError

from s2fin_cli.errors import RasterError
from s2fin_cli.geo.classes import LandCoverClass, map_encoding
from s2fin_cli.geo.rasters import environment, is_dataset_name, open_raster, without_georeferencing_warning
from s2fin_cli.geo.windows import iter_tiles

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping, Sequence

    from numpy.typing import NDArray
    from rasterio.windows import Window

    from s2fin_cli.geo.coverage import Strip
    from s2fin_cli.geo.grid import Grid

#: Pixels a side of the TIFF's blocks.
BLOCK_SIZE = 256
#: Tag that keeps the classes' names inside the map, where they cannot get lost as a sidecar can.
CLASSES_TAG = "S2FIN_CLASSES"
# control characters, which odd DBF files hold, and which would make the sidecar unreadable
_NOT_IN_XML = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True)
class RasterWriter:
    """An open raster that is written window by window."""

    dst: Any

    def write(self, values: NDArray[Any], window: Window) -> None:
        """Write values (bands, height, width) into a window.

        Raises:
            OSError: they cannot be written.
        """
        with _as_os_error():
            self.dst.write(values, window=window)


@contextlib.contextmanager
def create_class_map(
    dst_path: Path, grid: Grid, classes: Sequence[LandCoverClass], *, tags: Mapping[str, str]
) -> Iterator[RasterWriter]:
    """Create a class map: one band of class ids with colour table, category names and tags.

    Args:
        dst_path: a GeoTIFF, with its category names in a sidecar beside it.
        grid: the map's grid.
        classes: its classes.
        tags: of the dataset.
    """
    dtype, nodata = map_encoding([c.id for c in classes])
    with _create(dst_path, grid, count=1, dtype=dtype, nodata=nodata) as dst:
        with _as_os_error():
            dst.write_colormap(1, {nodata: (0, 0, 0, 0), **{c.id: (*c.color, 255) for c in classes}})
            dst.update_tags(**tags, **{CLASSES_TAG: json.dumps({c.id: c.name for c in classes}, ensure_ascii=False)})
            dst.set_band_description(1, "class")
        yield RasterWriter(dst)
    _write_category_names(dst_path, classes)


@contextlib.contextmanager
def create_float_raster(
    dst_path: Path, grid: Grid, band_names: Sequence[str], *, tags: Mapping[str, str]
) -> Iterator[RasterWriter]:
    """Create a raster of float32 bands, NaN where there is no data."""
    with _create(dst_path, grid, count=len(band_names), dtype="float32", nodata=np.nan) as dst:
        with _as_os_error():
            dst.update_tags(**tags)
            for index, name in enumerate(band_names, start=1):
                dst.set_band_description(index, name)
        yield RasterWriter(dst)


@contextlib.contextmanager
def _create(dst_path: Path, grid: Grid, *, count: int, dtype: str, nodata: float) -> Iterator[Any]:
    profile = {
        "driver": "GTiff", "count": count, "dtype": dtype, "nodata": nodata,
        "height": grid.height, "width": grid.width, "crs": grid.crs,
        # an image without georeferencing must not get one: a GIS would draw its map upside down
        **({"transform": grid.transform} if grid.is_georeferenced else {}),
        "tiled": True, "blockxsize": BLOCK_SIZE, "blockysize": BLOCK_SIZE, "interleave": "band",
        "compress": "deflate", "predictor": 3 if dtype == "float32" else 1, "bigtiff": "if_safer",
    }  # fmt: skip
    with environment(), without_georeferencing_warning():
        with _as_os_error():
            dst = rasterio.open(dst_path, "w", **profile)
        # NOTE: what fails in the caller's block, such as a raster that it reads, is no failure to write.
        try:
            yield dst
        finally:
            with _as_os_error():
                dst.close()
        with _as_os_error():
            _check_whole(dst_path)


def _check_whole(path: Path) -> None:
    """Read a written raster back: GDAL does not tell when its last blocks meet a full disk."""
    with open_raster(path) as src:
        for window in iter_tiles(src.shape, (8 * BLOCK_SIZE, 8 * BLOCK_SIZE)):
            src.read(window=window)


@contextlib.contextmanager
def _as_os_error() -> Iterator[None]:
    try:
        yield
    except (RasterioError, RasterError) as error:
        raise OSError(f"{error.__cause__ or error}") from error


def _write_category_names(map_path: Path, classes: Sequence[LandCoverClass]) -> None:
    """GDAL's sidecar with a name for each class id; a TIFF itself has no place for them."""
    names = {c.id: c.name for c in classes}
    root = ET.Element("PAMDataset")
    categories = ET.SubElement(ET.SubElement(root, "PAMRasterBand", band="1"), "CategoryNames")
    for class_id in range(max(names) + 1):
        ET.SubElement(categories, "Category").text = _NOT_IN_XML.sub(
            "\N{REPLACEMENT CHARACTER}", names.get(class_id, "")
        )
    ET.indent(root)
    sidecar(map_path).write_bytes(ET.tostring(root, encoding="utf-8"))


def sidecar(map_path: Path) -> Path:
    """Path of GDAL's sidecar of a raster."""
    return map_path.with_name(map_path.name + ".aux.xml")


def read_class_names(map_path: str | Path) -> dict[int, str]:
    """Names by class id, from our own tag or from GDAL's category names; empty where the map has none."""
    with open_raster(map_path) as src:
        tag = src.tags().get(CLASSES_TAG)
    if tag is not None:
        return {int(class_id): str(name) for class_id, name in json.loads(tag).items()}
    if is_dataset_name(map_path) or not sidecar(Path(map_path)).is_file():
        return {}
    try:
        root = ET.parse(sidecar(Path(map_path))).getroot()  # noqa: S314  a local file of the user's own
    except ET.ParseError:
        return {}
    categories = root.findall("./PAMRasterBand[@band='1']/CategoryNames/Category")
    return {class_id: node.text for class_id, node in enumerate(categories) if node.text}


def iter_strips(map_path: Path, confidence_path: Path | None) -> Generator[Strip]:
    """Full-width strips of a class map and its confidence, from top to bottom."""
    with contextlib.ExitStack() as opened:
        src = opened.enter_context(open_raster(map_path))
        confidence = None if confidence_path is None else opened.enter_context(open_raster(confidence_path))
        for row_off in range(0, src.height, BLOCK_SIZE):
            window = rasterio.windows.Window(0, row_off, src.width, min(BLOCK_SIZE, src.height - row_off))
            yield src.read(1, window=window), None if confidence is None else confidence.read(1, window=window)
