"""Training and classification of an area of interest: exactly its pixels, as they are in the whole map."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import geopandas as gpd
import numpy as np
import pytest
import rasterio
import shapely

import s2fin_cli
from s2fin_cli.core.errors import LabelError
from s2fin_cli.workflows import train as pipeline
from tests.files import CRS_CODE, TRANSFORM, read_raster, write_raster
from tests.scenes import SHAPE, make_image, tiny_options

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from tests.scenes import Run, Scene

#: Neither on the edges of cells nor of windows of three pixels, at the raster's edge in part.
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
    # windows without a pixel inside are left out of the batches, which the rounding tells
    np.testing.assert_allclose(
        read_raster(part.outputs.probabilities),
        np.where(wanted, read_raster(whole.outputs.probabilities), np.nan)[window],
        atol=1e-6,
    )
    assert sum(part.pixels.values()) == wanted.sum()
    assert part.nodata_pixels == 0  # what lies outside is not asked for
    with rasterio.open(part.outputs.map) as dst, rasterio.open(scene.hsi) as src:
        assert dst.crs == src.crs
        assert dst.bounds == rasterio.windows.bounds(rasterio.windows.Window.from_slices(*window[1:]), src.transform)
    polygons = gpd.read_file(part.outputs.polygons, layer="landcover")
    assert polygons["area_m2"].sum() == pytest.approx(100 * wanted.sum(), rel=1e-3)  # UTM is that near
    assert shapely.coverage_is_valid(polygons.geometry.to_numpy())


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
    assert "error: --bounds: no pixel's centre lies inside (in the image's CRS x 0 to 1, y 0 to 1)" in result.stderr
    assert not list(tmp_path.glob("b*"))


@pytest.mark.usefixtures("few_trees")
def test_training_sees_exactly_the_pixels_inside(
    scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """What lies outside has values that would spoil everything, and labels."""
    area = shapely.box(500_040, 4_999_440, 500_440, 4_999_960)
    wanted = inside(area)
    values = make_image(scene.truth)
    spoilt = np.where(wanted, values, 60_000).astype("uint16")
    options = vars(tiny_options(scene, tmp_path / "m.s2fin", epochs=1, batch_size=8))
    whole = s2fin_cli.train(**{**options, "output": tmp_path / "whole.s2fin"}).info.bands[0]
    seen: list[NDArray[np.bool_]] = []
    teach, with_scene = pipeline._teach, pipeline._with_scene

    def spy(network: Any, explored: Any, labels: Any, *args: Any, **kwargs: Any) -> Any:
        seen.append(wanted[np.append(labels.rows, explored.rows), np.append(labels.cols, explored.cols)])
        assert len(explored.rows) == min(pipeline.SCENE_PIXELS, wanted.sum())
        return teach(network, explored, labels, *args, **kwargs)

    def spy_cells(*args: Any) -> Any:
        rows, cols, known = with_scene(*args)
        seen.append(wanted[rows, cols])
        assert len(rows) == wanted.sum()  # whole cells, as far as they lie inside
        return rows, cols, known

    monkeypatch.setattr(pipeline, "_teach", spy)
    monkeypatch.setattr(pipeline, "_with_scene", spy_cells)
    bands = []
    for name, image in (("clean", values), ("spoilt", spoilt)):
        hsi = write_raster(tmp_path / f"{name}.tif", image)
        given = {**options, "hsi": hsi, "bounds": area.bounds, "output": tmp_path / f"{name}.s2fin"}
        bands.append(s2fin_cli.train(**given).info.bands[0])
    assert seen
    assert all(part.all() for part in seen)
    assert (bands[0].mean, bands[0].low, bands[0].high) == (bands[1].mean, bands[1].low, bands[1].high)
    assert "or lie outside the area of interest, and are left out" in caplog.text
    assert whole.mean != bands[0].mean


def test_labels_that_all_lie_outside_are_refused(scene: Scene, tmp_path: Path) -> None:
    options = vars(tiny_options(scene, tmp_path / "m.s2fin"))
    with pytest.raises(LabelError, match="no labelled pixel has data in all images inside the area of interest"):
        s2fin_cli.train(**{**options, "bounds": (500_000, 4_999_960, 500_100, 5_000_000)})
    assert not (tmp_path / "m.s2fin").exists()
