"""Confidence and probabilities, and what changes them: smoothing and priors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pytest
import rasterio
import rasterio.features
import torch

from s2fin_cli.core.errors import UsageError
from s2fin_cli.core.options import InputOptions
from s2fin_cli.inference.smoothing import guide_of
from s2fin_cli.model.file import read_info, read_model
from s2fin_cli.stack.assembly import stack_of
from s2fin_cli.workflows.classify import ClassifyResult
from tests.files import TRANSFORM, read_raster, write_raster
from tests.maps import check_polygons, run_classify
from tests.scenes import SHAPE, Scene, make_image
from tests.smoothed import smooth_all


def test_probabilities_confidence_and_map_agree(result: ClassifyResult) -> None:
    assert result.outputs.probabilities is not None
    assert result.outputs.confidence is not None
    probs, confidence = read_raster(result.outputs.probabilities), read_raster(result.outputs.confidence)
    assert probs.shape == (3, *SHAPE)
    assert probs.dtype == confidence.dtype == np.float32
    assert np.allclose(probs.sum(axis=0), 1, atol=1e-5)
    assert np.array_equal(probs.argmax(axis=0) + 1, read_raster(result.outputs.map)[0])
    assert np.array_equal(probs.max(axis=0), confidence[0])
    with rasterio.open(result.outputs.probabilities) as dst:
        assert dst.descriptions == ("forest", "meadow", "water")
        assert np.isnan(dst.nodata)


@pytest.mark.parametrize("fmt", ["GTiff", "COG"])
def test_scaled_probabilities(scene: Scene, model: Path, tmp_path: Path, fmt: str) -> None:
    image = make_image(scene.truth)
    image[:, 5:9, 30:40] = 65535
    hsi = write_raster(tmp_path / "hsi.tif", image, nodata=65535)
    paths = {name: tmp_path / f"{name}.tif" for name in ("confidence", "probabilities")}
    plain = {name: tmp_path / f"plain_{name}.tif" for name in paths}
    run_classify(scene, model, tmp_path / "plain.tif", hsi=hsi, **plain)
    run_classify(scene, model, tmp_path / "map.tif", hsi=hsi, scaled=True, format=fmt, **paths)
    for name, path in paths.items():
        with rasterio.open(path) as dst:
            assert (set(dst.dtypes), dst.nodata, set(dst.scales), set(dst.offsets)) == ({"uint8"}, 255, {0.004}, {0.0})
            values = dst.read(masked=True) * 0.004
        wanted = np.ma.masked_invalid(read_raster(plain[name]))
        assert np.array_equal(values.mask, wanted.mask)
        assert values.mask.any()
        assert np.abs(values - wanted).max() <= 0.002 + 1e-6
        assert path.stat().st_size < plain[name].stat().st_size
    means = [gpd.read_file(tmp_path / f"{stem}.gpkg", layer="landcover")["confidence"] for stem in ("map", "plain")]
    assert means[0].to_numpy() == pytest.approx(means[1].to_numpy(), abs=0.003)


def test_scaled_is_of_probabilities(scene: Scene, model: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="`scaled` applies to `confidence` and `probabilities`, and neither is"):
        run_classify(scene, model, tmp_path / "map.tif", scaled=True)


def test_smoothing_takes_speckle_and_leaves_no_data(scene: Scene, model: Path, tmp_path: Path) -> None:
    image = make_image(scene.truth)
    image[:, 5:9, 30:40] = 65535
    hsi = write_raster(tmp_path / "hsi.tif", image, nodata=65535)
    probs = []
    for smooth in (False, True):
        paths = {"probabilities": tmp_path / f"p{smooth}.tif", "hsi": hsi, "smooth": smooth}
        outputs = run_classify(scene, model, tmp_path / f"{smooth}.tif", **paths).outputs
        check_polygons(outputs, TRANSFORM)
        probs.append(read_raster(tmp_path / f"p{smooth}.tif"))
    plain, smoothed = probs
    assert np.array_equal(np.isnan(plain), np.isnan(smoothed))
    np.testing.assert_allclose(np.nansum(smoothed, axis=0)[~np.isnan(plain[0])], 1, atol=1e-5)
    network, _ = read_model(model)
    valid = ~np.isnan(plain[0])
    stack = stack_of(InputOptions(hsi=str(hsi), lidar=str(scene.lidar)))
    with stack.open() as opened:
        tile = opened.read(stack.grid.window)
    guide = guide_of(network.standardizer, tile.images.map(torch.from_numpy))
    expected = smooth_all(torch.from_numpy(np.nan_to_num(plain)), guide, torch.from_numpy(valid)).numpy()
    assert np.array_equal(np.where(valid, expected, np.nan), smoothed, equal_nan=True)
    assert not np.array_equal(plain, smoothed, equal_nan=True)


def test_probabilities_lean_to_the_prior(result: ClassifyResult, scene: Scene, model: Path, tmp_path: Path) -> None:
    first, second, *others = read_info(model).classes
    prior = f"{first.name}=64", f"{second.id} = 4"
    outputs = run_classify(
        scene, model, tmp_path / "map.tif", prior=prior, probabilities=tmp_path / "probs.tif", vector=False
    ).outputs
    assert result.outputs.probabilities is not None
    assert outputs.probabilities is not None
    plain, leant = read_raster(result.outputs.probabilities), read_raster(outputs.probabilities)
    shares = np.array([0.64, 0.04, *[0.32 / len(others)] * len(others)])
    expected = plain * np.sqrt(shares)[:, None, None]  # half strength
    np.testing.assert_allclose(leant, expected / expected.sum(axis=0), atol=1e-5)
    assert np.array_equal(read_raster(outputs.map)[0] == 0, np.isnan(leant[0]))
    with rasterio.open(outputs.map) as src, rasterio.open(result.outputs.map) as usual:
        assert src.tags()["S2FIN_PRIOR"] == ", ".join(prior)
        assert "S2FIN_PRIOR" not in usual.tags()


def test_an_even_prior_changes_nothing_and_a_class_of_none_is_never_predicted(
    result: ClassifyResult, scene: Scene, model: Path, tmp_path: Path
) -> None:
    first, *others = read_info(model).classes
    even = [f"{c.name}={100 / (1 + len(others)):.1f}" for c in (first, *others)]  # 33.3 thrice: rounded
    outputs = run_classify(scene, model, tmp_path / "even.tif", prior=even, vector=False).outputs
    assert np.array_equal(read_raster(outputs.map), read_raster(result.outputs.map))
    probs = tmp_path / "probs.tif"
    how: dict[str, Any] = {"prior": f"{first.name}=0%", "probabilities": probs, "scaled": True, "smooth": True}
    without = run_classify(scene, model, tmp_path / "without.tif", **how, precision="bfloat16", vector=False)
    assert without.pixels[first.id] == 0
    assert sum(without.pixels.values()) == sum(result.pixels.values())
    stored = read_raster(probs)
    assert set(np.unique(stored[0])) <= {0, 255}
    assert (np.abs(stored[1:].astype(int).sum(axis=0)[stored[0] == 0] - 250) <= 1).all()


def test_a_wrong_prior_leaves_nothing_behind(scene: Scene, model: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="'lava'"):
        run_classify(scene, model, tmp_path / "map.tif", prior=["lava=3"])
    assert not any(tmp_path.iterdir())
