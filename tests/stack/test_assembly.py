"""Assembling a stack: what goes together, and what does not."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import numpy as np
import pytest
import rasterio
from affine import Affine
from rasterio.control import GroundControlPoint
from rasterio.enums import Resampling
from rasterio.windows import Window

from s2fin_cli.core.errors import GeoreferencingError, RasterError
from s2fin_cli.core.modality import MODALITIES
from s2fin_cli.stack.assembly import build_stack
from tests.files import write_raster
from tests.stack.images import CORNER, random_values, read, stack_of

if TYPE_CHECKING:
    from pathlib import Path


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
    with pytest.raises(GeoreferencingError, match=r"`sar` .*bare\.tif has no CRS but `hsi` .* has EPSG:32632.*--crs"):
        stack_of(hsi=image, sar=bare)
    with pytest.raises(GeoreferencingError, match=r"`hsi` .*bare\.tif has no CRS but `sar` .* has EPSG:32632"):
        stack_of(hsi=bare, sar=image)


def test_no_crs_at_all(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    first = write_raster(tmp_path / "a.tif", random_values(2), crs=None, transform=Affine.identity())
    second = write_raster(tmp_path / "b.tif", random_values(1), crs=None, transform=Affine.identity())
    with caplog.at_level(logging.WARNING):
        stack = stack_of(hsi=first, lidar=second)
    assert "a.tif has no CRS; outputs on its grid will have none either" in caplog.text
    assert "b.tif has no CRS either; it is assumed to match the image pixel by pixel" in caplog.text
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
        match=r"`sar` .*far\.tif does not overlap `hsi` .*x 510000 to 510500.*and the image x 500000 to 500500"
        r".*; check the CRS of both",
    ):
        stack_of(hsi=image, sar=far)


def test_no_overlap_in_another_crs(tmp_path: Path, image: Path) -> None:
    swapped = Affine(1e-4, 0, 45.15, 0, -1e-4, 9.0)  # latitude where longitude belongs
    far = write_raster(tmp_path / "far.tif", random_values(1), crs="EPSG:4326", transform=swapped)
    with pytest.raises(GeoreferencingError, match="does not overlap"):
        stack_of(hsi=image, sar=far)


def test_partial_overlap_is_warned_of(tmp_path: Path, image: Path, caplog: pytest.LogCaptureFixture) -> None:
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
        f"{path} has band 4 marked as alpha, which is used as a mask; if it is data: "
        f"rio edit-info --colorinterp red,green,blue,undefined {path}"
        if is_mask
        else f"{path} has band 4 marked as alpha, which is used as data, as it holds too many values for a mask; "
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
