"""Small views of images and maps, and which bands of an image make a picture."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from rasterio.enums import ColorInterp, Resampling
from rasterio.windows import Window

from s2fin_cli.core.classes import NO_CLASS
from s2fin_cli.core.errors import GeoreferencingError
from s2fin_cli.geo.grid import Grid
from s2fin_cli.raster.info import read_info
from s2fin_cli.reporting.pictures import Pictures
from s2fin_cli.stack.display import EMPTY, display_bands, stretched
from s2fin_cli.stack.layer import Layer
from s2fin_cli.stack.preview import aspect, view_classes, view_grid, view_layer, view_values
from tests.files import CRS_CODE, TRANSFORM, write_raster


def test_a_view_keeps_the_place_and_is_as_small_as_wanted() -> None:
    grid = Grid(None, TRANSFORM, (300, 1000))
    view = view_grid(grid, most=100)
    assert view.shape == (30, 100)
    assert view.bounds == pytest.approx(grid.bounds)
    assert view_grid(grid) == grid


def test_values_are_averaged_and_classes_are_the_most_frequent(tmp_path: Path) -> None:
    values = np.random.default_rng(0).random((2, 40, 60)).astype(np.float32)
    values[:, :8, :8] = -1
    path = write_raster(tmp_path / "a.tif", values, nodata=-1)
    view = view_grid(read_info(path).grid, most=15)
    found = view_values(path, view, [2])
    assert found.shape == (1, 10, 15)
    expected = values[1].reshape(10, 4, 15, 4).mean(axis=(1, 3))
    assert np.isnan(found[0, :2, :2]).all()
    np.testing.assert_allclose(found[0, 3:], expected[3:], atol=1e-5)
    classes = np.kron(np.array([[1, 2], [3, 0]]), np.ones((20, 30), int)).astype(np.uint8)
    classes[::5, ::7] = 2
    ids = view_classes(write_raster(tmp_path / "c.tif", classes, nodata=0), view)
    assert ids[2, 3] == 1
    assert ids[2, 11] == 2
    assert ids[8, 2] == 3
    assert ids[9, 14] == NO_CLASS


def test_scales_and_overviews_are_used(tmp_path: Path) -> None:
    path = write_raster(tmp_path / "a.tif", np.full((64, 64), 40, np.uint8))
    with rasterio.open(path, "r+") as dst:
        dst.scales, dst.offsets = (0.5,), (1.0,)
        dst.build_overviews([2, 4], Resampling.average)
    assert (
        view_values(path, view_grid(read_info(path).grid, most=16), [1]).tolist() == np.full((1, 16, 16), 21.0).tolist()
    )


@pytest.mark.parametrize("cols", [0, -10])
def test_a_layer_is_seen_on_any_grid_as_a_stack_reads_it(tmp_path: Path, cols: int) -> None:
    heights = np.full((1, 30, 30), 100, np.float32)
    heights[:, :10] = -9999
    path = write_raster(tmp_path / "a.tif", heights)
    with rasterio.open(path, "r+") as dst:
        dst.scales, dst.offsets, dst.units = (0.5,), (10.0,), ("ft",)
    grid = read_info(path).grid
    view = grid.moved(cols, 0)  # beyond the left edge, it is warped
    layer = Layer.of("lidar", [read_info(path)])
    empty = np.zeros((30, 30), dtype=bool)
    empty[:10] = empty[:, :-cols] = True
    for marked in (replace(layer, nodata=-9999), replace(layer, fill=-9999)):
        expected = np.where(empty, np.nan, 60 * 0.3048)
        np.testing.assert_allclose(view_layer(marked, (1,), view)[0], expected, rtol=1e-6)
    assert view_layer(replace(layer, as_stored=True), (1,), view)[0, -1, -1] == 100
    assert view_values(path, view, [1])[0, -1, -1] == 60


def test_undeclared_nodata_is_not_mixed_with_values(tmp_path: Path) -> None:
    values = np.where(np.random.default_rng(0).random((1, 60, 60)) < 0.3, -9999, 5).astype(np.float32)
    path = write_raster(tmp_path / "a.tif", values)
    layer = Layer.of("lidar", [read_info(path)])
    view = view_grid(read_info(path).grid, most=20)
    for marked in (replace(layer, nodata=-9999), replace(layer, fill=-9999)):
        found = view_layer(marked, (1,), view)
        assert np.unique(found[np.isfinite(found)]).tolist() == [5]
        assert np.isnan(found).any()


def test_a_part_of_an_image_is_seen_on_the_grid_of_the_part(tmp_path: Path) -> None:
    values = np.arange(40 * 60, dtype=np.float32).reshape(40, 60)
    for crs in (CRS_CODE, None):
        path = write_raster(tmp_path / "a.tif", values, crs=crs)
        part = read_info(path).grid.crop(Window(10, 20, 30, 16))
        np.testing.assert_array_equal(view_values(path, part, [1])[0], values[20:36, 10:40])


def test_an_image_on_another_grid_is_warped_or_refused(tmp_path: Path) -> None:
    values = np.kron(np.arange(12, dtype=np.float32).reshape(3, 4), np.ones((10, 10), np.float32))
    path = write_raster(tmp_path / "a.tif", values)
    other = Grid(read_info(path).grid.crs, TRANSFORM * Affine.translation(-20, 0) * Affine.scale(4.5), (6, 12))
    found = view_values(path, other, [1])[0]
    assert np.isnan(found[:, :4]).all()
    assert np.isfinite(found[:, 5:]).all()
    assert found[1, 6] == pytest.approx(0, abs=0.5)
    with pytest.raises(GeoreferencingError, match="cannot be warped"):
        view_values(path, Grid(None, other.transform, other.shape), [1])


def test_bands_of_several_files_are_seen_in_their_order(tmp_path: Path) -> None:
    first = write_raster(tmp_path / "a.tif", np.stack([np.full((4, 4), v, np.float32) for v in (1, 2)]))
    second = write_raster(tmp_path / "b.tif", np.full((2, 2), 3, np.float32), transform=TRANSFORM * Affine.scale(2))
    layer = Layer.of("msi", [read_info(first), read_info(second)])
    found = view_layer(layer, (3, 1, 2), read_info(first).grid)
    assert found[:, 1, 1].tolist() == [3, 1, 2]


def make_layer(tmp_path: Path, count: int, **tags: list[str]) -> Layer:
    path = write_raster(tmp_path / "image.tif", np.zeros((count, 3, 3), np.float32), photometric=None)
    with rasterio.open(path, "r+") as dst:
        for name, values in tags.items():
            for index, value in enumerate(values, start=1):
                if name == "names":
                    dst.set_band_description(index, value)
                elif name == "colors":
                    dst.colorinterp = [ColorInterp[color] for color in values]
                else:
                    dst.update_tags(index, **{name: value})
    return Layer.of("msi", [read_info(path)])


def test_colours_wavelengths_and_names_decide_the_picture(tmp_path: Path) -> None:
    assert display_bands(make_layer(tmp_path, 4, colors=["blue", "green", "red", "undefined"])).numbers == (3, 2, 1)
    near = ["440", "485", "555", "650", "660", "830"]
    found = display_bands(make_layer(tmp_path, 6, wavelength=near))
    assert (found.numbers, found.caption) == (
        (5, 3, 2), "true colour: bands 5 (660 nm), 3 (555 nm), 2 (485 nm) as red, green and blue",
    )  # fmt: skip
    without_blue = display_bands(make_layer(tmp_path, 4, wavelength=["560", "650", "840", "1600"]))
    assert without_blue.numbers == (3, 2, 1)
    assert without_blue.caption.startswith("false colour (near infrared, red, green)")
    sentinel = [f"B{i:02d}" for i in range(1, 9)] + ["B8A", "B09", "B11", "B12"]
    assert display_bands(make_layer(tmp_path, 12, names=sentinel)).numbers == (4, 3, 2)
    unknown = display_bands(make_layer(tmp_path, 6))
    assert (unknown.numbers, unknown.caption) == ((3, 2, 1), "bands 3, 2, 1 as red, green and blue")
    assert display_bands(make_layer(tmp_path, 2)).numbers == (1,)
    assert display_bands(make_layer(tmp_path, 200)).numbers == (31, 21, 11)


def test_a_stretch_goes_from_percentile_to_percentile_of_what_is_mapped() -> None:
    values = np.linspace(0, 100, 101, dtype=np.float32).reshape(1, 1, 101)
    values[0, 0, 50] = np.nan
    whole = stretched(values)
    found = whole.pixels[0, 0]
    ((low, high),) = whole.ranges  # type: ignore[misc]
    assert (low, high) == pytest.approx((2, 98), abs=0.2)
    assert found[50] == EMPTY
    assert (found[0], found[1], found[100]) == (0, 0, 255)
    assert found[49] < 128 < found[52]
    valid = (np.arange(101) < 20)[None]
    part = stretched(values, valid).pixels[0, 0]
    assert part[19] == 255
    assert (part[20:] == EMPTY).all()
    nothing = stretched(np.full((1, 2, 2), np.nan, np.float32))
    assert (nothing.pixels == EMPTY).all()
    assert nothing.ranges == (None,)


def test_drawings_have_the_measures_of_the_ground() -> None:
    flat = Grid(read_crs(CRS_CODE), TRANSFORM, (100, 200))
    drawn = Pictures.on(flat, ())
    assert drawn.size == (1000, 500)
    assert drawn.metres == pytest.approx(2000, rel=1e-3)
    assert drawn.north == 0
    turned = Pictures.on(Grid(flat.crs, TRANSFORM * Affine.rotation(30), (100, 200)), ())
    assert turned.north == pytest.approx(-30), "upwards is to the north-east"
    degrees = Grid(read_crs("EPSG:4326"), Affine(0.01, 0, 10, 0, -0.01, 60.5), (100, 100))
    assert aspect(degrees) == pytest.approx(0.5, abs=1e-3)
    assert Pictures.on(degrees, ()).size == pytest.approx((500, 1000), abs=1)
    nowhere = Pictures.on(Grid(None, Affine.identity(), (10, 20)), ())
    assert (nowhere.metres, nowhere.north, nowhere.size) == (None, None, (1000, 500))


def read_crs(code: str) -> rasterio.CRS:
    return rasterio.CRS.from_user_input(code)
