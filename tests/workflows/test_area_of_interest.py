"""Training and classification of an area of interest: exactly its pixels, as they are in the whole map."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import geopandas as gpd
import numpy as np
import pytest
import rasterio
import shapely
import torch

import s2fin_cli
from s2fin_cli.core.errors import LabelError
from s2fin_cli.stack.assembly import stack_of
from s2fin_cli.teaching.ensemble import EnsembleTeacher
from s2fin_cli.training.architecture import network_config
from s2fin_cli.training.recipe import Sampling
from s2fin_cli.training.scene import explore, usable_bands
from s2fin_cli.workflows.options.train import TrainOptions
from s2fin_cli.workflows.train import prepare
from s2fin_cli.workflows.train import run as train
from tests.files import CRS_CODE, TRANSFORM, read_raster, write_raster
from tests.recipes import QUICK, SMALL_ENSEMBLE, TINY_NETWORK
from tests.scenes import SHAPE, make_image, tiny_options
from tests.teachers import Watched

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from tests.scenes import Run, Scene

#: Neither on the edges of batches nor of windows of three pixels, at the raster's edge in part.
SHAPES = (
    shapely.Polygon([(500_230, 4_999_990), (500_710, 4_999_800), (500_310, 4_999_600)]),
    shapely.box(500_111, 4_999_511, 500_163, 4_999_599),
)


def inside(*geometries: Any) -> NDArray[np.bool_]:
    cols, rows = np.meshgrid(np.arange(SHAPE[1]) + 0.5, np.arange(SHAPE[0]) + 0.5)
    xs, ys = TRANSFORM * (cols, rows)
    return np.asarray(shapely.contains_xy(shapely.union_all(geometries), xs, ys))


def write_area(path: Path, *geometries: Any) -> Path:
    gpd.GeoDataFrame(geometry=list(geometries), crs=CRS_CODE).to_crs("EPSG:3857").to_file(path)
    return path


def classified(scene: Scene, model: Path, output: Path, **options: Any) -> Any:
    given = {**scene.images, "model": model, "output": output, "device": "cpu", **options}
    return s2fin_cli.classify(**given)


@pytest.mark.parametrize(("stride", "smooth"), [(1, False), (3, False), (5, False), (1, True), (3, True)])
def test_the_map_inside_is_that_of_the_whole(
    scene: Scene, wide_model: Path, tmp_path: Path, stride: int, smooth: bool
) -> None:
    how = {"stride": stride, "smooth": smooth}
    whole = classified(scene, wide_model, tmp_path / "whole.tif", probabilities=tmp_path / "pw.tif", **how)
    part = classified(
        scene, wide_model, tmp_path / "part.tif", probabilities=tmp_path / "pp.tif", tile_size=16, **how,
        aoi=write_area(tmp_path / "aoi.gpkg", *SHAPES),
    )  # fmt: skip
    wanted = inside(*SHAPES)
    rows, cols = np.nonzero(wanted)
    window = (slice(None), slice(rows.min(), rows.max() + 1), slice(cols.min(), cols.max() + 1))
    expected = np.where(wanted, read_raster(whole.outputs.map), 0)[window]
    assert np.array_equal(read_raster(part.outputs.map), expected)
    # to the last bit: a batch of windows that is cut by the border of the area is computed as a whole
    np.testing.assert_array_equal(
        read_raster(part.outputs.probabilities),
        np.where(wanted, read_raster(whole.outputs.probabilities), np.nan)[window],
    )
    assert sum(part.pixels.values()) == wanted.sum()
    assert part.nodata_pixels == 0  # what lies outside is not asked for
    with rasterio.open(part.outputs.map) as dst, rasterio.open(scene.hsi) as src:
        assert dst.crs == src.crs
        assert dst.bounds == rasterio.windows.bounds(rasterio.windows.Window.from_slices(*window[1:]), src.transform)
    polygons = gpd.read_file(part.outputs.polygons, layer="landcover")
    assert polygons["area_m2"].sum() == pytest.approx(100 * wanted.sum(), rel=1e-3)  # UTM is that near
    assert shapely.coverage_is_valid(polygons.geometry.to_numpy())


@pytest.mark.parametrize("smooth", [False, True])
def test_pixels_without_data_are_counted_inside_alone(
    scene: Scene, wide_model: Path, tmp_path: Path, smooth: bool
) -> None:
    """Tiles of 16 pixels: some hold no data at all, others no pixel of interest."""
    values = make_image(scene.truth).astype(np.float32)
    values[:, :, 30:58] = np.nan
    hsi = write_raster(tmp_path / "holes.tif", values)
    aoi = write_area(tmp_path / "aoi.gpkg", *SHAPES)
    options: dict[str, Any] = {"hsi": hsi, "tile_size": 16, "smooth": smooth, "polygons": None, "aoi": aoi}
    result = classified(scene, wide_model, tmp_path / "map.tif", **options)
    wanted = inside(*SHAPES)
    assert result.nodata_pixels == wanted[:, 30:58].sum() > 0
    assert sum(result.pixels.values()) + result.nodata_pixels == wanted.sum()


def test_bounds_on_the_command_line(run: Run, scene: Scene, model: Path, tmp_path: Path) -> None:
    bounds = (500_100, 4_999_700, 500_250, 4_999_900)
    result = run("classify", *scene.arguments, "-m", model, "-o", "map.tif", "--no-vector", "--bounds", *bounds)
    assert result.exit_code == 0, result.stderr
    with rasterio.open(tmp_path / "map.tif") as dst:
        assert tuple(dst.bounds) == bounds
        assert (dst.read(1) > 0).all()
    result = run("classify", *scene.arguments, "-m", model, "-o", "b.tif", "--bounds", 3, 0, 1, 2)
    assert result.exit_code == 2
    assert "left below right and bottom below top" in result.stderr
    result = run("classify", *scene.arguments, "-m", model, "-o", "b.tif", "--bounds", 0, 0, 1, 1)
    assert result.exit_code == 1
    assert "error: --bounds: no pixel has its centre inside (in the image's CRS x 0 to 1, y 0 to 1)" in result.stderr
    assert not list(tmp_path.glob("b*"))


def test_training_sees_exactly_the_pixels_inside(
    scene: Scene, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Outside are labels, and values that would spoil everything."""
    area = shapely.box(500_040, 4_999_440, 500_440, 4_999_960)
    wanted = inside(area)
    values = make_image(scene.truth)
    spoilt = np.where(wanted, values, 60_000).astype("uint16")
    options = vars(tiny_options(scene, tmp_path / "m.s2fin", epochs=1, batch_size=8))
    given: dict[str, Any] = {"recipe": QUICK, "network": TINY_NETWORK}
    whole = train(TrainOptions(**{**options, "output": tmp_path / "whole.s2fin"}), **given).info.bands[0]
    teacher, results = Watched(EnsembleTeacher(SMALL_ENSEMBLE)), []
    for name, image in (("clean", values), ("spoilt", spoilt)):
        hsi = write_raster(tmp_path / f"{name}.tif", image)
        changes = {"hsi": hsi, "bounds": area.bounds, "output": tmp_path / f"{name}.s2fin"}
        results.append(train(TrainOptions(**{**options, **changes}), **given, teacher=teacher))
    for lesson, questions in zip(teacher.lessons, teacher.questions, strict=True):
        rows, cols = lesson.features["position"].astype(int).T
        assert wanted[rows, cols].all()
        rows, cols = questions.features["position"].astype(int).T
        assert wanted[rows, cols].all()
        assert len(rows) == wanted.sum(), "whole cells, as far as they lie inside"
    drawn = prepare(TrainOptions(**{**options, "bounds": area.bounds}), **given).scene
    assert len(drawn.rows) == min(QUICK.sampling.scene_pixels, wanted.sum())
    assert wanted[drawn.rows, drawn.cols].all()
    clean, other = (result.info.bands[0] for result in results)
    assert (clean.mean, clean.low, clean.high) == (other.mean, other.low, other.high)
    assert "or are outside the area of interest, and are skipped" in caplog.text
    assert whole.mean != clean.mean


