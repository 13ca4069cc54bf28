"""From one CRS to another: refusals, warnings of guesses, and longitudes that differ by full turns."""

from __future__ import annotations

import logging
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import geopandas
import numpy as np
import pytest
import rasterio
import shapely
from affine import Affine
from pyproj import Transformer
from rasterio.crs import CRS
from rasterio.enums import Resampling

from s2fin_cli.core.errors import GeoreferencingError
from s2fin_cli.geo.accuracy import warn_of_inaccuracy
from s2fin_cli.geo.extents import bounds_on, share_covered
from s2fin_cli.geo.grid import Grid
from s2fin_cli.geo.transformation import Placed
from s2fin_cli.geo.wrapping import kernel_scale
from s2fin_cli.labels.read import read_labels
from s2fin_cli.raster.warp import open_on_grid
from s2fin_cli.stack.assembly import build_stack
from s2fin_cli.vector.area import read_area
from s2fin_cli.vector.write import check_vector_crs
from tests.files import write_raster, write_vector

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

LOCAL = CRS.from_wkt('LOCAL_CS["WGS 84 / UTM zone 32N",UNIT["metre",1]]')
OTHER_LOCAL = CRS.from_wkt('LOCAL_CS["site",UNIT["metre",1]]')
MARS = CRS.from_user_input("IAU_2015:49900")
UTM = CRS.from_epsg(32632)
BESSEL = CRS.from_string("+proj=tmerc +lat_0=0 +lon_0=9 +k=1 +x_0=500000 +ellps=bessel +units=m +type=crs")
DEGREES = CRS.from_epsg(4326)
PLACED = Affine(10, 0, 500_000, 0, -10, 5_300_000)


def surface(lon: NDArray[np.float64], lat: NDArray[np.float64]) -> NDArray[np.float64]:
    """Made heights, the same after a full turn."""
    return np.asarray(100 + 50 * np.sin(np.radians(lon) * 40) + lat)


def write(path: Path, crs: CRS | None, transform: Affine, values: NDArray[Any], *, nodata: float | None = None) -> str:
    return str(write_raster(path, values, crs=crs, transform=transform, nodata=nodata))


def write_degrees(
    path: Path, west: float, east: float, res: float, *, south: float = -17.3, north: float = -16.7
) -> str:
    """Heights in longitude and latitude."""
    width, height = round((east - west) / res), round((north - south) / res)
    transform = Affine(res, 0, west, 0, -res, north)
    lon, lat = np.meshgrid(west + (np.arange(width) + 0.5) * res, north - (np.arange(height) + 0.5) * res)
    return write(path, DEGREES, transform, surface(lon, lat).astype(np.float32), nodata=-9999)


def degrees_of(grid: Grid) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Longitude and latitude of a grid's pixels."""
    cols, rows = np.meshgrid(np.arange(grid.width) + 0.5, np.arange(grid.height) + 0.5)
    a, _, c, _, e, f = grid.transform[:6]
    x, y = a * cols + c, e * rows + f
    assert grid.crs is not None
    return (x, y) if grid.crs == DEGREES else Transformer.from_crs(grid.crs, DEGREES, always_xy=True).transform(x, y)


def warnings_in(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


# ---- what cannot be transformed --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("image_crs", "dsm_crs", "message"),
    [
        (UTM, LOCAL, r"`dsm` .*dsm\.tif has the engineering CRS .*: gdal_edit\.py -a_srs EPSG:32632 .*dsm\.tif"),
        (LOCAL, UTM, r"`msi` .*msi\.tif has the engineering CRS .*: gdal_edit\.py -a_srs EPSG:32632 .*msi\.tif"),
        (UTM, MARS, r"dsm.tif has IAU_2015:49900 and .*nothing can be transformed between them \(.*celestial body"),
    ],
)  # fmt: skip
def test_a_second_image_that_no_transformation_reaches(
    tmp_path: Path, image_crs: CRS, dsm_crs: CRS, message: str
) -> None:
    values = np.ones((6, 8), np.uint8)
    paths = {
        "msi": [write(tmp_path / "msi.tif", image_crs, PLACED, values)],
        "dsm": [
            write(tmp_path / "dsm.tif", dsm_crs, PLACED if dsm_crs != MARS else Affine(1, 0, 9, 0, -1, 48), values)
        ],
    }
    with pytest.raises(GeoreferencingError, match=message):
        build_stack(paths)


