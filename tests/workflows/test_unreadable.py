"""Images with storage blocks that cannot be read: the map fails, or its pixels are nodata just as declared ones."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import rasterio
from affine import Affine

import s2fin_cli
from s2fin_cli.core.errors import S2finError
from s2fin_cli.workflows.classify import ClassifyResult
from s2fin_cli.workflows.train import run as run_train
from tests.files import TRANSFORM, write_raster
from tests.recipes import SMALL
from tests.scenes import Scene, make_heights, make_image, tiny_options
from tests.workflows.sharding import check_same_map, finished, names, options_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from tests.scenes import Run

NODATA = 65535


@dataclass(frozen=True)
class Spoilt:
    """An image with unreadable blocks, and the same image with declared nodata instead."""

    path: Path
    mended: Path


def spoil(path: Path, blocks: Sequence[tuple[int, int, int]]) -> None:
    """Damage the compressed data of storage blocks (band, row, column) of a GeoTIFF, so that they cannot be decoded."""
    with rasterio.open(path) as src:
        where = [
            tuple(int(src.get_tag_item(f"BLOCK_{what}_{col}_{row}", "TIFF", bidx=band)) for what in ("OFFSET", "SIZE"))
            for band, row, col in blocks
        ]
    content = bytearray(path.read_bytes())
    for offset, size in where:
        content[offset : offset + size] = bytes(size)
    path.write_bytes(content)


def write_spoilt(folder: Path, image: NDArray[Any], blocks: Sequence[tuple[int, int, int]], **profile: Any) -> Spoilt:
    """Write an image in storage blocks of 16 pixels a side, of which some cannot be read."""
    tiled = {"tiled": True, "blockxsize": 16, "blockysize": 16, "compress": "deflate", "nodata": NODATA, **profile}
    mended = image.copy()
    for band, row, col in blocks:
        mended[band - 1, 16 * row : 16 * row + 16, 16 * col : 16 * col + 16] = NODATA
    folder.mkdir()
    found = Spoilt(
        write_raster(folder / "hsi.tif", image, **tiled), write_raster(folder / "mended.tif", mended, **tiled)
    )
    spoil(found.path, blocks)
    return found


#: Band, row and column of blocks: one alone, two side by side, one at the corner of the image, which is cut there.
BLOCKS = [(1, 0, 0), (2, 2, 1), (2, 2, 2), (5, 2, 2), (4, 3, 4)]
#: Where blocks are missing, in columns and rows: offset and size.
RECTANGLES = [[0, 0, 16, 16], [64, 48, 6, 12], [16, 32, 16, 16], [32, 32, 16, 16]]
PIXELS = 3 * 256 + 6 * 12


@pytest.fixture(scope="module")
def spoilt(scene: Scene, tmp_path_factory: pytest.TempPathFactory) -> Spoilt:
    return write_spoilt(tmp_path_factory.mktemp("spoilt") / "a", make_image(scene.truth), BLOCKS, interleave="band")


def classify(scene: Scene, model: Path, output: Path, **changes: Any) -> ClassifyResult:
    output.parent.mkdir(exist_ok=True)
    confidence = output.with_name(f"{output.stem}-c.tif")
    result: ClassifyResult = s2fin_cli.classify(
        **options_of(scene, model, output, confidence=confidence, device="cpu", **changes)
    )
    return result


def check_lost(result: ClassifyResult, path: Path) -> None:
    found = result.to_dict()
    assert found["unreadable_pixels"] == PIXELS
    assert {part["path"] for part in found["unreadable"]} == {str(path)}
    assert sorted(part["window"] for part in found["unreadable"]) == sorted(RECTANGLES)
    by_place = {tuple(part["window"]): part for part in found["unreadable"]}
    assert by_place[32, 32, 16, 16]["bands"] == [2, 5]
    assert by_place[32, 32, 16, 16]["bounds"] == [500320, 4999520, 500480, 4999680]


def test_the_map_is_that_of_an_image_that_declares_the_pixels_as_nodata(
    scene: Scene, model: Path, spoilt: Spoilt, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    expected = classify(scene, model, tmp_path / "b.tif", hsi=spoilt.mended)
    assert expected.to_dict()["unreadable"] == []
    found = classify(scene, model, tmp_path / "a.tif", hsi=spoilt.path, on_read_error="skip")
    check_same_map(found, expected)
    check_lost(found, spoilt.path)
    assert f"{PIXELS} pixels cannot be read and are nodata in the map: {spoilt.path} band 1 at columns 0 to 15, " in (
        caplog.text
    )
    assert f"{spoilt.path} bands 2, 5 at columns 32 to 47, rows 32 to 47 (x 500320 to 500480, y 49" in caplog.text


def test_parts_of_the_map_agree_with_it(
    scene: Scene,
    model: Path,
    spoilt: Spoilt,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(spoilt.path.parent)
    how: dict[str, Any] = {"hsi": spoilt.path, "on_read_error": "skip", "smooth": True}
    expected = classify(scene, model, tmp_path / "b.tif", **how)
    check_same_map(classify(scene, model, tmp_path / "c.tif", **how, tile_size=16), expected)
    shards = {"work": tmp_path / "run", "shard_size": 48}
    by_relative_path = {**how, "hsi": spoilt.path.name}  # other processes list the same blocks under the absolute one
    part = classify(scene, model, tmp_path / "a.tif", **by_relative_path, **shards, shard="1/4")
    assert part.unreadable.pixels == 16 * 16 * 2 + 16 * 16
    caplog.clear()
    found = classify(scene, model, tmp_path / "a.tif", **how, **shards, tile_size=32)
    check_same_map(found, expected)
    check_lost(found, spoilt.path)
    assert caplog.text.count(f"{PIXELS} pixels cannot be read") == 1
    again = s2fin_cli.assemble(work=tmp_path / "run", output=tmp_path / "d.tif", confidence=tmp_path / "dc.tif")
    check_same_map(again, expected)
    assert again.to_dict()["unreadable"] == found.to_dict()["unreadable"]


def test_a_run_that_failed_goes_on_with_skipping_and_not_back(scene: Scene, model: Path, tmp_path: Path) -> None:
    truth = np.tile(scene.truth, (6, 6))
    made = write_spoilt(tmp_path / "in", make_image(truth), [(2, 16, 10)], interleave="band")
    how: dict[str, Any] = {"hsi": made.path, "nodata": "none", "work": tmp_path / "run", "shard_size": 96}
    with pytest.raises(S2finError, match=r"cannot be read in band 2 at columns 160 to 175, rows 256 to 271 \("):
        classify(scene, model, tmp_path / "a.tif", **how)
    before = finished(tmp_path / "run")
    assert before
    found = classify(scene, model, tmp_path / "a.tif", **how, on_read_error="skip")
    assert found.unreadable.pixels == 16 * 16
    assert before.items() <= finished(tmp_path / "run").items()
    with pytest.raises(S2finError, match=r'lack pixels that could not be read \(12\); give `on_read_error="skip"`'):
        classify(scene, model, tmp_path / "b.tif", **how)
    assert not list(tmp_path.glob("b*"))


@pytest.mark.slow
@pytest.mark.parametrize("stride", [1, 3])
@pytest.mark.parametrize(
    ("profile", "blocks"),
    [
        ({"interleave": "pixel"}, [(band, 1, 2) for band in range(1, 6)]),
        ({"compress": "lzw", "predictor": 2}, [(3, 1, 1)]),
        ({"compress": "zstd"}, [(3, row, 4) for row in range(4)]),
    ],
)
def test_any_layout_and_stride(
    scene: Scene, model: Path, tmp_path: Path, profile: dict[str, Any], blocks: list[tuple[int, int, int]], stride: int
) -> None:
    made = write_spoilt(tmp_path / "in", make_image(scene.truth), blocks, **{"interleave": "band", **profile})
    expected = classify(scene, model, tmp_path / "b.tif", hsi=made.mended, stride=stride)
    ways: list[dict[str, Any]] = [{}, {"tile_size": 16}, {"work": tmp_path / "run", "workers": 2}]
    for number, changes in enumerate(ways):
        found = classify(
            scene, model, tmp_path / f"a{number}.tif", hsi=made.path, stride=stride, on_read_error="skip", **changes
        )
        check_same_map(found, expected)
        assert found.unreadable.pixels > 0


@pytest.mark.slow
def test_a_truncated_image_is_mapped_as_far_as_it_goes(scene: Scene, model: Path, tmp_path: Path) -> None:
    stored: dict[str, Any] = {"compress": "none", "blockysize": 4, "interleave": "band"}
    image = write_raster(tmp_path / "hsi.tif", make_image(scene.truth), **stored)
    with image.open("r+b") as file:
        file.truncate(image.stat().st_size - 3 * 4 * 70 * 2 - 1)  # three strips of band 5, and a byte of a fourth
    with pytest.raises(S2finError, match=r"hsi.tif cannot be read in band 5 at columns 0 to 69, rows 44 to 47 \(x"):
        classify(scene, model, tmp_path / "a.tif", hsi=image)
    found = classify(scene, model, tmp_path / "a.tif", hsi=image, on_read_error="skip")
    assert [part.rectangle for part in found.unreadable.parts] == [(0, 44, 70, 16)]
    with rasterio.open(found.outputs.map) as src:
        assert (src.read(1)[44:] == src.nodata).all()
        assert (src.read(1)[:44] != src.nodata).all()
    assert found.nodata_pixels == found.unreadable.pixels == 16 * 70


@pytest.mark.slow
def test_a_spoilt_second_image_loses_the_blocks_of_its_warp(scene: Scene, model: Path, tmp_path: Path) -> None:
    truth = np.pad(scene.truth, ((6, 100), (6, 200)), mode="edge")
    hsi = write_raster(tmp_path / "hsi.tif", make_image(truth))
    tiled: dict[str, Any] = {"tiled": True, "blockxsize": 16, "blockysize": 16, "compress": "deflate"}
    off_grid = TRANSFORM * Affine.translation(-0.5, -0.5)
    beyond = np.pad(truth, ((0, 1), (0, 1)), mode="edge")
    lidar = write_raster(tmp_path / "lidar.tif", make_heights(beyond), transform=off_grid, **tiled)
    spoil(lidar, [(1, 1, 1)])
    how: dict[str, Any] = {"hsi": hsi, "lidar": lidar, "on_read_error": "skip"}
    found = classify(scene, model, tmp_path / "a.tif", **how)
    (part,) = found.unreadable.parts
    assert part.src_path == str(lidar)
    assert part.rectangle[:2] == (0, 0)
    assert found.nodata_pixels == found.unreadable.pixels == part.rectangle[2] * part.rectangle[3] < truth.size
    ways: list[dict[str, Any]] = [{"tile_size": 16}, {"work": tmp_path / "run", "shard_size": 48}]
    for changes in ways:
        (tmp_path / "other").mkdir(exist_ok=True)
        check_same_map(classify(scene, model, tmp_path / "other" / "a.tif", **how, **changes, overwrite=True), found)


def test_failing_names_the_file_and_the_place_and_what_can_be_done(
    run: Run, scene: Scene, model: Path, spoilt: Spoilt, tmp_path: Path
) -> None:
    arguments = ["--hsi", spoilt.path, "--lidar", scene.lidar, "-m", model, "--device", "cpu", "-o", "map.tif"]
    result = run("classify", *arguments)
    assert result.exit_code == 1
    assert f"error: {spoilt.path} cannot be read in band " in result.stderr
    assert "is the file whole? Copy it again, or map the rest with --on-read-error skip" in result.stderr
    assert names(tmp_path) == set()
    result = run("classify", *arguments, "--on-read-error", "skip", "--json")
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout)["unreadable_pixels"] == PIXELS
    result = run("train", *arguments[:4], "--labels", scene.labels, "-o", "m.s2fin", "--device", "cpu")
    assert (result.exit_code, "cannot be read in band" in result.stderr) == (1, True)
    assert "--on-read-error" not in result.stderr
    assert names(tmp_path) == {"map.tif", "map.tif.aux.xml", "map.qml", "map.gpkg"}


@pytest.mark.slow
def test_an_area_of_interest_counts_what_is_inside(scene: Scene, model: Path, spoilt: Spoilt, tmp_path: Path) -> None:
    bounds = (500_200, 4_999_600, 500_700, 5_000_000)  # columns from 20, rows to 40
    found = classify(scene, model, tmp_path / "a.tif", hsi=spoilt.path, on_read_error="skip", bounds=bounds)
    assert found.unreadable.pixels == 8 * (12 + 16)
    assert [part.rectangle for part in found.unreadable.parts] == [(16, 32, 16, 16), (32, 32, 16, 16)]


@pytest.mark.slow
def test_training_fails_at_a_block_that_it_needs(
    scene: Scene, spoilt: Spoilt, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    with pytest.raises(S2finError, match=r"cannot be read in band \d at columns \d+ to \d+, rows"):
        run_train(tiny_options(scene, tmp_path / "m.s2fin", hsi=spoilt.path), recipe=SMALL)
    assert names(tmp_path) == set()
