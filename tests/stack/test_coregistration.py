"""Displacements that are known: found within a tenth of a pixel, and none invented where there is no evidence."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import rasterio
from affine import Affine
from rasterio.windows import Window

from s2fin_cli.core.errors import GeoreferencingError, UsageError
from s2fin_cli.stack.coregistration import coregister
from s2fin_cli.stack.stack import Stack
from tests.files import write_raster
from tests.stack.images import stack_of

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray


TRUTHS = [(0.37, -0.61), (-2.3, 1.75)]


def pair(image: Path, aux: Path) -> Stack:
    return stack_of(hsi=image, sar=aux)


def read_displaced(src_path: Path, dst_path: Path, cols: float, rows: float) -> Path:
    """Another image of the same scene, of one band in another unit, whose georeferencing is off."""
    with rasterio.open(src_path) as src:
        bands = src.read().astype("float32")
        low, high = np.nanmin(bands), np.nanmax(bands)
        values = 1 / (0.3 + (bands[1 : len(bands) : 2].mean(axis=0) - low) / (high - low))
        transform = src.transform * Affine.translation(cols, rows)
    return write_raster(dst_path, values.astype("float32"), crs=src.crs, transform=transform)


@pytest.mark.parametrize(("cols", "rows"), TRUTHS)
@pytest.mark.parametrize(
    "name", ["amazon_s2_dem/sen2_12b.tif", "amazon_landsat_dem/lsat7.tif", "olinda_landsat_dem/L7_ETMs.tif"]
)
def test_real_scenes_that_were_shifted(real_scenes: Path, tmp_path: Path, name: str, cols: float, rows: float) -> None:
    other = read_displaced(real_scenes / name, tmp_path / "other.tif", cols, rows)
    stack, (found,) = coregister(pair(real_scenes / name, other))
    assert found.is_certain
    assert found.cols == pytest.approx(cols, abs=0.1)
    assert found.rows == pytest.approx(rows, abs=0.1)
    assert stack.aux[0].shift == (found.cols, found.rows)
    if abs(cols) > 1:
        assert found.after > found.before + 0.1


def test_heights_without_common_edges_are_left_where_they_are(
    real_scenes: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Among them the canopy heights whose grid lies (0.4, 0.2) pixels off the image's, as their transform says."""
    for image, heights in (
        ("neon_sjer/sjer_hsi426.tif", "neon_sjer/SJER_052_CHM.tif"),
        ("slovenia_ndvi_dem/eo_ndvi68.tif", "slovenia_ndvi_dem/eo_dem.tif"),
        ("olinda_landsat_dem/L7_ETMs.tif", "olinda_landsat_dem/olinda_dem_utm25s.tif"),
    ):
        stack, (found,) = coregister(pair(real_scenes / image, real_scenes / heights))
        assert not found.is_certain
        assert stack.aux[0].shift == (0.0, 0.0)
        assert "not shifted, as no displacement is certain" in caplog.text
        caplog.clear()


def textured(height: int = 150, width: int = 180, *, seed: int = 0) -> NDArray[Any]:
    """Patches with edges."""
    generator = np.random.default_rng(seed)
    coarse = generator.normal(size=(height // 6 + 1, width // 6 + 1))
    return np.kron(coarse, np.ones((6, 6)))[:height, :width].astype("float32")


def test_a_shifted_image_is_read_where_it_belongs(tmp_path: Path) -> None:
    values = textured()
    transform = Affine(10, 0, 500_000, 0, -10, 5_000_000)
    image = write_raster(tmp_path / "image.tif", values, transform=transform)
    other = write_raster(tmp_path / "other.tif", -3 * values, transform=transform * Affine.translation(2, -1))
    stack, (found,) = coregister(pair(image, other))
    assert (round(found.cols), round(found.rows)) == (2, -1)
    assert found.confidence > 0.9
    with stack.open() as opened:
        tile = opened.read(Window(20, 20, 60, 60))
    assert tile.images.aux is not None
    # moved by whole pixels but for hundredths, so the values are those of the image but for what those mix
    assert np.median(np.abs(tile.images.aux + 3 * tile.images.image)) < 0.1
    assert np.corrcoef(tile.images.aux.ravel(), tile.images.image.ravel())[0, 1] < -0.98


def test_noise_is_no_evidence(tmp_path: Path) -> None:
    image = write_raster(tmp_path / "image.tif", textured(seed=1))
    other = write_raster(tmp_path / "other.tif", textured(seed=2))
    _, (found,) = coregister(pair(image, other))
    assert not found.is_certain
    assert found.to_dict()["is_certain"] is False


def test_edges_that_run_one_way_are_no_evidence(tmp_path: Path) -> None:
    stripes = np.repeat(textured(1, 180)[:, :], 150, axis=0)
    image = write_raster(tmp_path / "image.tif", stripes)
    other = write_raster(tmp_path / "other.tif", np.roll(stripes, 2, axis=1))
    _, (found,) = coregister(pair(image, other))
    assert not found.is_certain


def test_flat_tiny_and_empty_images_give_none(tmp_path: Path) -> None:
    for name, image, other in (
        ("flat", np.ones((60, 60), np.float32), textured(60, 60)),
        ("tiny", textured(9, 9), textured(9, 9)),
        ("empty", textured(60, 60), np.full((60, 60), np.nan, np.float32)),
    ):
        paths = [write_raster(tmp_path / f"{name}{i}.tif", values) for i, values in enumerate((image, other))]
        _, (found,) = coregister(pair(*paths))
        assert (found.is_certain, found.confidence, len(found.vectors)) == (False, 0.0, 0)
        assert found.to_dict()["edge_similarity"] == {"before": None, "after": None}


def test_images_without_crs_and_a_missing_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    image, other = (write_raster(tmp_path / f"{i}.tif", textured(), crs=None) for i in range(2))
    with pytest.raises(GeoreferencingError, match="has no CRS, so no image can be shifted onto it"):
        coregister(pair(image, other))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"needs scikit-image; pip install 's2fin\[coregister\]'"):
        coregister(pair(image, other))
