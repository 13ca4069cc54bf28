"""Class maps as GDAL and people read them back."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import replace
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import numpy as np
import pytest
import rasterio
import rasterio.shutil
from affine import Affine
from rasterio.crs import CRS

from s2fin_cli.core.classes import make_classes
from s2fin_cli.geo.grid import Grid
from s2fin_cli.raster.class_map import create_class_map
from s2fin_cli.raster.class_names import CLASSES_TAG
from s2fin_cli.raster.creation import RasterFormat
from s2fin_cli.raster.opening import without_georeferencing_warning
from tests.raster.maps import GRID, LARGE, NAMES, write

if TYPE_CHECKING:
    from pathlib import Path


def test_what_a_map_holds(tmp_path: Path) -> None:
    values = write(tmp_path / "map.tif", NAMES)
    with rasterio.open(tmp_path / "map.tif") as src:
        assert np.array_equal(src.read(1), values)
        assert (src.count, src.dtypes, src.nodata) == (1, ("uint8",), 0)
        assert src.crs == GRID.crs
        assert src.transform == GRID.transform
        assert src.shape == GRID.shape
        assert src.descriptions == ("class",)
        assert src.profile["tiled"]
        assert src.profile["compress"] == "deflate"
        assert src.block_shapes == [(256, 256)]
        assert src.tags()["S2FIN_MODEL"] == "é.s2fin"
        assert json.loads(src.tags()[CLASSES_TAG]) == {str(class_id): name for class_id, name in NAMES.items()}
        assert src.colorinterp[0].name == "palette"
        colormap = src.colormap(1)
        assert {c.id: colormap[c.id][:3] for c in make_classes(NAMES)} == {c.id: c.color for c in make_classes(NAMES)}


@pytest.mark.parametrize(
    "grid",
    [
        Grid(None, Affine.identity(), (20, 30)),
        Grid(None, GRID.transform, (20, 30)),
        Grid(GRID.crs, Affine(10, 0, 500_000, 0, 10, 4_999_000), (20, 30)),
        Grid(CRS.from_epsg(4326), Affine(1e-4, 0, -70, 0, -1e-4, -3), (1, 1)),
        Grid(CRS.from_proj4("+proj=utm +zone=25 +south +ellps=GRS80 +units=m"), GRID.transform, (20, 30)),
    ],
    ids=["no CRS, no transform", "no CRS", "south-up", "one pixel in degrees", "unnamed CRS"],
)
def test_the_grid_is_kept(tmp_path: Path, grid: Grid) -> None:
    values = write(tmp_path / "map.tif", NAMES, grid)
    with without_georeferencing_warning(), rasterio.open(tmp_path / "map.tif") as src:
        assert Grid(src.crs, src.transform, src.shape) == grid
        assert np.array_equal(src.read(1), values)


def test_an_image_without_georeferencing_gives_a_map_without(tmp_path: Path) -> None:
    grid = Grid(None, Affine.identity(), (3, 4))
    with create_class_map(tmp_path / "map.tif", grid, make_classes({1: "a", 2: "b"})):
        pass
    header = (tmp_path / "map.tif").read_bytes()[:65536]
    model_pixel_scale = (33550).to_bytes(2, "little") + (12).to_bytes(2, "little")  # a TIFF tag and its type, double
    assert model_pixel_scale not in header
    georeferenced = Grid(None, Affine(2, 0, 5, 0, -2, 7), (3, 4))
    with create_class_map(tmp_path / "other.tif", georeferenced, make_classes({1: "a", 2: "b"})):
        pass
    assert model_pixel_scale in (tmp_path / "other.tif").read_bytes()[:65536]


@pytest.mark.parametrize("driver", ["GTiff", "COG"])
def test_overviews_have_the_commonest_class(tmp_path: Path, driver: str) -> None:
    classes = make_classes({1: "a", 2: "b"})
    values = np.ones((600, 600), np.uint8)
    values[::2, ::2] = 2  # a quarter of each 2 x 2 pixels
    grid = replace(LARGE, shape=(600, 600))
    with create_class_map(tmp_path / "map.tif", grid, classes, fmt=RasterFormat(driver)) as dst:
        dst.write(values[None], grid.window)
    with rasterio.open(tmp_path / "map.tif", overview_level=0) as src:
        assert src.shape == (300, 300)
        assert (src.read(1) == 1).all()


@pytest.mark.parametrize(
    "grid",
    [
        GRID,
        Grid(None, GRID.transform, GRID.shape),
        Grid(CRS.from_epsg(4326), Affine(0.1, 0, 5, 0, -0.1, 60), (300, 520)),
    ],
)
def test_the_attribute_table_has_pixels_and_areas(tmp_path: Path, grid: Grid) -> None:
    values = write(tmp_path / "map.tif", NAMES, grid)
    root = ET.parse(tmp_path / "map.tif.aux.xml").getroot()  # noqa: S314  written a line above
    table = root.find("./PAMRasterBand[@band='1']/GDALRasterAttributeTable")
    assert table is not None
    columns = [node.text for node in table.findall("./FieldDefn/Name")]
    rows = [dict(zip(columns, [node.text for node in row], strict=True)) for row in table.findall("Row")]
    assert [int(row["Value"] or 0) for row in rows] == list(NAMES)
    areas = np.broadcast_to(grid.pixel_areas(grid.window), grid.shape)
    for row, c in zip(rows, make_classes(NAMES), strict=True):
        own = values == c.id
        assert row["Class"] == c.name
        assert float(row["Count"] or 0) == own.sum()
        assert ("Area_m2" in row) == (grid.crs is not None)
        area = float(row.get("Area_m2") or "nan")
        assert area == pytest.approx(areas[own].sum(), rel=1e-9, nan_ok=True)
        assert [row[name] for name in ("Red", "Green", "Blue")] == [str(value) for value in c.color]


@pytest.mark.skipif(shutil.which("gdalinfo") is None, reason="gdalinfo is not at hand")
def test_the_attribute_table_as_gdal_shows_it(tmp_path: Path) -> None:
    write(tmp_path / "map.tif", NAMES)
    command = ["gdalinfo", "-json", "-norat", str(tmp_path / "map.tif")]
    assert "rat" not in json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    command.remove("-norat")
    table = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)["rat"]
    assert table["tableType"] == "thematic"
    usages = {field["name"]: field["usage"] for field in table["fieldDefn"]}
    assert [usages[name] for name in ("Value", "Count", "Class", "Red", "Area_m2")] == [5, 1, 2, 6, 0]
    assert [row["f"][2] for row in table["row"]] == list(NAMES.values())
