"""Names of the classes that a map holds, and the record of the run that made it."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from pathlib import Path

from s2fin_cli.core.classes import MAX_CLASS_ID
from s2fin_cli.core.errors import MALFORMED, RasterError, quoted, reason
from s2fin_cli.core.run_record import RunRecord
from s2fin_cli.raster.opening import open_raster
from s2fin_cli.raster.vrt import as_vrt

#: Tag that keeps the classes' names inside the map, where they cannot get lost as a sidecar can.
CLASSES_TAG = "S2FIN_CLASSES"
#: Tag with the record of the run, and how many letters of it are read at most.
RUN_TAG, MOST_RUN_LETTERS = "S2FIN_RUN", 4 << 20


def read_class_names(map_path: str | Path) -> dict[int, str]:
    """Names by class id; empty where the map has none.

    They come from our own tag, from GDAL's category names, as an ENVI header or a sidecar has them, or from a raster
    attribute table. The name of the nodata value and names of numbers that no class can have are left out.

    Raises:
        RasterError: they are damaged, or the raster cannot be opened.
    """
    with open_raster(map_path) as src:
        tag, nodata = src.tags().get(CLASSES_TAG), src.nodata
        band = as_vrt(src).find("VRTRasterBand") if tag is None else None
    try:
        if tag is not None:
            names = {int(class_id): str(name) for class_id, name in json.loads(tag).items()}
        else:
            names = {} if band is None else _names_of_band(band)
    except MALFORMED as error:
        raise RasterError(
            f"{map_path} holds names of classes that cannot be read ({reason(error)}); make it again, or remove them "
            f"with: gdal_edit.py -unsetmd {quoted(str(map_path))}"
        ) from error
    return {i: name for i, name in names.items() if 0 <= i <= MAX_CLASS_ID and i != nodata}


def _names_of_band(band: ET.Element) -> dict[int, str]:
    """Names by class id from GDAL's category names, else from an attribute table."""
    categories = band.findall("./CategoryNames/Category")
    names = {class_id: (node.text or "").strip() for class_id, node in enumerate(categories)}
    found = {class_id: name for class_id, name in names.items() if name}
    table = band.find("GDALRasterAttributeTable")
    return found if found or table is None else _names_of_table(table)


def read_run(map_path: str | Path) -> RunRecord | None:
    """The record of the run that made a map; None where it holds none that can be read."""
    with open_raster(map_path) as src:
        text = src.tags().get(RUN_TAG)
    if text is None or len(text) > MOST_RUN_LETTERS:
        return None
    try:
        return RunRecord.from_dict(json.loads(text))
    except MALFORMED:
        return None


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
