"""Longitudes that begin elsewhere: images, labels and areas across the 180th meridian."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import rasterio
import shapely
from affine import Affine
from pyproj import Transformer
from rasterio.crs import CRS
from rasterio.enums import Resampling

from s2fin_cli.geo.extents import bounds_on, share_covered
from s2fin_cli.geo.grid import Grid
from s2fin_cli.labels.read import read_labels
from s2fin_cli.raster.warp import open_on_grid
from s2fin_cli.vector.read_area import read_area
from tests.files import write_vector
from tests.geo.placed import DEGREES, write
from tests.rectangles import centres

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray


def surface(lon: NDArray[np.float64], lat: NDArray[np.float64]) -> NDArray[np.float64]:
    """Made heights, the same after a full turn."""
    return np.asarray(100 + 50 * np.sin(np.radians(lon) * 40) + lat)


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
    x, y = centres(grid)
    assert grid.crs is not None
    return (x, y) if grid.crs == DEGREES else Transformer.from_crs(grid.crs, DEGREES, always_xy=True).transform(x, y)


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
