"""`classify --uncertainty`: what its bands say of a scene with a class that has no label, however the map is made."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import rasterio

import s2fin_cli
from s2fin_cli.core.errors import InputError, ModelFileError
from s2fin_cli.model.file import read_model, read_parts, write_model
from s2fin_cli.raster.class_names import read_run
from s2fin_cli.workflows.train import run as train
from tests.files import read_raster, write_raster
from tests.maps import run_classify
from tests.recipes import QUICK
from tests.scenes import SHAPE, Scene, make_image, make_truth, tiny_options, write_scene
from tests.workflows.sharding import check_same_map, check_same_rasters, finished, names, options_of

if TYPE_CHECKING:
    from pathlib import Path

BANDS = ("entropy", "margin", "disagreement", "dissimilarity")
#: The corner of the scene that looks like none of the classes with labels.
UNKNOWN = (slice(0, 7), slice(0, 9))


@pytest.fixture(scope="module")
def odd_scene(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    """The scene of the other tests, with a corner that looks like no label, and a part without data."""
    scene = write_scene(tmp_path_factory.mktemp("odd"))
    image = make_image(make_truth())
    image[:, *UNKNOWN] = np.array([500, 90, 500, 90, 500], np.uint16)[:, None, None]
    image[:, 50:55, 30:50] = 65535
    write_raster(scene.hsi, image, nodata=65535)
    return scene


@pytest.fixture(scope="module")
def odd_model(odd_scene: Scene) -> Path:
    return train(tiny_options(odd_scene, odd_scene.folder / "odd.s2fin", epochs=1), recipe=QUICK).model


def test_a_corner_that_looks_like_no_label_is_outside_of_what_was_learnt(
    odd_scene: Scene, odd_model: Path, tmp_path: Path
) -> None:
    paths = {"uncertainty": tmp_path / "u.tif", "probabilities": tmp_path / "p.tif"}
    result = run_classify(odd_scene, odd_model, tmp_path / "map.tif", vector=False, **paths)
    with rasterio.open(tmp_path / "u.tif") as dst:
        assert dst.descriptions == BANDS
        assert np.isnan(dst.nodata)
        assert set(dst.dtypes) == {"float32"}
        entropy, margin, disagreement, dissimilarity = dst.read()
    has_data = read_raster(result.outputs.map)[0] > 0
    for band in (entropy, margin, disagreement, dissimilarity):
        assert np.array_equal(np.isfinite(band), has_data)
    rows, cols = np.indices(SHAPE)
    known = has_data & (np.abs(rows % 20 - 9.5) < 7) & (np.abs(cols % 14 - 6.5) < 4)  # within the patches
    known[:20, :14] = False
    assert (dissimilarity[UNKNOWN] > 1).all()
    assert np.mean(dissimilarity[known] <= 1) > 0.85
    assert np.median(dissimilarity[UNKNOWN]) > 3 * np.median(dissimilarity[known])
    probs = np.sort(read_raster(tmp_path / "p.tif")[:, has_data], axis=0)
    assert np.array_equal(margin[has_data], probs[-1] - probs[-2])
    expected = -(probs * np.log(probs)).sum(axis=0) / np.log(3)
    np.testing.assert_allclose(entropy[has_data], expected, atol=1e-6)
    assert 0 <= disagreement[has_data].min() <= disagreement[has_data].max() <= 1


@pytest.mark.parametrize("smooth", [pytest.param(False, marks=pytest.mark.slow), True])
def test_the_map_is_the_same_with_and_without(
    odd_scene: Scene, odd_model: Path, tmp_path: Path, *, smooth: bool
) -> None:
    maps = [tmp_path / "with.tif", tmp_path / "without.tif"]
    how: dict[str, Any] = {"smooth": smooth, "vector": False}
    run_classify(odd_scene, odd_model, maps[0], **how, confidence=tmp_path / "c.tif", uncertainty=tmp_path / "u.tif")
    run_classify(odd_scene, odd_model, maps[1], **how, confidence=tmp_path / "d.tif")
    for one, other in (maps, (tmp_path / "c.tif", tmp_path / "d.tif")):
        assert np.array_equal(read_raster(one), read_raster(other), equal_nan=True)


@pytest.mark.slow
def test_tiles_do_not_matter(odd_scene: Scene, odd_model: Path, tmp_path: Path) -> None:
    found = []
    for size in (16, 48, None):
        path = tmp_path / f"u{size}.tif"
        how: dict[str, Any] = {"tile_size": size, "stride": 1, "smooth": True, "vector": False}
        run_classify(odd_scene, odd_model, tmp_path / f"{size}.tif", **how, uncertainty=path)
        found.append(read_raster(path))
    assert np.array_equal(found[0], found[1], equal_nan=True)
    assert np.array_equal(found[0], found[2], equal_nan=True)


@pytest.mark.parametrize("smooth", [pytest.param(False, marks=pytest.mark.slow), True])
def test_shards_give_the_same(odd_scene: Scene, odd_model: Path, tmp_path: Path, *, smooth: bool) -> None:
    how: dict[str, Any] = {"smooth": smooth, "stride": 3, "vector": False, "probabilities": tmp_path / "p.tif"}
    one = options_of(odd_scene, odd_model, tmp_path / "one.tif", **how, uncertainty=tmp_path / "u.tif")
    expected = s2fin_cli.classify(**one)
    how |= {"work": tmp_path / "run", "shard_size": 48, "probabilities": tmp_path / "q.tif"}
    several = options_of(odd_scene, odd_model, tmp_path / "several.tif", **how, uncertainty=tmp_path / "v.tif")
    check_same_map(s2fin_cli.classify(**several), expected)
    before = finished(tmp_path / "run")
    assert len(before) == 4
    again: dict[str, Any] = {"probabilities": tmp_path / "r.tif", "uncertainty": tmp_path / "w.tif", "vector": False}
    assembled = s2fin_cli.assemble(work=tmp_path / "run", output=tmp_path / "again.tif", **again)
    check_same_map(assembled, expected)
    records = [read_run(str(result.outputs.map)) for result in (assembled, expected)]
    assert records[0] is not None
    assert records[0] == records[1]
    assert finished(tmp_path / "run") == before


@pytest.mark.slow
def test_a_run_that_was_begun_with_it_goes_on_without(odd_scene: Scene, odd_model: Path, tmp_path: Path) -> None:
    how: dict[str, Any] = {"stride": 1, "vector": False, "work": tmp_path / "run", "shard_size": 32}
    begun = options_of(odd_scene, odd_model, tmp_path / "a.tif", **how, uncertainty=tmp_path / "u.tif")
    s2fin_cli.classify(**begun, shard="1/3")
    s2fin_cli.classify(**options_of(odd_scene, odd_model, tmp_path / "b.tif", **how))
    s2fin_cli.classify(**begun)
    assert names(tmp_path) == {"run", "a.tif", "a.tif.aux.xml", "a.qml", "u.tif", "b.tif", "b.tif.aux.xml", "b.qml"}
    assert np.isfinite(read_raster(tmp_path / "u.tif")[:, :50]).all()


def test_shards_without_it_are_named(odd_scene: Scene, odd_model: Path, tmp_path: Path) -> None:
    how: dict[str, Any] = {"stride": 3, "vector": False, "work": tmp_path / "run"}
    s2fin_cli.classify(**options_of(odd_scene, odd_model, tmp_path / "a.tif", **how))
    with pytest.raises(InputError, match="hold no bands of uncertainty, because it was begun without `uncertainty`"):
        s2fin_cli.assemble(work=tmp_path / "run", output=tmp_path / "b.tif", uncertainty=tmp_path / "u.tif")
    assert not list(tmp_path.glob("b*"))


def test_a_model_without_reference_pixels_still_maps_and_cannot_tell(scene: Scene, model: Path, tmp_path: Path) -> None:
    network, info = read_model(model)
    earlier = tmp_path / "earlier.s2fin"
    write_model(earlier, network, info=info)
    assert read_parts(earlier).reference is None
    with pytest.raises(
        ModelFileError, match=r"earlier\.s2fin holds no reference pixels .* train again with this version"
    ):
        run_classify(scene, earlier, tmp_path / "map.tif", vector=False, uncertainty=tmp_path / "u.tif")
    assert names(tmp_path) == {"earlier.s2fin"}
    run_classify(scene, earlier, tmp_path / "map.tif", vector=False)
    run_classify(scene, model, tmp_path / "same.tif", vector=False)
    assert np.array_equal(read_raster(tmp_path / "map.tif"), read_raster(tmp_path / "same.tif"))


@pytest.mark.slow
def test_workers_and_lists_of_scenes_write_it_too(odd_scene: Scene, odd_model: Path, tmp_path: Path) -> None:
    how: dict[str, Any] = {"stride": 1, "vector": False}
    one = options_of(odd_scene, odd_model, tmp_path / "one.tif", **how, uncertainty=tmp_path / "u.tif")
    expected = s2fin_cli.classify(**one)
    several = options_of(odd_scene, odd_model, tmp_path / "several.tif", **how, uncertainty=tmp_path / "v.tif")
    found = s2fin_cli.classify(**several, workers=2, shard_size=32)
    check_same_map(found, expected)
    assert found.to_dict()["outside_pixels"] == expected.to_dict()["outside_pixels"] > 0
    (tmp_path / "scenes.csv").write_text(f"name,hsi,lidar\na,{odd_scene.hsi},{odd_scene.lidar}\n")
    keywords: dict[str, Any] = {"output": tmp_path / "maps", "model": odd_model, "device": "cpu", **how}
    (scene,) = s2fin_cli.classify_all(scenes=tmp_path / "scenes.csv", with_uncertainty=True, **keywords).scenes
    assert any("look unlike all training data" in text for text in scene.warnings)
    check_same_rasters(tmp_path / "maps" / "a_uncertainty.tif", tmp_path / "u.tif")


def test_the_file_is_written_as_the_others_are(odd_scene: Scene, odd_model: Path, tmp_path: Path) -> None:
    how: dict[str, Any] = {"format": "COG", "scaled": True, "stac": True, "vector": False}
    paths = {"confidence": tmp_path / "c.tif", "uncertainty": tmp_path / "u.tif"}
    result = run_classify(odd_scene, odd_model, tmp_path / "map.tif", **how, **paths)
    with rasterio.open(paths["uncertainty"]) as dst:
        assert dst.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        assert set(dst.dtypes) == {"float32"}, "its index has no upper limit that bytes could hold"
        assert dst.tags()["S2FIN_MODEL"] == "odd.s2fin"
        assert (dst.shape, dst.descriptions) == (SHAPE, BANDS)
    assert result.outputs.stac is not None
    assert '"uncertainty"' in result.outputs.stac.read_text()