def test_pixels_without_a_label_are_drawn_inside_alone(scene: Scene, tmp_path: Path) -> None:
    area = shapely.box(500_040, 4_999_440, 500_440, 4_999_960)
    options = TrainOptions(**{**vars(tiny_options(scene, tmp_path / "m.s2fin")), "bounds": area.bounds})
    stack, statistics = usable_bands(stack_of(options))
    config = network_config(stack, num_classes=3, patch_size=5)
    cpu = torch.device("cpu")
    explored = explore(stack, statistics, config, sampling=Sampling(), seed=0, device=cpu)
    wanted = inside(area)
    assert wanted[explored.rows, explored.cols].all()
    assert len(explored.rows) == wanted.sum()
    few = explore(stack, statistics, config, sampling=Sampling(scene_pixels=70), seed=0, device=cpu)
    assert wanted[few.rows, few.cols].all()
    assert 0 < len(few.rows) < 140


def test_labels_that_all_lie_outside_are_refused(scene: Scene, tmp_path: Path) -> None:
    options = vars(tiny_options(scene, tmp_path / "m.s2fin"))
    with pytest.raises(LabelError, match="no labelled pixel has data in all images inside the area of interest"):
        s2fin_cli.train(**{**options, "bounds": (500_000, 4_999_960, 500_100, 5_000_000)})
    assert not (tmp_path / "m.s2fin").exists()
