"""Outputs appear whole or not at all."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from s2fin_cli.errors import OutputError
from s2fin_cli.files import check_outputs, staged


class StrangeError(Exception):
    """Something that goes wrong while an output is written."""


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_outputs_appear_when_the_block_ends(tmp_path: Path) -> None:
    targets = [tmp_path / "a.tif", tmp_path / "b.gpkg"]
    with staged(targets, overwrite=False) as temporary:
        assert [path.suffix for path in temporary] == [".tif", ".gpkg"]
        assert all(path.parent == tmp_path for path in temporary)
        for path in temporary:
            path.write_text(path.suffix)
        assert not any(path.exists() for path in targets)
    assert names(tmp_path) == {"a.tif", "b.gpkg"}
    assert targets[1].read_text() == ".gpkg"


def test_outputs_in_different_folders(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    targets = [tmp_path / "one" / "map.tif", tmp_path / "two" / "map.tif"]
    with staged(targets, overwrite=False) as temporary:
        for number, path in enumerate(temporary):
            path.write_text(str(number))
    assert [path.read_text() for path in targets] == ["0", "1"]


def write_half_and_raise(target: Path, error: BaseException) -> None:
    with staged([target], overwrite=True) as (path,):
        path.write_text("half")
        path.with_name(path.name + ".aux.xml").write_text("half")
        raise error


@pytest.mark.parametrize("error", [StrangeError("no"), KeyboardInterrupt()])
def test_a_failure_leaves_the_old_target_alone(tmp_path: Path, error: BaseException) -> None:
    target = tmp_path / "map.tif"
    target.write_text("old")
    (tmp_path / "map.tif.aux.xml").write_text("old names")
    with pytest.raises(type(error)):
        write_half_and_raise(target, error)
    assert names(tmp_path) == {"map.tif", "map.tif.aux.xml"}
    assert target.read_text() == "old"
    assert (tmp_path / "map.tif.aux.xml").read_text() == "old names"


def test_a_full_disk_is_an_output_error(tmp_path: Path) -> None:
    full = OSError(28, "No space left on device")
    with pytest.raises(OutputError, match=r"writing .*map\.tif failed: No space left.*nothing is left"):
        write_half_and_raise(tmp_path / "map.tif", full)
    assert names(tmp_path) == set()


def test_an_error_about_another_file_is_not_blamed_on_the_output(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), staged([tmp_path / "map.tif"], overwrite=False):
        (tmp_path / "missing").read_text()


def test_a_block_that_writes_nothing_is_an_output_error(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"map\.tif"), staged([tmp_path / "map.tif"], overwrite=False):
        pass


def test_sidecars_go_with_their_file(tmp_path: Path) -> None:
    target = tmp_path / "map.tif"
    target.write_text("old")
    for suffix in (".aux.xml", ".ovr", ".msk"):
        (tmp_path / f"map.tif{suffix}").write_text("stale")
    (tmp_path / "map.tif.txt").write_text("notes")
    with staged([target], overwrite=True) as (path,):
        path.write_text("new")
        path.with_name(path.name + ".aux.xml").write_text("new")
    assert names(tmp_path) == {"map.tif", "map.tif.aux.xml", "map.tif.txt"}
    assert target.read_text() == "new"
    assert (tmp_path / "map.tif.aux.xml").read_text() == "new"


def test_a_file_that_is_there_is_kept_unless_it_may_be_replaced(tmp_path: Path) -> None:
    target = tmp_path / "map.tif"
    target.write_text("old")
    with pytest.raises(OutputError, match=r"map\.tif is already there; give --overwrite"):
        check_outputs([target], overwrite=False)
    check_outputs([target], overwrite=True)


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"the folder .*maps does not exist"):
        check_outputs([tmp_path / "maps" / "map.tif"], overwrite=False)


@pytest.mark.parametrize("overwrite", [True, False])
def test_a_folder_is_no_target(tmp_path: Path, overwrite: bool) -> None:
    with pytest.raises(OutputError, match="is a folder"):
        check_outputs([tmp_path], overwrite=overwrite)


def test_two_outputs_need_two_names(tmp_path: Path) -> None:
    (tmp_path / "maps").mkdir()
    with pytest.raises(OutputError, match="two outputs have the same name"):
        check_outputs([tmp_path / "map.tif", tmp_path / "maps" / ".." / "map.tif"], overwrite=True)


def test_a_relative_name_is_taken_from_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with staged([Path("map.tif")], overwrite=False) as (path,):
        path.write_text("new")
    assert names(tmp_path) == {"map.tif"}


def test_a_read_only_folder_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "sealed"
    folder.mkdir(mode=0o500)
    if os.access(folder, os.W_OK):  # permissions do not bind root
        monkeypatch.setattr(os, "access", lambda path, mode: not (Path(path) == folder and mode & os.W_OK))
    with pytest.raises(OutputError, match=r"no permission to write in .*sealed"):
        check_outputs([folder / "map.tif"], overwrite=False)


WRITE_TO_A_FULL_DISK = """
import resource, signal, sys
from pathlib import Path
import numpy as np
from affine import Affine
from rasterio.crs import CRS
from s2fin_cli.errors import OutputError
from s2fin_cli.files import staged
from s2fin_cli.geo.classes import make_classes
from s2fin_cli.geo.classmap import create_class_map
from s2fin_cli.geo.grid import Grid
from s2fin_cli.geo.windows import iter_tiles

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), resource.RLIM_INFINITY))
grid = Grid(CRS.from_epsg(32632), Affine(10, 0, 5e5, 0, -10, 5e6), (600, 600))
values = np.random.default_rng(0).integers(1, 255, grid.shape).astype("uint8")
classes = make_classes({number: f"class {number}" for number in range(1, 255)})
try:
    with staged([Path(sys.argv[1])], overwrite=True) as (path,), create_class_map(path, grid, classes, tags={}) as dst:
        for window in iter_tiles(grid.shape, 256):
            dst.write(values[window.toslices()][None], window)
except OutputError as error:
    print("OutputError:", error)
else:
    print("written")
"""


@pytest.mark.parametrize(
    ("limit", "answer"),
    [
        pytest.param(100, "OutputError", id="nothing fits"),
        pytest.param(100_000, "OutputError", id="some blocks fit"),
        pytest.param(350_000, "OutputError", id="the last blocks do not fit"),
        pytest.param(2_000_000, "written", id="all fits"),
    ],
)
def test_a_class_map_on_a_full_disk(tmp_path: Path, limit: int, answer: str) -> None:
    target = tmp_path / "map.tif"
    target.write_text("old")
    done = subprocess.run(
        [sys.executable, "-c", WRITE_TO_A_FULL_DISK, str(target), str(limit)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(answer)
    if answer == "OutputError":
        assert f"writing {target} failed" in done.stdout
        assert "Traceback" not in done.stderr
        assert names(tmp_path) == {"map.tif"}
        assert target.read_text() == "old"
    else:
        assert names(tmp_path) == {"map.tif", "map.tif.aux.xml"}