def test_two_names_of_an_engineering_crs_are_warned_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    values = np.ones((6, 8), np.uint8)
    paths = {
        "msi": [write(tmp_path / "msi.tif", LOCAL, PLACED, values)],
        "dsm": [write(tmp_path / "dsm.tif", OTHER_LOCAL, PLACED, values)],
    }
    build_stack(paths)
    assert "dsm.tif has the engineering CRS 'site'" in caplog.text
    assert "both are taken to be the same plane" in caplog.text


def test_images_of_one_engineering_crs_go_together(tmp_path: Path) -> None:
    fine = np.arange(48, dtype=np.float32).reshape(6, 8)
    coarse = np.arange(12, dtype=np.float32).reshape(3, 4)
    paths = {
        "msi": [write(tmp_path / "msi.tif", LOCAL, PLACED, fine)],
        "dsm": [write(tmp_path / "dsm.tif", LOCAL, PLACED * Affine.scale(2), coarse)],
    }
    stack = build_stack(paths)
    with stack.open() as opened:
        tile = opened.read(stack.grid.window)
    assert np.array_equal(tile.images.image[0], fine)
    assert tile.images.aux is not None
    assert tile.images.aux[0, 1, 1] == pytest.approx((9 * 0 + 3 * 1 + 3 * 4 + 5) / 16), "bilinear, between four pixels"
    assert kernel_scale(Grid(LOCAL, PLACED * Affine.scale(2), (3, 4)), stack.grid) == {"XSCALE": 2, "YSCALE": 2}
    assert stack.grid.footprint() is None


@pytest.mark.parametrize("suffix", [".gpkg", ".shp", ".fgb"])
def test_labels_of_the_same_engineering_crs(tmp_path: Path, suffix: str) -> None:
    grid = Grid(LOCAL, PLACED, (6, 8))
    square = shapely.box(500_000, 5_299_970, 500_020, 5_300_000)
    frame = geopandas.GeoDataFrame({"class": ["a"]}, geometry=[square], crs=LOCAL.to_wkt())
    frame.to_file(tmp_path / f"labels{suffix}")
    labels = read_labels(tmp_path / f"labels{suffix}", grid)
    assert (len(labels), labels.rows.max(), labels.cols.max()) == (6, 2, 1)
    with pytest.raises(
        GeoreferencingError, match=r"is really in EPSG:32632, assign it with: ogr2ogr -a_srs EPSG:32632"
    ):
        read_labels(tmp_path / f"labels{suffix}", Grid(UTM, PLACED, (6, 8)))


def test_a_label_raster_of_an_engineering_crs(tmp_path: Path) -> None:
    values = np.ones((6, 8), np.uint8)
    path = write(tmp_path / "labels.tif", LOCAL, PLACED, values)
    assert len(read_labels(path, Grid(LOCAL, PLACED, (6, 8)))) == 48
    with pytest.raises(GeoreferencingError, match=r"labels\.tif has the engineering CRS .* -a_srs EPSG:32632 "):
        read_labels(path, Grid(UTM, PLACED, (6, 8)))


def test_geojson_of_an_engineering_crs_is_refused_before_the_work(tmp_path: Path) -> None:
    for crs in (LOCAL, MARS):
        grid = Grid(crs, PLACED, (6, 8))
        check_vector_crs(tmp_path / "map.gpkg", grid)
        with pytest.raises(GeoreferencingError, match=r"GeoJSON is in longitude and latitude.*ends in \.gpkg"):
            check_vector_crs(tmp_path / "map.geojson", grid)
    for known in (UTM, BESSEL, None):
        check_vector_crs(tmp_path / "map.geojson", Grid(known, PLACED, (6, 8)))


# ---- how exactly -----------------------------------------------------------------------------------------------------


