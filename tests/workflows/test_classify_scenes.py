"""Maps of scenes with missing data, odd shapes and odd grids."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
import rasterio.features
from affine import Affine
from numpy.typing import NDArray

from s2fin_cli.core.errors import ModelFileError, RasterError
from s2fin_cli.workflows.classify import ClassifyResult
from s2fin_cli.workflows.classify import run as classify
from s2fin_cli.workflows.options.classify import ClassifyOptions
from s2fin_cli.workflows.train import run as train
from tests.files import TRANSFORM, read_raster, write_raster
from tests.maps import check_polygons, read_polygons, run_classify
from tests.recipes import SMALL
from tests.scenes import SHAPE, Scene, make_heights, make_image, tiny_options


def heights_on_grid(scene: Scene) -> NDArray[np.float32]:
    return make_heights(scene.truth)


def test_nodata_is_exactly_where_an_image_has_none(scene: Scene, model: Path, tmp_path: Path) -> None:
    image, heights = make_image(scene.truth), heights_on_grid(scene)
    image[2, 5:9, 30:40] = 65535
    image[:, 59, 69] = 65535
    heights[40:, :3] = np.nan
    heights[20, 20] = np.inf
    expected = np.zeros(SHAPE, dtype=bool)
    expected[5:9, 30:40] = expected[59, 69] = expected[40:, :3] = expected[20, 20] = True
    hsi = write_raster(tmp_path / "hsi.tif", image, nodata=65535)
    lidar = write_raster(tmp_path / "lidar.tif", heights)
    folder = tmp_path / "out"
    folder.mkdir()
    result = run_classify(
        scene, model, folder / "map.tif", hsi=hsi, lidar=lidar, tile_size=16, stride=1,
        confidence=folder / "c.tif", probabilities=folder / "p.tif",
    )  # fmt: skip
    assert np.array_equal(read_raster(result.outputs.map)[0] == 0, expected)
    for path in (result.outputs.confidence, result.outputs.probabilities):
        assert path is not None
        assert np.array_equal(np.isnan(read_raster(path)).all(axis=0), expected)
        assert np.array_equal(np.isnan(read_raster(path)).any(axis=0), expected)
    assert result.nodata_pixels == expected.sum()
    check_polygons(result.outputs, TRANSFORM)


@pytest.mark.parametrize("smooth", [False, True])
def test_pixels_without_data_are_counted_where_whole_tiles_have_none(
    scene: Scene, model: Path, tmp_path: Path, *, smooth: bool
) -> None:
    image = make_image(scene.truth)
    image[:, :40, :35] = 65535
    hsi = write_raster(tmp_path / "hsi.tif", image, nodata=65535)
    result = run_classify(scene, model, tmp_path / "map.tif", hsi=hsi, tile_size=16, stride=1, smooth=smooth)
    assert result.nodata_pixels == 40 * 35
    assert sum(result.pixels.values()) == SHAPE[0] * SHAPE[1] - 40 * 35
    left, top = TRANSFORM * (30, 35)
    bounds = (left, top - 100, left + 100, top)  # 10 x 10 pixels, 5 x 5 of them without data
    result = run_classify(
        scene, model, tmp_path / "b.tif", hsi=hsi, tile_size=16, stride=1, smooth=smooth, bounds=bounds
    )
    assert (result.nodata_pixels, sum(result.pixels.values())) == (25, 75)


def test_a_border_that_is_not_declared_has_no_data_either(scene: Scene, model: Path, tmp_path: Path) -> None:
    image = make_image(scene.truth)
    image[:, :, :9] = 65535
    hsi = write_raster(tmp_path / "hsi.tif", image)
    found = run_classify(scene, model, tmp_path / "map.tif", hsi=hsi)
    assert np.array_equal(read_raster(found.outputs.map)[0] == 0, np.arange(SHAPE[1])[None].repeat(SHAPE[0], 0) < 9)
    declared = run_classify(
        scene, model, tmp_path / "b.tif", hsi=write_raster(tmp_path / "b_.tif", image, nodata=65535)
    )
    assert np.array_equal(read_raster(found.outputs.map), read_raster(declared.outputs.map))
    with pytest.raises(ModelFileError, match=r"values of about 100 to 6\.554e\+04"):  # as data they are strange
        run_classify(scene, model, tmp_path / "c.tif", hsi=hsi, nodata="none")


def test_where_the_second_image_does_not_reach_there_is_no_data(
    scene: Scene, model: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    lidar = write_raster(tmp_path / "lidar.tif", heights_on_grid(scene)[:, :40])
    result = run_classify(scene, model, tmp_path / "map.tif", lidar=lidar)
    class_map = read_raster(result.outputs.map)[0]
    assert (class_map[:, :40] > 0).all()
    assert (class_map[:, 40:] == 0).all()
    assert "covers 57.1 % of" in caplog.text


def test_a_scene_without_any_data_is_refused(scene: Scene, model: Path, tmp_path: Path) -> None:
    empty, part = np.zeros((5, *SHAPE), np.uint16), make_image(scene.truth)
    part[2] = 0
    for values, bands in ((empty, r"1\.\.5"), (part, "3")):
        hsi = write_raster(tmp_path / "hsi.tif", values, nodata=0)
        with pytest.raises(
            RasterError, match=rf"no pixel has data in all images \(`hsi` .* has none in bands {bands}\)"
        ):
            run_classify(scene, model, tmp_path / "map.tif", hsi=hsi)
        assert [path.name for path in tmp_path.iterdir()] == ["hsi.tif"]


def test_an_area_without_data_leaves_the_old_map(scene: Scene, model: Path, tmp_path: Path) -> None:
    result = run_classify(scene, model, tmp_path / "map.tif")
    before = result.outputs.map.read_bytes()
    values = make_image(scene.truth)
    values[:, :20] = 0
    hsi = write_raster(tmp_path / "hsi.tif", values, nodata=0)
    bounds = (500_000, 4_999_900, 500_700, 5_000_000)
    with pytest.raises(RasterError, match="no pixel has data in all images inside the area of interest"):
        run_classify(scene, model, tmp_path / "map.tif", hsi=hsi, bounds=bounds, overwrite=True)
    assert result.outputs.map.read_bytes() == before


def test_south_up_input(result: ClassifyResult, scene: Scene, model: Path, tmp_path: Path) -> None:
    """An image whose first row is the southern one gives the same map, first row south."""
    flipped = TRANSFORM * Affine.translation(0, SHAPE[0]) * Affine.scale(1, -1)
    hsi = write_raster(tmp_path / "hsi.tif", make_image(scene.truth)[:, ::-1], transform=flipped)
    upside_down = run_classify(scene, model, tmp_path / "map.tif", hsi=hsi)
    with rasterio.open(upside_down.outputs.map) as dst:
        assert dst.transform == flipped
        class_map = dst.read(1)
    north_up = read_raster(result.outputs.map)[0]
    assert (class_map[::-1] == north_up).mean() > 0.97, "patches are upside down, so that single pixels may differ"
    check_polygons(upside_down.outputs, flipped)


def test_a_pair_without_crs(scene: Scene, model: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    nowhere = Affine.identity()
    hsi = write_raster(tmp_path / "hsi.tif", make_image(scene.truth), crs=None, transform=nowhere)
    lidar = write_raster(tmp_path / "lidar.tif", heights_on_grid(scene), crs=None, transform=nowhere)
    result = run_classify(scene, model, tmp_path / "map.tif", hsi=hsi, lidar=lidar)
    assert "has no CRS" in caplog.text
    assert (read_raster(result.outputs.map)[0] == scene.truth).mean() > 0.95
    frame = read_polygons(result.outputs)
    assert frame.area.sum() == SHAPE[0] * SHAPE[1]


@pytest.mark.parametrize("shape", [(1, 70), (60, 1), (1, 1), (3, 2), (17, 33)])
def test_small_and_narrow_rasters(scene: Scene, model: Path, tmp_path: Path, shape: tuple[int, int]) -> None:
    window = (slice(0, shape[0]), slice(0, shape[1]))
    hsi = write_raster(tmp_path / "hsi.tif", make_image(scene.truth)[:, *window])
    lidar = write_raster(tmp_path / "lidar.tif", heights_on_grid(scene)[window])
    result = run_classify(scene, model, tmp_path / "map.tif", hsi=hsi, lidar=lidar)
    class_map = read_raster(result.outputs.map)[0]
    assert class_map.shape == shape
    assert (class_map == scene.truth[window]).mean() >= 0.8
    check_polygons(result.outputs, TRANSFORM)


def test_one_image_alone(scene: Scene, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    options = {"msi": scene.hsi, "hsi": None, "lidar": None}
    trained = train(tiny_options(scene, tmp_path / "alone.s2fin", **options), recipe=SMALL)
    assert "its 5 spectral components serve as the second image" in caplog.text
    assert [bands.modality for bands in trained.info.bands] == ["msi"]
    result = classify(ClassifyOptions(msi=scene.hsi, model=trained.model, output=tmp_path / "map.tif"))
    assert (read_raster(result.outputs.map)[0] == scene.truth).mean() > 0.9
