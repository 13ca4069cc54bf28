"""A process that is killed while it moves finished files to their places loses and mixes nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from s2fin_cli.core.errors import OutputError
from s2fin_cli.core.files import check_outputs, staged
from s2fin_cli.core.leftovers import mark

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="it forks and kills processes")

#: A map with companions, one of them under another name and one in another folder.
TARGETS = ("map.tif", "map.gpkg", "map.qml", "c.tif", "other/p.tif")
NEW = dict.fromkeys((*TARGETS, "map.tif.aux.xml", "other/p.tif.aux.xml"), "new")
#: With a sidecar that the new files lack, and without one that they have.
OLD = dict.fromkeys((*TARGETS, "map.tif.aux.xml", "map.tif.ovr"), "old")
#: Writes the files in one folder after the other, each time with a child that is killed one step later than the one
#: before: a step is anything that opens, renames or removes a file. The child that is killed by nobody ends it.
KILLED_AT_EACH_STEP = """
import os, shutil, signal, sys
from pathlib import Path
from s2fin_cli.core.files import staged

steps_left = None

def count(event, arguments):
    global steps_left
    if steps_left is None or event not in ("open", "os.rename", "os.remove"):
        return
    steps_left -= 1
    if steps_left < 0:
        os.kill(os.getpid(), signal.SIGKILL)

def write(folder, steps):
    global steps_left
    targets = [folder / name for name in sys.argv[2].split()]
    with staged(targets, overwrite=True) as paths:
        for path, target in zip(paths, targets):
            path.write_text("new")
            if target.name in ("map.tif", "p.tif"):
                path.with_name(path.name + ".aux.xml").write_text("new")
        steps_left = steps

sys.addaudithook(count)
template = Path(sys.argv[1])
for steps in range(0, 1000, int(sys.argv[3])):
    folder = template.with_name(f"{steps:03d}")
    shutil.copytree(template, folder)
    child = os.fork()
    if child == 0:
        write(folder, steps)
        os._exit(0)
    if os.waitpid(child, 0)[1] == 0:
        break
else:
    sys.exit("it never ended")
