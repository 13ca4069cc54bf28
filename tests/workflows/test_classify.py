"""The class map: classes, colours, names, and what it does not depend on."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pytest
import rasterio
import rasterio.features
import torch
from numpy.typing import NDArray
from rasterio.windows import Window

from s2fin_cli.core.errors import UsageError
from s2fin_cli.model.file import read_info
from s2fin_cli.raster.class_names import read_class_names
from s2fin_cli.workflows.classify import ClassifyResult
from s2fin_cli.workflows.classify_job import prepare
from s2fin_cli.workflows.options.classify import ClassifyOptions
from s2fin_cli.workflows.train import run as train
from tests.files import read_raster, write_raster
from tests.maps import read_polygons, run_classify
from tests.recipes import QUICK
from tests.scenes import SHAPE, Scene, tiny_options
from tests.sinks import ArraySink


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


def test_the_style_names_the_classes(result: ClassifyResult) -> None:
    entries = ET.parse(result.outputs.style).findall(".//paletteEntry")  # noqa: S314  our own
    assert {int(e.get("value", "")): e.get("label") for e in entries} == {1: "forest", 2: "meadow", 3: "water"}


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


def train_on_raster(scene: Scene, tmp_path: Path, values: NDArray[Any], *, nodata: float | None) -> Path:
    labels = write_raster(tmp_path / "labels.tif", values, nodata=nodata)
    return train(tiny_options(scene, tmp_path / "raster.s2fin", epochs=1, labels=labels), recipe=QUICK).model


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


@pytest.mark.parametrize("smooth", [False, True])
def test_a_job_classifies_parts_of_a_map_as_it_does_the_whole(
    scene: Scene, model: Path, tmp_path: Path, *, smooth: bool
) -> None:
    options = {"model": model, "output": tmp_path / "map.tif", "device": "cpu", "tile_size": 16, "smooth": smooth}
    job = prepare(ClassifyOptions.from_kwargs({**scene.images, **options}))
    whole = ArraySink(SHAPE)
    job.classify([whole])
    assert ((whole.classes + 1) == scene.truth).mean() > 0.95
    parts = np.empty_like(whole.probs)
    for window in (Window(0, 0, 48, 48), Window(48, 0, 22, 48), Window(0, 48, 70, 12)):
        sink = ArraySink((window.height, window.width))
        job.classify([sink], window=window)
        parts[:, *window.toslices()] = sink.probs
    assert np.array_equal(parts, whole.probs)
    assert not list(tmp_path.iterdir())
