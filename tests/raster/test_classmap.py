"""Class maps as GDAL and people read them back."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import numpy as np
import pytest
import rasterio
import rasterio.shutil
import scipy.ndimage
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.crs import CRS
from rasterio.enums import ColorInterp

from s2fin_cli.core.classes import LandCoverClass, make_classes, map_encoding
from s2fin_cli.core.errors import OutputError, RasterError, UsageError
from s2fin_cli.geo.grid import Grid
from s2fin_cli.geo.windows import iter_tiles
from s2fin_cli.raster.class_ids import iter_class_strips
from s2fin_cli.raster.class_names import CLASSES_TAG, read_class_names
from s2fin_cli.raster.classmap import create_class_map
from s2fin_cli.raster.creation import RasterFormat, check_format
from s2fin_cli.raster.info import read_info
from s2fin_cli.raster.opening import without_georeferencing_warning
from s2fin_cli.raster.strips import iter_strips, sieved
from s2fin_cli.raster.warp import open_on_grid
from s2fin_cli.raster.write import Encoding, create_image
from tests.files import write_raster

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray


GRID = Grid(CRS.from_epsg(32632), Affine(10, 0, 500_000, 0, -10, 5_000_000), (300, 520))
NAMES = {1: "water", 2: "Wald & Wiese <alt>", 5: "Ödland “中文” 'x' \"y\"", 9: "two words"}


def ids_of(classes: tuple[LandCoverClass, ...], grid: Grid = GRID) -> NDArray[Any]:
    dtype, nodata = map_encoding([c.id for c in classes])
    return np.random.default_rng(0).choice([nodata, *(c.id for c in classes)], grid.shape).astype(dtype)


def write(path: Path, names: dict[int, str], grid: Grid = GRID) -> NDArray[Any]:
    classes = make_classes(names)
    values = ids_of(classes, grid)
    with create_class_map(path, grid, classes, tags={"S2FIN_MODEL": "é.s2fin"}) as dst:
        for window in iter_tiles(grid.shape, (100, 100)):
            dst.write(values[window.toslices()][None], window)
    return values


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


def test_names_of_classes_in_gdals_sidecar(tmp_path: Path) -> None:
    write(tmp_path / "map.tif", NAMES)
    root = ET.parse(tmp_path / "map.tif.aux.xml").getroot()  # noqa: S314  written a line above
    assert root.tag == "PAMDataset"
    categories = [node.text or "" for node in root.findall("./PAMRasterBand[@band='1']/CategoryNames/Category")]
    assert categories == [NAMES.get(class_id, "") for class_id in range(10)]
    with rasterio.open(tmp_path / "map.tif") as src:  # GDAL reads both together, and still finds what is in the TIFF
        assert src.descriptions == ("class",)
        assert src.nodata == 0


@pytest.mark.skipif(shutil.which("gdalinfo") is None, reason="gdalinfo is not at hand")
def test_names_of_classes_as_gdal_shows_them(tmp_path: Path) -> None:
    write(tmp_path / "map.tif", NAMES)
    command = ["gdalinfo", str(tmp_path / "map.tif")]
    shown = subprocess.run(command, capture_output=True, text=True, check=True, encoding="utf-8").stdout
    for class_id, name in NAMES.items():
        assert f"{class_id}: {name}" in shown


def test_names_survive_a_translation_by_gdal(tmp_path: Path) -> None:
    write(tmp_path / "map.tif", NAMES)
    rasterio.shutil.copy(tmp_path / "map.tif", tmp_path / "copy.vrt", driver="VRT")
    root = ET.parse(tmp_path / "copy.vrt").getroot()  # noqa: S314  written a line above
    names = [node.text or "" for node in root.findall("./VRTRasterBand/CategoryNames/Category")]
    assert {class_id: name for class_id, name in enumerate(names) if name} == NAMES


def test_names_are_read_back(tmp_path: Path) -> None:
    write(tmp_path / "map.tif", NAMES)
    assert read_class_names(tmp_path / "map.tif") == NAMES
    (tmp_path / "map.tif.aux.xml").unlink()
    assert read_class_names(tmp_path / "map.tif") == NAMES
    foreign = write_raster(tmp_path / "foreign.tif", np.ones((4, 5), dtype="uint8"))
    assert read_class_names(foreign) == {}
    sidecar = tmp_path / "foreign.tif.aux.xml"
    sidecar.write_text(
        '<PAMDataset><PAMRasterBand band="1"><CategoryNames><Category/><Category>sea</Category></CategoryNames>'
        "</PAMRasterBand></PAMDataset>"
    )
    assert read_class_names(foreign) == {1: "sea"}
    sidecar.write_text("<PAMDataset>")
    assert read_class_names(foreign) == {}


def test_names_in_an_envi_header(tmp_path: Path) -> None:
    path = write_raster(tmp_path / "classes.img", np.ones((4, 5), "uint8"), driver="ENVI")
    header = path.with_suffix(".hdr")
    header.write_text(
        header.read_text().replace("ENVI Standard", "ENVI Classification")
        + "classes = 4\nclass names = {Unclassified, dry wood, , sea}\n"
        "class lookup = {0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9}\n"
    )
    assert read_class_names(path) == {0: "Unclassified", 1: "dry wood", 3: "sea"}


@pytest.mark.parametrize(
    ("columns", "rows", "found"),
    [
        ([("Value", 0, 5), ("Count", 1, 1), ("Class", 2, 2)], [(3, 9, "wood"), (7, 1, "sea")], {3: "wood", 7: "sea"}),
        ([("Histogram", 1, 1), ("Class_Names", 2, 0)], [(0, ""), (5, "wood"), (6, "sea")], {1: "wood", 2: "sea"}),
        ([("Value", 0, 5), ("Remark", 2, 0), ("Author", 2, 0)], [(1, "a", "b")], {}),
        ([("Value", 0, 5), ("Count", 1, 1)], [(1, 4)], {}),
    ],
)
def test_names_in_a_raster_attribute_table(
    tmp_path: Path,
    columns: list[tuple[str, int, int]],
    rows: list[tuple[Any, ...]],
    found: dict[int, str],
) -> None:
    path = write_raster(tmp_path / "map.tif", np.ones((4, 5), dtype="uint8"))
    fields = "".join(
        f'<FieldDefn index="{i}"><Name>{name}</Name><Type>{kind}</Type><Usage>{usage}</Usage></FieldDefn>'
        for i, (name, kind, usage) in enumerate(columns)
    )
    cells = ("".join(f"<F>{cell}</F>" for cell in row) for row in rows)
    table = fields + "".join(f'<Row index="{i}">{row}</Row>' for i, row in enumerate(cells))
    (tmp_path / "map.tif.aux.xml").write_text(
        '<PAMDataset><PAMRasterBand band="1"><GDALRasterAttributeTable Row0Min="0" BinSize="1" tableType="thematic">'
        f"{table}</GDALRasterAttributeTable></PAMRasterBand></PAMDataset>"
    )
    assert read_class_names(path) == found


@pytest.mark.parametrize("odd", ["a\x00b", "a\x0bb", "a\nb", "a\ufffeb"])
def test_names_that_xml_cannot_hold_do_not_spoil_the_sidecar(tmp_path: Path, odd: str) -> None:
    write(tmp_path / "map.tif", {1: odd, 2: "water"})
    root = ET.parse(tmp_path / "map.tif.aux.xml").getroot()  # noqa: S314  written a line above
    assert [node.text for node in root.iter("Category")][2] == "water"
    assert read_class_names(tmp_path / "map.tif")[2] == "water"


@pytest.mark.parametrize(
    ("names", "dtype", "nodata"),
    [
        ({0: "sea", 1: "sand"}, "uint8", 255),
        ({0: "sea", 300: "sand"}, "uint16", 255),
        ({0: "sea", 255: "sand"}, "uint16", 65535),
        ({7: "sea", 22531: "sand"}, "uint16", 0),
        ({65535: "sea"}, "uint16", 0),
    ],
)
def test_class_numbers_of_all_sizes(tmp_path: Path, names: dict[int, str], dtype: str, nodata: int) -> None:
    values = write(tmp_path / "map.tif", names)
    with rasterio.open(tmp_path / "map.tif") as src:
        assert src.dtypes == (dtype,)
        assert src.nodata == nodata
        assert np.array_equal(src.read(1), values)
        colormap = src.colormap(1)
        assert {c.id: colormap[c.id][:3] for c in make_classes(names)} == {c.id: c.color for c in make_classes(names)}
    assert read_class_names(tmp_path / "map.tif") == names


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


def test_bands_of_floats(tmp_path: Path) -> None:
    values = np.random.default_rng(0).random((2, *GRID.shape)).astype("float32")
    values[:, :5] = np.nan
    with create_image(tmp_path / "p.tif", GRID, ["water", "Ödland"], tags={"A": "b"}) as dst:
        dst.write(values, GRID.window)
    with rasterio.open(tmp_path / "p.tif") as src:
        assert np.array_equal(src.read(), values, equal_nan=True)
        assert np.isnan(src.nodata)
        assert src.descriptions == ("water", "Ödland")
        assert src.tags()["A"] == "b"
        assert Grid(src.crs, src.transform, src.shape) == GRID
        assert src.profile["compress"] == "deflate"
    assert {path.name for path in tmp_path.iterdir()} == {"p.tif"}


def test_an_input_that_breaks_off_is_no_failure_to_write(tmp_path: Path) -> None:
    path = write_raster(tmp_path / "input.tif", np.random.default_rng(0).random((1, *GRID.shape)))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with (
        pytest.raises(RasterError, match=r"input\.tif cannot be read"),
        create_image(tmp_path / "p.tif", GRID, ["a"]) as dst,
        open_on_grid(path, GRID, indexes=(1,)) as reader,
    ):
        dst.write(reader.read(GRID.window), GRID.window)


def test_strips_cover_the_map(tmp_path: Path) -> None:
    values = write(tmp_path / "map.tif", NAMES)
    confidence = np.random.default_rng(0).random((1, *GRID.shape)).astype("float32")
    with create_image(tmp_path / "c.tif", GRID, ["confidence"]) as dst:
        dst.write(confidence, GRID.window)
    strips = list(iter_strips(tmp_path / "map.tif", tmp_path / "c.tif"))
    assert len(strips) == 2
    assert np.array_equal(np.concatenate([classes for classes, _ in strips]), values)
    parts = [part for _, part in strips if part is not None]
    assert np.array_equal(np.concatenate(parts), confidence[0])
    assert [part for _, part in iter_strips(tmp_path / "map.tif", None)] == [None, None]


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


# ---- formats, overviews and attributes -------------------------------------------------------------------------------

LARGE = Grid(CRS.from_epsg(32632), Affine(10, 0, 500_000, 0, -10, 5_000_000), (700, 1100))


def write_as(path: Path, fmt: RasterFormat, grid: Grid = LARGE) -> NDArray[Any]:
    classes = make_classes(NAMES)
    values = ids_of(classes, grid)
    with create_class_map(path, grid, classes, tags={"S2FIN_MODEL": "m"}, fmt=fmt) as dst:
        for window in iter_tiles(grid.shape, (100, 300)):
            dst.write(values[window.toslices()][None], window)
    return values


@pytest.mark.parametrize("driver", ["GTiff", "COG"])
def test_either_format_holds_the_map(tmp_path: Path, driver: str) -> None:
    values = write_as(tmp_path / "map.tif", RasterFormat(driver))
    with rasterio.open(tmp_path / "map.tif") as src:
        assert np.array_equal(src.read(1), values)
        assert (src.crs, src.transform, src.nodata, src.descriptions) == (LARGE.crs, LARGE.transform, 0, ("class",))
        assert {c.id: src.colormap(1)[c.id][:3] for c in make_classes(NAMES)} == {
            c.id: c.color for c in make_classes(NAMES)
        }
        assert src.tags()["S2FIN_MODEL"] == "m"
        assert src.overviews(1)[0] == 2
        assert src.tags(ns="IMAGE_STRUCTURE").get("LAYOUT") == ("COG" if driver == "COG" else None)
    assert read_class_names(tmp_path / "map.tif") == NAMES
    assert {path.name for path in tmp_path.iterdir()} == {"map.tif", "map.tif.aux.xml"}


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


@pytest.mark.parametrize("driver", ["GTiff", "COG"])
def test_float_rasters_in_either_format(tmp_path: Path, driver: str) -> None:
    values = np.random.default_rng(0).random((2, *LARGE.shape), dtype=np.float32)
    values[:, :300] = np.nan
    fmt = RasterFormat(driver, {"COMPRESS": "LZW"})
    with create_image(tmp_path / "p.tif", LARGE, ["a", "b"], tags={"x": "y"}, fmt=fmt) as dst:
        dst.write(values, LARGE.window)
    with rasterio.open(tmp_path / "p.tif") as src:
        assert np.array_equal(src.read(), values, equal_nan=True)
        assert src.descriptions == ("a", "b")
        assert src.compression == rasterio.enums.Compression.lzw, "the user's option comes before ours"
        assert np.isnan(src.nodata)
        assert src.tags()["x"] == "y"


@pytest.mark.parametrize("driver", ["GTiff", "COG"])
@pytest.mark.parametrize(
    ("name", "value", "message"), [("COMPRES", "LZW", "COMPRES"), ("COMPRESS", "NONSENSE", "'NONSENSE'")]
)
def test_creation_options_that_gdal_would_leave_aside_are_refused(
    driver: str, name: str, value: str, message: str
) -> None:
    wrong, right = (RasterFormat.of(driver, given) for given in ([f"{name}={value}"], ["Compress=LZW", "BIGTIFF=YES"]))
    message = rf"`co` is not as the {driver} driver wants it \(bands: 1, uint8\): .*{message}"
    with pytest.raises(UsageError, match=message):
        check_format(wrong, count=1, dtype="uint8")
    check_format(right, count=1, dtype="uint8", values=[1, 2, 255])


def test_creation_options_count_whatever_their_case(tmp_path: Path) -> None:
    write_as(tmp_path / "map.tif", RasterFormat.of("GTiff", ["TILED=NO"]))
    with rasterio.open(tmp_path / "map.tif") as src:
        assert not src.profile["tiled"]


def test_what_gdal_itself_puts_into_the_sidecar_stays_there(tmp_path: Path) -> None:
    """With this profile a TIFF has no georeferencing."""
    write_as(tmp_path / "map.tif", RasterFormat.of("GTiff", ["PROFILE=BASELINE"]))
    with rasterio.open(tmp_path / "map.tif") as src:
        assert (src.crs, src.transform) == (LARGE.crs, LARGE.transform)
    assert read_class_names(tmp_path / "map.tif") == NAMES
    assert ET.parse(tmp_path / "map.tif.aux.xml").find("PAMRasterBand/GDALRasterAttributeTable") is not None  # noqa: S314


@pytest.mark.parametrize("driver", ["GTiff", "COG"])
@pytest.mark.parametrize("count", [3, 4])
def test_bands_of_bytes_are_neither_colours_nor_a_mask(tmp_path: Path, driver: str, count: int) -> None:
    values = np.full((count, *GRID.shape), 7, "uint8")
    names = [f"class {index}" for index in range(count)]
    fmt = RasterFormat(driver)
    with create_image(tmp_path / "p.tif", GRID, names, fmt=fmt, encoding=Encoding("uint8", None)) as dst:
        dst.write(values, GRID.window)
    assert read_info(tmp_path / "p.tif").count == count
    with rasterio.open(tmp_path / "p.tif") as src:
        assert src.colorinterp == (ColorInterp.gray, *(ColorInterp.undefined,) * (count - 1))


def test_creation_options_are_tried_on_what_is_to_be_written() -> None:
    jpeg = RasterFormat.of("COG", ["COMPRESS=JPEG"])
    check_format(jpeg, count=3, dtype="uint8")
    with pytest.raises(UsageError, match=r"`co` is not as the COG driver wants it \(bands: 1, float32\)"):
        check_format(jpeg, count=1, dtype="float32")
    for driver, option in (
        ("COG", "COMPRESS=JPEG"), ("GTiff", "DISCARD_LSB=2"), ("GTiff", "NBITS=1"), ("COG", "COMPRESS=LERC"),
    ):  # fmt: skip
        fmt = RasterFormat.of(driver, [option, *(["MAX_Z_ERROR=5"] if "LERC" in option else [])])
        with pytest.raises(UsageError, match="is lossy: classes would change; leave it out"):
            check_format(fmt, count=1, dtype="uint8", values=range(8))
    for driver, option, message in (
        ("COG", "OVERVIEW_RESAMPLING=BILINEAR", "mixes class numbers; leave it out"),
        ("COG", "TILING_SCHEME=GoogleMapsCompatible", "would change the grid of the rasters"),
        ("GTiff", "BLOCKXSIZE=100", "must be multiples of 16"),
    ):
        with pytest.raises(UsageError, match=message):
            check_format(RasterFormat.of(driver, [option]), count=1, dtype="uint8", values=range(8))
    check_format(RasterFormat.of("COG", ["OVERVIEW_RESAMPLING=CUBIC"]), count=1, dtype="float32")
    check_format(RasterFormat.of("GTiff", ["NBITS=4"]), count=1, dtype="uint8", values=range(16))


def test_a_failure_leaves_no_plain_raster_beside_a_cog(tmp_path: Path) -> None:
    def fail() -> None:
        with create_class_map(tmp_path / "map.tif", LARGE, make_classes(NAMES), fmt=RasterFormat("COG")):
            raise RasterError("no")

    with pytest.raises(RasterError):
        fail()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "grid",
    [
        GRID,
        Grid(None, GRID.transform, GRID.shape),
        Grid(CRS.from_epsg(4326), Affine(0.1, 0, 5, 0, -0.1, 60), (300, 520)),
    ],
)
def test_the_attribute_table_tells_pixels_and_areas(tmp_path: Path, grid: Grid) -> None:
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


# ---- minimum mapping unit --------------------------------------------------------------------------------------------


def areas_of(class_map: NDArray[Any]) -> list[NDArray[np.bool_]]:
    """Mask of each 4-connected area."""
    found = []
    for class_id in np.unique(class_map[class_map > 0]):
        labels, count = scipy.ndimage.label(class_map == class_id)
        found += [labels == number for number in range(1, count + 1)]
    return found


@settings(max_examples=60)
@given(seed=st.integers(0, 10**6), mmu=st.integers(2, 12))
def test_no_area_below_the_minimum_mapping_unit_borders_on_a_larger_one(seed: int, mmu: int) -> None:
    generator = np.random.default_rng(seed)
    class_map = generator.integers(0, 4, (12, 14)).astype(np.uint8)
    result = sieved(class_map, nodata=0, mmu=mmu)
    assert np.array_equal(result == 0, class_map == 0), "nodata stays as it is"
    areas = areas_of(result)
    large = np.logical_or.reduce([area for area in areas if area.sum() >= mmu], initial=False)
    for area in areas:
        assert area.sum() >= mmu or not (scipy.ndimage.binary_dilation(area) & large).any()


def test_large_areas_stay_as_they_are() -> None:
    class_map = np.kron(np.array([[1, 2], [0, 3]], np.uint8), np.ones((5, 5), np.uint8))
    assert np.array_equal(sieved(class_map, nodata=0, mmu=25), class_map)
    class_map[2, 2] = 3
    expected = np.where(class_map == 3, 1, class_map)[:5, :5]
    assert np.array_equal(sieved(class_map, nodata=0, mmu=2)[:5, :5], expected)


def test_strips_of_a_sieved_map(tmp_path: Path) -> None:
    values = write(tmp_path / "map.tif", NAMES)
    strips = [classes for classes, _ in iter_strips(tmp_path / "map.tif", None, mmu=6)]
    assert np.array_equal(np.concatenate(strips), sieved(values, nodata=0, mmu=6))


@pytest.mark.parametrize(
    ("driver", "options"),
    [("GTiff", {"DISCARD_LSB": "2"}), ("GTiff", {"NBITS": "1"}), ("COG", {"COMPRESS": "LERC", "MAX_Z_ERROR": "5"})],
)
def test_a_lossy_map_is_none(tmp_path: Path, driver: str, options: dict[str, str]) -> None:
    values = np.random.default_rng(0).integers(1, 8, (1, *GRID.shape)).astype("uint8")
    classes = make_classes({i: f"class {i}" for i in range(1, 8)})
    lossy = create_class_map(tmp_path / "map.tif", GRID, classes, fmt=RasterFormat(driver, options))
    with pytest.raises(OutputError, match="not those that were written: `co` must not be lossy"), lossy as writer:
        writer.write(values, GRID.window)


def test_where_all_areas_are_below_the_unit_they_stay() -> None:
    values = np.repeat([[1, 1, 1, 2]], 3, axis=0).astype("uint8")
    assert np.array_equal(sieved(values, nodata=0, mmu=1000), values)
    assert np.array_equal(sieved(values[:1, :1], nodata=0, mmu=1000), values[:1, :1])


def test_a_cut_map_is_told(tmp_path: Path) -> None:
    values = np.random.default_rng(0).integers(1, 3, (1, *LARGE.shape)).astype("uint8")
    path = tmp_path / "map.tif"
    with create_class_map(path, LARGE, make_classes({1: "a", 2: "b"})) as writer:
        writer.write(values, LARGE.window)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 3])
    with pytest.raises(RasterError):
        list(iter_class_strips(path, 0))


@pytest.mark.parametrize("has_mask", [False, True])
@pytest.mark.parametrize(
    "held_as",
    [
        ("float32", -3.402823e38, -3.4028235e38),
        ("float64", -3.402823e38, -3.402823e38),
        ("float32", np.nan, np.nan),
        ("uint8", 255, 255),
        ("int64", -9999, -9999),
        ("uint16", None, 0),
    ],
)
def test_nodata_of_a_class_map_is_what_gdal_takes_for_it(
    tmp_path: Path, held_as: tuple[str, float | None, float], has_mask: bool
) -> None:
    dtype, declared, held = held_as
    values = np.random.default_rng(0).integers(1, 4, (20, 30)).astype(dtype)
    values[3, 4:9] = held
    mask = np.ones(values.shape, bool)
    mask[10:12] = not has_mask
    path = write_raster(tmp_path / "a.tif", values, nodata=declared, mask=mask if has_mask else None)
    found = np.concatenate([strip for _, strip in iter_class_strips(path, 77)])
    void = ~mask
    void[3, 4:9] |= declared is not None
    assert np.array_equal(found == 77, void)
    assert np.array_equal(found[~void], values[~void].astype(np.int64))
