"""The stack: several rasters on one grid, read by window, mirrored beyond the edge, checked before anything is read."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import rasterio
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.control import GroundControlPoint
from rasterio.enums import Resampling
from rasterio.env import get_gdal_config
from rasterio.windows import Window

from s2fin_cli.core.errors import GeoreferencingError, RasterError
from s2fin_cli.core.modality import MODALITIES
from s2fin_cli.raster.opening import LEAST_CACHE
from s2fin_cli.stack.assembly import build_stack
from s2fin_cli.stack.stack import Stack
from tests.files import write_raster

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray


CORNER = Affine(10, 0, 500_000, 0, -10, 5_000_000)


def random_values(bands: int, height: int = 40, width: int = 50) -> NDArray[Any]:
    return np.random.default_rng(bands).random((bands, height, width)).astype("float32")


@pytest.fixture
def image(tmp_path: Path) -> Path:
    return write_raster(tmp_path / "image.tif", random_values(3))


def stack_of(**src_paths: Path) -> Stack:
    return build_stack({modality: [str(path)] for modality, path in src_paths.items()})


def read(stack: Stack, window: Window | None = None, *, halo: int = 0) -> tuple[NDArray[Any], NDArray[Any] | None]:
    with stack.open() as opened:
        tile = opened.read(stack.grid.window if window is None else window, halo=halo)
    return tile.images


def test_scattered_windows_come_in_their_order(tmp_path: Path) -> None:
    values, heights = random_values(3, 64, 64), random_values(1, 64, 64)
    image, lidar = write_raster(tmp_path / "a.tif", values), write_raster(tmp_path / "b.tif", heights)
    windows = [Window(col, row, 7, 5) for row in range(0, 59, 5) for col in (50, 0, 20)]
    tiles = stack_of(hsi=image, lidar=lidar).read_scattered(windows, lambda tile: tile)
    for window, tile in zip(windows, tiles, strict=True):
        assert np.array_equal(tile.images.image, values[:, *window.toslices()])
        assert tile.images.aux is not None
        assert np.array_equal(tile.images.aux, heights[:, *window.toslices()])


def test_a_broken_file_is_told_of_wherever_its_windows_are_read(tmp_path: Path) -> None:
    path = write_raster(tmp_path / "a.tif", random_values(3, 256, 256))
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size // 2)
    windows = [Window(0, row, 16, 16) for row in range(0, 240, 16)]
    with pytest.raises(RasterError, match="is the file whole"):
        stack_of(hsi=path).read_scattered(windows, lambda tile: tile)


def test_gdal_keeps_the_blocks_of_a_row_of_tiles_whatever_the_height(image: Path) -> None:
    """rasterio takes the number for bytes: one meant in MiB would keep nothing, and each window decode all anew."""
    stack = stack_of(hsi=image)
    with stack.open():
        assert get_gdal_config("GDAL_CACHEMAX") == LEAST_CACHE == 16 << 20
    (info,) = stack.image.rasters
    bands = tuple(range(1, 27))
    for shape, rows, expected in (
        ((1000, 1000), 354, 768 * 1024 * 26 * 4), ((9000, 1000), 354, 768 * 1024 * 26 * 4),
        ((9000, 1000), 674, 1024 * 1024 * 26 * 4), ((9000, 9000), 354, 256 << 20),
    ):  # fmt: skip
        large = replace(info, grid=replace(info.grid, shape=shape), block_shape=(256, 256), indexes=bands)
        assert replace(stack, image=replace(stack.image, rasters=(large,)))._cache(rows, 256 << 20) == expected


def test_the_second_image_comes_onto_the_passive_images_grid(tmp_path: Path, image: Path) -> None:
    fine = random_values(1, 80, 100)
    lidar = write_raster(tmp_path / "lidar.tif", fine, transform=CORNER @ Affine.scale(0.5))
    values, aux = read(stack_of(hsi=image, lidar=lidar))
    assert np.array_equal(values, random_values(3))
    assert aux is not None
    np.testing.assert_allclose(aux[0], fine[0].reshape(40, 2, 50, 2).mean(axis=(1, 3)), rtol=1e-5)


def test_modalities_are_in_a_fixed_order(tmp_path: Path) -> None:
    paths = {
        name: write_raster(tmp_path / f"{name}.tif", np.full((1, 4, 5), number, dtype="float32"))
        for number, name in enumerate(MODALITIES)
    }
    for names in (list(paths), list(paths)[::-1]):
        stack = stack_of(**{name: paths[name] for name in names})
        assert [layer.modality for layer in stack.layers] == ["hsi", "msi", "lidar", "dsm", "sar", "thermal"]
        values, aux = read(stack)
        assert values[:, 0, 0].tolist() == [0]
        assert aux is not None
        assert aux[:, 0, 0].tolist() == [1, 2, 3, 4, 5]
    assert stack_of(sar=paths["sar"], msi=paths["msi"]).image.modality == "msi"
    assert stack_of(msi=paths["msi"]).aux == ()


def test_a_pixel_is_valid_where_every_band_of_every_image_has_data(tmp_path: Path) -> None:
    values, heights = random_values(3), random_values(1)
    values[1, 0, 0] = np.nan
    heights[0, 5, 6] = -9999
    image = write_raster(tmp_path / "a.tif", values)
    stack = stack_of(hsi=image, dsm=write_raster(tmp_path / "b.tif", heights, nodata=-9999))
    with stack.open() as opened:
        valid = opened.read(stack.grid.window).valid
    expected = np.ones((40, 50), dtype=bool)
    expected[0, 0] = expected[5, 6] = False
    assert np.array_equal(valid, expected)


@pytest.fixture(scope="module")
def stacks(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[int, int], tuple[Stack, NDArray[Any], NDArray[Any]]]:
    """Stacks by shape, one-pixel strips too, with all that they hold."""
    folder = tmp_path_factory.mktemp("stacks")
    result = {}
    for height, width in ((1, 1), (1, 9), (8, 1), (3, 4), (30, 23)):
        image = write_raster(folder / f"image_{height}_{width}.tif", random_values(2, height, width))
        finer = random_values(1, 3 * height + 20, 4 * width + 20)
        corner = CORNER @ Affine.scale(0.4) @ Affine.translation(-3.3, -2.1)
        stack = stack_of(hsi=image, sar=write_raster(folder / f"sar_{height}_{width}.tif", finer, transform=corner))
        whole, whole_aux = read(stack)
        assert whole_aux is not None
        result[height, width] = (stack, whole, whole_aux)
    return result


@given(data=st.data(), halo=st.integers(0, 12))
@settings(max_examples=60)
def test_what_is_read_does_not_depend_on_the_window(
    stacks: dict[tuple[int, int], tuple[Stack, NDArray[Any], NDArray[Any]]], data: st.DataObject, halo: int
) -> None:
    height, width = data.draw(st.sampled_from(sorted(stacks)))
    row_off, col_off = data.draw(st.integers(0, height - 1)), data.draw(st.integers(0, width - 1))
    window_height = data.draw(st.integers(1, height - row_off))
    window_width = data.draw(st.integers(1, width - col_off))
    stack, *whole = stacks[height, width]
    parts = read(stack, Window(col_off, row_off, window_width, window_height), halo=halo)
    for part, values in zip(parts, whole, strict=True):
        assert part is not None
        mirrored = np.pad(values, ((0, 0), (halo, halo), (halo, halo)), mode="symmetric")
        rows, cols = (
            slice(row_off, row_off + window_height + 2 * halo),
            slice(col_off, col_off + window_width + 2 * halo),
        )
        np.testing.assert_allclose(part, mirrored[:, rows, cols], rtol=1e-5)


def test_a_south_up_image_keeps_its_grid(tmp_path: Path) -> None:
    south_up = Affine(10, 0, 500_000, 0, 10, 4_999_600)
    image = write_raster(tmp_path / "a.tif", random_values(2)[:, ::-1], transform=south_up)
    stack = stack_of(msi=image, sar=write_raster(tmp_path / "b.tif", random_values(1)))
    assert stack.grid.transform == south_up
    values, aux = read(stack)
    assert np.array_equal(values[:, ::-1], random_values(2))
    assert aux is not None
    assert np.array_equal(aux[:, ::-1], random_values(1))


def test_the_method_of_the_warp_can_be_chosen(tmp_path: Path, image: Path) -> None:
    ids = np.random.default_rng(0).integers(0, 2, (1, 80, 100)).astype("uint8") * 100
    lidar = write_raster(tmp_path / "lidar.tif", ids, transform=CORNER @ Affine.scale(0.5))
    stack = build_stack({"hsi": [str(image)], "lidar": [str(lidar)]}, resampling=Resampling.nearest)
    _, aux = read(stack)
    assert set(np.unique(np.asarray(aux))) == {0, 100}


def test_no_passive_image(image: Path) -> None:
    with pytest.raises(RasterError, match="name it with `hsi` or `msi`"):
        stack_of(sar=image)


def test_a_rotated_image_is_refused_with_a_remedy(tmp_path: Path) -> None:
    rotated = write_raster(tmp_path / "a.tif", random_values(1), transform=CORNER @ Affine.rotation(30))
    with pytest.raises(GeoreferencingError, match=r"`hsi` .*a\.tif has a rotated grid \(a=8\.66.*gdalwarp"):
        stack_of(hsi=rotated)


def test_a_rotated_second_image_is_warped(tmp_path: Path, image: Path) -> None:
    rotated = CORNER @ Affine.translation(-20, 10) @ Affine.rotation(-20)
    rows, cols = np.indices((90, 90)) + 0.5
    _, ys = rotated @ (cols, rows)
    sar = write_raster(tmp_path / "sar.tif", ys[None], transform=rotated)
    _, aux = read(stack_of(hsi=image, sar=sar))
    assert aux is not None
    expected = 5_000_000 - 10 * (np.arange(40) + 0.5)
    inside = np.isfinite(aux[0])
    assert inside.mean() > 0.9
    error = np.abs(aux[0] - expected[:, None])[inside]
    assert (error < 1).mean() > 0.99  # less exact at the rotated edge, where the kernel is cut
    assert error.max() < 10


@pytest.mark.parametrize("role", ["hsi", "sar"])
def test_ground_control_points_alone_are_refused(tmp_path: Path, image: Path, role: str) -> None:
    corners = [(0, 0), (0, 50), (40, 0), (40, 50)]
    gcps = [GroundControlPoint(r, c, 500_000 + 10 * c, 5_000_000 - 10 * r) for r, c in corners]
    path = write_raster(tmp_path / "raw.tif", random_values(1), gcps=gcps)
    with pytest.raises(GeoreferencingError, match=rf"`{role}` .*raw\.tif is placed by ground control points only"):
        stack_of(**{"msi": image, role: path})


def test_only_one_has_a_crs(tmp_path: Path, image: Path) -> None:
    bare = write_raster(tmp_path / "bare.tif", random_values(1), crs=None)
    with pytest.raises(GeoreferencingError, match=r"`sar` .*bare\.tif has no CRS but `hsi` .* has EPSG:32632.*-a_srs"):
        stack_of(hsi=image, sar=bare)
    with pytest.raises(GeoreferencingError, match=r"`hsi` .*bare\.tif has no CRS but `sar` .* has EPSG:32632"):
        stack_of(hsi=bare, sar=image)


def test_no_crs_at_all(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    first = write_raster(tmp_path / "a.tif", random_values(2), crs=None, transform=Affine.identity())
    second = write_raster(tmp_path / "b.tif", random_values(1), crs=None, transform=Affine.identity())
    with caplog.at_level(logging.WARNING):
        stack = stack_of(hsi=first, lidar=second)
    assert "a.tif has no CRS; the map will have none either" in caplog.text
    assert "b.tif has no CRS either; it is taken to match the image pixel by pixel" in caplog.text
    values, aux = read(stack, Window(3, 4, 5, 6))
    assert np.array_equal(values, random_values(2)[:, 4:10, 3:8])
    assert np.array_equal(np.asarray(aux), random_values(1)[:, 4:10, 3:8])


def test_no_crs_and_one_transform(tmp_path: Path) -> None:
    first = write_raster(tmp_path / "a.tif", random_values(2), crs=None, transform=Affine.identity())
    second = write_raster(tmp_path / "b.tif", random_values(1), crs=None)
    _, aux = read(stack_of(hsi=first, lidar=second))
    assert np.array_equal(np.asarray(aux), random_values(1))


def test_no_crs_and_other_sizes(tmp_path: Path) -> None:
    first = write_raster(tmp_path / "a.tif", random_values(2), crs=None)
    second = write_raster(tmp_path / "b.tif", random_values(1, 41, 50), crs=None)
    with pytest.raises(GeoreferencingError, match=r"their sizes differ \(50 x 40 and 50 x 41 px\)"):
        stack_of(hsi=first, lidar=second)


def test_no_crs_and_other_extents(tmp_path: Path) -> None:
    first = write_raster(tmp_path / "a.tif", random_values(2), crs=None)
    second = write_raster(tmp_path / "b.tif", random_values(1), crs=None, transform=CORNER @ Affine.translation(1, 0))
    with pytest.raises(GeoreferencingError, match=r"extents differ \(.*x 500000 to 500500.*x 500010 to 500510"):
        stack_of(hsi=first, lidar=second)


def test_no_overlap_names_both_extents(tmp_path: Path, image: Path) -> None:
    far = write_raster(tmp_path / "far.tif", random_values(1), transform=CORNER @ Affine.translation(1000, 0))
    with pytest.raises(
        GeoreferencingError,
        match=r"`sar` .*far\.tif does not overlap `hsi` .*x 510000 to 510500.*and the image x 500000 to 500500",
    ):
        stack_of(hsi=image, sar=far)


def test_no_overlap_in_another_crs(tmp_path: Path, image: Path) -> None:
    swapped = Affine(1e-4, 0, 45.15, 0, -1e-4, 9.0)  # latitude where longitude belongs
    far = write_raster(tmp_path / "far.tif", random_values(1), crs="EPSG:4326", transform=swapped)
    with pytest.raises(GeoreferencingError, match="does not overlap"):
        stack_of(hsi=image, sar=far)


def test_partial_overlap_is_told(tmp_path: Path, image: Path, caplog: pytest.LogCaptureFixture) -> None:
    half = write_raster(tmp_path / "half.tif", random_values(1), transform=CORNER @ Affine.translation(25, 0))
    with caplog.at_level(logging.WARNING):
        stack = stack_of(hsi=image, sar=half)
    assert "covers 50.0 % of `hsi`" in caplog.text
    _, aux = read(stack)
    assert np.array_equal(np.isnan(np.asarray(aux)[0]).any(axis=0), np.arange(50) < 25)


def test_real_scenes_go_together(real_scenes: Path) -> None:
    scene = real_scenes / "neon_sjer"  # heights at 1 m, shifted by parts of a pixel, against a coarser-named image
    stack = stack_of(hsi=scene / "sjer_hsi426.tif", lidar=scene / "SJER_052_CHM.tif")
    values, aux = read(stack, Window(0, 0, 20, 20))
    assert values.shape == (426, 20, 20)
    assert aux is not None
    assert aux.shape == (1, 20, 20)
    assert np.isfinite(aux[0, 5:15, 5:15]).all()
    scene = real_scenes / "olinda_landsat_dem"
    with (stack := stack_of(msi=scene / "L7_ETMs.tif", dsm=scene / "olinda_dem_utm25s.tif")).open() as opened:
        assert opened.read(stack.grid.window).valid.mean() > 0.99


@pytest.mark.parametrize("is_mask", [True, False])
def test_a_fourth_band_that_gdal_takes_for_alpha_is_warned_of_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, *, is_mask: bool
) -> None:
    values = np.random.default_rng(0).integers(1, 200, (4, 40, 50)).astype("uint8")
    if is_mask:
        values[3] = np.where(values[3] > 30, 255, 0)
    path = write_raster(tmp_path / "rgbn.tif", values, transform=CORNER, photometric=None)
    stack = stack_of(msi=path)
    read(stack)
    expected = (
        f"band 4 of {path} is marked as alpha and is taken as a mask; if it is data: "
        f"gdal_edit.py -colorinterp_4 undefined {path}"
        if is_mask
        else f"band 4 of {path} is marked as alpha and is used as data, as it holds too many values for a mask; "
        "to leave it out, choose the others with `bidx`"
    )
    assert stack.image.numbers == ((1, 2, 3) if is_mask else (1, 2, 3, 4))
    assert [record.getMessage() for record in caplog.records] == [expected]


def test_the_files_of_a_modality_are_read_as_one_image_on_the_finest_grid(tmp_path: Path) -> None:
    """Names with spaces and commas, another resolution, several bands in one of them."""
    coarse = random_values(1, 20, 25)
    first = write_raster(tmp_path / "2018, B01 (60 m).tif", coarse, transform=CORNER @ Affine.scale(2))
    second = write_raster(tmp_path / "2018, B02.tif", random_values(2))
    third = write_raster(tmp_path / "2018, B03.tif", random_values(1))
    stack = build_stack({"msi": [str(first), str(second), str(third)]})
    assert stack.grid.shape == (40, 50)
    assert stack.image.count == 4
    values, aux = read(stack)
    assert aux is None
    assert np.array_equal(values[1:3], random_values(2))
    assert np.array_equal(values[3], random_values(1)[0])
    np.testing.assert_allclose(values[0, 2:-2, 2:-2].mean(), coarse[0, 1:-1, 1:-1].mean(), rtol=0.05)
    chosen = build_stack({"msi": [str(first), str(second), str(third)]}, choice={"msi": [4, 2]})
    assert np.array_equal(read(chosen)[0], values[[3, 1]])
    assert chosen.image.describe_bands([2, 4]) == f"{second} band 1, {third}"
    # window by window it is the same
    part = read(stack, Window(7, 5, 11, 13))[0]
    np.testing.assert_allclose(part, values[:, 5:18, 7:18], rtol=1e-6)


def test_files_of_a_modality_must_go_together(tmp_path: Path) -> None:
    first = write_raster(tmp_path / "b1.tif", random_values(1))
    elsewhere = write_raster(tmp_path / "b2.tif", random_values(1), transform=CORNER @ Affine.translation(500, 0))
    bare = write_raster(tmp_path / "b3.tif", random_values(1), crs=None)
    with pytest.raises(GeoreferencingError, match=r"`msi` .*b2.tif does not overlap `msi` .*b1.tif"):
        build_stack({"msi": [str(first), str(elsewhere)]})
    with pytest.raises(GeoreferencingError, match=r"`msi` .*b3.tif has no CRS but `msi` .*b1.tif has EPSG:32632"):
        build_stack({"msi": [str(first), str(bare)]})
    with pytest.raises(RasterError, match=r"band 3 of `msi` .*b1.tif \(and 1 more\), which has 2"):
        build_stack({"msi": [str(first), str(first)]}, choice={"msi": [1, 3]})


def test_real_bands_in_files_with_awkward_names(real_scenes: Path) -> None:
    paths = sorted(str(path) for path in (real_scenes / "beaufort_s2").glob("*.tiff"))
    stack = build_stack({"msi": paths})
    assert stack.grid.shape == (2201, 2629)
    window = Window(1000, 900, 64, 32)
    values, _ = read(stack, window)
    for position, path in enumerate(paths):
        with rasterio.open(path) as src:
            assert np.array_equal(values[position], src.read(1, window=window))
