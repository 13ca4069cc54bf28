from __future__ import annotations

import filecmp
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pytest
import rasterio
import rasterio.features
import shapely
import torch
from affine import Affine
from numpy.typing import NDArray

from s2fin_cli.core.classes import LandCoverClass
from s2fin_cli.core.errors import ModelFileError, OutputError, RasterError, S2finError, UsageError
from s2fin_cli.core.options import InputOptions
from s2fin_cli.inference.engine import Engine
from s2fin_cli.inference.prior import read_prior
from s2fin_cli.inference.smoothing import guide_of, smooth_all
from s2fin_cli.model.file import read_info, read_model
from s2fin_cli.raster.class_names import read_class_names
from s2fin_cli.stack.assembly import stack_of
from s2fin_cli.workflows.classify import ClassifyResult, classify
from s2fin_cli.workflows.options.classify import ClassifyOptions
from s2fin_cli.workflows.outputs import Outputs
from s2fin_cli.workflows.train import train
from tests.files import TRANSFORM, read_raster, write_raster
from tests.scenes import SHAPE, Scene, make_heights, make_image, tiny_options, write_scene


def run_classify(scene: Scene, model: Path, output: Path, /, **changes: Any) -> ClassifyResult:
    return classify(ClassifyOptions(**{**scene.images, "model": model, "output": output, "device": "cpu", **changes}))


def read_polygons(outputs: Outputs) -> gpd.GeoDataFrame:
    return gpd.read_file(outputs.polygons, layer="landcover")


@pytest.fixture(scope="module")
def result(scene: Scene, model: Path, tmp_path_factory: pytest.TempPathFactory) -> ClassifyResult:
    """All outputs of the scene."""
    folder = tmp_path_factory.mktemp("outputs")
    return run_classify(
        scene, model, folder / "map.tif", confidence=folder / "confidence.tif", probabilities=folder / "probs.tif"
    )


# ---- the map and what goes with it -----------------------------------------------------------------------------------


def test_the_map_is_right_and_lies_where_the_image_does(result: ClassifyResult, scene: Scene) -> None:
    with rasterio.open(result.outputs.map) as dst, rasterio.open(scene.hsi) as src:
        assert (dst.crs, dst.transform, dst.shape) == (src.crs, src.transform, src.shape)
        assert (dst.count, dst.dtypes, dst.nodata) == (1, ("uint8",), 0)
        assert dst.compression == rasterio.enums.Compression.deflate
        class_map = dst.read(1)
    assert (class_map == scene.truth).mean() > 0.95
    assert result.pixels == {class_id: int((class_map == class_id).sum()) for class_id in (1, 2, 3)}
    assert result.nodata_pixels == 0


def test_colours_names_and_tags(result: ClassifyResult, trained: Any) -> None:
    colors = {c.id: (*c.color, 255) for c in trained.info.classes}
    with rasterio.open(result.outputs.map) as dst:
        table = dst.colormap(1)
        tags = dst.tags()
        assert dst.descriptions == ("class",)
    assert {class_id: table[class_id] for class_id in colors} == colors
    assert len(set(colors.values())) == 3
    assert table[0] == (0, 0, 0, 0)
    assert read_class_names(result.outputs.map) == {1: "forest", 2: "meadow", 3: "water"}
    assert tags["S2FIN_MODEL"] == "tiny.s2fin"
    assert tags["TIFFTAG_SOFTWARE"].startswith("s2fin ")
    sidecar = result.outputs.map.with_name("map.tif.aux.xml").read_text(encoding="utf-8")
    assert sidecar.index("forest") < sidecar.index("meadow") < sidecar.index("water")


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


def check_polygons(outputs: Any, transform: Affine) -> gpd.GeoDataFrame:
    """Polygons tile the map exactly and say what the rasters say."""
    frame = gpd.read_file(outputs.polygons, layer="landcover")
    class_map = read_raster(outputs.map)[0]
    geometries = frame.geometry.to_numpy()
    assert shapely.coverage_is_valid(geometries)
    cell = abs(transform.a * transform.e)
    for class_id, rows in frame.groupby("class_id"):
        assert rows.area.sum() == pytest.approx(cell * (class_map == class_id).sum())
    assert frame["area_m2"].to_numpy() == pytest.approx(frame.area.to_numpy(), rel=1e-3)  # UTM is that near
    back = rasterio.features.rasterize(
        zip(geometries, frame["class_id"], strict=True), out_shape=class_map.shape, transform=transform, fill=0
    )
    assert np.array_equal(back, class_map)
    return frame