def test_a_ballpark_transformation_is_warned_of_with_its_size(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    values = np.ones((60, 80), np.uint8)
    paths = {
        "msi": [write(tmp_path / "msi.tif", UTM, PLACED, values)],
        "dsm": [
            write(tmp_path / "dsm.tif", BESSEL, PLACED * Affine.translation(-400, -600) * Affine.scale(15), values)
        ],
    }
    build_stack(paths)
    (message,) = warnings_in(caplog)
    assert "dsm.tif is brought from unknown to EPSG:32632 by a ballpark transformation" in message
    assert "by some 7" in message
    assert "gdal_edit.py -a_srs EPSG:CODE" in message
    caplog.clear()
    point = shapely.Point(500_200, 5_301_400)
    geopandas.GeoDataFrame({"class": ["a"]}, geometry=[point], crs=BESSEL.to_wkt()).to_file(tmp_path / "points.gpkg")
    read_labels(tmp_path / "points.gpkg", Grid(UTM, PLACED, (60, 80)))
    assert [message for message in warnings_in(caplog) if "ballpark" in message and "ogr2ogr" in message]


def test_a_datum_without_a_name_on_the_same_ellipsoid_is_no_cause_for_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    unnamed = CRS.from_string("+proj=utm +zone=25 +south +ellps=GRS80 +units=m +type=crs")
    values = np.ones((60, 80), np.uint8)
    paths = {
        "msi": [write(tmp_path / "msi.tif", CRS.from_epsg(31985), Affine(30, 0, 290_000, 0, -30, 9.1e6), values)],
        "dsm": [write(tmp_path / "dsm.tif", unnamed, Affine(60, 0, 289_000, 0, -60, 9.101e6), values)],
    }
    build_stack(paths)
    assert not warnings_in(caplog)
    assert "without a datum transformation, as none is known; both ellipsoids are the same" in caplog.text


def test_known_datums_are_no_cause_for_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    values = np.ones((60, 80), np.uint8)
    for number, code in enumerate((4326, 25832, 3857, 3035, 4258)):
        crs = CRS.from_epsg(code)
        grid = Grid(crs, Affine(1e-5, 0, 9, 0, -1e-5, 48) if crs.is_geographic else PLACED, (60, 80))
        left, bottom, right, top = bounds_on(Grid(UTM, PLACED, (60, 80)), grid)
        transform = Affine((right - left) / 40, 0, left - (right - left) / 2, 0, (bottom - top) / 30, 2 * top - bottom)
        paths = {
            "msi": [write(tmp_path / "msi.tif", UTM, PLACED, values)],
            "dsm": [write(tmp_path / f"dsm{number}.tif", grid.crs, transform, values)],
        }
        build_stack(paths)
    assert not warnings_in(caplog)


def test_a_better_operation_that_is_not_installed_is_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """NAD 27 in Kansas: the grid that is good to a few metres comes with no wheel."""
    values = np.ones((60, 80), np.uint8)
    paths = {
        "msi": [write(tmp_path / "msi.tif", CRS.from_epsg(32614), Affine(1, 0, 600_000, 0, -1, 4.3e6), values)],
        "dsm": [write(tmp_path / "dsm.tif", CRS.from_epsg(26714), Affine(10, 0, 599_000, 0, -10, 4.301e6),
                      np.ones((300, 300), np.uint8))],
    }  # fmt: skip
    build_stack(paths)
    found = [message for message in warnings_in(caplog) if "pyproj sync --file" in message]
    assert len(found) <= 1
    if found:  # nothing is logged where the file is installed
        assert "dsm.tif is brought from EPSG:26714 to EPSG:32614" in found[0]


@pytest.mark.parametrize(
    ("best", "better", "level"),
    [(4.0, 2.0, logging.INFO), (4.0, 0.9, logging.WARNING), (25.0, 5.0, logging.WARNING), (25.0, 6.0, logging.INFO)],
)
def test_a_better_operation_is_a_warning_where_it_helps(
    caplog: pytest.LogCaptureFixture, best: float, better: float, level: int
) -> None:
    """By what PROJ says, as which files are installed differs: good to a pixel of 1 m, or five times as good."""
    file = SimpleNamespace(short_name="shift.tif", available=False)
    operations = SimpleNamespace(
        transformers=[SimpleNamespace(accuracy=best, description="usual")],
        unavailable_operations=[SimpleNamespace(accuracy=better, name="better", grids=[file])],
    )
    grid = Grid(CRS.from_epsg(32614), Affine(1, 0, 600_000, 0, -1, 4.3e6), (60, 80))
    with caplog.at_level(logging.INFO):
        placed = Placed("dsm.tif", "dsm.tif", CRS.from_epsg(26914))
        warn_of_inaccuracy(placed, grid, find_operations=lambda *_: operations)  # type: ignore[arg-type]
    assert [record.levelno for record in caplog.records] == [level]
    assert "pyproj sync --file shift.tif" in caplog.text


def test_realisations_of_one_datum_are_no_warning(caplog: pytest.LogCaptureFixture) -> None:
    """NAD83(2011) onto NAD83, between which PROJ has grids that no wheel comes with."""
    grid = Grid(CRS.from_epsg(26910), Affine(1, 0, 500_000, 0, -1, 4.2e6), (60, 80))
    with caplog.at_level(logging.INFO):
        warn_of_inaccuracy(Placed("dsm.tif", "dsm.tif", CRS.from_epsg(6339)), grid)
    assert not warnings_in(caplog)


def test_the_command_that_assigns_a_crs_quotes_names_with_blanks() -> None:
    for is_vector, command in (
        (False, "gdal_edit.py -a_srs EPSG:32632 'my data/a.tif'"),
        (True, "ogr2ogr -a_srs EPSG:32632 OUT.gpkg 'my data/a.tif'"),
    ):
        placed = Placed("a", "my data/a.tif", CRS.from_epsg(32632), is_vector)
        assert placed.assign("EPSG:32632") == command


# ---- the 180th meridian ----------------------------------------------------------------------------------------------

UTM_1 = Grid(CRS.from_epsg(32601), Affine(300, 0, 174_000, 0, -300, -1.87e6), (90, 80))
UTM_14 = Grid(CRS.from_epsg(32614), Affine(300, 0, 390_000, 0, -300, -1.87e6), (90, 80))
ACROSS = Grid(DEGREES, Affine(0.002, 0, 179.9, 0, -0.002, -16.9), (100, 100))
ACROSS_WEST = Grid(DEGREES, Affine(0.002, 0, -180.1, 0, -0.002, -16.9), (100, 100))
WEST = Grid(DEGREES, Affine(0.002, 0, -100.1, 0, -0.002, -16.9), (100, 100))
SOURCES = {
    "across": (179.5, 180.5, 0.01),
    "across from the west": (-180.5, -179.5, 0.01),
    "0 to 360": (0, 360, 0.1),
    "-180 to 180": (-180, 180, 0.1),
    "in the west": (-101, -99, 0.01),
    "in the west, from 0": (259, 261, 0.01),
}


@pytest.mark.parametrize("resampling", [Resampling.bilinear, Resampling.nearest])
@pytest.mark.parametrize(
    ("grid", "names"),
    [
        (UTM_1, ["across", "across from the west", "0 to 360", "-180 to 180"]),
        (ACROSS, ["across", "across from the west", "0 to 360", "-180 to 180"]),
        (ACROSS_WEST, ["across", "across from the west", "0 to 360", "-180 to 180"]),
        (UTM_14, ["in the west", "in the west, from 0", "0 to 360", "-180 to 180"]),
        (WEST, ["in the west", "in the west, from 0", "0 to 360", "-180 to 180"]),
    ],
)
def test_rasters_are_read_wherever_their_longitudes_begin(
    tmp_path: Path, grid: Grid, names: list[str], resampling: Resampling
) -> None:
    expected = surface(*degrees_of(grid))
    for name in names:
        west, east, res = SOURCES[name]
        path = write_degrees(tmp_path / f"{name}.tif", west, east, res)
        own = Grid(DEGREES, Affine(res, 0, west, 0, -res, -16.7), (round(0.6 / res), round((east - west) / res)))
        assert share_covered(grid, own) == 1, name
        with open_on_grid(path, grid, indexes=(1,), resampling=resampling) as reader:
            values = reader.read(grid.window)[0]
            corner = reader.read(grid.crop(grid.window).window)[0][:7, :9]
        assert np.isfinite(values).all(), name
        # half a pixel of 0.1 degrees is 0.05 of the longitude and latitude
        tolerance = 0.02 if resampling == Resampling.bilinear else 35 * res + 0.01
        assert np.abs(values - expected).max() < max(tolerance, 1.8 * res), name
        assert np.array_equal(values[:7, :9], corner)


@pytest.mark.parametrize("is_virtual", [False, True])
def test_a_raster_that_ends_at_the_meridian_is_continued_behind_it(tmp_path: Path, *, is_virtual: bool) -> None:
    path = write_degrees(tmp_path / "world.tif", -180, 180, 0.1)
    if is_virtual:  # with a source that says nothing of its place, as it fills the whole
        with rasterio.open(path) as src:
            transform = ", ".join(map(str, src.transform.to_gdal()))
            size = f'rasterXSize="{src.width}" rasterYSize="{src.height}"'
        vrt = tmp_path / "world.vrt"
        vrt.write_text(
            f"<VRTDataset {size}><SRS>EPSG:4326</SRS><GeoTransform>{transform}</GeoTransform><VRTRasterBand "
            f'dataType="Float32" band="1"><SimpleSource><SourceFilename>{path}</SourceFilename></SimpleSource>'
            "</VRTRasterBand></VRTDataset>"
        )
        path = str(vrt)
    smooth = Grid(DEGREES, Affine(0.1, 0, 179.75, 0, -0.1, -16.8), (4, 6))  # half a pixel off the raster's own
    for grid in (smooth, Grid(DEGREES, smooth.transform * Affine.translation(-3600, 0), smooth.shape)):
        with open_on_grid(path, grid, indexes=(1,), resampling=Resampling.bilinear) as reader:
            values = reader.read(grid.window)[0]
        lon, lat = degrees_of(grid)
        halves = (surface(lon - 0.05, lat) + surface(lon + 0.05, lat)) / 2
        assert values == pytest.approx(halves, abs=1e-4)


def test_a_datum_is_shifted_behind_the_meridian_as_before_it(tmp_path: Path) -> None:
    """NZGD 49, some 200 m off: the same heights read by hand, from longitudes on both sides."""
    crs = CRS.from_epsg(4272)
    res = 0.005
    lon, lat = np.meshgrid(179.8 + (np.arange(80) + 0.5) * res, -43.8 - (np.arange(80) + 0.5) * res)
    transform = Affine(res, 0, 179.8, 0, -res, -43.8)
    path = write(tmp_path / "dsm.tif", crs, transform, surface(lon, lat).astype(np.float32))
    grid = Grid(CRS.from_epsg(32701), Affine(100, 0, 250_000, 0, -100, 5.13e6), (40, 200))
    x, y = np.meshgrid(250_050 + 100 * np.arange(200), 5.12995e6 - 100 * np.arange(40))
    expected = surface(*Transformer.from_crs(grid.crs, crs, always_xy=True).transform(x, y))
    with open_on_grid(path, grid, indexes=(1,), resampling=Resampling.bilinear) as reader:
        values = reader.read(grid.window)[0]
    assert np.isfinite(values).all()
    assert np.abs(values - expected).max() < 1e-3


def test_masks_are_continued_too(tmp_path: Path) -> None:
    values = np.full((6, 3600), 7, np.uint8)
    path = write(tmp_path / "world.tif", DEGREES, Affine(0.1, 0, -180, 0, -0.1, -16.7), values)
    mask = np.full((6, 3600), 255, np.uint8)
    mask[:, :1] = 0
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), rasterio.open(path, "r+") as dst:
        dst.write_mask(mask)
    grid = Grid(DEGREES, Affine(0.1, 0, 179.8, 0, -0.1, -16.8), (3, 4))
    with open_on_grid(path, grid, indexes=(1,), resampling=Resampling.nearest) as reader:
        assert np.array_equal(np.isnan(reader.read(grid.window)[0]), np.tile([False, False, True, False], (3, 1)))


