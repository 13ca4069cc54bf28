"""Odd names of files, links and virtual rasters through whole commands: what they write, refuse and leave behind."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

import geopandas as gpd
import numpy as np
import pytest
import rasterio
import rasterio.shutil

from tests.files import everything_in, read_raster
from tests.scenes import NAMES, Run, Scene

#: Names, in which format polygons and points are called by them, and whether a folder is, and not the files.
ODD = [
    ("a!b", ".gpkg", False), ("!archive", ".shp", True), ("a;b,c", ".fgb", False), ("a b?", ".geojson", True),
    ("a\nb", ".gpkg", True), ("2020-01-01T10:00", ".shp", False), ("zip:a", ".fgb", True),
    ("u\u0308#%20", ".geojson", False), ("-o", ".gpkg", False),
]  # fmt: skip


@pytest.fixture(autouse=True)
def temporary(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder for temporary files, which is empty after each command."""
    folder = tmp_path_factory.mktemp("temporary")
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@dataclass(frozen=True)
class Called:
    """Gives files an odd name, or one folder that holds them."""

    name: str
    is_folder: bool

    def __call__(self, rest: str) -> Path:
        return Path(self.name, f"f{rest}") if self.is_folder else Path(self.name + rest)


@pytest.mark.skipif(os.name == "nt", reason="Windows allows few of these names")
@pytest.mark.parametrize(("name", "suffix", "is_folder"), ODD)
def test_odd_names_work_everywhere(
    scene: Scene, model: Path, run: Run, temporary: Path, *, name: str, suffix: str, is_folder: bool
) -> None:
    called = Called(name, is_folder)
    if is_folder:
        Path(name).mkdir()
    copies = {".hsi.tif": scene.hsi, ".lidar.tif": scene.lidar, ".labels.gpkg": scene.labels, ".s2fin": model}
    for rest, source in copies.items():
        shutil.copy(source, called(rest))
    polygons, points, item = called(f".p{suffix}"), called(f".s{suffix}"), called(".m.json")
    images = [f"--hsi={called('.hsi.tif')}", f"--lidar={called('.lidar.tif')}"]
    commands: list[list[object]] = [
        ["classify", *images, f"--model={called('.s2fin')}", f"--output={called('.m.tif')}", f"--polygons={polygons}",
         f"--aoi={called('.labels.gpkg')}", "--stac", f"--confidence={called('.c.tif')}"],
        ["sample", f"--map={called('.m.tif')}", f"--output={points}", "--size=9", "--least=1"],
        ["split", f"--labels={called('.labels.gpkg')}", f"--like={called('.hsi.tif')}", "--distance=1",
         f"--train={called('.tr.tif')}", f"--test={called('.te.tif')}", f"--picture={called('.png')}"],
        ["evaluate", f"--map={called('.m.tif')}", f"--reference={called('.te.tif')}", f"--output={called('.r.csv')}"],
        ["evaluate", f"--map={called('.m.tif')}", f"--reference={polygons}", "--label-field=class_id"],
        ["inspect", f"--stac={called('.i.json')}", "--", called(".s2fin")],
    ]  # fmt: skip
    for command in commands:
        result = run(*command)
        assert result.exit_code == 0, result.output
        assert not list(temporary.iterdir())
    written = {called(f".{rest}") for rest in ("m.tif", "m.tif.aux.xml", "m.qml", "m.json", "c.tif", "png", "r.csv")}
    written |= {called(f".{rest}") for rest in ("tr.tif", "tr.tif.aux.xml", "te.tif", "te.tif.aux.xml", "i.json")}
    parts = [".shp", ".shx", ".dbf", ".prj", ".cpg"] if suffix == ".shp" else [suffix]
    written |= {called(f".{kind}{part}") for kind in "ps" for part in parts} | {called(rest) for rest in copies}
    assert everything_in(Path()) == {str(path) for path in written} | ({name} if is_folder else set())
    target = unquote(json.loads(item.read_text())["assets"]["map"]["href"])
    assert item.parent / target == called(".m.tif")
    if suffix == ".gpkg":
        shutil.copy(polygons, "plain.gpkg")
        assert set(gpd.read_file("plain.gpkg", layer="landcover")["class_name"]) <= set(NAMES.values())


