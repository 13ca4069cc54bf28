"""Areas and perimeters on the ellipsoid: of polygons, of pixels, and of both together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import geopandas
import numpy as np
import pytest
import shapely
from affine import Affine
from pyproj import CRS as ProjCRS
from pyproj import Geod, Transformer
from rasterio.crs import CRS
from rasterio.windows import Window

from s2fin_cli.core.classes import make_classes
from s2fin_cli.geo.grid import Grid
from s2fin_cli.raster.class_map import create_class_map
from s2fin_cli.raster.strips import iter_strips
from s2fin_cli.raster.tally import tally_classes
from s2fin_cli.vector.polygons import map_regions, write_polygons

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

SEED = 3
WEB_MERCATOR = Grid(CRS.from_epsg(3857), Affine(300, 0, 1e6, 0, -300, 8.4e6), (60, 70))
GRIDS = {
    "Web Mercator at 60 N": WEB_MERCATOR,
    "UTM": Grid(CRS.from_epsg(32633), Affine(300, 0, 300_000, 0, -300, 6.6e6), (60, 70)),
    "south-up UTM": Grid(CRS.from_epsg(32633), Affine(300, 0, 300_000, 0, 300, 6.6e6), (60, 70)),
    "rotated UTM": Grid(
        CRS.from_epsg(32633),
        Affine.translation(3e5, 6.6e6) * Affine.rotation(30) * Affine.scale(300, -300),
        (60, 70),
    ),
    "UTM across the 180th meridian": Grid(CRS.from_epsg(32601), Affine(300, 0, 170_000, 0, -300, -1.88e6), (60, 70)),
    "polar stereographic around the pole": Grid(
        CRS.from_epsg(3995), Affine(5000, 0, -175_000, 0, -5000, 150_000), (60, 70)
    ),
    "feet": Grid(CRS.from_epsg(2263), Affine(900, 0, 980_000, 0, -900, 250_000), (60, 70)),
    "compound": Grid(CRS.from_user_input("EPSG:25832+5783"), Affine(300, 0, 3e5, 0, -300, 5.6e6), (60, 70)),
    "rotated pole on an ellipsoid": Grid(
        CRS.from_string(
            "+proj=ob_tran +o_proj=longlat +o_lon_p=0 +o_lat_p=39.25 +lon_0=18 +ellps=WGS84 "
            "+to_meter=0.0174532925199433 +type=crs"
        ),
        Affine(0.01, 0, -5, 0, -0.01, 5),
        (60, 70),
    ),
}


def shapes(grid: Grid) -> list[Any]:
    """The whole grid, a thin strip, an oblique polygon with a hole, and one of two parts, in the grid's CRS."""
    w, h = grid.width, grid.height

    def placed(*places: tuple[float, float]) -> list[Any]:
        return [grid.transform * place for place in places]

    strip = shapely.Polygon(placed((0, 0), (w, 0), (w, 1), (0, 1)))
    oblique = shapely.Polygon(
        placed((1, 1), (w - 1, 0.3 * h), (0.4 * w, h - 1)),
        [placed((0.3 * w, 0.2 * h + 2), (0.6 * w, 0.4 * h), (0.5 * w, 0.5 * h))],
    )
    parts = [shapely.Polygon(placed((c, 9), (c + 5, 9), (c + 5, 15), (c, 15))) for c in (2, 30)]
    return [shapely.Polygon(placed((0, 0), (w, 0), (w, h), (0, h))), strip, oblique, shapely.MultiPolygon(parts)]


def on_the_ellipsoid(grid: Grid, geometry: Any) -> tuple[float, float]:
    """Area and perimeter by geographiclib, of the polygon with a vertex every fifth of a pixel."""
    assert grid.crs is not None
    crs: Any = ProjCRS.from_user_input(grid.crs.to_wkt())
    crs = crs.sub_crs_list[0] if crs.is_compound else crs
    base = crs.source_crs if crs.is_derived else crs.geodetic_crs
    to_degrees = Transformer.from_crs(crs, base, always_xy=True).transform
    geod = Geod(a=base.ellipsoid.semi_major_metre, b=base.ellipsoid.semi_minor_metre)
    area = perimeter = 0.0
    for part in shapely.get_parts(shapely.segmentize(geometry, min(grid.res) / 5)):
        for sign, ring in zip([1] + [-1] * len(part.interiors), (part.exterior, *part.interiors), strict=True):
            lon, lat = to_degrees(*shapely.get_coordinates(ring).T)
            within, around = geod.polygon_area_perimeter(lon[:-1], lat[:-1])
            area, perimeter = area + sign * abs(within), perimeter + around
    return area, perimeter


@pytest.mark.parametrize("grid", GRIDS.values(), ids=GRIDS)
def test_polygons_are_measured_on_the_ellipsoid(grid: Grid) -> None:
    polygons = shapes(grid)
    areas, perimeters = grid.measure(polygons)
    expected = np.array([on_the_ellipsoid(grid, polygon) for polygon in polygons])
    np.testing.assert_allclose(areas, expected[:, 0], rtol=1e-5)
    np.testing.assert_allclose(perimeters, expected[:, 1], rtol=1e-6)


