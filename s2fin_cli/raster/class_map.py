"""Class maps: one band of class ids, with colours, names and attributes of the classes."""

from __future__ import annotations

import contextlib
import json
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from rasterio.enums import Resampling

from s2fin_cli.core.classes import LandCoverClass, map_encoding
from s2fin_cli.core.errors import OutputError
from s2fin_cli.core.sidecars import pam_of
from s2fin_cli.raster.class_names import CLASSES_TAG, RUN_TAG
from s2fin_cli.raster.creation import DEFAULT_FORMAT, RasterFormat
from s2fin_cli.raster.styles import xml_text
from s2fin_cli.raster.tally import ClassTally, tally_classes
from s2fin_cli.raster.write import Encoding, RasterWriter, as_os_error, create_raster

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from rasterio.windows import Window

    from s2fin_cli.core.run_record import RunRecord
    from s2fin_cli.geo.grid import Grid


#: Columns of the raster attribute table: name, and GDAL's numbers of their type (0 integer, 1 real, 2 text) and usage.
_ATTRIBUTES = (
    ("Value", 0, 5), ("Count", 1, 1), ("Class", 2, 2), ("Red", 0, 6), ("Green", 0, 7), ("Blue", 0, 8), ("Alpha", 0, 9),
    ("Area_m2", 1, 0),
)  # fmt: skip


class ClassMapWriter(RasterWriter):
    """An open class map, which counts what is written.

    Attributes:
        tally: tally of the pixels written.
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
    run: RunRecord | None = None,
) -> Iterator[ClassMapWriter]:
    """Create a class map: one band of class ids with colour table, overviews by mode, names and attributes of classes.

    Args:
        dst_path: a GeoTIFF, with a sidecar beside it that holds the classes' names and attributes.
        grid: the map's grid.
        classes: its classes.
        tags: tags of the dataset, besides the software's name.
        fmt: how it is written.
        run: the record of the run that makes it, to keep in it.
    """
    dtype, nodata = map_encoding([c.id for c in classes])
    with create_raster(
        dst_path, grid, fmt, count=1, encoding=Encoding(dtype, nodata), overviews=Resampling.mode
    ) as dst:
        with as_os_error():
            dst.write_colormap(1, {nodata: (0, 0, 0, 0), **{c.id: (*c.color, 255) for c in classes}})
            dst.update_tags(
                **(tags or {}), **{CLASSES_TAG: json.dumps({c.id: c.name for c in classes}, ensure_ascii=False)}
            )
            if run is not None:
                dst.update_tags(**{RUN_TAG: json.dumps(run.to_dict())})
            dst.set_band_description(1, "class")
        writer = ClassMapWriter(dst, grid, size=max(nodata, *(c.id for c in classes)) + 1)
        yield writer
    with as_os_error():  # reading it back also shows whether it is whole
        _check_classes(dst_path, writer.tally, grid, nodata)
    _write_sidecar(dst_path, classes, writer.tally)


def _check_classes(path: Path, tally: ClassTally, grid: Grid, nodata: int) -> None:
    """Refuse a map that does not hold what was written to it, for example after lossy compression."""
    written = {class_id: int(count) for class_id, count in enumerate(tally.pixels) if count and class_id != nodata}
    if tally_classes(path, grid)[0] != written:
        raise OutputError(
            "the map's pixels are not those that were written: `co` must not be lossy; no file was written"
        )


def _write_sidecar(map_path: Path, classes: Sequence[LandCoverClass], tally: ClassTally) -> None:
    """GDAL's sidecar with the names and attributes of the classes; a TIFF itself has no place for them."""
    names = {c.id: c.name for c in classes}
    path = pam_of(map_path)
    # what GDAL could not store in the TIFF, such as the CRS with some profiles, is already in the sidecar
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
