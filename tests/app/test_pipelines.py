"""What the use cases hold to beyond single steps: memory, strange values, interruptions."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import rasterio
import torch

from s2fin_cli.config import ClassifyOptions
from s2fin_cli.errors import S2finError
from s2fin_cli.geo.stack import build_stack
from s2fin_cli.geo.statistics import MAX_TILES, TILE_SIZE, _spread_tiles, sample_pixels
from s2fin_cli.infer.pipeline import classify
from s2fin_cli.learn import pipeline
from s2fin_cli.modelfile import read_info, read_model
from tests.app.scenes import Scene, tiny_options


@pytest.mark.parametrize("shape", [(16128, 16128), (5376, 5376), (16384, 16384), (300, 100_000), (100_000, 300)])
def test_sampled_tiles_lie_all_over_the_raster(shape: tuple[int, int]) -> None:
    tiles = _spread_tiles(shape)
    assert 32 <= len(tiles) <= MAX_TILES
    for offsets, size in (({w.row_off for w in tiles}, shape[0]), ({w.col_off for w in tiles}, shape[1])):
        wanted = min(-(-size // TILE_SIZE), 8)
        gaps = np.diff(sorted(offsets))
        assert len(offsets) >= wanted
        assert min(offsets) == 0
        assert max(offsets) + TILE_SIZE >= size
        assert len(gaps) == 0 or gaps.max() <= 2 * gaps.min()


def test_the_sample_does_not_hold_whole_tiles(tmp_path: Path) -> None:
    path = tmp_path / "large.tif"
    profile = {"driver": "GTiff", "count": 8, "dtype": "uint8", "height": 2048, "width": 2048, "tiled": True}
    with rasterio.open(path, "w", crs="EPSG:32633", transform=rasterio.Affine(10, 0, 0, 0, -10, 0), **profile) as dst:
        dst.write(np.arange(2048, dtype=np.uint8)[None, None].repeat(8, 0).repeat(2048, 1))
    stack = build_stack({"msi": str(path)})
    tracemalloc.start()
    pixels = sample_pixels(stack)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    one_tile = 8 * TILE_SIZE**2 * 4
    assert peak < 2.5 * pixels.nbytes + 6 * one_tile  # 64 whole tiles would be ten times that


def test_a_huge_undeclared_value_spoils_no_neighbour(scene: Scene, model: Path, tmp_path: Path) -> None:
    damaged = tmp_path / "damaged.tif"
    with rasterio.open(scene.images["hsi"]) as src:
        values, profile = src.read().astype("float32"), src.profile
    values[:, 30, 30] = -3.4e38
    with rasterio.open(damaged, "w", **{**profile, "dtype": "float32", "nodata": None}) as dst:
        dst.write(values)
    options = {"output": tmp_path / "map.tif", "confidence": tmp_path / "c.tif", "vector": False, "model": model}
    classify(ClassifyOptions.from_kwargs({**scene.images, "hsi": damaged, **options, "device": "cpu"}))
    with rasterio.open(tmp_path / "c.tif") as src, rasterio.open(tmp_path / "map.tif") as class_map:
        assert np.isfinite(src.read(1)[class_map.read(1) != class_map.nodata]).all()


def test_a_run_that_diverges_is_no_model(scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "s2fin_cli.learn.training.F.cross_entropy",
        lambda logits, *_, **__: logits.sum() * torch.tensor(torch.nan),
    )
    with pytest.raises(S2finError, match=r"diverged.*--learning-rate"):
        pipeline.train(tiny_options(scene, tmp_path / "model.s2fin"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("step", ["_make_network", "_read_samples"])
def test_an_interrupt_anywhere_in_the_last_run_keeps_the_validated_model(
    scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    refit, original = pipeline._refit, getattr(pipeline, step)

    def interrupted(*args: object, **kwargs: object) -> None:
        raise KeyboardInterrupt

    def refit_interrupted(*args: object, **kwargs: object) -> object:
        monkeypatch.setattr(pipeline, step, interrupted)
        try:
            return refit(*args, **kwargs)  # type: ignore[arg-type]
        finally:
            monkeypatch.setattr(pipeline, step, original)

    monkeypatch.setattr(pipeline, "_refit", refit_interrupted)
    result = pipeline.train(tiny_options(scene, tmp_path / "model.s2fin", epochs=2, refit=True))
    assert result.outcome.interrupted
    info = read_info(result.model)
    assert (info.training["interrupted"], info.training["refitted"]) == (True, False)
    assert read_model(result.model)[0].training is False


def test_training_leaves_the_callers_random_numbers_alone(scene: Scene, tmp_path: Path) -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    pipeline.train(tiny_options(scene, tmp_path / "model.s2fin", epochs=1))
    assert torch.equal(torch.rand(3), expected)
