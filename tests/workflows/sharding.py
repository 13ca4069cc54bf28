"""How tests compare maps to the last bit, and make them in shards by real processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import rasterio

from s2fin_cli.raster.class_names import RUN_TAG
from s2fin_cli.workflows.classify import ClassifyResult
from tests.scenes import Scene

Process = subprocess.Popen[str]


def check_same_map(found: ClassifyResult, expected: ClassifyResult) -> None:
    """All outputs of two maps are equal to the last bit."""
    assert found.pixels == expected.pixels
    assert found.nodata_pixels == expected.nodata_pixels
    for name, path in vars(expected.outputs).items():
        other = getattr(found.outputs, name)
        assert (path is None) == (other is None)
        if path is not None:
            CHECKS[name](Path(other), Path(path))


def tags_without_files(src: rasterio.DatasetReader) -> dict[str, Any]:
    """The tags of a raster, without the files in the record of its run, which may be copies in other places."""
    tags: dict[str, Any] = dict(src.tags())
    if RUN_TAG in tags:
        tags[RUN_TAG] = {name: value for name, value in json.loads(tags[RUN_TAG]).items() if name != "files"}
    return tags


def check_same_rasters(found: Path, expected: Path) -> None:
    with rasterio.open(found) as one, rasterio.open(expected) as other:
        assert str(one.profile) == str(other.profile)  # no data may be NaN, which is equal to nothing
        assert tags_without_files(one) == tags_without_files(other)
        assert [one.overviews(1), one.descriptions, one.scales] == [
            other.overviews(1),
            other.descriptions,
            other.scales,
        ]
        np.testing.assert_array_equal(one.read(), other.read())
    sidecars = [path.with_name(f"{path.name}.aux.xml") for path in (found, expected)]
    assert sidecars[0].exists() == sidecars[1].exists()
    if sidecars[0].exists():
        assert sidecars[0].read_bytes() == sidecars[1].read_bytes()


def check_same_polygons(found: Path, expected: Path) -> None:
    tables = [gpd.read_file(path, layer="landcover") for path in (found, expected)]
    assert len(tables[0]) > 0
    assert tables[0].equals(tables[1])


def check_same_items(found: Path, expected: Path) -> None:
    """STAC items are equal but for times, names and what a GeoPackage holds of the time when it was made."""
    items = [json.loads(path.read_text()) for path in (found, expected)]
    for item in items:
        for name in ("created", "datetime", "title"):
            item["properties"].pop(name)
        item["assets"].pop("polygons", None)
        item.pop("id")
        item.pop("links")
        for asset in item["assets"].values():
            asset.pop("href")
        for name in ("file:size", "file:checksum"):
            item["assets"]["map"].pop(name)  # it names the images
    assert items[0] == items[1]


def check_same_bytes(found: Path, expected: Path) -> None:
    assert found.read_bytes() == expected.read_bytes()


CHECKS: dict[str, Callable[[Path, Path], None]] = {
    "map": check_same_rasters,
    "confidence": check_same_rasters,
    "probabilities": check_same_rasters,
    "uncertainty": check_same_rasters,
    "polygons": check_same_polygons,
    "style": check_same_bytes,
    "stac": check_same_items,
}


def in_20_shards(scene: Scene, model: Path, folder: Path, **changes: Any) -> dict[str, Any]:
    """Keywords of a map at stride 1 in 20 shards, of 16 pixels a side."""
    how = {"confidence": folder / "c.tif", "work": folder / "run", "shard_size": 16, "stride": 1, **changes}
    return options_of(scene, model, folder / "map.tif", **how)


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def finished(folder: Path) -> dict[str, tuple[int, int]]:
    """Finished shards of a work folder, by name: time and identity of their files."""
    stats = {path.name: path.with_suffix(".tif").stat() for path in folder.glob("[0-9]*.json")}
    return {name: (status.st_mtime_ns, status.st_ino) for name, status in stats.items()}


def started(scene: Scene, model: Path, folder: Path, *arguments: object) -> AbstractContextManager[Process]:
    """`s2fin classify` of a scene, see `running`."""
    return running(folder, "classify", *scene.arguments, "-m", model, "--device", "cpu", *arguments)


@contextmanager
def running(folder: Path, *arguments: object) -> Iterator[Process]:
    """`s2fin` as a process of a group of its own, in a folder, which ends with the block."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "200"}
    with subprocess.Popen(
        [sys.executable, "-m", "s2fin_cli", *map(str, arguments)],
        cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    ) as process:  # fmt: skip
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()


def wait_until(is_so: Callable[[], bool], process: Process, *, seconds: float = 60) -> None:
    """Wait until something is so, while a process is running."""
    end = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < end, "it took too long"
        assert process.poll() is None, process.communicate()
        time.sleep(0.002)


def children_of(process: int) -> list[int]:
    """Processes that a process started, on Linux."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:  # it has just ended
                continue
            if int(fields[1]) == process and fields[0] != "Z":
                found.append(int(entry.name))
    return found


def is_running(process: int) -> bool:
    try:
        return (Path("/proc") / str(process) / "stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def options_of(scene: Scene, model: Path, output: Path, **changes: Any) -> dict[str, Any]:
    """Keywords of `s2fin_cli.classify`."""
    return {**scene.images, "model": model, "output": output, "device": "cpu", **changes}
