"""Outputs appear whole or not at all."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from s2fin_cli.core.errors import OutputError, UsageError
from s2fin_cli.core.files import check_outputs, staged


class StrangeError(Exception):
    """Something that goes wrong while an output is written."""


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_a_folder_as_an_input_is_left_to_its_reader(tmp_path: Path) -> None:
    check_outputs([tmp_path / "a.tif"], overwrite=False, inputs=[".", "/"])


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


@pytest.mark.parametrize(
    ("error", "total", "message"),
    [
        (OSError(28, "No space left on device"), 1 << 30, "no space is left in "),
        (OSError("libtiff failed"), 1 << 30, "no space is left in "),
        (OSError("libtiff failed"), 0, "failed: libtiff failed; no file was written"),
        (PermissionError(13, "Permission denied"), 1 << 30, "failed: Permission denied; no file was written"),
    ],
)
def test_only_a_full_disk_is_called_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: OSError, total: int, message: str
) -> None:
    usage = SimpleNamespace(total=total, used=total, free=0)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with pytest.raises(OutputError, match=message):
        write_half_and_raise(tmp_path / "map.tif", error)


def test_a_folder_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "file.tif").write_text("")
    with pytest.raises(OutputError, match=r"file\.tif is a file, not a folder"):
        check_outputs([tmp_path / "file.tif" / "z.tif"], overwrite=True)


def test_a_full_disk_is_an_output_error(tmp_path: Path) -> None:
    full = OSError(28, "No space left on device")
    with pytest.raises(OutputError, match=r"writing .*map\.tif failed: No space left.*no file was written"):
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


def write_with_sidecars(targets: list[Path]) -> None:
    with staged(targets, overwrite=True) as temporary:
        for path in temporary:
            for suffix in ("", ".aux.xml", "-journal"):
                path.with_name(path.name + suffix).write_text("new")


@pytest.mark.parametrize("stuck", ["a.tif", "b.gpkg", "b.gpkg-journal", "a.tif.aux.xml"])
@pytest.mark.parametrize("moves", ["from", "to"])
def test_a_file_that_cannot_be_replaced_keeps_all_the_old_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stuck: str, moves: str
) -> None:
    targets = [tmp_path / "a.tif", tmp_path / "b.gpkg"]
    for name in ("a.tif", "a.tif.aux.xml", "b.gpkg", "b.gpkg-journal"):
        (tmp_path / name).write_text(f"old {name}")
    replace, failures = os.replace, 0

    def replace_or_fail(source: Path, target: Path) -> None:
        nonlocal failures
        if failures == 0 and (source if moves == "from" else target).name == stuck:
            failures += 1
            raise PermissionError(13, "Permission denied", str(source), None, str(target))
        replace(source, target)

    monkeypatch.setattr(os, "replace", replace_or_fail)
    reason = rf"\S*/{stuck} cannot be replaced \(Permission denied\)"
    message = rf"writing .*a\.tif, .*b\.gpkg failed: {reason}; no file was written"
    with pytest.raises(OutputError, match=message):
        write_with_sidecars(targets)
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {
        name: f"old {name}" for name in ("a.tif", "a.tif.aux.xml", "b.gpkg", "b.gpkg-journal")
    }


def test_an_interrupt_while_files_are_replaced_keeps_the_old_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "b.gpkg").write_text("old")
    replace = os.replace

    def replace_and_stop(source: Path, target: Path) -> None:
        replace(source, target)
        if target.name == "b.gpkg":
            monkeypatch.setattr(os, "replace", replace)
            raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", replace_and_stop)
    with pytest.raises(KeyboardInterrupt):
        write_with_sidecars([tmp_path / "a.tif", tmp_path / "b.gpkg"])
    assert names(tmp_path) == {"b.gpkg"}
    assert (tmp_path / "b.gpkg").read_text() == "old"


def test_a_link_to_nothing_is_put_back_where_another_file_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.tif").symlink_to(tmp_path / "elsewhere.tif")
    replace = os.replace

    def replace_or_fail(source: Path, target: Path) -> None:
        if Path(target).name == "b.gpkg":
            raise PermissionError(13, "Permission denied")
        replace(source, target)

    monkeypatch.setattr(os, "replace", replace_or_fail)
    with pytest.raises(OutputError):
        write_with_sidecars([tmp_path / "a.tif", tmp_path / "b.gpkg"])
    assert names(tmp_path) == {"a.tif"}
    assert (tmp_path / "a.tif").readlink() == tmp_path / "elsewhere.tif"


def test_what_cannot_be_removed_or_put_back_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    target = tmp_path / "map.tif"
    for path in (target, tmp_path / "map.tif.ovr"):
        path.write_text("old")
    replace, unlink = os.replace, Path.unlink

    def replace_old_only(source: Path, target: Path) -> None:
        if source.name not in ("map.tif", "map.tif.ovr") and source.suffixes[-2:] != [".moves", ".part"]:
            raise PermissionError(13, "Permission denied")
        replace(source, target)

    def unlink_new_only(path: Path, *, missing_ok: bool = False) -> None:
        if path.suffix == ".old":
            raise PermissionError(13, "Permission denied")
        unlink(path, missing_ok=missing_ok)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", unlink_new_only)
        with staged([target], overwrite=True) as (path,):
            path.write_text("new")
    assert target.read_text() == "new"
    assert re.search(r"/\.map\.tif\.\w{8}\.old, the previous output, cannot be removed \(Permission", caplog.text)
    (tmp_path / "map.tif.ovr").write_text("old")
    monkeypatch.setattr(os, "replace", replace_old_only)
    with pytest.raises(OutputError), staged([target], overwrite=True) as (path,):
        path.write_text("newer")
    assert f"cannot be put back to {target} (Permission denied); rename it yourself" in caplog.text


def test_an_input_is_no_output(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "image.tif").write_text("precious")
    for overwrite in (True, False):
        with pytest.raises(UsageError, match=r"image\.tif is an input, which would be lost; give the output another"):
            check_outputs([Path("map.tif"), tmp_path / "image.tif"], overwrite=overwrite, inputs=[None, "image.tif"])
    check_outputs([Path("map.tif")], overwrite=False, inputs=[None, "image.tif", 'HDF5:"f.h5"://x'])


def test_a_file_that_is_there_is_kept_unless_it_may_be_replaced(tmp_path: Path) -> None:
    target = tmp_path / "map.tif"
    target.write_text("old")
    with pytest.raises(OutputError, match=r"map\.tif already exists; give `overwrite=True`"):
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
    with pytest.raises(OutputError, match=r"two outputs have the same name, .*map\.tif; give one"):
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
from s2fin_cli.core.errors import OutputError, UsageError
from s2fin_cli.core.files import staged
from s2fin_cli.core.classes import make_classes
from s2fin_cli.raster.class_map import create_class_map
from s2fin_cli.geo.grid import Grid
from s2fin_cli.geo.windows import iter_tiles

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), resource.RLIM_INFINITY))
grid = Grid(CRS.from_epsg(32632), Affine(10, 0, 5e5, 0, -10, 5e6), (600, 600))
values = np.random.default_rng(0).integers(1, 255, grid.shape).astype("uint8")
classes = make_classes({number: f"class {number}" for number in range(1, 255)})
try:
    with staged([Path(sys.argv[1])], overwrite=True) as (path,), create_class_map(path, grid, classes, tags={}) as dst:
        for window in iter_tiles(grid.shape, (256, 256)):
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


def test_a_shapefile_is_all_of_its_files(tmp_path: Path) -> None:
    for name in ("a.shp", "a.dbf", "a.shx", "b.dbf"):
        (tmp_path / name).write_bytes(b"mine")
    with pytest.raises(UsageError, match=r"a\.dbf is an input, which would be lost"):
        check_outputs([tmp_path / "a.dbf"], overwrite=True, inputs=[tmp_path / "a.shp"])
    with pytest.raises(OutputError, match=r"b\.dbf already exists; give `overwrite=True`"):
        check_outputs([tmp_path / "b.shp"], overwrite=False)
    check_outputs([tmp_path / "b.shp"], overwrite=True)
    check_outputs([tmp_path / "b.tif"], overwrite=False)


def test_a_world_file_goes_with_its_image(tmp_path: Path) -> None:
    with staged([tmp_path / "a.tif"], overwrite=False) as (tmp,):
        tmp.write_bytes(b"image")
        tmp.with_suffix(".tfw").write_bytes(b"place")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.tfw", "a.tif"]
