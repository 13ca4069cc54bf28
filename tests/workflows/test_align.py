"""An image on another's grid, in a file; and the same inside training and classification."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest
import rasterio
from affine import Affine

import s2fin_cli
from s2fin_cli.raster.info import read_info
from s2fin_cli.stack.assembly import build_stack
from s2fin_cli.workflows.options.train import TrainOptions
from s2fin_cli.workflows.train import run as train
from tests.files import TRANSFORM, read_raster, write_raster
from tests.recipes import QUICK
from tests.scenes import SHAPE, make_heights, tiny_options

if TYPE_CHECKING:
    from pathlib import Path

    from tests.recipes import QUICK
from tests.scenes import Run, Scene

OFF = (2.4, -1.3)


@pytest.fixture
def off(scene: Scene, tmp_path: Path) -> Path:
    """The scene's heights, whose georeferencing is off."""
    transform = TRANSFORM * Affine.translation(*OFF)
    return write_raster(tmp_path / "off.tif", make_heights(scene.truth), transform=transform)


def test_an_aligned_image_is_what_the_stack_reads(run: Run, scene: Scene, tmp_path: Path) -> None:
    finer = write_raster(
        tmp_path / "finer.tif", np.kron(make_heights(scene.truth), np.ones((3, 3), np.float32)),
        transform=TRANSFORM * Affine.translation(0.4, 0.2) * Affine.scale(1 / 3),
    )  # fmt: skip
    result = run("align", "--like", scene.hsi, "--lidar", finer, "-o", "a.tif", "--json")
    assert result.exit_code == 0, result.stderr
    answer = json.loads(result.stdout)
    with build_stack({"hsi": [str(scene.hsi)], "lidar": [str(finer)]}).open() as opened:
        expected = opened.read(opened.grid.window).images.aux
    assert expected is not None
    assert np.array_equal(read_raster(tmp_path / "a.tif"), expected, equal_nan=True)
    assert answer["valid"] == np.isfinite(expected).mean()
    assert answer["displacement"] is None
    with rasterio.open(tmp_path / "a.tif") as dst, rasterio.open(scene.hsi) as src:
        assert (dst.crs, dst.transform, dst.shape) == (src.crs, src.transform, src.shape)
        assert (dst.dtypes, np.isnan(dst.nodata)) == (("float32",), True)
    bounds = (500_100, 4_999_700, 500_250, 4_999_900)
    assert run("align", "--like", scene.hsi, "--lidar", finer, "-o", "b.tif", "--bounds", *bounds).exit_code == 0
    with rasterio.open(tmp_path / "b.tif") as dst:
        assert tuple(dst.bounds) == bounds
        assert np.array_equal(dst.read()[0], expected[0, 10:30, 10:25], equal_nan=True)


def test_a_displacement_is_found_reported_and_corrected(run: Run, scene: Scene, off: Path, tmp_path: Path) -> None:
    result = run("align", "--like", scene.hsi, "--lidar", off, "-o", "a.tif", "--coregister", "shift", "--json")
    assert result.exit_code == 0, result.stderr
    assert "shifted by -2." in result.stderr
    found = json.loads(result.stdout)["displacement"]
    assert found["is_certain"]
    assert (found["cols"], found["rows"]) == pytest.approx(OFF, abs=0.15)
    assert found["edge_similarity"]["after"] > found["edge_similarity"]["before"] + 0.2
    assert {"row", "col", "cols", "rows", "agrees"} == found["windows"][0].keys()
    inner = (slice(5, -5), slice(5, -5))
    mended, truth = read_raster(tmp_path / "a.tif")[0][inner], make_heights(scene.truth)[inner]
    assert np.median(np.abs(mended - truth)) < 1.0
    assert np.corrcoef(mended.ravel(), truth.ravel())[0, 1] > 0.95


