"""What tells that inputs have changed, and what does not matter: where they are, and their time if they are small."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import rasterio

import s2fin_cli
from s2fin_cli.core.errors import InputError, RasterError
from s2fin_cli.core.facts import first_difference
from s2fin_cli.core.sidecars import pam_of
from s2fin_cli.workflows.input_identity import PIECE, TIME_UNIT, WHOLE, facts_of_inputs
from tests.files import write_raster
from tests.scenes import Scene
from tests.workflows.sharding import check_same_map, options_of

if TYPE_CHECKING:
    from collections.abc import Callable


def flip(path: Path, place: int) -> None:
    """Change one bit, and keep the file's time."""
    before = path.stat().st_mtime_ns
    with open(path, "r+b") as file:
        file.seek(place)
        (value,) = file.read(1)
        file.seek(place)
        file.write(bytes([value ^ 1]))
    os.utime(path, ns=(before, before))


def touch(path: Path, *, seconds: float) -> None:
    changed = path.stat().st_mtime_ns // 10**9 // TIME_UNIT * TIME_UNIT + seconds
    os.utime(path, (changed, changed))


def write_large(path: Path) -> Path:
    """A raster without compression that is too large for a checksum of all of it."""
    write_raster(path, np.zeros((1, 4200, 4200), np.uint8), compress="none")
    assert path.stat().st_size > WHOLE
    return path


@pytest.mark.parametrize(
    ("change", "name"),
    [
        (lambda path: flip(path, 0), "checksum"),
        (lambda path: flip(path, path.stat().st_size - 1), "checksum"),
        (lambda path: flip(path, PIECE - 1), "checksum"),
        (lambda path: touch(path, seconds=60), "time of change"),
        (lambda path: os.truncate(path, path.stat().st_size - 1), "size"),
    ],
)
def test_changes_of_a_large_file(tmp_path: Path, change: Callable[[Path], None], name: str) -> None:
    path = write_large(tmp_path / "a.tif")
    touch(path, seconds=0)
    before = facts_of_inputs([("hsi", str(path))])
    touch(path, seconds=TIME_UNIT - 0.5)  # file systems round
    assert facts_of_inputs([("hsi", str(path))]) == before
    change(path)
    after = facts_of_inputs([("hsi", str(path))])
    assert {f"the {fact} of `hsi` a.tif" for fact in FACTS} <= after.keys() & before.keys()
    assert after[f"the {name} of `hsi` a.tif"] != before[f"the {name} of `hsi` a.tif"]


FACTS = ("size", "checksum", "time of change")


def test_any_changed_bit_of_a_small_file_and_of_what_belongs_to_it(tmp_path: Path) -> None:
    path = write_raster(tmp_path / "a.tif", np.arange(100, dtype=np.uint8).reshape(1, 10, 10))
    with rasterio.open(path, "r+") as dst:
        dst.write_mask(np.full((10, 10), 255, np.uint8))
    before = facts_of_inputs([("hsi", str(path))])
    for file in sorted(tmp_path.iterdir()):
        for place in range(0, file.stat().st_size, 37):
            flip(file, place)
            assert facts_of_inputs([("hsi", str(path))]) != before
            flip(file, place)
    path.touch()
    assert facts_of_inputs([("hsi", str(path))]) == before


STATISTICS = '<Metadata><MDI key="STATISTICS_MEAN">7</MDI></Metadata><Histograms><HistItem/></Histograms>'


@pytest.mark.parametrize(
    ("head", "band", "name", "was", "found"),
    [
        ("", "<NoDataValue>3</NoDataValue>", "nodata value", "nothing", "3.0"),
        ("", "<Scale>0.5</Scale>", "scales", "1.0", "0.5, 1.0"),
        ("", "<Offset>5</Offset>", "offsets", "0.0", "5.0, 0.0"),
        ("<SRS>EPSG:32633</SRS>", "", "CRS", "EPSG:32632", "EPSG:32633"),
        ("<GeoTransform>9, 2, 0, 9, 0, -2</GeoTransform>", "", "transform", None, "2.0, 0.0, 9.0, 0.0, -2.0, 9.0"),
    ],
)
def test_a_sidecar_that_changes_what_is_read(
    tmp_path: Path, head: str, band: str, name: str, was: str | None, found: str
) -> None:
    path = write_raster(tmp_path / "a.tif", np.arange(32, dtype=np.uint8).reshape(2, 4, 4))
    before = facts_of_inputs([("hsi", str(path))])
    sidecar, text = pam_of(path), "<PAMDataset>{}<PAMRasterBand band='1'>{}</PAMRasterBand></PAMDataset>"
    sidecar.write_text(text.format("", STATISTICS))
    assert facts_of_inputs([("hsi", str(path))]) == before
    sidecar.write_text(text.format(head, STATISTICS + band))
    difference = first_difference(before, facts_of_inputs([("hsi", str(path))]))
    assert difference is not None
    assert difference[0] == f"the {name} of `hsi` a.tif"
    assert was in (None, difference[1])
    assert difference[2] == found


