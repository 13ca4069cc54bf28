"""Data in memory in place of files: the results are the same, and no file is left."""

from __future__ import annotations

import importlib.util
import json
import logging
import os
import signal
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import rasterio
import rioxarray
import shapely
import xarray as xr

import s2fin_cli
from s2fin_cli.core.copies import Copy, described, named_copies
from s2fin_cli.core.errors import InputError, OutputError, S2finError, UsageError
from s2fin_cli.core.progress import Stop, Stopped
from s2fin_cli.model.file import read_info as read_model_info
from s2fin_cli.raster.class_names import read_run
from s2fin_cli.reporting.training_report import TrainingReport
from s2fin_cli.workflows.functions import FUNCTIONS
from s2fin_cli.workflows.in_memory import as_files
from tests.faults.disks import can_mount, small_disk
from tests.files import read_raster

if TYPE_CHECKING:
    from s2fin_cli.workflows.classify import ClassifyResult
    from tests.scenes import Scene


@pytest.fixture
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder for temporary files."""
    folder = tmp_path / "scratch"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def left_in(folder: Path) -> list[Path]:
    """What s2fin left in a folder, where torch keeps something too."""
    return list(folder.glob(".s2fin*"))


def opened(path: Path, **how: Any) -> Any:
    return rioxarray.open_rasterio(path, **how)


def arrays_of(scene: Scene, **how: Any) -> dict[str, Any]:
    return {name: opened(path, **how) for name, path in scene.images.items()}


# ---- the same results ------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_loop_from_memory_is_that_from_files(scene: Scene, tmp_path: Path, scratch: Path) -> None:
    small: dict[str, Any] = {"patch_size": 5, "epochs": 1, "batch_size": 16, "device": "cpu", "refit": False}
    arrays, labels = arrays_of(scene), gpd.read_file(scene.labels)
    arrays["hsi"] = arrays["hsi"].chunk({"band": 2, "x": 32, "y": 32})
    for name, images, given in (("files", scene.images, scene.labels), ("memory", arrays, labels)):
        path = tmp_path / f"{name}.s2fin"
        s2fin_cli.train(**images, labels=given, output=path, report=tmp_path / f"{name}_training.html", **small)
        s2fin_cli.classify(
            **images, model=path, output=tmp_path / f"{name}.tif", confidence=tmp_path / f"{name}_confidence.tif",
            report=tmp_path / f"{name}.html", stac=True,
        )  # fmt: skip
    for suffix in (".tif", "_confidence.tif"):
        with rasterio.open(tmp_path / f"files{suffix}") as a, rasterio.open(tmp_path / f"memory{suffix}") as b:
            assert (a.crs, a.transform, a.dtypes) == (b.crs, b.transform, b.dtypes)
            assert np.array_equal(a.read(), b.read(), equal_nan=a.dtypes[0] == "float32")
    assert not left_in(scratch)
    for path in tmp_path.glob("memory*"):
        assert str(scratch).encode() not in path.read_bytes(), path
    assert "s2fin classify --hsi HSI.tif --lidar LIDAR.tif" in (tmp_path / "memory.html").read_text(encoding="utf-8")
    links = json.loads((tmp_path / "memory.json").read_text(encoding="utf-8"))["links"]
    assert [link["href"] for link in links if link["rel"] == "derived_from"] == ["./memory.s2fin"]
    run, model_run = (
        read_run(tmp_path / "memory.tif"),
        TrainingReport.of(read_model_info(tmp_path / "memory.s2fin")).run,
    )
    assert run is not None
    assert model_run is not None
    known = [(file.option, file.path, file.size, file.sha256) for file in (*run.files[:2], *model_run.files[2:])]
    assert known == [
        ("hsi", "hsi (DataArray)", None, None),
        ("lidar", "lidar (DataArray)", None, None),
        ("labels", "labels (GeoDataFrame)", None, None),
    ]


def test_predict_gives_what_classify_writes(scene: Scene, model: Path, tmp_path: Path, scratch: Path) -> None:
    arrays = arrays_of(scene)
    names = ("confidence", "probabilities", "uncertainty")
    outputs: dict[str, Any] = {name: tmp_path / f"{name}.tif" for name in names}
    result = s2fin_cli.classify(**scene.images, model=model, output=tmp_path / "map.tif", **outputs)
    files = set(tmp_path.iterdir())
    found = s2fin_cli.predict(**arrays, model=model, probabilities=True, uncertainty=True)
    assert set(tmp_path.iterdir()) == files
    assert not left_in(scratch)
    written = result.to_xarray()
    assert list(found) == list(written)
    assert found.equals(written)
    assert (found.rio.crs, found.rio.transform()) == (written.rio.crs, written.rio.transform())
    assert (
        found["class"].attrs["class_names"] == written["class"].attrs["class_names"] == [c.name for c in result.classes]
    )
    assert (found["class"].rio.nodata, np.isnan(found["confidence"].rio.nodata or np.nan)) == (0, True)
    assert list(s2fin_cli.predict(**scene.images, model=model)) == ["class", "confidence"]


def test_a_predicted_map_goes_on_through_the_loop(
    scene: Scene, model: Path, tmp_path: Path, scratch: Path, caplog: pytest.LogCaptureFixture
) -> None:
    arrays, labels = arrays_of(scene), gpd.read_file(scene.labels)
    found = s2fin_cli.predict(**arrays, model=model, bounds=(500_100, 4_999_500, 500_600, 4_999_900))
    assert dict(found.sizes) == {"y": 40, "x": 50}
    accuracy = s2fin_cli.evaluate(map=found["class"], reference=labels)
    assert set(accuracy.accuracy.class_names) == {"forest", "meadow", "water"}
    assert accuracy.to_dict()["reference"] == "reference (GeoDataFrame)"
    points = s2fin_cli.sample(map=found["class"], output=tmp_path / "points.gpkg", size=20, least=5).to_geodataframe()
    assert (len(points), points.crs) == (20, found.rio.crs)
    s2fin_cli.report(map=found["class"], **arrays, reference=labels, output=tmp_path / "report.json")
    text = (tmp_path / "report.json").read_text(encoding="utf-8")
    assert json.loads(text)["map"]["path"] == "map (DataArray)"
    assert str(scratch) not in text + caplog.text
    assert not left_in(scratch)


def test_results_open_as_frames(result: ClassifyResult) -> None:
    polygons = result.to_geodataframe()
    assert set(polygons["class_name"]) == {"forest", "meadow", "water"}
    assert result.outputs.polygons is not None
    moved = result.outputs.polygons.rename(result.outputs.polygons.with_name("moved.gpkg"))
    try:
        with pytest.raises(InputError, match="does not exist"):
            result.to_geodataframe()
        with pytest.raises(InputError, match="does not exist"):
            replace(result, outputs=replace(result.outputs, map=moved.with_name("none.tif"))).to_xarray()
    finally:
        moved.rename(result.outputs.polygons)


def test_maps_elsewhere_do_not_open(result: ClassifyResult) -> None:
    with pytest.raises(UsageError, match=r"written to s3://bucket/map.tif; open it from there"):
        replace(result, urls={"map": "s3://bucket/map.tif"}).to_xarray()
    with pytest.raises(UsageError, match="a part of the shards was made"):
        replace(result, shards=(1,)).to_geodataframe()
    with pytest.raises(UsageError, match="no polygons were written"):
        replace(result, outputs=replace(result.outputs, polygons=None)).to_geodataframe()


def test_class_numbers_are_labels(scene: Scene, tmp_path: Path, scratch: Path) -> None:
    like = opened(scene.hsi)
    labels = xr.DataArray(scene.truth, dims=("y", "x"), coords={"x": like.x, "y": like.y}).rio.write_crs(like.rio.crs)
    outputs: dict[str, Any] = {"train": tmp_path / "train.tif", "test": tmp_path / "test.tif", "distance": 0}
    parts = s2fin_cli.split(labels=labels, like=like, **outputs)
    held = read_raster(parts.train)[0] + read_raster(parts.test)[0].astype(int)
    assert np.array_equal(held, scene.truth)
    assert not left_in(scratch)


def test_an_area_of_interest_in_memory(scene: Scene, tmp_path: Path) -> None:
    area = gpd.GeoSeries([shapely.box(500_100, 4_999_700, 500_200, 4_999_900)], crs="EPSG:32632").to_crs("EPSG:4326")
    for name, given in (("series", area), ("frame", gpd.GeoDataFrame(geometry=area))):
        found = s2fin_cli.align(like=scene.hsi, lidar=scene.lidar, aoi=given, output=tmp_path / f"{name}.tif")
        assert read_raster(found.output).shape == (1, 20, 10)


# ---- names in messages -----------------------------------------------------------------------------------------------


def test_messages_name_data_by_their_option(
    scene: Scene, tmp_path: Path, scratch: Path, caplog: pytest.LogCaptureFixture
) -> None:
    output = tmp_path / "aligned.tif"
    lidar = opened(scene.lidar)
    with pytest.raises(InputError) as error:
        s2fin_cli.align(like=opened(scene.hsi), lidar=[lidar, lidar.drop_vars("spatial_ref")], output=output)
    assert str(error.value) == (
        "`lidar` (DataArray 2) has no CRS but `like` (DataArray) has EPSG:32632; if it is the same, assign it with: "
        'array.rio.write_crs("EPSG:CODE")'
    )
    with caplog.at_level(logging.INFO, logger="s2fin_cli"):
        s2fin_cli.align(like=scene.hsi, lidar=lidar[:, :20], output=output)
    assert f"`lidar` (DataArray) covers 56.7 % of `like` {scene.hsi}" in caplog.text
    assert str(scratch) not in caplog.text
    assert not left_in(scratch)


def test_remedies_are_those_of_the_packages(scene: Scene, tmp_path: Path) -> None:
    labels = gpd.read_file(scene.labels).set_crs(None, allow_override=True)
    outputs: dict[str, Any] = {"train": tmp_path / "train.tif", "test": tmp_path / "test.tif"}
    with pytest.raises(InputError, match=r'assign it with: frame.set_crs\("EPSG:CODE"\)'):
        s2fin_cli.split(labels=labels, like=scene.hsi, **outputs)
    rotated = opened(scene.hsi).drop_vars(["x", "y"])
    transform = rotated.rio.transform()
    rotated = rotated.rio.write_transform(transform @ transform.rotation(10))
    with pytest.raises(InputError, match=r"make it north-up first with: array.rio.reproject\(array.rio.crs\)"):
        s2fin_cli.align(like=rotated, lidar=scene.lidar, output=tmp_path / "aligned.tif")


def test_remedies_for_maps_in_memory(result: ClassifyResult, tmp_path: Path) -> None:
    found = result.to_xarray()["class"].load()
    output = tmp_path / "change.tif"
    with pytest.raises(InputError, match=r"one with: array.rio.reproject_match\(other\)$"):
        s2fin_cli.compare(before=found, after=found[1:], output=output)
    with pytest.raises(InputError, match=r"array.rio.reproject_match\(rioxarray.open_rasterio\(\"/.*map.tif\"\)\)$"):
        s2fin_cli.compare(before=result.outputs.map, after=found[1:], output=output)
    with pytest.raises(InputError, match=r"round them with: array.round\(\)$"):
        s2fin_cli.compare(before=found, after=found.astype("float32") + 0.25, output=output)


def test_only_copies_are_renamed() -> None:
    copy = Copy("/data/x/hsi.tif", "hsi", "DataArray")
    text = "`hsi` /data/x/hsi.tif and /data/x/hsi.tif, not /data/x/his.tif"
    with named_copies([copy]):
        assert described(text) == "`hsi` (DataArray) and `hsi` (DataArray), not /data/x/his.tif"
    assert described(text) == text


def test_log_records_are_made_as_before_afterwards() -> None:
    copies = [Copy(f"/data/{name}.tif", name, "DataArray") for name in ("hsi", "lidar")]
    make, logger = logging.getLogRecordFactory(), logging.getLogger("s2fin_cli.somewhere")

    def text_of(path: str) -> str:
        return logger.makeRecord(logger.name, logging.INFO, "", 0, "read %s", (path,), None).getMessage()

    first, second = named_copies(copies[:1]), named_copies(copies[1:])
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)  # as threads may end in any order
    assert text_of("/data/lidar.tif") == "read `lidar` (DataArray)"
    assert text_of("/data/hsi.tif") == "read /data/hsi.tif"
    second.__exit__(None, None, None)
    assert logging.getLogRecordFactory() is make


# ---- what is refused -------------------------------------------------------------------------------------------------


FRAME = gpd.GeoDataFrame(geometry=[shapely.Point(0, 0)])


@pytest.mark.parametrize(
    ("command", "given", "message"),
    [
        (
            "train",
            {"hsi": np.zeros((2, 3, 4))},
            r"`hsi` is of type ndarray, and it must be a path or a DataArray; give",
        ),
        (
            "train",
            {"hsi": ["a.tif", xr.Dataset()]},
            r"`hsi` is of type Dataset, .*dataset.to_dataarray\(dim=\"band\"\)",
        ),
        (
            "train",
            {"labels": pd.DataFrame()},
            "must be a path, a DataArray or a GeoDataFrame; give it geometries first",
        ),
        ("train", {"hsi": FRAME}, r"`hsi` is of type GeoDataFrame, and it must be a path or a DataArray$"),
        ("train", {"aoi": xr.DataArray()}, "must be a path, a GeoDataFrame or a GeoSeries$"),
        ("train", {"aoi": shapely.Point(0, 0)}, "is of type Geometry, .*; give it a CRS first: geopandas.GeoSeries"),
        ("train", {"hsi": pd.DataFrame()}, "must be a path or a DataArray$"),
        ("classify", {"confidence": xr.DataArray()}, "`confidence` is of type DataArray, which it does not take; only"),
        ("inspect", {"src": xr.DataArray()}, "`src` is of type DataArray, which it does not take; only"),
        (
            "classify",
            {"hsi": xr.DataArray(), "work": "run"},
            "`work` makes a map at another time or place, and `hsi` is",
        ),
        ("classify", {"hsi": xr.DataArray(), "scheduler": "tcp://a:1"}, "`scheduler` makes a map at another time"),
    ],
)
def test_data_that_an_option_cannot_take(command: str, given: dict[str, Any], message: str, scratch: Path) -> None:
    with pytest.raises(UsageError, match=message):
        getattr(s2fin_cli, command)(**given)
    assert not left_in(scratch)


@pytest.mark.parametrize("package", ["xarray", "rioxarray"])
def test_a_missing_package_is_named(scene: Scene, package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == package else find(name))
    with pytest.raises(UsageError, match=rf"`lidar` \(DataArray\) needs {package}; pip install 's2fin\[xarray\]'"):
        s2fin_cli.align(like=scene.hsi, lidar=opened(scene.lidar), output="aligned.tif")
    with pytest.raises(UsageError, match=rf"`predict`.* needs {package}; pip install 's2fin\[xarray\]'"):
        s2fin_cli.predict(**scene.images)


def test_paths_alone_import_nothing() -> None:
    code = """