"""


def contents(folder: Path) -> dict[str, str]:
    """The visible files of a folder and what is in them."""
    files = [path for path in folder.rglob("*") if path.is_file() and not path.name.startswith(".")]
    return {path.relative_to(folder).as_posix(): path.read_text() for path in files}


def hidden(folder: Path) -> set[str]:
    return {path.name for path in folder.rglob(".*")}


def killed_at_each_step(tmp_path: Path, old: dict[str, str], *, stride: int = 1) -> list[Path]:
    template = tmp_path / "template"
    (template / "other").mkdir(parents=True)
    for name, text in old.items():
        (template / name).write_text(text)
    command = [sys.executable, "-c", KILLED_AT_EACH_STEP, str(template), " ".join(TARGETS), str(stride)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return sorted(path for path in tmp_path.iterdir() if path != template)


@pytest.mark.parametrize(
    ("old", "stride"),
    [(OLD, 3), pytest.param(OLD, 1, marks=pytest.mark.slow), pytest.param({}, 1, marks=pytest.mark.slow)],
    ids=["some steps", "all steps", "first outputs"],
)
def test_whenever_a_process_is_killed_the_next_finds_all_or_nothing(
    tmp_path: Path, old: dict[str, str], stride: int, caplog: pytest.LogCaptureFixture
) -> None:
    folders = killed_at_each_step(tmp_path, old, stride=stride)
    ends = set()
    for number, folder in enumerate(folders):
        found = contents(folder)
        assert found.items() <= old.items() or found.items() <= NEW.items(), "never a mixture"
        if "map.tif" in found:
            assert found in (old, NEW), "a map is there with all its companions"
        # whichever output is written next
        check_outputs([folder / TARGETS[number % len(TARGETS)]], overwrite=True)
        after = contents(folder)
        assert after in (old, NEW)
        assert found.items() <= after.items() or after == NEW
        ends.add(after == NEW)
        check_outputs([folder / name for name in TARGETS], overwrite=True)
        assert contents(folder) == after
        assert not hidden(folder)
    assert ends == {True, False}
    assert len(folders) > 30 / stride
    assert "moved to their places, as the run that wrote them was killed" in caplog.text


def test_the_next_process_may_be_killed_too(tmp_path: Path) -> None:
    """Moving is the same whoever does it, and how often: each state in between is continued as well."""
    for folder in killed_at_each_step(tmp_path, OLD, stride=6):
        records = list(folder.glob(".map.*.moves"))
        if not records:
            continue
        values = json.loads(records[0].read_text())
        for source, target in values["new"]:  # as far as another process came
            if Path(source).exists():
                os.replace(source, target)
                break
        check_outputs([folder / "map.tif"], overwrite=True)
        assert contents(folder) == NEW
        check_outputs([folder / name for name in TARGETS], overwrite=True)
        assert not hidden(folder)


def test_files_that_cannot_be_moved_stay_until_they_can(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = next(
        folder for folder in killed_at_each_step(tmp_path, OLD, stride=12) if not (folder / "map.tif").exists()
    )
    (folder / "map.tif").mkdir()  # nothing can replace a folder
    before = hidden(folder)
    with pytest.raises(OutputError, match="is a folder"):
        check_outputs([folder / "map.tif"], overwrite=True)
    assert "a run that was killed left finished files that cannot be moved to their places" in caplog.text
    assert {name for name in before if name.startswith(".map.") and ".part" in name} & hidden(folder)
    (folder / "map.tif").rmdir()
    check_outputs([folder / "map.tif"], overwrite=True)
    assert contents(folder) == NEW


def test_a_spoilt_record_moves_and_removes_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    machine = mark().split("-")[0]
    left = {f".map.{machine}-4194304-0{suffix}" for suffix in (".moves", ".part.tif")}
    for name in left:
        (tmp_path / name).write_text("{")
    check_outputs([tmp_path / "map.tif"], overwrite=True)
    assert hidden(tmp_path) == left
    assert "cannot be moved to their places" in caplog.text


def interrupted_in_its_moves(tmp_path: Path) -> Path:
    """A folder whose old map was put aside, and whose new one was not moved to its place."""
    folders = killed_at_each_step(tmp_path, OLD, stride=12)
    return next(folder for folder in folders if list(folder.glob(".map.*.moves")) and not (folder / "map.tif").exists())


def test_the_record_of_another_user_is_not_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    folder = interrupted_in_its_moves(tmp_path)
    before = hidden(folder)
    with monkeypatch.context() as patched:
        patched.setattr(os, "geteuid", lambda: os.stat(folder).st_uid + 1)
        check_outputs([folder / "map.tif"], overwrite=True)
    assert "was written by another user and is not followed" in caplog.text
    assert hidden(folder) == before
    assert not (folder / "map.tif").exists()
    check_outputs([folder / "map.tif"], overwrite=True)
    assert contents(folder) == NEW


@pytest.mark.parametrize("stage", ["none was moved", "old ones are aside"])
def test_files_that_were_written_since_are_kept(tmp_path: Path, stage: str, caplog: pytest.LogCaptureFixture) -> None:
    """As where the next run was on another machine, which does not know the processes of this one."""
    folders = killed_at_each_step(tmp_path, OLD, stride=2 if stage == "none was moved" else 12)
    folder = next(
        folder
        for folder in folders
        if list(folder.glob(".map.*.moves"))
        and (contents(folder) == OLD if stage == "none was moved" else not (folder / "map.tif").exists())
    )
    newer = dict.fromkeys(TARGETS, "newer")
    for name in OLD:
        (folder / name).unlink(missing_ok=True)
    for name, text in newer.items():
        (folder / name).write_text(text)
    check_outputs([folder / "map.tif"], overwrite=True)
    assert contents(folder) == newer
    assert "map.tif: kept, as newer than the files of a run that was killed" in caplog.text
    check_outputs([folder / name for name in TARGETS], overwrite=True)
    assert not hidden(folder)


def test_nothing_is_lost_where_the_folder_was_renamed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = interrupted_in_its_moves(tmp_path)
    before = hidden(folder)
    moved = folder.rename(tmp_path / "renamed")
    check_outputs([moved / "map.tif"], overwrite=True)
    assert "cannot be moved to their places (none of them is there)" in caplog.text
    assert hidden(moved) == before
    moved.rename(folder)
    check_outputs([folder / "map.tif"], overwrite=True)
    assert contents(folder) == NEW


def test_an_output_that_appears_meanwhile_is_kept(tmp_path: Path) -> None:
    def write() -> None:
        with staged([tmp_path / "a.tif", tmp_path / "b.gpkg"], overwrite=False) as paths:
            for path in paths:
                path.write_text("new")
            (tmp_path / "b.gpkg").write_text("of another program")

    with pytest.raises(OutputError, match=r"b\.gpkg was written by another program meanwhile and is kept"):
        write()
    assert contents(tmp_path) == {"b.gpkg": "of another program"}
    assert not hidden(tmp_path)


def test_temporary_files_of_an_earlier_process_of_the_same_number_are_not_written_to(tmp_path: Path) -> None:
    """In containers every process may have number 1."""
    left = tmp_path / f".map.{mark()}-0.part.gpkg"
    left.write_text("half of an earlier map")
    with staged([tmp_path / "map.gpkg"], overwrite=False) as (path,):
        assert path == left
        assert not path.exists()
        path.write_text("new")
    assert contents(tmp_path) == {"map.gpkg": "new"}