def test_a_raster_that_cannot_be_reached_is_an_error_and_a_vector_is_not() -> None:
    name = "/vsimem/none.tif"
    with pytest.raises(RasterError, match=r"none\.tif"):
        facts_of_inputs([("hsi", name)])
    assert facts_of_inputs([("aoi", name)])[f"the contents of `aoi` {name}"] == "unknown"


def test_files_of_one_name_in_several_folders_are_told_apart(tmp_path: Path) -> None:
    paths = [tmp_path / name / "b.tif" for name in "ab"]
    for value, path in enumerate(paths):
        path.parent.mkdir()
        write_raster(path, np.full((1, 4, 4), value, np.uint8))
    first, second = ([("hsi", str(path)) for path in order] for order in (paths, paths[::-1]))
    assert set(facts_of_inputs(first)) >= {"the checksum of `hsi` b.tif", "the checksum of `hsi` b.tif (2)"}
    assert facts_of_inputs(first) != facts_of_inputs(second)


def test_the_order_of_files_and_what_is_meant_of_a_file_matter(tmp_path: Path) -> None:
    paths = [str(write_raster(tmp_path / f"{name}.tif", np.zeros((1, 4, 4), np.uint8))) for name in "ab"]
    first, second = (facts_of_inputs([("msi", path) for path in order]) for order in (paths, paths[::-1]))
    name = "the list of files of `msi`"
    assert first_difference(first, second) == (name, "a.tif, b.tif", "b.tif, a.tif")
    (tmp_path / "a.gpkg").touch()
    one, other = (facts_of_inputs([("aoi", f"GPKG:{tmp_path}/a.gpkg:{layer}")]) for layer in ("north", "south"))
    name = "the list of files of `aoi`"
    assert first_difference(one, other) == (name, "GPKG:a.gpkg:north", "GPKG:a.gpkg:south")


def test_a_virtual_raster_of_remote_images_may_be_in_another_folder(tmp_path: Path) -> None:
    with rasterio.MemoryFile(write_raster(tmp_path / "a.tif", np.ones((1, 1, 1), np.uint8)).read_bytes()) as file:
        source = f"<SimpleSource><SourceFilename>{file.name}</SourceFilename></SimpleSource>"
        text = f"<VRTDataset rasterXSize='1' rasterYSize='1'><VRTRasterBand>{source}</VRTRasterBand></VRTDataset>"
        paths = [tmp_path / name / "a.vrt" for name in "ab"]
        for path in paths:
            path.parent.mkdir()
            path.write_text(text)
        first, second = (facts_of_inputs([("hsi", str(path))]) for path in paths)
    assert first == second
    assert set(first) >= {f"the {fact} of `hsi` a.vrt" for fact in ("size", "checksum", "contents")}


def test_a_virtual_raster_of_an_image_that_cannot_be_reached_is_an_error(tmp_path: Path) -> None:
    source = f"<SimpleSource><SourceFilename>/vsimem/{tmp_path.name}.tif</SourceFilename></SimpleSource>"
    path = tmp_path / "a.vrt"
    path.write_text(f"<VRTDataset rasterXSize='1' rasterYSize='1'><VRTRasterBand>{source}</VRTRasterBand></VRTDataset>")
    for message in (r"a\.vrt cannot be read", r"a\.vrt is made of /vsimem/\S*, which could not be read before"):
        with pytest.raises(RasterError, match=message):
            facts_of_inputs([("hsi", str(path))])


def test_of_many_files_little_is_read(tmp_path: Path) -> None:
    """So many that three pieces of each are read; the time of change is a fact of each then."""
    paths = []
    for number in range(1500):
        paths.append(tmp_path / f"{number}.csv")
        with open(paths[-1], "wb") as file:
            file.truncate(1 << 20)
    facts = facts_of_inputs([("aoi", str(path)) for path in paths])
    assert len(facts) == 3 * 1500 + 1
    flip(paths[7], (1 << 19))
    changed = facts_of_inputs([("aoi", str(path)) for path in paths])
    assert {name for name in facts if facts[name] != changed[name]} == {"the checksum of `aoi` 7.csv"}


@pytest.mark.slow
def test_the_inputs_may_be_in_another_folder(scene: Scene, model: Path, tmp_path: Path) -> None:
    other = tmp_path / "mounted elsewhere"
    other.mkdir()
    moved = {name: Path(shutil.copy(path, other)) for name, path in scene.images.items()}
    how = {"work": tmp_path / "run", "shard_size": 48}
    s2fin_cli.classify(**options_of(scene, model, tmp_path / "map.tif", **how, shard="1/2"))
    found = s2fin_cli.classify(**{**options_of(scene, model, tmp_path / "map.tif", **how), **moved})
    check_same_map(found, s2fin_cli.classify(**options_of(scene, model, tmp_path / "b.tif")))
    flip(moved["lidar"], moved["lidar"].stat().st_size // 2)
    with pytest.raises(InputError, match=r"the checksum of `lidar` lidar.tif was"):
        s2fin_cli.classify(**{**options_of(scene, model, tmp_path / "c.tif", **how), **moved})