import sys
from s2fin_cli.workflows.in_memory import as_files

with as_files("train", {"hsi": ["a.tif", "b.tif"], "labels": "c.gpkg", "seed": 1}) as given:
    print(given, {"xarray", "rioxarray", "geopandas", "numpy"} & set(sys.modules))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "{'hsi': ['a.tif', 'b.tif'], 'labels': 'c.gpkg', 'seed': 1} set()\n"


def test_every_function_that_takes_data_says_so() -> None:
    for name in FUNCTIONS:
        function = getattr(s2fin_cli, name)
        taken = any(word in str(function.__signature__) for word in ("Image", "Labels", "Features"))
        assert taken == ("xarray.DataArray" in function.__doc__), name


# ---- nothing is left -------------------------------------------------------------------------------------------------


def test_a_stopped_copy_leaves_nothing(scene: Scene, scratch: Path) -> None:
    stop = Stop()
    stop.set()
    with pytest.raises(Stopped):
        s2fin_cli.align(like=opened(scene.hsi), lidar=scene.lidar, output="aligned.tif", stop=stop)
    assert not left_in(scratch)


def test_a_missing_folder_for_temporary_files(scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))
    with pytest.raises(OutputError, match=r"cannot be written \(.*missing.*name a folder for them .* TMPDIR$"):
        s2fin_cli.align(like=opened(scene.hsi), lidar=scene.lidar, output=tmp_path / "aligned.tif")


