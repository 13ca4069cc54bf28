"""Runs that meet faults: nothing is lost, nothing is half written, and in the end the map is the same."""

from __future__ import annotations

import shutil
import sys
from typing import TYPE_CHECKING

import pytest

from tests.faults import kills, spoils
from tests.faults.disks import can_mount
from tests.faults.setting import FILES, GOOD, check_outputs, check_work, difference, make_setting
from tests.faults.table import FAULTS, Fault, meet

if TYPE_CHECKING:
    from pathlib import Path

    from tests.faults.setting import Setting
    from tests.scenes import Scene

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="it looks at processes by /proc, and kills them")
#: Faults that are tried by the quick tests, and how often.
QUICK: dict[object, int] = {kills.moving: 1}
#: How often the slow tests try each of the others.
SLOW = 3


@pytest.fixture(scope="module")
def setting(scene: Scene, model: Path, tmp_path_factory: pytest.TempPathFactory) -> Setting:
    return make_setting(tmp_path_factory.mktemp("setting"), scene, model)


def tried(fault: Fault, setting: Setting, folder: Path, runs: int) -> None:
    if fault.mounts and not can_mount(folder):
        pytest.skip("only root may mount disks")
    for number in range(runs):
        assert meet(fault, setting, folder, number, runs) == GOOD


@pytest.mark.parametrize("fault", [fault for fault in FAULTS if fault.meet in QUICK], ids=lambda fault: fault.name)
def test_a_fault_loses_nothing(fault: Fault, setting: Setting, tmp_path: Path) -> None:
    tried(fault, setting, tmp_path, QUICK[fault.meet])


@pytest.mark.slow
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_each_fault_loses_nothing(fault: Fault, setting: Setting, tmp_path: Path) -> None:
    tried(fault, setting, tmp_path, min(SLOW, fault.runs))


@pytest.mark.parametrize("name", FILES)
def test_a_map_that_differs_in_one_file_is_noticed(setting: Setting, tmp_path: Path, name: str) -> None:
    """The comparison itself can fail."""
    folder = tmp_path / "map"
    shutil.copytree(setting.new, folder)
    assert difference(folder, setting.new) is None
    assert difference(folder, setting.old) is not None
    assert check_outputs(setting, folder) == GOOD
    shutil.copyfile(setting.old / name, folder / name)
    same = (setting.old / name).read_bytes() == (setting.new / name).read_bytes()
    assert (difference(folder, setting.new) is None) == same
    (folder / name).unlink()
    assert check_outputs(setting, folder, old=True).wrong == 1
    (folder / name).write_bytes(b"half")
    assert check_outputs(setting, folder, old=True).wrong == 1
    (folder / ".map.moves").touch()
    assert check_outputs(setting, folder, old=True).wrong == 1


def test_a_spoilt_work_folder_is_noticed(setting: Setting, tmp_path: Path) -> None:
    spoils.with_shards(setting, tmp_path)
    assert check_work(tmp_path / "run") == GOOD
    path = tmp_path / "run" / "00003.tif"
    path.write_bytes(path.read_bytes()[:-1])
    assert check_work(tmp_path / "run").notes == ("receipts do not fit: ['00003.json']",)
    (tmp_path / "run" / "plan.json").write_bytes(b"{}")
    assert check_work(tmp_path / "run").notes == ("the plan is damaged",)