def test_bounds_across_the_meridian() -> None:
    left, _, right, _ = bounds_on(UTM_1, ACROSS)
    assert 179.8 < left < 180 < right < 180.3
    left, _, right, _ = bounds_on(UTM_1, ACROSS_WEST)
    assert -180.2 < left < -180 < right < -179.7
    assert bounds_on(WEST, Grid(DEGREES, Affine(1, 0, 0, 0, -1, 90), (180, 360))).left == pytest.approx(259.9)


def write_classes(path: Path, geometries: list[Any], crs: str | CRS) -> Path:
    return write_vector(path, geometries, crs=crs, **{"class": range(1, len(geometries) + 1)})


def test_labels_and_areas_are_moved_to_the_image_by_full_turns(tmp_path: Path) -> None:
    def box(west: float, east: float) -> Any:
        return shapely.box(west, -17.05, east, -16.95)

    cut = shapely.MultiPolygon([box(179.95, 180), box(-180, -179.95)])
    expected = {(row, col) for row in range(25, 75) for col in range(25, 75)}
    for grid in (ACROSS, ACROSS_WEST):
        whole = [box(179.95, 180.05)], [box(-180.05, -179.95)], [cut], [box(179.95, 180), box(-180, -179.95)]
        for number, geometries in enumerate(whole):
            path = write_classes(tmp_path / f"{number}.gpkg", geometries, "EPSG:4326")
            labels = read_labels(path, grid)
            assert set(zip(labels.rows.tolist(), labels.cols.tolist(), strict=True)) == expected
            area = read_area(grid, src_path=path)
            assert area is not None
            assert area.window.flatten() == (25, 25, 50, 50)
            assert area.mask(area.window).all()
        points = [shapely.Point(180.0012, -16.95), shapely.Point(-179.9988, -16.97), shapely.Point(179.999, -17)]
        labels = read_labels(write_classes(tmp_path / "points.gpkg", points, "EPSG:4326"), grid)
        assert labels.cols.tolist() == [50, 50, 49]
        assert (
            read_area(grid, src_path=write_classes(tmp_path / "world.gpkg", [box(-180, 180)], "EPSG:4326")) is not None
        )
        world = read_labels(tmp_path / "world.gpkg", grid)
        assert len(world) == 50 * 100