def test_polygons(result: ClassifyResult, scene: Scene) -> None:
    frame = check_polygons(result.outputs, TRANSFORM)
    with rasterio.open(scene.hsi) as src:
        assert frame.crs == src.crs.to_wkt()
    assert dict(zip(frame["class_id"], frame["class_name"], strict=True)) == {1: "forest", 2: "meadow", 3: "water"}
    assert result.outputs.confidence is not None
    confidence = read_raster(result.outputs.confidence)[0]
    for geometry, mean in zip(frame.geometry, frame["confidence"], strict=True):
        inside = rasterio.features.geometry_mask([geometry], SHAPE, TRANSFORM, invert=True)
        assert mean == pytest.approx(confidence[inside].mean(), abs=1e-5)


@pytest.mark.parametrize(
    ("how", "tile_sizes"),
    [
        ({"stride": 1}, (16, 32, 48, 1000)),
        ({"stride": 5}, (16, 64)),
        ({"stride": 1, "smooth": True}, (16, 32, 1000)),
        ({"stride": 3, "smooth": True, "prior": ["1=90"]}, (16, 64)),
    ],
)
def test_no_output_depends_on_the_tile_size(
    scene: Scene, wide_model: Path, tmp_path: Path, how: dict[str, Any], tile_sizes: tuple[int, ...]
) -> None:
    one, *others = (
        run_classify(
            scene,
            wide_model,
            tmp_path / f"{tile_size}.tif",
            confidence=tmp_path / f"confidence_{tile_size}.tif",
            probabilities=tmp_path / f"probs_{tile_size}.tif",
            tile_size=tile_size,
            **how,
        ).outputs
        for tile_size in tile_sizes
    )
    for other in others:
        for name in ("map", "confidence", "probabilities"):
            assert np.array_equal(read_raster(getattr(other, name)), read_raster(getattr(one, name)))
        assert read_polygons(one).equals(read_polygons(other))


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