def test_training_and_classification_do_the_same(
    scene: Scene, off: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    options = {**vars(tiny_options(scene, tmp_path / "m.s2fin", epochs=1, batch_size=8)), "lidar": off}
    with caplog.at_level("INFO"):
        train(TrainOptions(**{**options, "coregister": "shift"}), recipe=QUICK)
        result = s2fin_cli.classify(
            hsi=scene.hsi, lidar=off, model=tmp_path / "m.s2fin", output=tmp_path / "map.tif", coregister="shift"
        )
    assert caplog.text.count("off.tif: shifted by -2.") == 2
    # the columns that the moved heights lack have no class
    values = read_raster(result.outputs.map)[0]
    assert values.shape == SHAPE
    assert (values[10:-10, 5:-5] > 0).all()


def test_what_is_known_of_its_bands_goes_with_an_image(run: Run, scene: Scene, tmp_path: Path) -> None:
    """Bands are chosen of the image that is aligned; the other may have fewer."""
    bands = np.stack([make_heights(scene.truth) + index for index in range(7)])
    sar = write_raster(tmp_path / "sar.tif", bands)
    with rasterio.open(sar, "r+") as dst:
        dst.set_band_description(6, "VH")
        for index in dst.indexes:
            dst.update_tags(index, wavelength=str(100 * index), wavelength_units="nm")
    result = run("align", "--like", scene.hsi, "--sar", sar, "-b", "6,7", "-o", "a.tif")
    assert result.exit_code == 0, result.stderr
    assert np.array_equal(read_raster(tmp_path / "a.tif"), bands[5:])
    info = read_info(tmp_path / "a.tif")
    assert (info.band_names, info.wavelengths) == (("VH", ""), (600.0, 700.0))
    answer = run("align", "--like", scene.hsi, "--sar", sar, "-b", "sar:8", "-o", "b.tif")
    assert "band 8 of --sar" in answer.stderr


def test_why_an_image_is_not_shifted(run: Run, scene: Scene, off: Path, tmp_path: Path) -> None:
    far = write_raster(tmp_path / "far.tif", make_heights(scene.truth), transform=TRANSFORM * Affine.translation(7, 0))
    fits = write_raster(tmp_path / "fits.tif", make_heights(scene.truth))
    for path, message in ((far, "find more than 4 pixels, which is too far to be sure"), (fits, "")):
        result = run("align", "--like", scene.hsi, "--lidar", path, "-o", f"a{path.stem}.tif", "--coregister", "shift")
        assert result.exit_code == 0, result.stderr
        assert message in result.stderr
    assert "no displacement is certain" not in result.stderr
    assert "warning" not in result.stderr


def test_an_image_without_edges_is_left_where_it_is(run: Run, scene: Scene, tmp_path: Path) -> None:
    flat = write_raster(tmp_path / "flat.tif", np.ones((1, *SHAPE), np.float32))
    result = run("align", "--like", scene.hsi, "--lidar", flat, "-o", "a.tif", "--coregister", "shift")
    assert result.exit_code == 0, result.stderr
    assert "not shifted, as no window has edges in it and in the image" in result.stderr


def test_what_cannot_be_aligned(run: Run, scene: Scene, off: Path, tmp_path: Path) -> None:
    elsewhere = write_raster(
        tmp_path / "far.tif", make_heights(scene.truth), transform=TRANSFORM * Affine.translation(500, 0)
    )
    given = ("align", "--like", scene.hsi)
    for arguments, code, message in (
        (("-o", "a.tif"), 2, "there is no image to align; give one besides --like"),
        (("--lidar", off, "--sar", off, "-o", "a.tif"), 2, "but 2 were given"),
        (("--lidar", off, "-o", "a.png"), 2, "rasters are GeoTIFFs; give a name that ends in .tif"),
        (("--lidar", off, "-o", off), 2, "is an input, which would be lost"),
        (("--lidar", elsewhere, "-o", "a.tif"), 1, f"does not overlap --like {scene.hsi}"),
    ):
        result = run(*given, *arguments)
        assert (result.exit_code, message in result.stderr) == (code, True), result.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["far.tif", "off.tif"]