def test_labels_in_metres_across_the_meridian(tmp_path: Path) -> None:
    square = shapely.box(174_000 + 4500, -1.885e6, 174_000 + 15_000, -1.875e6)
    hole = shapely.Polygon(square.exterior, [shapely.box(181_000, -1.881e6, 184_000, -1.879e6).exterior])
    path = write_classes(tmp_path / "labels.gpkg", [hole], UTM_1.crs)
    world = shapely.box(-2.003e7, -1.93e6, 2.003e7, -1.92e6)  # but 7 km on both sides
    wide = write_classes(tmp_path / "wide.gpkg", [world], CRS.from_epsg(3857))
    for grid in (ACROSS, ACROSS_WEST):
        labels = read_labels(path, grid)
        lon, lat = degrees_of(grid)
        x, y = Transformer.from_crs(DEGREES, UTM_1.crs, always_xy=True).transform(lon, lat)
        expected = shapely.contains_xy(hole, x, y)
        found = np.zeros(grid.shape, dtype=bool)
        found[labels.rows, labels.cols] = True
        assert found.any()
        assert (found != expected).sum() <= 2, "but for pixels whose centres lie on the border"
        labels = read_labels(wide, grid)
        assert set(np.unique(labels.cols)) == set(range(16)) | set(range(84, 100)), "all but 7 km on either side"


def test_footprints_of_longitudes_beyond_180_are_cut() -> None:
    for grid in (ACROSS, ACROSS_WEST):
        footprint = grid.footprint()
        assert footprint is not None
        parts = shapely.get_parts(shapely.geometry.shape(footprint))
        assert sorted(part.bounds[0] for part in parts) == pytest.approx([-180, 179.9])
        assert sorted(part.bounds[2] for part in parts) == pytest.approx([-179.9, 180])
        assert sum(part.area for part in parts) == pytest.approx(0.04)
    beyond = Grid(DEGREES, Affine(0.1, 0, 259, 0, -0.1, 50), (20, 30)).footprint()
    assert shapely.geometry.shape(beyond).bounds == pytest.approx((-101, 48, -98, 50))