def test_an_even_prior_changes_nothing_and_a_class_of_none_is_never_told(
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


def classes_named(*names: str) -> list[LandCoverClass]:
    return [LandCoverClass(number, name, (0, 0, 0)) for number, name in enumerate(names, 1)]


def test_a_class_of_a_prior_is_a_name_or_else_a_number() -> None:
    classes = classes_named(" urban", "a=b", "1", "2")
    prior = read_prior(["Urban=10", "a=b=20", "1=30%", "2 = 40"], classes)
    np.testing.assert_allclose(prior, [0.1, 0.2, 0.3, 0.4])
    np.testing.assert_allclose(read_prior(["3=90"], classes_named("x", "y", "z")), [0.05, 0.05, 0.9])
    np.testing.assert_allclose(read_prior(["x=70", "y=33"], classes_named("x", "y")), [70 / 103, 33 / 103])


@pytest.mark.parametrize(
    ("prior", "message"),
    [
        (["lava=3"], "`prior` names 'lava', which is no class of the model; known are: water, trees, bare"),
        (["4=3"], "`prior` names '4', which is no class of the model"),
        (["water=30", "1=30"], "`prior` names 'water' twice"),
        (["water=70", "trees=40"], "`prior` gives 110 % in all, which leaves nothing for 'bare'; give "),
        (["water=100"], "`prior` gives 100 % in all, which leaves nothing for 'trees', 'bare'; give "),
        (["water=50", "trees=20", "bare=20"], "`prior` gives 90 % in all; it must be 100, as every class is named"),
    ],
)
def test_a_prior_that_cannot_be(prior: list[str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        read_prior(prior, classes_named("water", "trees", "bare"))


def test_a_wrong_prior_leaves_nothing_behind(scene: Scene, model: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="'lava'"):
        run_classify(scene, model, tmp_path / "map.tif", prior=["lava=3"])
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize(("which", "strides"), [("model", (1, 3)), ("wide_model", (1, 3, 5))])
def test_a_window_may_serve_one_pixel_or_as_many_as_the_model_was_trained_for(
    scene: Scene, tmp_path: Path, request: pytest.FixtureRequest, which: str, strides: tuple[int, ...]
) -> None:
    model, maps = request.getfixturevalue(which), {}
    for stride in (None, *strides):
        outputs = run_classify(
            scene, model, tmp_path / f"{stride}.tif", stride=stride, confidence=tmp_path / f"c{stride}.tif"
        ).outputs
        assert outputs.confidence is not None
        assert (read_raster(outputs.map)[0] == scene.truth).mean() > 0.95
        maps[stride] = read_raster(outputs.confidence)
    largest = strides[-1]
    assert [stride for stride in strides if np.array_equal(maps[None], maps[stride])] == [largest], "the default"
    with pytest.raises(UsageError, match=f"`stride` is 7, and the model was trained for at most {largest}"):
        run_classify(scene, model, tmp_path / "map.tif", stride=7)


def test_half_precision_gives_nearly_the_same_map(
    result: ClassifyResult, scene: Scene, model: Path, tmp_path: Path
) -> None:
    paths = {name: tmp_path / f"{name}.tif" for name in ("confidence", "probabilities")}
    half = run_classify(scene, model, tmp_path / "map.tif", precision="bfloat16", **paths)
    assert (read_raster(half.outputs.map) == read_raster(result.outputs.map)).mean() > 0.99
    assert result.outputs.probabilities is not None
    difference = np.abs(read_raster(paths["probabilities"]) - read_raster(result.outputs.probabilities))
    assert 0 < difference.mean() < 0.01  # it is another precision, and a small step


def test_outputs_in_other_formats(scene: Scene, model: Path, tmp_path: Path, result: ClassifyResult) -> None:
    other = run_classify(
        scene, model, tmp_path / "map.tif", format="COG", co=["COMPRESS=LZW", "BLOCKSIZE=128"],
        polygons=tmp_path / "areas.shp", confidence=tmp_path / "c.tif",
    )  # fmt: skip
    for name in ("map.tif", "c.tif"):
        with rasterio.open(tmp_path / name) as src:
            assert src.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
            assert src.compression == rasterio.enums.Compression.lzw
    assert np.array_equal(read_raster(other.outputs.map), read_raster(result.outputs.map))
    frame = gpd.read_file(tmp_path / "areas.shp")
    assert frame.area.sum() == pytest.approx(read_polygons(result.outputs).area.sum())
    expected = {
        "map.tif",
        "map.tif.aux.xml",
        "map.qml",
        "c.tif",
        *(f"areas.{s}" for s in ("shp", "shx", "dbf", "prj", "cpg")),
    }
    assert {path.name for path in tmp_path.iterdir()} == expected


def test_generalised_polygons_and_the_whole_raster(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a scene with a border that goes up in steps."""
    mmu, cell = 30, abs(TRANSFORM.a * TRANSFORM.e)
    stairs = np.where(np.tri(*SHAPE, dtype=bool), 1, 3)
    monkeypatch.setattr("tests.scenes.make_truth", lambda: stairs)
    scene = write_scene(tmp_path / "scene")
    result = run_classify(scene, model, tmp_path / "whole.tif")
    assert (read_raster(result.outputs.map)[0] == stairs).mean() > 0.9
    general = run_classify(scene, model, tmp_path / "map.tif", mmu=mmu, simplify=3 * TRANSFORM.a)
    assert np.array_equal(read_raster(general.outputs.map), read_raster(result.outputs.map))
    frame, full = read_polygons(general.outputs), read_polygons(result.outputs)
    assert shapely.coverage_is_valid(frame.geometry.to_numpy())
    assert frame.area.sum() == pytest.approx(full.area.sum()) == pytest.approx(cell * sum(result.pixels.values()))
    vertices = [shapely.get_num_coordinates(part.geometry.to_numpy()).sum() for part in (frame, full)]
    assert vertices[0] < vertices[1] / 2


def test_the_style_names_the_classes(result: ClassifyResult) -> None:
    entries = ET.parse(result.outputs.style).findall(".//paletteEntry")  # noqa: S314  our own
    assert {int(e.get("value", "")): e.get("label") for e in entries} == {1: "forest", 2: "meadow", 3: "water"}


def test_without_polygons_only_the_map_is_written(scene: Scene, model: Path, tmp_path: Path) -> None:
    result = run_classify(scene, model, tmp_path / "map.tif", vector=False)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["map.qml", "map.tif", "map.tif.aux.xml"]
    assert result.outputs.polygons is None
    assert result.to_dict()["polygons"] is None


# ---- missing data and odd scenes -------------------------------------------------------------------------------------


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
            RasterError, match=rf"no pixel has data in all images \(--hsi .* has none in bands {bands}\)"
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
    trained = train(tiny_options(scene, tmp_path / "alone.s2fin", **options))
    assert "its 5 spectral components serve as the second image" in caplog.text
    assert [bands.modality for bands in trained.info.bands] == ["msi"]
    result = classify(ClassifyOptions(msi=scene.hsi, model=trained.model, output=tmp_path / "map.tif"))
    assert (read_raster(result.outputs.map)[0] == scene.truth).mean() > 0.9


# ---- class numbers ---------------------------------------------------------------------------------------------------


def train_on_raster(scene: Scene, tmp_path: Path, values: NDArray[Any], *, nodata: float | None) -> Path:
    labels = write_raster(tmp_path / "labels.tif", values, nodata=nodata)
    return train(tiny_options(scene, tmp_path / "raster.s2fin", epochs=1, batch_size=16, labels=labels)).model


@pytest.mark.usefixtures("short_epochs")
@pytest.mark.parametrize(
    ("ids", "dtype", "nodata"),
    [((1, 2, 7), "uint8", 0), ((0, 2, 7), "uint8", 255), ((1, 2, 300), "uint16", 0), ((0, 2, 300), "uint16", 255)],
)
def test_class_numbers_are_kept(scene: Scene, tmp_path: Path, ids: tuple[int, ...], dtype: str, nodata: int) -> None:
    values = np.array(ids, dtype=np.uint16)[scene.truth - 1]
    values[:, ::3] = 9999  # unlabelled
    model = train_on_raster(scene, tmp_path, values, nodata=9999)
    assert [c.id for c in read_info(model).classes] == list(ids)
    assert [c.name for c in read_info(model).classes] == list(map(str, ids))
    result = run_classify(scene, model, tmp_path / "map.tif")
    with rasterio.open(result.outputs.map) as dst:
        assert (dst.dtypes[0], dst.nodata) == (dtype, nodata)
        class_map = dst.read(1)
    assert set(np.unique(class_map)) <= set(ids)
    assert set(result.pixels) == set(ids)
    frame = read_polygons(result.outputs)
    assert set(frame["class_id"]) == set(np.unique(class_map))


# ---- outputs that must not or cannot be written ----------------------------------------------------------------------


def test_an_output_that_is_there_is_refused_and_left_alone(scene: Scene, model: Path, tmp_path: Path) -> None:
    for name in ("map.tif", "map.gpkg", "p.tif"):
        old = tmp_path / name
        old.write_bytes(b"old")
        with pytest.raises(OutputError, match="already there"):
            run_classify(scene, model, tmp_path / "map.tif", probabilities=tmp_path / "p.tif")
        assert old.read_bytes() == b"old"
        assert list(tmp_path.iterdir()) == [old]
        old.unlink()


def test_what_an_earlier_map_left_is_told_of(
    scene: Scene, model: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run_classify(scene, model, tmp_path / "map.tif", stac=True)
    caplog.clear()
    run_classify(scene, model, tmp_path / "map.tif", overwrite=True, vector=False)
    for name in ("map.gpkg", "map.json"):
        assert f"{tmp_path / name} was left by an earlier map and does not belong to the new one" in caplog.text
        assert (tmp_path / name).exists()


def test_options_that_rasters_cannot_have_are_refused_at_once(scene: Scene, model: Path, tmp_path: Path) -> None:
    for options, message in (
        ({"co": ["COMPRESS=JPEG"]}, "is lossy: classes would change"),
        ({"co": ["NBITS=4"], "confidence": tmp_path / "c.tif"}, r"wants it \(bands: 1, float32\)"),
    ):
        with pytest.raises(UsageError, match=message):
            run_classify(scene, model, tmp_path / "map.tif", **options)
    assert not list(tmp_path.iterdir())
    # the confidence that the polygons need is no output, and is written otherwise
    run_classify(scene, model, tmp_path / "map.tif", co=["NBITS=4"], format="COG")


def test_overwrite_replaces(scene: Scene, model: Path, tmp_path: Path, result: ClassifyResult) -> None:
    (tmp_path / "map.tif").write_bytes(b"old")
    (tmp_path / "map.gpkg").write_bytes(b"old")
    again = run_classify(scene, model, tmp_path / "map.tif", overwrite=True)
    assert filecmp.cmp(again.outputs.map, result.outputs.map, shallow=False)
    check_polygons(again.outputs, TRANSFORM)


def test_an_output_that_is_an_input_is_refused(scene: Scene, model: Path, tmp_path: Path) -> None:
    before = scene.hsi.read_bytes()
    for changes in (
        {"output": scene.hsi},
        {"output": scene.folder / ".." / scene.folder.name / "lidar.tif"},
        {"confidence": scene.hsi},
        {"probabilities": scene.lidar},
    ):
        with pytest.raises(UsageError, match="is an input, which would be lost"):
            run_classify(scene, model, tmp_path / "map.tif", overwrite=True, **changes)
    assert scene.hsi.read_bytes() == before
    assert not list(tmp_path.iterdir())


def test_training_over_an_input_is_refused(scene: Scene) -> None:
    before = scene.labels.read_bytes()
    with pytest.raises(UsageError, match="is an input, which would be lost"):
        train(tiny_options(scene, scene.labels, overwrite=True))
    assert scene.labels.read_bytes() == before


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"output": "map.png"}, "name that ends in .tif"),
        ({"output": "map"}, "name that ends in .tif"),
        ({"confidence": "conf.gpkg"}, "name that ends in .tif"),
        ({"output": "none/map.tif"}, "folder .* does not exist"),
        ({"confidence": "map.tif"}, "same name"),
        ({"model": "none.s2fin"}, "there is no model file"),
    ],
)
def test_wrong_outputs(scene: Scene, model: Path, in_folder: Path, changes: dict[str, str], message: str) -> None:
    with pytest.raises(S2finError, match=message):
        run_classify(scene, model, Path("map.tif"), **changes)
    assert not list(in_folder.iterdir())


@pytest.mark.parametrize("error", [RuntimeError("defect"), KeyboardInterrupt(), MemoryError()])
def test_a_failure_midway_leaves_nothing(
    scene: Scene, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    predict = Engine.predict
    calls = 0

    def fail_second(engine: Engine, *arguments: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 2:
            assert any(tmp_path.iterdir()), "the first tile is on its way to the disk"
            raise error
        return predict(engine, *arguments)

    monkeypatch.setattr(Engine, "predict", fail_second)
    with pytest.raises(type(error)):
        run_classify(scene, model, tmp_path / "map.tif", tile_size=16, stride=1, probabilities=tmp_path / "p.tif")
    assert calls == 2
    assert not list(tmp_path.iterdir())


def test_a_failure_midway_leaves_old_outputs_as_they_were(
    scene: Scene, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("defect")

    (tmp_path / "map.tif").write_bytes(b"old")
    monkeypatch.setattr(Engine, "predict", fail)
    with pytest.raises(RuntimeError):
        run_classify(scene, model, tmp_path / "map.tif", overwrite=True)
    assert [path.name for path in tmp_path.iterdir()] == ["map.tif"]
    assert (tmp_path / "map.tif").read_bytes() == b"old"


def test_training_that_fails_leaves_nothing(scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("s2fin_cli.training.loop._Run.train_epoch", lambda run: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        train(tiny_options(scene, tmp_path / "m.s2fin"))
    assert not list(tmp_path.iterdir())


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("how", [{}, {"stride": 1}, {"smooth": True}, {"precision": "bfloat16"}])
def test_a_map_made_on_cuda_is_the_one_made_on_the_cpu(
    scene: Scene, model: Path, tmp_path: Path, how: dict[str, Any]
) -> None:
    probs, maps = [], []
    for name, options in (("cpu", {}), ("cuda", {}), ("tiles", {"tile_size": 16})):
        run_classify(
            scene, model, tmp_path / f"{name}.tif", probabilities=tmp_path / f"{name}_p.tif", vector=False,
            **{"device": "cpu" if name == "cpu" else "cuda", **how, **options},
        )  # fmt: skip
        maps.append(read_raster(tmp_path / f"{name}.tif"))
        probs.append(read_raster(tmp_path / f"{name}_p.tif"))
    for there, found in zip(probs[1:], maps[1:], strict=True):
        assert np.array_equal(np.isnan(there), np.isnan(probs[0]))
        assert np.nanmax(np.abs(there - probs[0])) < (0.1 if "precision" in how else 5e-3)
        assert (found == maps[0]).mean() > 0.98