def test_every_command_refuses_to_replace_what_its_input_is_made_of(
    scene: Scene, model: Path, run: Run, in_folder: Path
) -> None:
    shutil.copy(scene.hsi, "a.tif")
    rasterio.shutil.copy("a.tif", "v.vrt", driver="VRT")
    shutil.copy(scene.labels, "labels.gpkg")
    Path("labels.vrt").write_text(
        '<OGRVRTDataSource><OGRVRTLayer name="labels"><SrcDataSource relativeToVRT="1">labels.gpkg</SrcDataSource>'
        "</OGRVRTLayer></OGRVRTDataSource>"
    )
    shutil.copy(model, "m.s2fin")
    Path("link.s2fin").symlink_to("m.s2fin")
    Path("hard.json").hardlink_to("m.s2fin")
    Path("classes.csv").write_text("id,name\n1,forest\n2,meadow\n3,water\n")
    lidar = ["--lidar", scene.lidar]
    commands: list[list[object]] = [
        ["train", "--hsi", "v.vrt", *lidar, "--labels", "labels.gpkg", "-o", "a.tif"],
        ["train", "--hsi", "v.vrt", *lidar, "--labels", "labels.vrt", "-o", "labels.gpkg"],
        ["train", "--hsi", "v.vrt", "--labels", "labels.gpkg", "--classes", "classes.csv", "-o", "classes.csv"],
        ["classify", "--hsi", "v.vrt", *lidar, "-m", "m.s2fin", "-o", "a.tif"],
        ["classify", "--hsi", "v.vrt", *lidar, "-m", "m.s2fin", "--aoi", "labels.vrt", "-o", "labels.tif"],
        ["classify", "--hsi", "v.vrt", *lidar, "-m", "m.s2fin", "-o", "x.tif", "--confidence", "a.tif"],
        ["align", "--like", "v.vrt", *lidar, "-o", "a.tif"],
        ["split", "--labels", "labels.vrt", "--like", "v.vrt", "--train", "x.tif", "--test", "a.tif"],
        ["evaluate", "--map", "v.vrt", "--reference", "labels.gpkg", "-o", "hard.json"],
        ["sample", "--map", "v.vrt", "-o", "labels.gpkg"],
        ["inspect", "link.s2fin", "--stac", "hard.json"],
    ]
    before = {path: path.read_bytes() for path in Path().iterdir()}
    for command in commands:
        result = run(*command, "--overwrite")
        is_free = command[0] in ("evaluate", "sample")  # their outputs belong to no input of theirs
        if not is_free:
            assert result.exit_code == 2, (command, result.output)
            assert "is an input, which would be lost" in result.output
            assert {path: path.read_bytes() for path in Path().iterdir()} == before
    result = run("evaluate", "--map", "v.vrt", "--reference", "labels.vrt", "-o", "labels.json", "--overwrite")
    assert result.exit_code == 1  # which is no map, and no input of that name
    Path("v.json").symlink_to("a.tif")
    result = run("evaluate", "--map", "v.vrt", "--reference", "labels.vrt", "-o", "v.json", "--overwrite")
    assert (result.exit_code, "is an input, which would be lost" in result.output) == (2, True)


def test_the_project_file_is_no_output(scene: Scene, run: Run, in_folder: Path) -> None:
    text = f'hsi = "{scene.hsi}"\nlidar = "{scene.lidar}"\nlabels = "{scene.labels}"\n'
    for name in ("s2fin.toml", "other.json"):
        Path(name).write_text(text)
    Path("link.json").symlink_to("other.json")
    for config in ([], ["--config", "link.json"]):
        output = "other.json" if config else "s2fin.toml"
        result = run(*config, "train", "-o", output, "--overwrite", "--epochs", 1)
        assert result.exit_code == 2
        assert f"{output} is an input, which would be lost" in result.output
        assert Path(output).read_text() == text