@pytest.mark.parametrize("grid", GRIDS.values(), ids=GRIDS)
def test_pixels_add_up_to_what_they_make(grid: Grid) -> None:
    areas = grid.pixel_areas(grid.window)
    assert areas.shape == grid.shape
    whole, strip, *_ = grid.measure(shapes(grid))[0]
    assert areas.sum() == pytest.approx(whole, rel=1e-7)
    assert areas[0].sum() == pytest.approx(strip, rel=1e-7)
    assert grid.pixel_areas(Window(9, 5, 4, 3)) == pytest.approx(areas[5:8, 9:13], rel=1e-12)
    assert grid.crop(Window(9, 5, 4, 3)).pixel_areas(Window(0, 0, 4, 3)) == pytest.approx(areas[5:8, 9:13], rel=1e-8)
    assert grid.metres**2 == pytest.approx(areas[30, 35], rel=1e-12)


def test_web_mercator_at_60_degrees_is_a_quarter() -> None:
    areas = WEB_MERCATOR.pixel_areas(WEB_MERCATOR.window)
    assert 0.249 < areas.mean() / 300**2 < 0.252
    assert areas[0, 0] < areas[-1, 0], "smaller in the north"


@pytest.mark.parametrize("code", ["EPSG:3035", "EPSG:5070", "+proj=sinu +R=6371007.181 +units=m +type=crs"])
def test_projections_that_keep_areas_stay_planar(code: str) -> None:
    grid = Grid(CRS.from_user_input(code), Affine(30, 0, 1e6, 0, -30, 2.2e6), (50, 60))
    polygons = shapes(grid)
    areas, perimeters = grid.measure(polygons)
    assert np.array_equal(areas, shapely.area(polygons))
    assert np.array_equal(perimeters, shapely.length(polygons))
    assert grid.pixel_areas(grid.window).tolist() == [[900.0]]


def test_an_engineering_crs_is_a_plane_in_its_unit() -> None:
    for unit, factor in (('"metre",1', 1.0), ('"foot",0.3048', 0.3048), ('"degree",0.0174532925199433', np.nan)):
        grid = Grid(CRS.from_wkt(f'LOCAL_CS["site",UNIT[{unit}]]'), Affine(2, 0, 5, 0, -2, 9), (5, 6))
        areas, perimeters = grid.measure([shapely.box(5, 3, 9, 9)])
        assert areas == pytest.approx([24 * factor**2], nan_ok=True)
        assert perimeters == pytest.approx([20 * factor], nan_ok=True)
        assert grid.pixel_areas(grid.window)[0] == pytest.approx([4 * factor**2], nan_ok=True)


def test_a_grid_that_reaches_beyond_its_projection() -> None:
    """A geostationary satellite's disc: corners in space, pixels that grow without bound towards its edge."""
    crs = CRS.from_string("+proj=geos +h=35785831 +lon_0=0 +ellps=WGS84 +sweep=y +type=crs")
    grid = Grid(crs, Affine(100_000, 0, -5.5e6, 0, -100_000, 5.5e6), (110, 110))
    areas = grid.pixel_areas(grid.window)
    assert areas[0, 0] == 0
    assert areas[55, 55] == pytest.approx(1e10, rel=0.01)
    inside = shapely.box(-2.5e6, -2e6, 3e6, 1.5e6)
    (area, outside), (perimeter, _) = grid.measure([inside, shapely.box(-5.5e6, -5.5e6, -5e6, -5e6)])
    assert np.isnan(outside)
    expected = on_the_ellipsoid(Grid(crs, Affine.scale(50_000), (1, 1)), inside)
    assert (area, perimeter) == pytest.approx(expected, rel=1e-4)
    assert areas[40:75, 30:85].sum() == pytest.approx(area, rel=1e-3)


def blobs(shape: tuple[int, int]) -> NDArray[np.uint8]:
    coarse = np.random.default_rng(SEED).integers(1, 4, (shape[0] // 5, shape[1] // 5))
    return np.kron(coarse, np.ones((5, 5))).astype(np.uint8)


@pytest.mark.parametrize("name", ["Web Mercator at 60 N", "UTM", "polar stereographic around the pole", "feet"])
def test_polygons_and_attribute_table_agree(tmp_path: Path, name: str) -> None:
    grid, classes = GRIDS[name], make_classes({1: "a", 2: "b", 3: "c"})
    path, values = tmp_path / "map.tif", blobs(GRIDS[name].shape)
    with create_class_map(path, grid, classes) as dst:
        dst.write(values[None], grid.window)
    regions = map_regions(iter_strips(path, None), grid, nodata=0)
    write_polygons(tmp_path / "map.gpkg", regions, grid=grid, classes=classes)
    frame = geopandas.read_file(tmp_path / "map.gpkg", layer="landcover")
    of_polygons = frame.groupby("class_id").area_m2.sum()
    root = ET.parse(tmp_path / "map.tif.aux.xml").getroot()  # noqa: S314  written a line above
    table = {int(row[0].text or 0): float(row[7].text or "nan") for row in root.iter("Row")}
    pixels, areas = tally_classes(path, grid)
    for c in classes:
        assert table[c.id] == pytest.approx(of_polygons[c.id], rel=1e-6)
        assert areas[c.id] == pytest.approx(table[c.id], rel=1e-9)
        assert pixels[c.id] == (values == c.id).sum()
        parts = frame[frame.class_id == c.id]
        assert of_polygons[c.id] == pytest.approx(
            sum(on_the_ellipsoid(grid, polygon)[0] for polygon in parts.geometry), rel=1e-5
        )