def test_a_full_disk_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if sys.platform != "linux" or not can_mount(tmp_path):
        pytest.skip("this process may not mount a small disk")
    folder = tmp_path / "small"
    with small_disk(folder, 1 << 20):
        monkeypatch.setattr(tempfile, "tempdir", str(folder))
        array = xr.DataArray(np.random.default_rng(0).random((600, 700)), dims=("y", "x"))
        with pytest.raises(OutputError, match=r"copying `like` \(DataArray\) to .*/small failed: no space is left"):
            s2fin_cli.align(like=array, lidar=array, output=tmp_path / "aligned.tif")
        assert not list(folder.iterdir())


SLOW_ARRAY = """
import time
import dask, dask.array, numpy as np, xarray as xr
import s2fin_cli

dask.config.set(scheduler="synchronous")

def wait(block):
    print("computing", flush=True)
    time.sleep(60)
    return block

lazy = dask.array.zeros((40, 40), chunks=20).map_blocks(wait, dtype=float, meta=np.empty((0, 0)))
array = xr.DataArray(lazy, dims=("y", "x"))
s2fin_cli.align(like=array, lidar=array, output="aligned.tif")
"""


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="signals are those of POSIX")
def test_interrupted_and_killed_processes(tmp_path: Path, environment: dict[str, str]) -> None:
    def begin() -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", SLOW_ARRAY], cwd=tmp_path, env={**environment, "TMPDIR": str(tmp_path)},
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert process.stdout is not None
        assert process.stdout.readline() == "computing\n"
        assert len(list(tmp_path.iterdir())) == 1
        return process

    process = begin()
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=100)
    assert "KeyboardInterrupt" in errors
    assert not list(tmp_path.iterdir())

    process = begin()
    process.kill()
    process.communicate(timeout=100)
    (left,) = tmp_path.iterdir()
    process = begin()  # which removes what the killed one left
    assert not left.exists()
    process.kill()
    process.communicate(timeout=100)


def test_files_are_there_only_while_the_block_runs(scene: Scene, scratch: Path) -> None:
    array = opened(scene.hsi)
    with as_files("train", {"hsi": [array, scene.hsi], "labels": FRAME, "seed": 3}) as given:
        assert (given["hsi"][1], given["seed"]) == (scene.hsi, 3)
        assert all(Path(path).exists() for path in (given["hsi"][0], given["labels"]))
    assert not left_in(scratch)
    with (
        pytest.raises(S2finError, match=r"^`hsi` \(DataArray 1\) is wrong$"),
        as_files("train", {"hsi": [array, array]}) as given,
    ):
        raise InputError(f"`hsi` {given['hsi'][0]} is wrong")