def test_a_path_with_a_colon_in_a_project_file_is_relative_to_it(scene: Scene, run: Run, in_folder: Path) -> None:
    Path("folder").mkdir()
    shutil.copy(scene.hsi, "folder/2020:a.tif")
    shutil.copy(scene.hsi, "folder/scene:a.tif")
    for name in ("2020:a.tif", "scene:a.tif"):
        Path("folder/s2fin.toml").write_text(f'[align]\nlike = "{name}"\nlidar = "{scene.lidar}"\n')
        result = run("--config", "folder/s2fin.toml", "align", "-o", "out.tif", "--overwrite")
        assert result.exit_code == 0, result.output


def test_a_mask_beside_a_links_target_is_no_data_in_the_map(
    scene: Scene, model: Path, run: Run, in_folder: Path
) -> None:
    Path("store").mkdir()
    Path("links").mkdir()
    shutil.copy(scene.hsi, "store/hsi.tif")
    valid = np.ones(scene.truth.shape, dtype=bool)
    valid[5:20, 9:30] = False
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=False), rasterio.open("store/hsi.tif", "r+") as dst:
        dst.write_mask(valid)
    assert Path("store/hsi.tif.msk").is_file()
    Path("links/hsi.tif").symlink_to(Path("../store/hsi.tif"))
    result = run(
        "classify", "--hsi", "links/hsi.tif", "--lidar", scene.lidar, "-m", model, "-o", "map.tif", "--no-vector"
    )
    assert result.exit_code == 0, result.output
    with rasterio.open("map.tif") as src:
        nodata = src.nodata
    assert np.array_equal(read_raster(Path("map.tif"))[0] != nodata, valid)


def test_a_missing_source_is_named_before_any_work(
    scene: Scene, model: Path, run: Run, in_folder: Path, temporary: Path
) -> None:
    shutil.copy(scene.hsi, "a.tif")
    rasterio.shutil.copy("a.tif", "v.vrt", driver="VRT")
    Path("a.tif").unlink()
    lidar, before = ["--lidar", scene.lidar], everything_in(in_folder)
    for command in (
        ["train", "--hsi", "v.vrt", *lidar, "--labels", scene.labels, "-o", "m.s2fin"],
        ["classify", "--hsi", "v.vrt", *lidar, "-m", model, "-o", "map.tif"],
        ["align", "--like", scene.hsi, "--sar", "v.vrt", "-o", "o.tif"],
        ["split", "--labels", scene.labels, "--like", "v.vrt", "--train", "x.tif", "--test", "y.tif"],
        ["evaluate", "--map", "v.vrt", "--reference", scene.labels],
        ["inspect", "v.vrt"],
    ):
        result = run(*command)
        assert result.exit_code == 1, (command, result.output)
        assert "v.vrt is made of other files, and a.tif does not exist; put it back" in result.output
        assert everything_in(in_folder) == before
        assert not list(temporary.iterdir())


@pytest.mark.skipif(os.name == "nt", reason="Windows allows few of these names")
def test_names_that_gdal_cannot_open_are_refused_before_any_work(
    scene: Scene, model: Path, run: Run, in_folder: Path
) -> None:
    for odd, what in (("a\udcff", "not UTF-8"), ("<VRTDataset>", "takes for the text of a virtual raster")):
        try:
            shutil.copy(scene.hsi, f"{odd}.tif")
        except OSError:
            pytest.skip("this file system takes UTF-8 only")
        lidar, before = ["--lidar", scene.lidar], everything_in(in_folder)
        for command in (
            ["classify", "--hsi", f"{odd}.tif", *lidar, "-m", model, "-o", "map.tif"],
            ["classify", "--hsi", scene.hsi, *lidar, "-m", model, "-o", f"{odd}2.tif"],
            ["classify", "--hsi", scene.hsi, *lidar, "-m", model, "-o", "map.tif", "--polygons", f"{odd}.gpkg"],
            ["train", "--hsi", scene.hsi, *lidar, "--labels", f"{odd}.tif", "-o", "m.s2fin"],
            ["evaluate", "--map", f"{odd}.tif", "--reference", scene.labels],
            ["inspect", f"{odd}.tif"],
        ):
            result = run(*command)
            assert result.exit_code in (1, 2), (command, result.output)
            assert what in result.output
            assert "unexpected" not in result.output
            assert everything_in(in_folder) == before
